"""Chunks of a segment: where they end, and what their encoder says."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnlab.latency.chunks import chunks_of
from tests.kit.cmaf_sender import box

AT = 1_790_000_000


def prft(flags: int = 24, wall: float = AT) -> bytes:
    return box(b"prft", struct.pack(">IIQQ", 1 << 24 | flags, 1, round((wall + 2_208_988_800) * 2**32), 0))


def moof(time: int, *, wide: bool = True) -> bytes:
    tfdt = box(b"tfdt", struct.pack(">IQ" if wide else ">II", int(wide) << 24, time))
    return box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", box(b"tfhd", bytes(8)) + tfdt))


FIRST, SECOND = prft() + moof(2**33) + box(b"mdat", b"abc"), moof(90, wide=False) + box(b"mdat", b"defg")


def test_where_they_end_and_what_they_say() -> None:
    first, second = chunks_of(FIRST + SECOND)
    assert (first.end, first.captured, first.decode_time) == (len(FIRST), AT, 2**33)
    assert (second.end, second.captured, second.decode_time) == (len(FIRST) + len(SECOND), None, 90)


@pytest.mark.parametrize("cut", [1, 7, 11])
def test_one_that_is_not_whole_is_not_there(cut: int) -> None:
    assert len(chunks_of((FIRST + SECOND)[:-cut])) == 1


@pytest.mark.parametrize(("flags", "then"), [(0, AT), (24, AT), (1, None), (2, None), (4, None), (8, None)])
def test_instants_of_which_nobody_knows_how_late_they_are_do_not_count(flags: int, then: float | None) -> None:
    (one,) = chunks_of(prft(flags) + SECOND)
    assert one.captured == then


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    chunks_of(data)
    chunks_of(FIRST + data)
