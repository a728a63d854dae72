"""Where the chunks of a segment end, and what their encoder says of their time (ISO/IEC 14496-12 8.8, 8.16.5). Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_NTP_EPOCH_S = 2_208_988_800
_TOLD = frozenset({0, 24})
"""Flags of `prft`: the frame's input to the encoder, and its capture. Others are later by an unknown time."""
_INSIDE = frozenset({b"moof", b"traf"})


@dataclass(slots=True)
class Chunk:
    """A `moof` and its `mdat`, with what stands before them."""

    end: int
    """Byte offset behind it."""
    captured: float | None = None
    """What `prft` says, Unix seconds."""
    decode_time: int | None = None
    """In ticks."""


def chunks_of(data: bytes) -> list[Chunk]:
    """The chunks of a segment, or of its beginning, that are whole."""
    found: list[Chunk] = []
    now = Chunk(0)
    for kind, at, end in _boxes(data, 0, len(data)):
        if kind == b"prft" and end - at >= 24 and int.from_bytes(data[at + 1 : at + 4], "big") in _TOLD:
            (ntp,) = struct.unpack_from(">Q", data, at + 8)
            now.captured = now.captured or ntp / 2**32 - _NTP_EPOCH_S
        elif kind == b"tfdt" and end - at >= 8 and now.decode_time is None:
            wide = data[at] == 1 and end - at >= 12
            (now.decode_time,) = struct.unpack_from(">Q" if wide else ">I", data, at + 4)
        elif kind == b"mdat":
            now.end = end
            found.append(now)
            now = Chunk(end)
    return found


def _boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of the content, end) of whole boxes in a row, and of those inside `moof`."""
    while at + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > stop:
            return  # of 64 bits, or not all there
        yield kind, at + 8, at + size
        if kind in _INSIDE:
            yield from _boxes(data, at + 8, at + size)
        at += size
