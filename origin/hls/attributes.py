"""Attributes of a date range, each by itself: from JSON to its value in a tag (HLS draft -22, 4.2, 4.4.5.1). Pure.

An attribute's own form is looked up by its name; `Refused` says which attribute is wrong, what was found and wanted.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeGuard

from origin.errors import Refused, printable
from origin.hls.playlist import date_time

LATEST = 4_102_444_800.0
"""The year 2100, in Unix seconds: what is later is a mistake, such as milliseconds for seconds."""

MOST_NUMBER = 10**9
"""Of seconds, 31 years."""

_HEXADECIMAL = re.compile(r"0[xX](?:[0-9A-Fa-f]{2})+")
_QUOTED = re.compile(r"[^\"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")

Attributes = Mapping[str, str]
"""By name, each value as a tag has it: with its quotes."""

Form = Callable[[str, object], str]
"""From an attribute's name and its value in JSON to the value in a tag. `Refused`: it is none."""


def instant(written: str) -> float:
    """Unix seconds of a date as a tag has it."""
    return datetime.fromisoformat(written[1:-1]).timestamp()


def number(value: float) -> str:
    """A decimal-floating-point, without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def refused(name: str, value: object, wanted: str) -> Refused:
    return Refused(400, f"{name}: found {printable(json.dumps(value), 120)}, wanted {wanted}.")


def quoted(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not _QUOTED.fullmatch(value):
        raise refused(name, value, "a text without quotes and control characters")
    return f'"{value}"'


def date(name: str, value: object) -> str:
    wanted = 'an ISO 8601 date and time with its zone, such as "2026-11-29T12:00:00.000Z"'
    try:
        if not isinstance(value, str) or "T" not in value.upper():
            raise ValueError
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError
        seconds = at.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise refused(name, value, wanted) from None
    if not 0 <= seconds < LATEST:
        raise refused(name, value, "a date from 1970 to 2099")
    return f'"{date_time(seconds)}"'


def is_number(value: object) -> TypeGuard[float]:
    """A JSON number that a tag can hold; NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST_NUMBER


def seconds(name: str, value: object) -> str:
    """A duration."""
    if not is_number(value) or value < 0:
        raise refused(name, value, "a number of seconds, 0 or more")
    return number(value)


def signed(name: str, value: object) -> str:
    """A signed-decimal-floating-point."""
    if not is_number(value):
        raise refused(name, value, "a number")
    return number(value)


def whole(name: str, value: object) -> str:
    """A decimal-integer."""
    if not is_number(value) or value < 0 or value != int(value):
        raise refused(name, value, "a whole number, 0 or more")
    return str(int(value))


def hexadecimal(name: str, value: object) -> str:
    """A hexadecimal-sequence."""
    if not isinstance(value, str) or not _HEXADECIMAL.fullmatch(value):
        raise refused(name, value, 'whole bytes in hexadecimal, such as "0xFC30"')
    return f"0x{value[2:].upper()}"


def one_of(*known: str) -> Form:
    """A quoted-string of one of these."""

    def form(name: str, value: object) -> str:
        if value not in known:
            raise refused(name, value, " or ".join(f'"{one}"' for one in known))
        return f'"{value}"'

    return form


def some_of(*known: str) -> Form:
    """An enumerated-string-list of these: `"PRE,ONCE"` or `["PRE", "ONCE"]`."""

    def form(name: str, value: object) -> str:
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list) or not given or any(one not in known for one in given):
            raise refused(name, value, f"one or more of {', '.join(known)}")
        return f'"{",".join(dict.fromkeys(given))}"'

    return form


def yes(name: str, value: object) -> str:
    if value not in ("YES", True):
        raise refused(name, value, '"YES", or no such attribute')
    return "YES"


def extension(name: str, value: object) -> str:
    """Of an attribute that nobody here knows: a number, a hexadecimal-sequence ("0x..."), or a quoted-string."""
    if isinstance(value, str):
        return hexadecimal(name, value) if _HEXADECIMAL.fullmatch(value) else quoted(name, value)
    if not is_number(value):
        raise refused(name, value, 'a text, a number, or bytes such as "0xFC30"')
    return signed(name, value)
