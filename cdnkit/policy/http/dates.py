"""HTTP dates (RFC 9110 §5.6.7): the three forms, read strictly.

`email.utils` takes far more than HTTP allows (other zones, missing commas), so the patterns are spelled out.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH = "(?P<month>" + "|".join(_MONTHS) + ")"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"

_IMF = re.compile(rf"(?:mon|tue|wed|thu|fri|sat|sun), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} gmt")
_RFC850 = re.compile(
    rf"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday), (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} gmt"
)
_ASCTIME = re.compile(rf"(?:mon|tue|wed|thu|fri|sat|sun) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})")


_LONGER = 64
"""Letters, more than any date has."""


@lru_cache(maxsize=4096)
def _parse(text: str, this_year: int) -> float | None:
    lowered = text.lower()
    match = _IMF.fullmatch(lowered) or _ASCTIME.fullmatch(lowered)
    short = None if match else _RFC850.fullmatch(lowered)
    match = match or short
    if match is None or not lowered.isascii():
        return None
    year = int(match["year"])
    if short:
        # More than 50 years ahead means the past century.
        year += this_year // 100 * 100
        if year > this_year + 50:
            year -= 100
    second = min(int(match["second"]), 59) if match["second"] == "60" else int(match["second"])
    try:
        moment = datetime(
            year, _MONTHS.index(match["month"]) + 1, int(match["day"]), int(match["hour"]), int(match["minute"]),
            second, tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return moment.timestamp()


def parse_date(text: str | None, now: float) -> float | None:
    """Unix seconds, or None when absent or not an HTTP date; `now` decides the century of two-digit years."""
    return None if text is None else _parse(text.strip(" \t")[:_LONGER], gmtime(now).tm_year)


@lru_cache(maxsize=256)
def _format(second: int) -> str:
    moment = gmtime(second)
    return (
        f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02d} {_MONTHS[moment.tm_mon - 1].capitalize()} {moment.tm_year:04d} "
        f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d} GMT"
    )


def format_date(moment: float) -> str:
    """IMF-fixdate of Unix seconds, whole seconds."""
    return _format(int(moment))
