"""Splices of an encoder as date ranges (HLS draft -22, 4.4.5.1.1): out and in of one event are one date range. Pure.

A date range has the ID `splice-EVENT-MILLISECONDS`, because encoders use numbers of events again.
"""

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

from origin.errors import Refused
from origin.hls.attributes import number
from origin.hls.date_ranges import DateRange, ends
from origin.hls.playlist import date_time
from origin.hls.schedule import Schedule, Span
from origin.media.splices import Point, Splice

SAME_S = 0.5
"""What tracks say of one splice differs by a frame: their fragments begin at different times."""


def with_splices(
    schedule: Schedule,
    dated: Iterable[tuple[Splice, float]],
    span: Span,
    now: float,
    complain: Callable[[str], None],
) -> Schedule:
    """With these splices, each with its date in Unix seconds; what every track brings again changes nothing.

    `complain` gets what cannot be listed, in words.
    """
    for splice, at in dated:
        try:
            schedule = _with(schedule, splice, at, span, now, complain)
        except Refused as error:
            complain(str(error))
    return schedule


def _with(
    schedule: Schedule, splice: Splice, at: float, span: Span, now: float, complain: Callable[[str], None]
) -> Schedule:
    written, front = f"0x{splice.section.hex().upper()}", f"splice-{splice.event_id:08X}-"
    values: dict[str, Any] = {"START-DATE": date_time(at)}
    match splice.point:
        case Point.OTHER:
            front = f"scte35-{crc32(splice.section):08X}-"
            values |= {"DURATION": 0, Point.OTHER.value: written}
        case Point.OUT:
            values[Point.OUT.value] = written
            if splice.duration is not None:
                values["DURATION" if splice.returns else "PLANNED-DURATION"] = splice.duration
            schedule = _without_forgotten(schedule, span, now)
        case Point.IN | Point.CANCEL:
            mine = [one for one in schedule.ranges if one.id.startswith(front) and one.start <= at]
            if splice.point is Point.CANCEL:
                mine = [one for one in schedule.ranges if one.id.startswith(front) and one.start >= span.end]
                return schedule.without(mine[-1].id, span, now) if mine else schedule
            if not mine:
                if not any(id.startswith(front) for id, _ in schedule.gone):
                    complain(f"SCTE-35: found the end of event {splice.event_id}, wanted its beginning before.")
                return schedule
            values = {Point.IN.value: written}
            if mine[-1].end is None:
                values["DURATION"] = float(number(round(at - mine[-1].start, 3)))
            elif Point.IN.value in mine[-1].attributes:
                return schedule
            return schedule.put(mine[-1].id, values, span, now)
    known = [*(one.id for one in schedule.ranges), *(id for id, _ in schedule.gone)]
    dates = (id.removeprefix(front) for id in known if id.startswith(front))
    if any(one.isdecimal() and abs(int(one) / 1000 - at) < SAME_S for one in dates):
        return schedule
    return schedule.put(f"{front}{round(at * 1000)}", values, span, now)


def _without_forgotten(schedule: Schedule, span: Span, now: float) -> Schedule:
    """Without splices that no section has ended, and that should have ended before all that is listed."""
    until = ends(schedule.ranges)
    for one in schedule.ranges:
        if one.id.startswith("splice-") and until[one.id] is None and _planned_end(one) < span.start:
            schedule = schedule.without(one.id, span, now)
    return schedule


def _planned_end(one: DateRange) -> float:
    return one.start + float(one.attributes.get("PLANNED-DURATION", "0"))
