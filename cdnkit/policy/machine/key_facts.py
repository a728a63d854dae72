"""Facts about cache keys that hold for a while: a response could not be shared (hit-for-pass), or the parent failed.

As in a shared tier (cdnkit/policy/machine/purge_marks.py), a purge leaves a numbered mark, and a fact carries the
number of the event at which its upstream request was made. A mark with a higher number, on the URL or a folder of it,
ends the fact. So a purge searches nothing, and it also ends what is learnt from a request made before it. A purge by
prefix ends the facts of the whole folder: the parent gets one request more than need be, never one less.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

from cdnkit.policy.machine.purge_marks import EVERYTHING, folder_marks, url_marks

T = TypeVar("T")

MOST_MARKS = 4096
"""With more marks than this, a purge ends all facts: some 0.5 MB."""


@dataclass(slots=True)
class KeyFact(Generic[T]):
    """One fact about a key."""

    until: float
    """Unix seconds."""
    value: T
    opened_at: int
    """The number of the event at which the flight opened that it was learnt from."""


class KeyFacts(Generic[T]):
    """Facts by key, or by a text that begins with one; the least recently used are dropped. A key may be as long as a
    URL and more, so only its hash is held."""

    def __init__(self, most: int) -> None:
        self._by_key: LRUCache[int, KeyFact[T]] = LRUCache(most)
        self._marks: dict[str, int] = {}

    def add(self, key: str, fact: KeyFact[T]) -> None:
        self._by_key[hash(key)] = fact

    def drop(self, key: str) -> None:
        self._by_key.pop(hash(key), None)

    def get(self, key: str, now: float) -> tuple[float, T] | None:
        """(until when, value), while it holds."""
        fact = self._by_key.get(hash(key))
        if fact is None or now >= fact.until or self._is_ended(key, fact):
            return None
        return fact.until, fact.value

    def purge(self, marks: Collection[str], at: int) -> None:
        """`at`: the number of the purge among the machine's events."""
        self._marks |= dict.fromkeys(marks, at)
        if EVERYTHING in marks or len(self._marks) > MOST_MARKS:
            self._marks = {EVERYTHING: at}

    def _is_ended(self, key: str, fact: KeyFact[T]) -> bool:
        if not self._marks:
            return False
        url = key.partition("\n")[0]
        names = (EVERYTHING, *url_marks(key), *folder_marks(url))
        return any(self._marks.get(mark, -1) > fact.opened_at for mark in names)
