"""The Range field (RFC 9110 §14.1.2, §14.2): byte ranges against a known length."""

import re
from dataclasses import dataclass
from functools import lru_cache

_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


@dataclass(slots=True, frozen=True)
class Span:
    """Bytes `start` up to, not including, `stop`; `Span(0, 0)` is what no range of a request could satisfy."""

    start: int
    stop: int


UNSATISFIABLE = Span(0, 0)


@lru_cache(maxsize=1024)
def specs(text: str) -> tuple[tuple[int | None, int | None], ...]:
    """(first, last) of each byte range, None where left out; () when the field must be ignored.

    Ignored: other units, bad syntax anywhere in the set, `last` before `first`.
    """
    unit, _, rest = text.partition("=")
    if unit.strip().lower() != "bytes":
        return ()
    found: list[tuple[int | None, int | None]] = []
    for member in rest.split(","):
        match = _SPEC.fullmatch(member.strip(" \t"))
        if match is None or match[0] == "-":
            return ()
        first, last = (int(text) if text else None for text in match.groups())
        if first is not None and last is not None and last < first:
            return ()
        found.append((first, last))
    return tuple(found)


def single_span(text: str, length: int) -> Span | None:
    """The one span `text` asks of `length` bytes; None: ignore the field; `UNSATISFIABLE`: answer 416."""
    wanted = specs(text)
    if len(wanted) != 1:
        return None  # several ranges: sending the whole is always allowed
    first, last = wanted[0]
    if first is None:
        if not last or not length:
            return UNSATISFIABLE
        return Span(max(0, length - last), length)
    if first >= length:
        return UNSATISFIABLE
    return Span(first, length if last is None else min(last + 1, length))
