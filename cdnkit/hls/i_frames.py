"""I-frame playlists: one key frame a line, as byte ranges of segments that are there already (HLS draft 4.4.3.6).

A player that winds forward or back, or shows a picture over its seek bar, fetches key frames alone. A range has a
fragment's `moof` and its first sample; what the `moof` says of later samples is not read (draft 4.4.3.6, 3.1.2).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from cdnkit.hls.rates import Rates, measured

I_FRAMES = "iframes.m3u8"
"""File name, beside the track's media playlist."""
VERSION = 5
"""EXT-X-MAP in an I-frame playlist (draft section 8); byte ranges and EXT-X-I-FRAMES-ONLY need 4."""


@dataclass(frozen=True, slots=True)
class IFrame:
    """A key frame in its segment, with what a decoder needs before it."""

    offset: int
    size: int
    duration: float
    """Seconds to the next one, or to the end of the segment."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A segment as an I-frame playlist lists it."""

    uri: str
    init: str
    """URI of its init section."""
    i_frames: tuple[IFrame, ...]
    """Empty: none can be found in it, and it is a gap."""
    duration: float
    discontinuity: int = 0
    date: str = ""
    """Program date-time of its start; "": not known."""
    gap: bool = False
    init_range: str = ""
    """Where the init section lies in `init`, as EXT-X-MAP says it; "": it is all of it."""


def i_frame_playlist(
    segments: Sequence[Pictures],
    target: int,
    *,
    number: int = 0,
    control: str = "",
    ended: bool = False,
    vod: bool = False,
) -> str:
    """The I-frame playlist of at least one segment; `number` is the media sequence number of its first key frame.

    `control` is its EXT-X-SERVER-CONTROL, attributes alone; `target` the target duration in seconds.
    """
    first = segments[0]
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", f"#EXT-X-TARGETDURATION:{target}"]
    lines += [f"#EXT-X-SERVER-CONTROL:{control}"] if control else []
    lines += [f"#EXT-X-MEDIA-SEQUENCE:{number}", f"#EXT-X-DISCONTINUITY-SEQUENCE:{first.discontinuity}"]
    lines += ["#EXT-X-PLAYLIST-TYPE:VOD"] if vod else []
    lines.append("#EXT-X-I-FRAMES-ONLY")
    before: Pictures | None = None
    for one in segments:
        lines += _opening(one, before)
        for i_frame in one.i_frames:
            lines += ["#EXT-X-GAP"] if one.gap else []
            lines += [f"#EXTINF:{i_frame.duration:.6f},", f"#EXT-X-BYTERANGE:{i_frame.size}@{i_frame.offset}", one.uri]
        if not one.i_frames:
            lines += ["#EXT-X-GAP", f"#EXTINF:{one.duration:.6f},", one.uri]
        before = one
    lines += ["#EXT-X-ENDLIST"] if ended else []
    return "\n".join(lines) + "\n"


def _opening(one: Pictures, before: Pictures | None) -> list[str]:
    """What stands before a segment's first key frame."""
    broken = before is not None and one.discontinuity != before.discontinuity
    lines = ["#EXT-X-DISCONTINUITY"] if broken else []
    if before is None or broken or one.init != before.init:
        part = f',BYTERANGE="{one.init_range}"' if one.init_range else ""
        lines.append(f'#EXT-X-MAP:URI="{one.init}"{part}')
    if one.date:
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{one.date}")
    return lines


def i_frame_rates(segments: Iterable[Sequence[IFrame]], target: int) -> Rates:
    """What the key frames of these segments take, shown at normal speed (draft 4.4.6.3)."""
    return measured([(one.size, one.duration) for one in chain.from_iterable(segments)], target)
