"""AdaptationSets and their Representations, from values (ISO/IEC 23009-1 5.3.3, 5.3.5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import ceil

from cdnkit.dash.xml import Attribute, Xml

_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_ROLE = "urn:mpeg:dash:role:2011"


@dataclass(frozen=True, slots=True)
class Representation:
    """One track of a Period."""

    id: str
    kind: str
    """"video", "audio" or "text"."""
    codec: str
    """RFC 6381."""
    rate_bps: float
    """The largest rate of a segment."""
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    """Pictures a second; 0: not known."""
    sample_rate: int = 0
    channels: int = 0
    language: str = ""
    """BCP 47; "": not known."""
    label: str = ""
    """A name for people; "": there is none."""
    role: str = ""
    """Of 5.8.5.5, such as `main` or `commentary`; "": none is given."""


def adaptation_sets(representations: Iterable[Representation]) -> list[list[Representation]]:
    """What a player may switch between, set by set. Pictures first, the tallest first."""
    ordered = sorted(representations, key=lambda one: (_set_of(one), -one.height, -one.rate_bps, one.id))
    return [list(members) for _, members in groupby(ordered, key=_set_of)]


def _set_of(one: Representation) -> tuple[object, ...]:
    """What the Representations of one AdaptationSet have in common."""
    what = one.codec.partition(".")[0], one.channels
    return (one.kind != "video", one.kind, *what, one.role not in ("", "main"), one.language, one.role, one.label)


def open_set(xml: Xml, number: int, members: list[Representation], *, indexed: bool = False) -> None:
    """Begin an AdaptationSet. `indexed`: its Representations are one file each, with an index of subsegments."""
    first = members[0]
    segments: dict[str, Attribute] = {"segmentAlignment": "true", "startWithSAP": 1}
    subsegments: dict[str, Attribute] = {"subsegmentAlignment": "true", "subsegmentStartsWithSAP": 1}
    xml.open(
        "AdaptationSet",
        id=number,
        contentType=first.kind,
        lang=first.language or None,
        mimeType=f"{first.kind if first.kind in ('video', 'audio') else 'application'}/mp4",
        **(subsegments if indexed else segments),
    )
    if first.label:
        xml.words("Label", first.label)
    if first.role:
        xml.leaf("Role", schemeIdUri=_ROLE, value=first.role)


def open_representation(xml: Xml, one: Representation) -> None:
    """Begin a Representation: all but where its segments are."""
    xml.open(
        "Representation",
        id=one.id,
        codecs=one.codec,
        bandwidth=max(1, ceil(one.rate_bps / 1000)) * 1000,
        width=one.width or None,
        height=one.height or None,
        frameRate=_rate(one.frame_rate),
        audioSamplingRate=one.sample_rate or None,
    )
    if one.channels:
        xml.leaf("AudioChannelConfiguration", schemeIdUri=_CHANNELS, value=one.channels)


def timeline(xml: Xml, segments: Iterable[tuple[int, int]]) -> None:
    """The SegmentTimeline of segments by (start, duration) in ticks: one S for those in a row that are equally long."""
    rows: list[tuple[int | None, int, int]] = []
    due = None
    for start, ticks in segments:
        if start == due and rows[-1][1] == ticks:
            rows[-1] = (rows[-1][0], ticks, rows[-1][2] + 1)
        else:
            rows.append((None if start == due else start, ticks, 0))
        due = start + ticks
    xml.open("SegmentTimeline")
    for at, ticks, repeats in rows:
        xml.leaf("S", t=at, d=ticks, r=repeats or None)
    xml.close()


def duration(us: int) -> str:
    """xs:duration of microseconds, exact."""
    seconds, rest = divmod(us, 1_000_000)
    return f"PT{seconds}.{rest:06d}".rstrip("0").rstrip(".") + "S"


def _rate(measured: float) -> str | None:
    """30 or 30000/1001: what is measured over a segment is a rate of television within a thousandth."""
    if measured <= 0:
        return None
    return str(Fraction(measured).limit_denominator(1001))
