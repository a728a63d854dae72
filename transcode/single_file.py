"""One file for each track: its init section, an index, all of its fragments (a track file, ISO/IEC 23000-19 7.3.3).

The index is one `sidx` box (ISO/IEC 14496-12 8.16.3) with a subsegment for each segment, so that a player finds any
instant by two ranges of the file. HLS lists the same ranges, and needs no index.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from transcode.errors import OutputError
from transcode.media import Init, Segment

MOST_SEGMENTS = 65_535
"""References of a `sidx`: they are counted in 16 bits. At two seconds a segment that is a day and a half."""
LARGEST_SEGMENT = 2_147_483_647
"""Bytes of a subsegment: they are counted in 31 bits."""
COPIED_BYTES = 2**20
"""Copied at a time."""

GAP = struct.pack(">I4s", 8, b"free")
"""Before each segment, so that no range of the playlist touches the next one. ffmpeg 9.0.2 joins those that do into one
request, and then plays the first alone. A subsegment of the index begins with it: players ignore the box."""

_STARTS_WITH_SAP_1 = 0x90000000
"""Each begins with a key frame of a closed group, or with sound."""


def index(init: Init, segments: Sequence[Segment]) -> bytes:
    """The `sidx` box of these segments, which stand right behind it. `OutputError`: they do not fit into one."""
    if len(segments) > MOST_SEGMENTS or any(len(GAP) + one.size > LARGEST_SEGMENT for one in segments):
        found = f"{len(segments)} segments, the largest of {max(one.size for one in segments)} bytes"
        wanted = f"at most {MOST_SEGMENTS} segments of at most {LARGEST_SEGMENT} bytes"
        raise OutputError("a single file", found, wanted, "Choose another segment duration, or segments in files.")
    head = struct.pack(">IIIQQHH", 1 << 24, init.track_id, init.timescale, segments[0].start, 0, 0, len(segments))
    references = b"".join(struct.pack(">III", len(GAP) + one.size, one.ticks, _STARTS_WITH_SAP_1) for one in segments)
    return struct.pack(">I4s", 8 + len(head) + len(references), b"sidx") + head + references


def join(
    path: Path, init: Init, segments: Sequence[Segment], check: Callable[[], None] = lambda: None
) -> list[Segment]:
    """Writes the file `path` and deletes those of the segments one by one: the disk holds one of them twice at most.

    Returns the segments as they lie in the file. `check` is called before each, and may raise.
    """
    found = []
    with path.open("xb") as file:
        file.write(init.data + index(init, segments))
        for segment in segments:
            check()
            file.write(GAP)
            found.append(replace(segment, path=path, offset=file.tell()))
            _copy(segment, file.write)
            segment.path.unlink()
    return found


def _copy(segment: Segment, write: Callable[[bytes], object]) -> None:
    with segment.path.open("rb") as file:
        file.seek(segment.offset)
        while data := file.read(COPIED_BYTES):
            write(data)
