"""LFU and FIFO by cachetools, with a count of bytes and a report of what was evicted."""

from typing import TYPE_CHECKING

from cachetools import Cache, FIFOCache, LFUCache

from cdnkit.policy.store.eviction.room import cost_of

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry


class _Reporting(Cache[int, "Entry"]):
    """A cache of cachetools that collects what it evicts."""

    def __init__(self, maxsize_bytes: int, block_bytes: int = 1) -> None:
        super().__init__(maxsize_bytes, getsizeof=lambda entry: cost_of(entry, block_bytes))
        self._block_bytes = block_bytes
        self._evicted: list[Entry] = []

    def popitem(self) -> tuple[int, "Entry"]:
        entry_id, entry = super().popitem()
        self._evicted.append(entry)
        return entry_id, entry

    def admit(self, entry: "Entry") -> bool:
        self.pop(entry.id, None)
        if cost_of(entry, self._block_bytes) > self.maxsize:
            return False
        self[entry.id] = entry
        return True

    def touch(self, entry: "Entry") -> None:
        if entry.id in self:
            self[entry.id]  # a look-up is a use

    def take_evicted(self) -> list["Entry"]:
        gone, self._evicted = self._evicted, []
        return gone


class LfuRoom(_Reporting, LFUCache[int, "Entry"]):
    """The least often used goes; of several, the one that has been so for longest."""


class FifoRoom(_Reporting, FIFOCache[int, "Entry"]):
    """The oldest goes, used or not."""

    def touch(self, entry: "Entry") -> None:
        """Use changes nothing."""
