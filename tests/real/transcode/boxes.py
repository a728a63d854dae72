"""Just enough of ISO BMFF to see what the encoder made: an independent reader, so that it may disagree with ffmpeg."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Fragment:
    """One `moof`: decode times in the track's timescale."""

    first_decode_time: int
    durations: list[int]
    composition_offsets: list[int]
    starts_with_keyframe: bool

    @property
    def end(self) -> int:
        return self.first_decode_time + sum(self.durations)


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[str, int, int]]:
    """(type, first byte of the content, end)."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        assert 8 <= size <= end - start, f"box {kind!r} of {size} bytes at {start} does not fit"
        yield kind.decode("latin-1"), start + 8, start + size
        start += size


def inside(data: bytes, path: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Every box at a path such as `moov/trak/mdia/mdhd`."""
    head, _, rest = path.partition("/")
    for kind, first, last in boxes(data, start, end):
        if kind == head:
            if rest:
                yield from inside(data, rest, first, last)
            else:
                yield first, last


def timescale(data: bytes) -> int:
    first, _ = next(inside(data, "moov/trak/mdia/mdhd"))
    return struct.unpack_from(">I", data, first + (20 if data[first] else 12))[0]


def fragments(data: bytes) -> list[Fragment]:
    return [_fragment(data, *traf) for traf in inside(data, "moof/traf")]


def _fragment(data: bytes, start: int, end: int) -> Fragment:
    header, _ = next(inside(data, "tfhd", start, end))
    time, _ = next(inside(data, "tfdt", start, end))
    run, _ = next(inside(data, "trun", start, end))
    flags = _flags(data, header)
    at = header + 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    duration, at = (_u32(data, at), at + 4) if flags & 8 else (0, at)
    at += 4 if flags & 0x10 else 0
    sample_flags = _u32(data, at) if flags & 0x20 else 0

    flags, count, at = _flags(data, run), _u32(data, run + 4), run + 8
    at += 4 if flags & 1 else 0
    first_flags, at = (_u32(data, at), at + 4) if flags & 4 else (None, at)
    durations, offsets = [], []
    for number in range(count):
        durations.append(_u32(data, at) if flags & 0x100 else duration)
        at += (4 if flags & 0x100 else 0) + (4 if flags & 0x200 else 0)
        if flags & 0x400:
            if number == 0:
                first_flags = _u32(data, at)
            at += 4
        if flags & 0x800:
            offsets.append(struct.unpack_from(">i", data, at)[0])
            at += 4
    first = sample_flags if first_flags is None else first_flags
    decode_time = struct.unpack_from(">Q", data, time + 4)[0] if data[time] else _u32(data, time + 4)
    # sample_is_non_sync_sample is bit 16 (ISO/IEC 14496-12 §8.8.3.1).
    return Fragment(decode_time, durations, offsets, not first & 0x10000)


def _flags(data: bytes, at: int) -> int:
    return int.from_bytes(data[at + 1 : at + 4], "big")


def _u32(data: bytes, at: int) -> int:
    return struct.unpack_from(">I", data, at)[0]
