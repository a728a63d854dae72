"""Answers remembered by the text that was asked about, bounded in letters too.

`functools.lru_cache` counts answers and not what they are remembered by: 4,096 field values of 90 kB, which anybody may
send, are 370 MB. A text that long is the rare one; it is looked at anew.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")

LONGEST = 1024
"""Letters of a text that is remembered: above what browsers send in such fields, and CDNs have in paths."""


def remembered(most: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Remember the answers to the `most` texts asked about last, of those that are not long."""

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        known = lru_cache(maxsize=most)(function)

        @wraps(function)
        def answer(text: str) -> T:
            return known(text) if len(text) <= LONGEST else function(text)

        return answer

    return decorate
