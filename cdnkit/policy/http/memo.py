"""Results of functions of a text, memoized by that text and bounded in bytes too.

`functools.lru_cache` bounds the number of results, not the size of their arguments: 4,096 field values of 90 kB, which
any client may send, are 370 MB. Such long texts are rare, and are parsed every time.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 1024
"""Characters of the longest text that is memoized: more than browsers send in such fields, or CDNs have in paths."""

OfText = Callable[Concatenate[str, P], T]


def memoized(most: int) -> Callable[[OfText[P, T]], OfText[P, T]]:
    """Memoize the `most` latest results; not those of a long text, which is the first argument."""

    def decorate(function: OfText[P, T]) -> OfText[P, T]:
        known = lru_cache(maxsize=most)(function)

        @wraps(function)
        def memo(text: str, /, *rest: P.args, **named: P.kwargs) -> T:
            return (known if len(text) <= LONGEST else function)(text, *rest, **named)

        return memo

    return decorate
