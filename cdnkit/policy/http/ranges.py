"""The Range field (RFC 9110 §14.1.2, §14.2): byte ranges against a known length."""

import re
from dataclasses import dataclass

from cdnkit.policy.http.memo import memoized

_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


@dataclass(slots=True, frozen=True)
class Span:
    """Bytes `start` up to, not including, `stop`."""

    start: int
    stop: int


@memoized(1024)
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


MOST_SPANS = 16
"""With more ranges than this, the whole is sent instead (RFC 9110 §14.2, §17.15)."""


def spans(text: str, length: int) -> tuple[Span, ...] | None:
    """The spans of `length` bytes that `text` names, in order; those that overlap or touch are joined (RFC 9110
    §15.3.7.2).

    None: ignore the field, send the whole. (): none of them exists, respond with 416.
    """
    wanted = specs(text)
    if not wanted or len(wanted) > MOST_SPANS:
        return None
    found: list[Span] = []
    for first, last in wanted:
        if first is None:
            if last and length:
                found.append(Span(max(0, length - last), length))
        elif first < length:
            found.append(Span(first, length if last is None else min(last + 1, length)))
    if len(found) <= 1:
        return tuple(found)
    merged: list[Span] = []
    for span in sorted(found, key=lambda span: span.start):
        if merged and span.start <= merged[-1].stop:
            merged[-1] = Span(merged[-1].start, max(merged[-1].stop, span.stop))
        else:
            merged.append(span)
    return tuple(merged)


def in_order(text: str, length: int) -> bool:
    """Whether the ranges of `text` ascend and do not overlap."""
    reached = 0
    for first, last in specs(text):
        start = max(0, length - (last or 0)) if first is None else first
        if start < reached:
            return False
        reached = length if first is None or last is None else last + 1
    return True


@dataclass(slots=True, frozen=True)
class ContentRange:
    """The bytes that a 206 carries, and the length of the whole; `total` None where the origin sent `*`."""

    span: Span
    total: int | None


_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


def content_range(text: str | None) -> ContentRange | None:
    """A `Content-Range` of bytes that makes sense; None otherwise (RFC 9110 §14.4)."""
    match = _CONTENT_RANGE.fullmatch((text or "").strip())
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < first or (total is not None and last >= total):
        return None
    return ContentRange(Span(first, last + 1), total)


def within(text: str, part: Span, total: int | None) -> Span | None:
    """The one span of `text`, where it is wholly inside `part` of a whole of `total` bytes; None otherwise."""
    wanted = specs(text)
    if len(wanted) != 1:
        return None
    first, last = wanted[0]
    if first is None:
        if total is None or not last:
            return None
        first, last = max(0, total - last), total - 1
    elif last is None:
        if total is None:
            return None
        last = total - 1
    elif total is not None:
        last = min(last, total - 1)
    return Span(first, last + 1) if part.start <= first <= last < part.stop else None
