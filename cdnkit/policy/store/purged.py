"""What a purge of everything took out of the index at once, and whose memory is released a little at a time.

To release all of it in one step would delay every request: some 7 us an entry.
"""

from typing import Any

from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.eviction.room import Room
from cdnkit.policy.store.variants import Variants


class PurgedGeneration:
    """All entries that the purge ended."""

    __slots__ = ("_rest", "_room", "by_key")

    def __init__(self, by_key: dict[str, Entry | Variants], room: Room, rest: list[Any]) -> None:
        """`rest`: dicts (also of dicts) and lists that lead to the same entries."""
        self.by_key = by_key
        self._room = room
        self._rest = rest

    def release_one(self) -> str | None:
        """Release one key and return it; "" for memory without a key; None: nothing is left."""
        if self.by_key:
            key, one = self.by_key.popitem()
            for entry in (one,) if isinstance(one, Entry) else one:
                self._room.pop(entry.id, None)
            return key
        while self._rest:
            last = self._rest[-1]
            if not last:
                self._rest.pop()
                continue
            inner = last.popitem()[1] if isinstance(last, dict) else last.pop()
            if isinstance(inner, dict):
                self._rest.append(inner)
            return ""
        return None
