"""What is remembered of keys beside what is stored: that an answer could not be shared, or a parent failed.

As in a tier that nodes share (cdnkit/policy/machine/purge_marks.py), a purge leaves a numbered mark, and a note carries
the number of the event at which its question was asked. A mark with a higher number than the note's, on the URL or a
folder of it, ends the note. So nothing is searched, and what is learnt by a question from before a purge is bound by
it, too. A purge by prefix ends the notes of the whole folder: the parent is asked once more than need be, never once
less.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

from cdnkit.policy.machine.purge_marks import EVERYTHING, folder_marks, url_marks

T = TypeVar("T")

MOST_MARKS = 4096
"""Beyond so many a purge ends all notes: some 0.5 MB."""


@dataclass(slots=True)
class KeyFact(Generic[T]):
    """What is known of a key."""

    until: float
    """Unix seconds."""
    what: T
    asked_at: int
    """The number of the event at which the question was asked that it was learnt by."""


class KeyFacts(Generic[T]):
    """Notes by key, or by a text that begins as a key; the least recently used are forgotten. A key may be as long as a
    URL and more, so what is held of it is its hash."""

    def __init__(self, most: int) -> None:
        self._by_key: LRUCache[int, KeyFact[T]] = LRUCache(most)
        self._marks: dict[str, int] = {}

    def add(self, key: str, note: KeyFact[T]) -> None:
        self._by_key[hash(key)] = note

    def drop(self, key: str) -> None:
        self._by_key.pop(hash(key), None)

    def get(self, key: str, now: float) -> tuple[float, T] | None:
        """(until when, what), while it holds."""
        note = self._by_key.get(hash(key))
        if note is None or now >= note.until or self._is_ended(key, note):
            return None
        return note.until, note.what

    def purge(self, marks: Collection[str], at: int) -> None:
        """`at`: the number of the purge among the machine's events."""
        self._marks |= dict.fromkeys(marks, at)
        if EVERYTHING in marks or len(self._marks) > MOST_MARKS:
            self._marks = {EVERYTHING: at}

    def _is_ended(self, key: str, note: KeyFact[T]) -> bool:
        if not self._marks:
            return False
        url = key.partition("\n")[0]
        names = (EVERYTHING, *url_marks(key), *folder_marks(url))
        return any(self._marks.get(mark, -1) > note.asked_at for mark in names)
