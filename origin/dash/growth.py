"""Which segments can be requested before they are complete: the one in hand, and the next one. Pure.

A segment grows by its parts, which are its bytes one after the other. Players of low-latency DASH request it when its
first part is due (`@availabilityTimeOffset`), by a clock of their own, and may be a little early.

| a request for segment                                       | is            |
|-------------------------------------------------------------|---------------|
| in hand, with a part that is listed                         | `GROWING`     |
| in hand, without one yet; the next one                      | `EARLY`       |
| any other; or of a track that is no longer sent             | `ELSEWHERE`   |
"""

import re
from enum import Enum

from origin.live.session import State
from origin.live.stream import Stream
from origin.live.window import TrackWindow

MOST_AHEAD = 1
"""Segments behind the one in hand that can be requested: a key frame that is awaited may be half a segment late."""

_NAME = re.compile(r"seg-([0-9]{1,19})-([0-9]{1,19})\.m4s")


class Growth(Enum):
    """How a segment that is not complete stands."""

    GROWING = "growing"
    EARLY = "early"
    ELSEWHERE = "elsewhere"


def read_name(file: str) -> tuple[int, int] | None:
    """(generation, number) in the name of a segment; None: it is no such name."""
    match = _NAME.fullmatch(file)
    return None if match is None else (int(match[1]), int(match[2]))


def growth_of(stream: Stream, window: TrackWindow, generation: int, number: int) -> Growth:
    """Of a segment that is not complete."""
    in_hand = window.in_hand
    if number == window.next_number and in_hand and in_hand[0].generation == generation:
        return Growth.GROWING
    now = stream.generation
    session = now.sessions.get(window.name) if now is not None else None
    if now is None or now.id != generation or session is None or session.state is not State.LIVE:
        return Growth.ELSEWHERE
    ahead = number - max(window.next_number, now.base)
    return Growth.EARLY if 0 <= ahead <= MOST_AHEAD else Growth.ELSEWHERE
