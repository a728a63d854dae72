"""The media playlist of a track of VOD: text from values, and nothing else (HLS draft 4.4.3, 4.4.4).

Segments in files of their own, or ranges of one file: then each says where it begins, although one that follows on the
one before need not (4.4.4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from math import floor

from cdnkit import hls

VERSION = 7
"""4 has byte ranges, 6 EXT-X-MAP in any playlist; 7 as live playlists say."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A file, or a range of one: of `size` bytes at `offset`, if that is not None."""

    uri: str
    size: int
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment in its playlist."""

    resource: Resource
    duration: Fraction
    """Seconds."""


def target_duration(durations: Sequence[Fraction]) -> int:
    """The one of all these segments: each rounds to it at most, halves up (4.4.3.1)."""
    return max(1, *(floor(one + Fraction(1, 2)) for one in durations))


def media_playlist(
    init: Resource, segments: Sequence[Listed], *, target: int, begins: Fraction, start: hls.Start | None = None
) -> str:
    """`begins`: the presentation time of the first sample, in seconds."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *([start.line] if start else ()),
        f'#EXT-X-MAP:URI="{init.uri}"' + ("" if init.offset is None else f',BYTERANGE="{_range(init)}"'),
        f"#EXT-X-PROGRAM-DATE-TIME:{date_time(begins)}",
    ]
    for one in segments:
        lines.append(f"#EXTINF:{float(one.duration):.6f},")
        if one.resource.offset is not None:
            lines.append(f"#EXT-X-BYTERANGE:{_range(one.resource)}")
        lines.append(one.resource.uri)
    lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def date_time(seconds: Fraction) -> str:
    """The date of a media time. A VOD has no date: its times count from the Unix epoch, so that tracks align by them.

    Some players otherwise take each track's first sample for zero, and sound begins with an encoder's frame of silence.
    """
    at = datetime.fromtimestamp(round(float(seconds), 3), UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _range(resource: Resource) -> str:
    return f"{resource.size}@{resource.offset}"
