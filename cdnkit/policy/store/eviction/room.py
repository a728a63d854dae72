"""What a room is: entries by id, bounded in bytes, with a policy that says which is evicted next.

Entries are evicted *before* another is admitted, so a new entry is never evicted to make room for itself. An entry
whose size has changed is admitted again, as the newest.

Why no policy by lifetime (cachetools' `TTLCache`): it drops stale entries, and revalidation and stale-if-error
need those.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry


HEAD_COST_BYTES = 1536
"""The memory of an entry beside its body: its head of at most `FIELDS` field lines, its instants, its places in the
index, and what the allocator rounds up. Measured: 1,400 to 1,700 bytes of a process's resident memory."""

FIELDS = 8
FIELD_COST_BYTES = 160
"""A further field line. Only the number of lines counts, not their text: records hide some of that, and a replay must
evict as the node did."""

SURROGATE_KEYS = 2
"""Surrogate keys that are in `HEAD_COST_BYTES`."""
SURROGATE_KEY_COST_BYTES = 104
"""A further surrogate key, beside its text, which an entry holds twice: by itself and in its field."""


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
    head = HEAD_COST_BYTES + FIELD_COST_BYTES * max(0, len(entry.headers.lines) - FIELDS)
    further = entry.surrogate_keys[SURROGATE_KEYS:]
    if further:
        head += sum(SURROGATE_KEY_COST_BYTES + 2 * len(surrogate_key) for surrogate_key in further)
    return -(-entry.size_bytes // block_bytes) * block_bytes + head
