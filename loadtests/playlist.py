"""HLS playlists, from text to values: what a player needs of RFC 8216, read strictly.

Strict, because a load test is where a broken playlist should be noticed: a broken rule of the RFC is a
`BadPlaylist` with its line. Tags the RFC does not know are ignored, as its section 6.3.1 demands.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urljoin

from loadtests.errors import BadPlaylist

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s][^,]*)(?:,|$)')
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MEDIA_TAGS = ("EXTINF", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-MAP", "EXT-X-ENDLIST")
_MULTIVARIANT_TAGS = ("EXT-X-STREAM-INF", "EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF")


@dataclass(frozen=True, slots=True)
class Rendition:
    """One `EXT-X-STREAM-INF`: a rung of the ladder."""

    url: str
    bandwidth: int
    audio: str = ""
    """GROUP-ID of its audio renditions, "" when there are none."""


@dataclass(frozen=True, slots=True)
class AudioRendition:
    """One `EXT-X-MEDIA` of type AUDIO; without a URL the audio is inside the video's segments."""

    group: str
    name: str
    url: str | None
    default: bool


@dataclass(frozen=True, slots=True)
class Multivariant:
    """A multivariant playlist (RFC 8216 section 4.3.4)."""

    renditions: tuple[Rendition, ...]
    audio: tuple[AudioRendition, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A URL, or a range of the bytes behind it (`first`, `last` both inclusive)."""

    url: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment and its attributes."""

    number: int
    """Media sequence number."""
    resource: Resource
    duration: float
    init: Resource | None = None
    """The init section (`EXT-X-MAP`) it needs."""
    starts_at: float | None = None
    """Unix seconds, from PROGRAM-DATE-TIME; carried on over segments without a tag of their own."""
    discontinuity: bool = False


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """A media playlist (RFC 8216 section 4.3.3)."""

    target_duration: float
    segments: tuple[Segment, ...]
    media_sequence: int = 0
    ended: bool = False

    @property
    def next_number(self) -> int:
        """Media sequence number of the segment that is to be listed next."""
        return self.media_sequence + len(self.segments)


def read(text: str, url: str) -> Multivariant | MediaPlaylist:
    """A playlist fetched from `url`, which relative URIs resolve against; `BadPlaylist` if it is wrong."""
    lines = text.removeprefix("\ufeff").split("\n")  # splitlines() would also split at U+2028
    if not lines or lines[0].rstrip() != "#EXTM3U":
        raise BadPlaylist(1, lines[0][:80] if lines else "", "#EXTM3U as the first line")
    numbered = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
    media = next((n for n, line in numbered if _tag(line) in _MEDIA_TAGS), 0)
    multivariant = next((n for n, line in numbered if _tag(line) in _MULTIVARIANT_TAGS), 0)
    if media and multivariant:
        found = lines[max(media, multivariant) - 1][:80]
        raise BadPlaylist(max(media, multivariant), found, "tags of a media or of a multivariant playlist, not both")
    return _read_multivariant(numbered, url) if multivariant else _read_media(numbered, url)


def _read_multivariant(lines: list[tuple[int, str]], url: str) -> Multivariant:
    renditions: list[Rendition] = []
    audio: list[AudioRendition] = []
    pending: dict[str, str] | None = None
    pending_line = 0
    for n, line in lines:
        tag, value = _split(line)
        if tag == "EXT-X-STREAM-INF":
            pending, pending_line = _attributes(n, value), n
        elif tag == "EXT-X-MEDIA":
            about = _attributes(n, value)
            if about.get("TYPE") == "AUDIO":
                link = about.get("URI")
                audio.append(
                    AudioRendition(
                        group=_required(n, about, "GROUP-ID"),
                        name=_required(n, about, "NAME"),
                        url=None if link is None else urljoin(url, link),
                        default=about.get("DEFAULT") == "YES",
                    )
                )
        elif not line.startswith("#"):
            if pending is None:
                raise BadPlaylist(n, line[:80], "an EXT-X-STREAM-INF before each URI")
            renditions.append(_rendition(pending_line, pending, urljoin(url, line)))
            pending = None
    if pending is not None:
        raise BadPlaylist(pending_line, "EXT-X-STREAM-INF", "a URI on the line after it")
    if not renditions:
        raise BadPlaylist(0, "no rendition", "at least one EXT-X-STREAM-INF with its URI")
    groups = {one.group for one in audio}
    for one in renditions:
        if one.audio and one.audio not in groups:
            raise BadPlaylist(0, f'AUDIO="{one.audio}"', "an EXT-X-MEDIA with that GROUP-ID")
    return Multivariant(tuple(renditions), tuple(audio))


def _rendition(n: int, about: dict[str, str], url: str) -> Rendition:
    bandwidth = _required(n, about, "BANDWIDTH")
    size = about.get("RESOLUTION", "")
    if not bandwidth.isdecimal():
        raise BadPlaylist(n, f"BANDWIDTH={bandwidth}", "bits per second as a whole number")
    if size and re.fullmatch(r"[0-9]+x[0-9]+", size) is None:
        raise BadPlaylist(n, f"RESOLUTION={size}", "a resolution such as 1280x720")
    return Rendition(
        url=url,
        bandwidth=int(bandwidth),
        audio=about.get("AUDIO", ""),
    )


def _read_media(lines: list[tuple[int, str]], url: str) -> MediaPlaylist:
    target: float | None = None
    first_number = 0
    ended = False
    segments: list[Segment] = []
    # From the lines since the last URI: the attributes of the next segment.
    duration: float | None = None
    duration_line = 0
    discontinuity = False
    starts_at: float | None = None
    byte_range: tuple[int, int | None] | None = None
    init: Resource | None = None
    range_ends: dict[str, int] = {}
    extinf_lines: list[int] = []
    for n, line in lines:
        tag, value = _split(line)
        if tag == "EXT-X-TARGETDURATION":
            if not value.isdecimal():
                raise BadPlaylist(n, line[:80], "whole seconds")
            target = float(value)
        elif tag == "EXT-X-MEDIA-SEQUENCE":
            if not value.isdecimal():
                raise BadPlaylist(n, line[:80], "a whole number")
            if segments:
                raise BadPlaylist(n, line[:80], "EXT-X-MEDIA-SEQUENCE before the first segment")
            first_number = int(value)
        elif tag == "EXTINF":
            number = value.partition(",")[0]
            if not _NUMBER.fullmatch(number):
                raise BadPlaylist(n, line[:80], "a duration in seconds, then a comma")
            duration, duration_line = float(number), n
        elif tag == "EXT-X-MAP":
            init = _map(n, _attributes(n, value), url)
        elif tag == "EXT-X-PROGRAM-DATE-TIME":
            starts_at = _date_time(n, value)
        elif tag == "EXT-X-DISCONTINUITY":
            discontinuity = True
        elif tag == "EXT-X-BYTERANGE":
            byte_range = _byte_range(n, value)
        elif tag == "EXT-X-ENDLIST":
            ended = True
        elif not line.startswith("#"):
            if duration is None:
                raise BadPlaylist(n, line[:80], "an EXTINF before each segment's URI")
            where = urljoin(url, line)
            resource = Resource(where)
            if byte_range is not None:
                length, offset = byte_range
                begin = range_ends.get(where, 0) if offset is None else offset
                range_ends = {where: begin + length}
                resource = Resource(where, begin, begin + length - 1)
            if starts_at is None and segments and not discontinuity:
                before = segments[-1]
                starts_at = None if before.starts_at is None else before.starts_at + before.duration
            extinf_lines.append(duration_line)
            number_of_it = first_number + len(segments)
            segments.append(Segment(number_of_it, resource, duration, init, starts_at, discontinuity))
            duration, discontinuity, starts_at, byte_range = None, False, None, None
    if duration is not None:
        raise BadPlaylist(duration_line, "EXTINF", "a URI after it")
    if target is None:
        raise BadPlaylist(0, "no EXT-X-TARGETDURATION", "EXT-X-TARGETDURATION:<whole seconds>")
    for n, segment in zip(extinf_lines, segments, strict=True):
        if int(segment.duration + 0.5) > target:
            found = f"EXTINF:{segment.duration:g}"
            raise BadPlaylist(n, found, f"at most the target duration of {target:g} s, rounded")
    return MediaPlaylist(target, _dated_backwards(segments), first_number, ended)


def _dated_backwards(segments: list[Segment]) -> tuple[Segment, ...]:
    """Segments before the first dated one get their dates from it, up to a discontinuity."""
    dated = list(segments)
    for i in range(len(dated) - 2, -1, -1):
        after = dated[i + 1]
        if dated[i].starts_at is None and after.starts_at is not None and not after.discontinuity:
            dated[i] = replace(dated[i], starts_at=after.starts_at - dated[i].duration)
    return tuple(dated)


def _map(n: int, about: dict[str, str], url: str) -> Resource:
    where = urljoin(url, _required(n, about, "URI"))
    if "BYTERANGE" not in about:
        return Resource(where)
    length, offset = _byte_range(n, about["BYTERANGE"])
    begin = offset or 0
    return Resource(where, begin, begin + length - 1)


def _byte_range(n: int, value: str) -> tuple[int, int | None]:
    length, _, offset = value.partition("@")
    if not length.isdecimal() or int(length) == 0 or (offset and not offset.isdecimal()):
        raise BadPlaylist(n, value[:80], "a byte range such as 1000@0")
    return int(length), int(offset) if offset else None


def _date_time(n: int, value: str) -> float:
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise BadPlaylist(n, value[:80], "a date and time with its zone, such as 2026-01-31T12:00:00.000Z")
    return when.timestamp()


def _tag(line: str) -> str:
    return line[1:].partition(":")[0] if line.startswith("#EXT") else ""


def _split(line: str) -> tuple[str, str]:
    return _tag(line), line.partition(":")[2]


def _attributes(n: int, value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(value):
        match = _ATTRIBUTE.match(value, at)
        if match is None:
            raise BadPlaylist(n, value[at : at + 80], 'attributes such as BANDWIDTH=1280000,CODECS="avc1.64001f"')
        if match[1] in found:
            raise BadPlaylist(n, match[1], "each attribute once")
        found[match[1]] = match[2].strip('"')
        at = match.end()
        while at < len(value) and value[at] == " ":
            at += 1
    return found


def _required(n: int, about: dict[str, str], name: str) -> str:
    if name not in about:
        raise BadPlaylist(n, ",".join(about) or "no attributes", f"the attribute {name}")
    return about[name]
