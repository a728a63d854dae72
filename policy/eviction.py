"""Room-keeping: which stored response goes when there is no more room. LRU over bytes, by cachetools.

Why not `TTLCache`: it drops stale entries, and those are what revalidation and stale-if-error live on.
"""

from typing import TYPE_CHECKING

from cachetools import LRUCache

if TYPE_CHECKING:
    from policy.index import Entry

HEAD_COST_BYTES = 1024
"""What an entry costs beside its body: its head, its instants, its places in the index. An estimate on the safe side:
a head of twelve fields measures about 900 bytes."""


class Room(LRUCache[int, "Entry"]):
    """Entries by id, bounded in bytes. What had to go is collected in `pushed_out` until someone takes it."""

    def __init__(self, maxsize_bytes: int) -> None:
        super().__init__(maxsize_bytes, getsizeof=lambda entry: entry.size_bytes + HEAD_COST_BYTES)
        self.pushed_out: list[Entry] = []

    def popitem(self) -> tuple[int, "Entry"]:
        entry_id, entry = super().popitem()
        self.pushed_out.append(entry)
        return entry_id, entry

    def admit(self, entry: "Entry") -> bool:
        """Make room for `entry` (again, when its size has changed); False when it can never fit."""
        self.pop(entry.id, None)
        if entry.size_bytes + HEAD_COST_BYTES > self.maxsize:
            return False
        self[entry.id] = entry
        return True

    def touch(self, entry: "Entry") -> None:
        """It was used: it goes last."""
        if entry.id in self:
            self[entry.id]

    def take_pushed_out(self) -> list["Entry"]:
        gone, self.pushed_out = self.pushed_out, []
        return gone
