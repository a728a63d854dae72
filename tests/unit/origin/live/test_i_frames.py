"""Where key frames lie in a segment, however it was sent."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.live.i_frames import i_frames_of
from origin.live.segmenter import Segment
from origin.live.stream import Stream
from tests.unit.origin.live.test_stream_frames import Lab, Sender, pictures, read, sound


def segments_of(sender: Sender, length: float = 2.0) -> list[Segment]:
    lab = Lab(Stream("live", length=length, target=2, largest=2**26))
    lab.run(sender, sound(8.0).pack([43]))
    return lab.segments[sender.name]


def first_samples(segment: Segment, sender: Sender) -> Iterator[tuple[int, float]]:
    """(number in its bytes, seconds) of the sample that each listed range ends with; each range is read by itself."""
    for one in i_frames_of(segment, sender.track.timescale):
        piece = segment.data[one.offset : one.offset + one.size]
        assert piece[4:8] == b"moof"
        moof = int.from_bytes(piece[:4], "big")
        assert piece[moof + 4 : moof + 8] == b"mdat" and len(piece) == moof + 8 + 4, "one sample, of four bytes"
        whole = segment.data[one.offset :]
        end = moof + int.from_bytes(whole[moof : moof + 4], "big")
        (fragment,) = read(whole[:end], sender.track)
        assert fragment.independent
        yield int.from_bytes(piece[-4:], "big"), one.duration


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.sampled_from([5, 12, 25, 50]))
def test_each_range_is_one_key_frame_and_they_last_as_long_as_the_segment(lengths: list[int], gop: int) -> None:
    sender = pictures(8.0, gop=gop).pack(lengths)
    segments = segments_of(sender)
    assert segments
    for segment in segments:
        found = list(first_samples(segment, sender))
        assert found, "a segment begins with a key frame"
        assert all(number % gop == 0 for number, _ in found)
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers))
        assert sum(duration for _, duration in found) == pytest.approx(segment.duration / sender.track.timescale)


def test_key_frames_that_begin_a_fragment_are_listed_and_others_are_not() -> None:
    (first, *_) = segments_of(pictures(8.0, gop=25).pack([25]))
    assert [one.duration for one in i_frames_of(first, 12_800)] == [1.0, 1.0]
    (first, *_) = segments_of(pictures(8.0, gop=25).pack([50]))
    assert [one.duration for one in i_frames_of(first, 12_800)] == [2.0]


def test_prft_and_emsg_before_a_fragment_are_not_in_its_range() -> None:
    sender = pictures(8.0, gop=25).pack([25])
    lead = b"\0\0\0\x0cprft" + bytes(4)
    for one in sender.fragments:
        one.data, one.lead, one.media = lead + one.data, len(lead), one.media + len(lead)
    (first, *_) = segments_of(sender)
    assert len(list(first_samples(first, sender))) == 2


def test_a_stream_of_nothing_but_key_frames_lists_four_a_second() -> None:
    (first, *_) = segments_of(pictures(8.0, gop=1).pack([1]))
    found = i_frames_of(first, 12_800)
    assert len(found) <= 8 and {one.duration for one in found[:-1]} == {0.28}
    assert all(before.offset + before.size <= after.offset for before, after in itertools.pairwise(found))


def test_samples_that_lie_apart_are_in_no_range() -> None:
    sender = pictures(8.0, gop=25).pack([50])
    for one in sender.fragments:
        one.row = None
    assert i_frames_of(segments_of(sender)[0], 12_800) == ()
