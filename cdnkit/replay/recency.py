"""Room-keeping where uses are told late: LRU over bytes as `cdnkit/policy/store/eviction/` has it, exact.

A replay that jumps over hits knows when each stored response was last used, but finds it out only when it looks. So
the order of uses is a heap of what is known; before something goes, the one in front is asked about, and if it was used
since it goes back to its place. What was known never runs ahead of what is true: the first that holds is the one.
"""

import heapq
from collections.abc import Callable

from cdnkit.policy.store.eviction.textbook import LruRoom
from cdnkit.policy.store.index import Entry

Use = tuple[int, int]
"""Position of the event in the trace, and which use within it; a jumped hit is the only use of its event: 0."""


class LateRoom(LruRoom):
    """Entries by id, bounded in bytes; who goes is who was used longest ago, told or not."""

    def __init__(
        self,
        maxsize_bytes: int,
        block_bytes: int,
        *,
        used: Callable[[Entry], int | None],
        leaves: Callable[[Entry], None],
    ) -> None:
        """`used`: position of the last use not told yet, None if there is none; `leaves`: told before an eviction."""
        super().__init__(maxsize_bytes, block_bytes)
        self.position = 0
        """Of the event that is being told."""
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
        """It was used then, as is known now."""
        self._remember(entry, (position, 0))

    def popitem(self) -> tuple[int, Entry]:
        while True:
            use, entry_id = self._order[0]
            if entry_id not in self or self._last[entry_id] != use:
                heapq.heappop(self._order)  # gone, or used since
                continue
            entry = self[entry_id]
            late = self._late_use(entry)
            if late is None or (late, 0) <= use:
                break
            self._remember(entry, (late, 0))
        self._leaves(entry)
        del self[entry_id]
        self._evicted.append(entry)
        return entry_id, entry

    def __delitem__(self, entry_id: int) -> None:
        super().__delitem__(entry_id)
        self._last.pop(entry_id, None)

    def _remember(self, entry: Entry, use: Use) -> None:
        if entry.id in self and use > self._last.get(entry.id, (-1, 0)):
            self._last[entry.id] = use
            heapq.heappush(self._order, (use, entry.id))
