"""What the fragments of a track say of themselves: times, durations and sizes, read from what ffmpeg wrote.

ffmpeg's playlist says durations in decimals; MPDs, indexes and dates need the ticks. Only `moov` and `moof` boxes are
read (ISO/IEC 14496-12 8.8), never the media itself.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcode.errors import OutputError


@dataclass(frozen=True, slots=True)
class Init:
    """A track's init section."""

    data: bytes
    """`ftyp` and `moov`."""
    track_id: int
    timescale: int
    """Ticks a second."""
    default_duration: int
    """Of a sample whose fragment says none, in ticks (`trex`)."""

    def after(self, name: bytes) -> bytes:
        """What follows the name of a box; nothing where there is none."""
        return self.data.partition(name)[2]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: the fragments between two cuts."""

    path: Path
    """The file that it is in."""
    offset: int
    """Where it begins there: behind `styp` and `sidx`, which are no media."""
    size: int
    """Bytes from there to its end."""
    start: int
    """Its earliest presentation time, in ticks."""
    ticks: int
    """The sum of its samples' durations."""

    def read(self) -> bytes:
        """Its `moof` and `mdat` boxes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def read_init(path: Path) -> Init:
    """`OutputError`: it has no track."""
    data = path.read_bytes()
    moov = _inside(data, "moov")
    mdhd, trex = _inside(moov, "trak", "mdia", "mdhd"), _inside(moov, "mvex", "trex")
    if len(mdhd) < 24 or len(trex) < 24:
        raise OutputError(f"{path.parent.name}/{path.name}", "no track", "a `moov` box with one")
    (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)
    track_id, _, default_duration = struct.unpack_from(">III", trex, 4)
    return Init(data, track_id, timescale, default_duration)


def read_segment(path: Path, init: Init) -> Segment:
    """The segment that is this file. `OutputError`: it has no samples."""
    size, begins, starts, ticks = path.stat().st_size, -1, [], 0
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind == b"moof":
                begins = at if begins < 0 else begins
                times, duration = _fragment(file.read(length - 8), init)
                starts.append(times)
                ticks += duration
            at += length
    if not ticks:
        raise OutputError(f"{path.parent.name}/{path.name}", "no samples", "fragments with some")
    return Segment(path, begins, size - begins, min(starts), ticks)


def seconds(ticks: int, init: Init) -> Fraction:
    """Ticks of a track, in seconds."""
    return Fraction(ticks, init.timescale)


def _fragment(moof: bytes, init: Init) -> tuple[int, int]:
    """(earliest presentation time, duration) of a fragment of one track."""
    traf = _inside(moof, "traf")
    tfhd, tfdt = _inside(traf, "tfhd"), _inside(traf, "tfdt")
    decode_time = int.from_bytes(tfdt[4 : 12 if tfdt[0] else 8], "big")
    flags, at = int.from_bytes(tfhd[1:4], "big"), 8
    at += (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    default = int.from_bytes(tfhd[at : at + 4], "big") if flags & 8 else init.default_duration
    presented, decoded = [], decode_time
    for trun in (payload for kind, payload in _boxes(traf) if kind == "trun"):
        for duration, composition in _samples(trun, default):
            presented.append(decoded + composition)
            decoded += duration
    return min(presented, default=decode_time), decoded - decode_time


def _samples(trun: bytes, default: int) -> Iterator[tuple[int, int]]:
    """(duration, composition offset) of each sample of a run."""
    flags, count = int.from_bytes(trun[1:4], "big"), int.from_bytes(trun[4:8], "big")
    at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    fields = [mask for mask in (0x100, 0x200, 0x400, 0x800) if flags & mask]
    for _ in range(count):
        values = dict(zip(fields, struct.unpack_from(f">{len(fields)}I", trun, at), strict=True))
        offset = values.get(0x800, 0)
        # Signed in version 1 (8.8.8); what ffmpeg writes in version 0 is small.
        yield values.get(0x100, default), offset - 2**32 if offset >= 2**31 else offset
        at += 4 * len(fields)


def _inside(data: bytes, *path: str) -> bytes:
    """The payload of the first box at this path; nothing where there is none."""
    for name in path:
        data = next((payload for kind, payload in _boxes(data) if kind == name), b"")
    return data


def _boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind.decode("latin-1"), data[at + 8 : at + size]
        at += max(8, size)
