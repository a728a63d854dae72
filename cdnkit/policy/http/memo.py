"""Answers remembered by the text that was asked about, bounded in letters too.

`functools.lru_cache` counts answers and not what they are remembered by: 4,096 field values of 90 kB, which anybody may
send, are 370 MB. A text that long is the rare one; it is looked at anew.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 1024
"""Letters of a text that is remembered: above what browsers send in such fields, and CDNs have in paths."""

OfText = Callable[Concatenate[str, P], T]


def memoized(most: int) -> Callable[[OfText[P, T]], OfText[P, T]]:
    """Remember the answers to the `most` questions asked last, of those whose text, the first argument, is not long."""

    def decorate(function: OfText[P, T]) -> OfText[P, T]:
        known = lru_cache(maxsize=most)(function)

        @wraps(function)
        def answer(text: str, /, *rest: P.args, **named: P.kwargs) -> T:
            return (known if len(text) <= LONGEST else function)(text, *rest, **named)

        return answer

    return decorate
