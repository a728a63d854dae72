"""What a room is: entries by id, bounded in bytes, with a policy that says which is evicted next.

Entries are evicted *before* another is admitted, so a new entry is never evicted to make room for itself. An entry
whose size has changed is admitted again, as the newest.

Why no policy by lifetime (cachetools' `TTLCache`): it drops stale entries, and revalidation and stale-if-error
need those.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry


HEAD_COST_BYTES = 1024
"""The memory of an entry beside its body: its head, its instants, its places in the index. An estimate on the safe
side: a head of twelve fields measures about 900 bytes."""


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
        """Count a use of it. Nothing happens if it is not in."""

    def pop(self, entry_id: int, default: None, /) -> "Entry | None":
        """Remove it for another reason than room: it is not reported as evicted, nor remembered."""

    def take_evicted(self) -> list["Entry"]:
        """The entries evicted since the last call, each exactly once, in order."""


def cost_of(entry: "Entry", block_bytes: int) -> int:
    """Bytes it takes: its body in whole blocks, and its head."""
    return -(-entry.size_bytes // block_bytes) * block_bytes + HEAD_COST_BYTES
