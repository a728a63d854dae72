"""What is remembered of very many cache keys: a value each, of the latest.

Two generations, as of a `cdnkit.policy.token.scheme.Memo`: when the younger is full, the older is dropped. An
`LRUCache` of 65,536 keys takes 27 MB once it has dropped some; this takes 4 MB.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """A value by the hash of a key, which may be long. It holds at most `most`, and at least the latest half."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._young: dict[int, V] = {}
        self._old: dict[int, V] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def items(self) -> Iterator[tuple[int, V]]:
        """Hashes and values, the older generation first."""
        yield from (item for item in self._old.items() if item[0] not in self._young)
        yield from self._young.items()

    def get(self, key: str) -> V | None:
        known = hash(key)
        value = self._young.get(known)
        return self._old.get(known) if value is None else value

    def put(self, key: str, value: V) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[hash(key)] = value

    def drop(self, key: str) -> None:
        known = hash(key)
        self._young.pop(known, None)
        self._old.pop(known, None)

    def tables(self) -> list[object]:
        return [self._young, self._old]
