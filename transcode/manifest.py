"""The MPD of a VOD: static, one Period, the same tracks and segments as its playlists (ISO/IEC 23009-1 5.3, 8.3, 8.4).

Segments in files of their own are in a timeline (ISO Base media file format live profile, which is not for live alone);
a single file has an index of its own (on-demand profile).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from cdnkit.dash import sets
from cdnkit.dash.xml import Xml

ON_DEMAND = "urn:mpeg:dash:profile:isoff-on-demand:2011"
SEGMENTS = "urn:mpeg:dash:profile:isoff-live:2011"


@dataclass(frozen=True, slots=True)
class InFiles:
    """Segments in files of their own, numbered from zero."""

    initialization: str
    media: str
    """With `$Number$`."""
    timeline: Sequence[tuple[int, int]]
    """(start, duration) of each, in ticks."""


@dataclass(frozen=True, slots=True)
class InOneFile:
    """Init section, index and segments in one file, the index right behind the init section."""

    uri: str
    init_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A track."""

    representation: sets.Representation
    timescale: int
    segments: InFiles | InOneFile


def manifest(tracks: Sequence[Stored], *, begins: int, length: Fraction, longest: Fraction) -> str:
    """`begins`: the media time in seconds that the Period starts at; `longest`: the longest segment's duration."""
    indexed = isinstance(tracks[0].segments, InOneFile)
    xml = Xml()
    length_us = ceil(length * 1_000_000)
    xml.open(
        "MPD",
        xmlns="urn:mpeg:dash:schema:mpd:2011",
        profiles=ON_DEMAND if indexed else SEGMENTS,
        type="static",
        mediaPresentationDuration=sets.duration(length_us),
        maxSegmentDuration=None if indexed else sets.duration(ceil(longest * 1_000_000)),
        maxSubsegmentDuration=sets.duration(ceil(longest * 1_000_000)) if indexed else None,
        minBufferTime=sets.duration(ceil(longest * 1_000_000)),
    )
    xml.open("Period", id="0", start="PT0S", duration=sets.duration(length_us))
    by_id = {one.representation.id: one for one in tracks}
    for number, members in enumerate(sets.adaptation_sets(one.representation for one in tracks), 1):
        sets.open_set(xml, number, members, indexed=indexed)
        for member in members:
            sets.open_representation(xml, member)
            _segments(xml, by_id[member.id], begins)
            xml.close()
        xml.close()
    xml.close()
    xml.close()
    return xml.text()


def _segments(xml: Xml, track: Stored, begins: int) -> None:
    offset = begins * track.timescale
    match track.segments:
        case InFiles(initialization, media, timeline):
            xml.open(
                "SegmentTemplate",
                timescale=track.timescale,
                presentationTimeOffset=offset,
                initialization=initialization,
                media=media,
                startNumber=0,
            )
            sets.timeline(xml, timeline)
            xml.close()
        case InOneFile(uri, init_bytes, index_bytes):
            xml.words("BaseURL", uri)
            xml.open(
                "SegmentBase",
                timescale=track.timescale,
                presentationTimeOffset=offset,
                indexRange=f"{init_bytes}-{init_bytes + index_bytes - 1}",
            )
            xml.leaf("Initialization", range=f"0-{init_bytes - 1}")
            xml.close()
