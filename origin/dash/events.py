"""SCTE-35 of date ranges in an MPD: an EventStream of each Period (ANSI/SCTE 214-1; ISO/IEC 23009-1 5.10). Pure.

Other date ranges have no standard form in DASH.
"""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from cdnkit.dash.xml import Xml
from origin.hls.schedule import Schedule

SCHEME = "urn:scte:scte35:2014:xml+bin"
_SCTE_35 = "http://www.scte.org/schemas/35/2016"
_TIMESCALE = 1000
"""Dates have milliseconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One splice_info_section, and when it applies."""

    id: int
    at: float
    """Unix seconds."""
    duration: float | None
    section: bytes


def events_of(schedule: Schedule) -> tuple[Event, ...]:
    """The SCTE-35 that date ranges have: OUT and CMD at their start, IN at their end."""
    found = []
    for one in schedule.ranges:
        planned = one.attributes.get("PLANNED-DURATION")
        length = one.end - one.start if one.end is not None else None if planned is None else float(planned)
        for name, at in (("SCTE35-CMD", one.start), ("SCTE35-OUT", one.start), ("SCTE35-IN", one.end)):
            if (written := one.attributes.get(name)) is not None and at is not None:
                duration = None if name == "SCTE35-IN" else length
                found.append(Event(crc32(f"{one.id} {name}".encode()), at, duration, bytes.fromhex(written[2:])))
    return tuple(found)


def event_stream(xml: Xml, events: Iterable[Event], began: float, until: float | None) -> None:
    """Those of a Period that `began`, and ended at `until`, in Unix seconds; nothing where there are none."""
    mine = [one for one in events if began <= one.at and (until is None or one.at < until)]
    if not mine:
        return
    xml.open("EventStream", schemeIdUri=SCHEME, timescale=_TIMESCALE)
    for one in sorted(mine, key=lambda one: one.at):
        duration = None if one.duration is None else round(one.duration * _TIMESCALE)
        xml.open("Event", presentationTime=round((one.at - began) * _TIMESCALE), duration=duration, id=one.id)
        xml.open("Signal", xmlns=_SCTE_35)
        xml.words("Binary", b64encode(one.section).decode())
        xml.close()
        xml.close()
    xml.close()
