"""What a room is: entries by id, bounded in bytes, with a policy that says who goes next.

Room is made *before* something is admitted, so what was just admitted never goes to make room for itself. An entry
whose size has changed is admitted again, as the newest.

Why no policy by lifetime (cachetools' `TTLCache`): it drops stale entries, and those are what revalidation and
stale-if-error live on.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry


HEAD_COST_BYTES = 1024
"""What an entry costs beside its body: its head, its instants, its places in the index. An estimate on the safe side:
a head of twelve fields measures about 900 bytes."""


class Room(Protocol):
    """Entries by id. Not thread-safe."""

    @property
    def maxsize(self) -> float:
        """Bytes there is room for."""

    @property
    def currsize(self) -> float:
        """Bytes taken, heads included; never more than `maxsize`."""

    def __len__(self) -> int: ...

    def __contains__(self, entry_id: object, /) -> bool: ...

    def admit(self, entry: "Entry") -> bool:
        """Make room for `entry` (again, when its size has changed); False when it can never fit, and is not in."""

    def touch(self, entry: "Entry") -> None:
        """It was used. Nothing happens to one that is not in."""

    def pop(self, entry_id: int, default: None, /) -> "Entry | None":
        """Take it out for another reason than room: it is not reported as pushed out, nor remembered."""

    def take_evicted(self) -> list["Entry"]:
        """What had to go since this was last asked, each exactly once, in order."""


def cost_of(entry: "Entry", block_bytes: int) -> int:
    """Bytes it takes: its body in whole blocks, and its head."""
    return -(-entry.size_bytes // block_bytes) * block_bytes + HEAD_COST_BYTES
