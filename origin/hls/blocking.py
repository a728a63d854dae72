"""Delivery directives (RFC 8216 2nd ed. 6.2.5): what a query asks of a media playlist, and whether to answer now. Pure.

| asked for                                              | answer                                     |
|--------------------------------------------------------|--------------------------------------------|
| no directive                                           | the playlist, at once                      |
| `_HLS_part` without `_HLS_msn`, twice, or no number    | 400                                        |
| anything, of a playlist with EXT-X-ENDLIST             | the playlist, at once                      |
| a segment or part that is listed, or was               | the playlist, at once                      |
| a segment or part too far ahead                        | 400 (6.2.5.2: two segments; the part limit)|
| any other                                              | wait: the playlist once it is listed       |
| ... for three target durations                         | 503                                        |
| `_HLS_skip=YES` or `v2`                                | a delta update, if something can be left out|
|                                                        | (`v2`: of date ranges, too)                |
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl

from origin.hls.low_latency import LowLatency, position
from origin.live.part_window import Shown

MOST_SEGMENTS_AHEAD = 2
_NUMBER = re.compile(r"[0-9]{1,20}")
"""A decimal-integer (4.2): below 2^64."""


class Answer(Enum):
    """When a request is answered."""

    NOW = "now"
    WAIT = "wait"


@dataclass(slots=True)
class BadDirectives:
    """A request that gets 400."""

    found: str
    wanted: str

    def __str__(self) -> str:
        return f"found {self.found}, wanted {self.wanted}"


@dataclass(slots=True)
class Directives:
    """What the query of a media playlist asks for."""

    msn: int | None = None
    part: int | None = None
    skip: bool = False
    skip_dates: bool = False
    """Date ranges, too: `v2`."""

    @property
    def blocks(self) -> bool:
        """Whether it is a blocking request."""
        return self.msn is not None


def read_directives(query: str) -> Directives | BadDirectives:
    """The directives in a query, in any order; other parameters are none of ours."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if name in ("_HLS_msn", "_HLS_part", "_HLS_skip"):
            if name in found:
                return BadDirectives(f"{name} twice", "each directive once")
            found[name] = value
    for name in ("_HLS_msn", "_HLS_part"):
        if name in found and (not _NUMBER.fullmatch(found[name]) or int(found[name]) >= 2**64):
            return BadDirectives(f"{name}={found[name]!r:.40}", "a decimal integer")
    if "_HLS_part" in found and "_HLS_msn" not in found:
        return BadDirectives("_HLS_part alone", "_HLS_msn with it")
    numbers = {name: int(value) for name, value in found.items() if name != "_HLS_skip"}
    # What a later version may add for the value is not understood, and a whole playlist is always right.
    skip = found.get("_HLS_skip")
    return Directives(numbers.get("_HLS_msn"), numbers.get("_HLS_part"), skip in ("YES", "v2"), skip == "v2")


def decide(asked: Directives, shown: Shown, rules: LowLatency, *, ended: bool) -> Answer | BadDirectives:
    """Whether the playlist that is served answers now."""
    if ended or asked.msn is None or _is_listed(asked.msn, asked.part, shown):
        return Answer.NOW
    furthest = shown.hand - 1 + MOST_SEGMENTS_AHEAD
    if asked.msn > furthest:
        return BadDirectives(f"_HLS_msn={asked.msn}", f"at most {furthest}")
    limit = advance_part_limit(rules)
    if asked.part is not None and _parts_ahead(asked.msn, asked.part, shown) > limit:
        found = f"_HLS_msn={asked.msn}&_HLS_part={asked.part}"
        return BadDirectives(found, f"a part at most {limit:g} behind the last one")
    return Answer.WAIT


def advance_part_limit(rules: LowLatency) -> float:
    """How many parts ahead may be asked for (6.2.5.2)."""
    return 3 / rules.part if rules.part < 1 else 3.0


def _is_listed(msn: int, part: int | None, shown: Shown) -> bool:
    """Whether it is, or was, in the playlist. A part past the last one of its segment is part 0 of the next one."""
    if msn > shown.hand - 1:
        return msn == shown.hand and part is not None and part < shown.parts
    if part is None or msn < shown.hand - 1 or shown.before == 0:
        return True
    return part < shown.before or shown.parts > 0


def _parts_ahead(msn: int, part: int, shown: Shown) -> int:
    """How far this part is at least behind the last one that is listed."""
    at = position(shown)
    return part - at.part if msn == at.msn and at.part is not None else part + 1
