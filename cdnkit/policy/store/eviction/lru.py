"""The least recently used goes. A use is one step in one table, since every hit is one."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from cdnkit.policy.store.eviction.room import cost_of

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry


class LruRoom:
    """Entries in the order of their last use."""

    def __init__(self, maxsize_bytes: int, block_bytes: int = 1) -> None:
        self.maxsize = maxsize_bytes
        self.currsize = 0
        self._block_bytes = block_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._costs: dict[int, int] = {}
        """As they were when each was admitted."""
        self._evicted: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry_id: object, /) -> bool:
        return entry_id in self._entries

    def admit(self, entry: "Entry") -> bool:
        self.pop(entry.id, None)
        cost = cost_of(entry, self._block_bytes)
        if cost > self.maxsize:
            return False
        while self.currsize + cost > self.maxsize:
            self.popitem()
        self._entries[entry.id], self._costs[entry.id] = entry, cost
        self.currsize += cost
        return True

    def touch(self, entry: "Entry") -> None:
        if entry.id in self._entries:
            self._entries.move_to_end(entry.id)

    def pop(self, entry_id: int, default: None, /) -> "Entry | None":
        entry = self._entries.pop(entry_id, default)
        if entry is not None:
            self.currsize -= self._costs.pop(entry_id)
        return entry

    def popitem(self) -> "tuple[int, Entry]":
        """Evict the next one."""
        oldest = self._oldest()
        self.pop(oldest.id, None)
        self._evicted.append(oldest)
        return oldest.id, oldest

    def _oldest(self) -> "Entry":
        """The next that is evicted."""
        return next(iter(self._entries.values()))

    def take_evicted(self) -> "list[Entry]":
        gone, self._evicted = self._evicted, []
        return gone
