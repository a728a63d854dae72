"""SIEVE: a queue in order of arrival, a mark on what was used, and a hand that passes once over the marked.

The hand walks from the oldest towards the newest. It takes the mark off what was used and leaves it *where it is*, and
evicts the first it meets without a mark; new entries go in at the other end. So what proved useful stays in the old
part, and the hand sifts the new. A hit sets one flag.

Source: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024, algorithm 1; here bounded in bytes, so that one admission
may throw out several.
"""

from typing import TYPE_CHECKING

from cdnkit.policy.store.eviction.room import cost_of

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry


class _Held:
    """An entry's place in the queue, with its neighbours."""

    __slots__ = ("cost", "entry", "newer", "older", "used")

    def __init__(self, entry: "Entry", cost: int, older: "_Held | None") -> None:
        self.entry = entry
        self.cost = cost
        self.used = False
        self.older = older
        self.newer: _Held | None = None


class SieveRoom:
    """A room kept by SIEVE."""

    def __init__(self, maxsize_bytes: int, block_bytes: int = 1) -> None:
        self.maxsize = float(maxsize_bytes)
        self.currsize = 0.0
        self._block_bytes = block_bytes
        self._held: dict[int, _Held] = {}
        self._oldest: _Held | None = None
        self._newest: _Held | None = None
        self._hand: _Held | None = None
        self._evicted: list[Entry] = []

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, entry_id: object, /) -> bool:
        return entry_id in self._held

    def admit(self, entry: "Entry") -> bool:
        self.pop(entry.id, None)
        cost = cost_of(entry, self._block_bytes)
        if cost > self.maxsize:
            return False
        while self.currsize + cost > self.maxsize:
            self._evict()
        held = self._held[entry.id] = _Held(entry, cost, self._newest)
        if self._newest is None:
            self._oldest = held
        else:
            self._newest.newer = held
        self._newest = held
        self.currsize += cost
        return True

    def touch(self, entry: "Entry") -> None:
        held = self._held.get(entry.id)
        if held is not None:
            held.used = True

    def pop(self, entry_id: int, default: None = None, /) -> "Entry | None":
        held = self._held.get(entry_id)
        if held is None:
            return default
        self._unlink(held)
        return held.entry

    def take_evicted(self) -> list["Entry"]:
        gone, self._evicted = self._evicted, []
        return gone

    def _evict(self) -> None:
        at = self._hand or self._oldest
        while at is not None and at.used:
            at.used = False
            at = at.newer or self._oldest
        assert at is not None, "room is made only where something takes it"
        self._hand = at
        self._unlink(at)
        self._evicted.append(at.entry)

    def _unlink(self, held: _Held) -> None:
        if self._hand is held:
            self._hand = held.newer
        if held.older is None:
            self._oldest = held.newer
        else:
            held.older.newer = held.newer
        if held.newer is None:
            self._newest = held.older
        else:
            held.newer.older = held.older
        del self._held[held.entry.id]
        self.currsize -= held.cost
