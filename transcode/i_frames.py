"""The I-frame playlists of a folder of VOD: where ffmpeg's segments have their key frames (ISO/IEC 14496-12 8.8).

ffmpeg writes one fragment a segment, which begins with a key frame: that one is listed.
"""

from collections.abc import Iterator

from cdnkit.hls import IFrame
from transcode.media import Segment


def i_frames_of(segment: Segment, duration: float) -> tuple[IFrame, ...]:
    """The key frame that the segment of `duration` seconds begins with; none where it says nothing of it."""
    data = segment.read()
    for kind, at, end in boxes(data, 0, len(data)):
        if kind == b"moof":
            size = _first_sample(data, at, end)
            return (IFrame(segment.offset + at, size, duration),) if size is not None else ()
    return ()


def boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, first byte, end) of the boxes in this stretch, as far as they are whole."""
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        if not 8 <= size <= end - at:
            return
        yield data[at + 4 : at + 8], at, at + size
        at += size


def _first_sample(data: bytes, moof: int, end: int) -> int | None:
    """Bytes from the `moof` to the end of its first sample; None: it is not there, or nothing says how large it is."""
    size = 0
    for kind, traf, traf_end in boxes(data, moof + 8, end):
        if kind != b"traf":
            continue
        for inner, at, _ in boxes(data, traf + 8, traf_end):
            fields = _Fields(data, at + 8)
            given = fields.number() & 0xFFFFFF
            if inner == b"tfhd":
                fields.skip(4 + 8 * bool(given & 0x1) + 4 * bool(given & 0x2) + 4 * bool(given & 0x8))
                size = fields.number() if given & 0x10 else 0
            elif inner == b"trun":
                fields.skip(4)
                offset = fields.number() if given & 0x1 else 0
                fields.skip(4 * bool(given & 0x4) + 4 * bool(given & 0x100))
                size = fields.number() if given & 0x200 else size
                return offset + size if offset and size and moof + offset + size <= len(data) else None
    return None


class _Fields:
    """32-bit fields, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def number(self) -> int:
        self._at += 4
        return int.from_bytes(self._data[self._at - 4 : self._at], "big")

    def skip(self, count: int) -> None:
        self._at += count
