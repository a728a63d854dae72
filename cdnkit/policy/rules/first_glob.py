"""The first of many globs that matches a text, without a try of each.

A glob can only match a text that begins with what stands before its first wildcard, and ends with what stands behind
its last. So globs are held by these two, and only those that fit are tried, in their order:

    "/live/*/seg-*.m4s"    begins with "/live/"    ends with ".m4s"
    "*.m3u8"               begins with ""          ends with ".m3u8"
    "/index.html"          begins with all of it   ends with ""

A thousand globs that have both in common are tried one after the other all the same.
"""

import re
from itertools import chain
from typing import Generic, TypeVar

from cdnkit.policy.rules.globs import glob

T = TypeVar("T")

_WILDCARD = re.compile("[*?]")


class _Glob(Generic[T]):
    """One of the globs, compiled when it is first tried: a thousand take 0.1 s, and most are never tried."""

    __slots__ = ("_one", "_pattern", "_text", "item", "place")

    def __init__(self, place: int, text: str, one: str, item: T) -> None:
        self.place, self.item = place, item
        self._text, self._one = text, one
        self._pattern: re.Pattern[str] | None = None

    def matches(self, text: str) -> bool:
        if self._pattern is None:
            self._pattern = glob(self._text, one=self._one)
        return self._pattern.match(text) is not None


Buckets = dict[int, dict[str, T]]
"""By length of a beginning or an end, then by its text."""


class FirstGlob(Generic[T]):
    """Globs in order, each with an item."""

    __slots__ = ("_by_beginning", "_one", "_size")

    def __init__(self, one: str = ".") -> None:
        """`one`: the expression for `?`."""
        self._one = one
        self._size = 0
        self._by_beginning: Buckets[Buckets[list[_Glob[T]]]] = {}

    def add(self, text: str, item: T) -> None:
        """Behind all that were added before."""
        first, *others = _WILDCARD.split(text)
        last = others[-1] if others else ""
        by_end = self._by_beginning.setdefault(len(first), {}).setdefault(first, {})
        by_end.setdefault(len(last), {}).setdefault(last, []).append(_Glob(self._size, text, self._one, item))
        self._size += 1

    def first(self, text: str) -> T | None:
        """The item of the first glob that matches; None: none does."""
        fitting = self._fitting(text)
        several = fitting[0] if len(fitting) == 1 else sorted(chain(*fitting), key=lambda one: one.place)
        for one in several:
            if one.matches(text):
                return one.item
        return None

    def _fitting(self, text: str) -> list[list[_Glob[T]]]:
        """Those whose beginning and end the text has, in lists."""
        size, found = len(text), []
        for length, beginnings in self._by_beginning.items():
            by_end = beginnings.get(text[:length])
            if by_end is not None:
                for end, globs in by_end.items():
                    several = globs.get(text[size - end :] if end <= size else "")
                    if several is not None:
                        found.append(several)
        return found
