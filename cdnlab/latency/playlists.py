"""What playlists and manifests tell of time: what comes next, when it was captured, how far behind to play. Pure."""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from urllib.parse import urljoin

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_NS = "{urn:mpeg:dash:schema:mpd:2011}"


class Unreadable(ValueError):
    """Not what it should be, in words."""


@dataclass(slots=True)
class Listed:
    """A segment or a part."""

    uri: str
    number: int
    """Media sequence number."""
    at: float
    """Program date-time of its start, Unix seconds."""
    duration: float


@dataclass(slots=True)
class MediaPlaylist:
    """A media playlist, as far as time is concerned. Seconds."""

    target: float = 0.0
    part_target: float = 0.0
    hold_back: float = 0.0
    part_hold_back: float = 0.0
    segments: list[Listed] = field(default_factory=list)
    parts: list[Listed] = field(default_factory=list)
    """Of the last segments, and of the one in hand."""
    next_number: int = 0
    hint: str = ""
    end: float = 0.0
    dated: bool = False
    ended: bool = False

    @property
    def next_part(self) -> tuple[int, int]:
        """(media sequence number, index) of the part that is hinted at."""
        return self.next_number, sum(part.number == self.next_number for part in self.parts)


def variant_of(text: str, url: str) -> str | None:
    """The URL of the first rendition of a multivariant playlist; None: this is a media playlist."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise Unreadable("no playlist: it does not begin with #EXTM3U")
    for line, after in pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF:") and after and not after.startswith("#"):
            return urljoin(url, after)
    return None


def read_media_playlist(text: str) -> MediaPlaylist:
    """`Unreadable`: it has no dates, or is no media playlist."""
    read, at, duration = MediaPlaylist(), 0.0, 0.0
    for line in text.splitlines():
        tag, _, value = line.partition(":")
        match tag:
            case "#EXT-X-TARGETDURATION":
                read.target = float(value)
            case "#EXT-X-MEDIA-SEQUENCE":
                read.next_number = int(value)
            case "#EXT-X-SKIP":
                read.next_number += int(_attributes(value).get("SKIPPED-SEGMENTS", 0))
            case "#EXT-X-SERVER-CONTROL":
                read.hold_back = float(_attributes(value).get("HOLD-BACK", 0))
                read.part_hold_back = float(_attributes(value).get("PART-HOLD-BACK", 0))
            case "#EXT-X-PART-INF":
                read.part_target = float(_attributes(value)["PART-TARGET"])
            case "#EXT-X-PROGRAM-DATE-TIME":
                at, read.dated = datetime.fromisoformat(value).timestamp(), True
                read.end = at
            case "#EXT-X-PART":
                found = _attributes(value)
                read.parts.append(Listed(found["URI"], read.next_number, read.end, float(found["DURATION"])))
                read.end += read.parts[-1].duration
            case "#EXTINF":
                duration = float(value.partition(",")[0])
            case "#EXT-X-PRELOAD-HINT":
                read.hint = _attributes(value).get("URI", "")
            case "#EXT-X-ENDLIST":
                read.ended = True
            case _ if line and not line.startswith("#"):
                read.segments.append(Listed(line, read.next_number, at, duration))
                at += duration
                read.next_number += 1
                read.end = at
    if not read.target or not read.segments:
        raise Unreadable("no media playlist that lists a segment")
    if not read.dated:
        raise Unreadable("no EXT-X-PROGRAM-DATE-TIME: nothing says when its media was captured")
    read.hold_back = read.hold_back or 3 * read.target
    return read


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


@dataclass(frozen=True, slots=True)
class Template:
    """The first Representation of a low-latency manifest's last Period. Seconds; instants are Unix seconds."""

    media: str
    """Relative URL with $Number$."""
    first: int
    start: float
    """When the Period starts."""
    offset: float
    """Presentation time there."""
    timescale: int
    duration: float
    early: float
    """availabilityTimeOffset."""
    target: float
    """Latency@target."""
    referred: float
    """When the Period's first instant was captured, by ProducerReferenceTime; without one, its start."""

    def url(self, number: int) -> str:
        return self.media.replace("$Number$", str(number))

    def due(self, number: int) -> float:
        """When the segment may be requested."""
        return self.start + (number - self.first + 1) * self.duration - self.early

    def number_at(self, now: float) -> int:
        """The first segment that is due after `now`."""
        return max(self.first, self.first + int((now + self.early - self.start) // self.duration))

    def played(self, decode_time: int) -> float:
        """When media with this time is played, by a player that keeps to the latency."""
        return self.referred + decode_time / self.timescale - self.offset + self.target

    def at(self, decode_time: int) -> float:
        """When media with this time was captured, by the timeline."""
        return self.start + decode_time / self.timescale - self.offset


def read_manifest(text: str) -> Template:
    """`Unreadable`: it is no manifest of low latency."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise Unreadable(f"no MPD: {error}") from None
    latency = root.find(f"{_NS}ServiceDescription/{_NS}Latency")
    periods = root.findall(f"{_NS}Period")
    if root.get("type") != "dynamic" or latency is None or not periods:
        raise Unreadable("no low-latency manifest: it is not dynamic, or has no ServiceDescription with a Latency")
    representation = periods[-1].find(f"{_NS}AdaptationSet/{_NS}Representation")
    template = None if representation is None else representation.find(f"{_NS}SegmentTemplate")
    if representation is None or template is None or template.get("availabilityTimeOffset") is None:
        raise Unreadable("no SegmentTemplate with availabilityTimeOffset")
    scale = int(template.get("timescale", 1))
    start = _instant(root.attrib["availabilityStartTime"]) + _seconds(periods[-1].get("start", "PT0S"))
    offset = int(template.get("presentationTimeOffset", 0)) / scale
    reference, wall = representation.find(f"{_NS}ProducerReferenceTime"), None
    if reference is not None:
        wall = _instant(reference.attrib["wallClockTime"]) + offset - int(reference.attrib["presentationTime"]) / scale
    return Template(
        media=template.attrib["media"].replace("$RepresentationID$", representation.get("id", "")),
        first=int(template.get("startNumber", 1)),
        start=start,
        offset=offset,
        timescale=scale,
        duration=int(template.attrib["duration"]) / scale,
        early=float(template.attrib["availabilityTimeOffset"]),
        target=int(latency.attrib["target"]) / 1000,
        referred=start if wall is None else wall,
    )


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _seconds(text: str) -> float:
    match = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", text)
    if match is None:
        raise Unreadable(f"Period@start: found {text!r}")
    hours, minutes, rest = (float(one or 0) for one in match.groups())
    return hours * 3600 + minutes * 60 + rest
