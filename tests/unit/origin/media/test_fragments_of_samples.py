"""What a movie fragment says of its samples, and where it says it: ISO/IEC 14496-12 §8.8.7 (tfhd), §8.8.8 (trun).

Duration, size and flags come from the run's table, else from the fragment's header, else from the init section.
"""

import struct

import pytest

from origin.media.boxes import Box
from origin.media.fragments import read_moof
from origin.media.tracks import Kind, Track
from tests.unit.origin.media.test_fragments import box

SYNC, NON_SYNC = 0x02000000, 0x01010000
TRACK = Track(Kind.VIDEO, 7, 30_000, "avc1", default_duration=1000, default_size=50, default_flags=NON_SYNC)


def full(kind: bytes, version: int, flags: int, *words: int) -> bytes:
    return box(kind, struct.pack(f">I{len(words)}I", version << 24 | flags, *words))


TFHD, TFDT = full(b"tfhd", 0, 0x20000, 7), full(b"tfdt", 1, 0, 1, 5)
ROWS = [  # tfhd, runs; then samples, their duration, their bytes, whether the first is independent
    (TFHD, [full(b"trun", 0, 0, 3)], 3, 3000, 150, False),  # all by the init section
    (full(b"tfhd", 0, 0x20038, 7, 2000, 60, SYNC), [full(b"trun", 0, 0, 3)], 3, 6000, 180, True),
    (full(b"tfhd", 0, 0x2003A, 7, 1, 2000, 60, SYNC), [full(b"trun", 0, 0, 3)], 3, 6000, 180, True),  # another description
    (TFHD, [full(b"trun", 0, 0x100, 2, 10, 20)], 2, 30, 100, False),
    (TFHD, [full(b"trun", 0, 0x200, 2, 10, 20)], 2, 2000, 30, False),
    (TFHD, [full(b"trun", 0, 0x400, 2, SYNC, NON_SYNC)], 2, 2000, 100, True),
    (TFHD, [full(b"trun", 0, 0x400, 2, NON_SYNC, SYNC)], 2, 2000, 100, False),
    (TFHD, [full(b"trun", 0, 0x4, 2, SYNC)], 2, 2000, 100, True),
    (TFHD, [full(b"trun", 0, 0x800, 2, 900, 900)], 2, 2000, 100, False),  # composition offsets are no durations
    (TFHD, [full(b"trun", 0, 0xF00, 2, 1, 10, SYNC, 0, 2, 20, NON_SYNC, 0)], 2, 3, 30, True),
    (TFHD, [full(b"trun", 0, 0x100, 1, 10), full(b"trun", 0, 0, 2)], 3, 2010, 150, False),
]  # fmt: skip


@pytest.mark.parametrize(("tfhd", "runs", "samples", "duration", "size", "independent"), ROWS)
@pytest.mark.parametrize("start", [5, 2**32 + 5])
def test_what_a_fragment_says_of_its_samples(
    tfhd: bytes, runs: list[bytes], samples: int, duration: int, size: int, independent: bool, start: int
) -> None:
    tfdt = full(b"tfdt", 0, 0, start) if start < 2**32 else full(b"tfdt", 1, 0, start >> 32, start & 0xFFFFFFFF)
    data = box(b"moof", box(b"traf", tfhd + tfdt + b"".join(runs)))
    fragment, first, end = read_moof(Box("moof", 0, data, 8), TRACK)
    assert (fragment.start, fragment.samples, fragment.duration) == (start, samples, duration)
    assert fragment.independent is independent
    assert (first, end - first) == (len(data) + 8, size)  # behind the header of the mdat that follows


@pytest.mark.parametrize("offset", [100, 1000])
def test_a_run_says_where_its_bytes_are(offset: int) -> None:
    data = box(b"moof", box(b"traf", TFHD + TFDT + full(b"trun", 0, 0x1, 3, offset)))
    assert read_moof(Box("moof", 0, data, 8), TRACK)[1:] == (offset, offset + 150)
