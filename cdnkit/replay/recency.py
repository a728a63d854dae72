"""Exact LRU over bytes, as in `cdnkit/policy/store/eviction/`, for a replay that learns of uses late.

A replay that jumps over hits can say when a stored response was last used, but computes that only on demand. So a heap
holds the last uses known. Before an eviction, the last use of the first entry in the heap is computed; if it is later
than the known one, the entry goes back into the heap with it. A known use is never later than the real one. So the
first entry whose use is confirmed is the least recently used.
"""

import heapq
from collections.abc import Callable

from cdnkit.policy.store.eviction.lru import LruRoom
from cdnkit.policy.store.index import Entry

Use = tuple[int, int]
"""Position of the event in the trace, and number of the use; 0 for a jumped hit, which is the only use of its event."""


class LateRoom(LruRoom):
    """Entries by id, bounded in bytes; evicts the least recently used, also by uses that it has not seen yet."""

    def __init__(
        self,
        maxsize_bytes: int,
        block_bytes: int,
        *,
        used: Callable[[Entry], int | None],
        leaves: Callable[[Entry], None],
    ) -> None:
        """`used`: position of the last use that was not reported yet, or None; `leaves`: called before an eviction."""
        super().__init__(maxsize_bytes, block_bytes)
        self.position = 0
        """The position of the present event."""
        self._late_use, self._leaves = used, leaves
        self._last: dict[int, Use] = {}
        self._order: list[tuple[Use, int]] = []
        self._uses = 0

    def admit(self, entry: Entry) -> bool:
        fits = super().admit(entry)
        if fits:
            self.touch(entry)
        return fits

    def touch(self, entry: Entry) -> None:
        self._uses += 1
        self._remember(entry, (self.position, self._uses))

    def used(self, entry: Entry, position: int) -> None:
        """Report a use at that position."""
        self._remember(entry, (position, 0))

    def pop(self, entry_id: int, default: None, /) -> Entry | None:
        self._last.pop(entry_id, None)
        return super().pop(entry_id, default)

    def _oldest(self) -> Entry:
        while True:
            use, entry_id = self._order[0]
            if entry_id not in self or self._last[entry_id] != use:
                heapq.heappop(self._order)  # removed, or used later
                continue
            entry = self._entries[entry_id]
            late = self._late_use(entry)
            if late is None or (late, 0) <= use:
                break
            self._remember(entry, (late, 0))
        self._leaves(entry)
        return entry

    def _remember(self, entry: Entry, use: Use) -> None:
        if entry.id in self and use > self._last.get(entry.id, (-1, 0)):
            self._last[entry.id] = use
            heapq.heappush(self._order, (use, entry.id))
