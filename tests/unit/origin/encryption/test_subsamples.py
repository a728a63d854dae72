"""Subsamples fill their sample, within the bits of their fields, whatever the NAL units are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.encryption.slice_headers import ParameterSets
from origin.encryption.subsamples import LONGEST_CLEAR, MOST, protected_ranges, subsamples
from origin.errors import BadMedia

LENGTHS = st.integers(0, 3 * LONGEST_CLEAR)


@given(runs=st.lists(st.tuples(LENGTHS, st.integers(1, 200_000)), max_size=80), tail=LENGTHS)
def test_subsamples_fill_the_sample(runs: list[tuple[int, int]], tail: int) -> None:
    ranges, at = [], 0
    for clear, size in runs:
        ranges.append((at + clear, at + clear + size))
        at += clear + size
    try:
        kept, found = subsamples(at + tail, ranges)
    except BadMedia:
        assert at + tail > MOST * LONGEST_CLEAR
        return
    assert sum(clear + size for clear, size in found) == at + tail
    assert all(clear <= LONGEST_CLEAR for clear, _ in found)
    assert len(found) <= MOST and 2 + 6 * MOST <= 255
    spans, at = [], 0
    for clear, size in found:
        if size:
            spans.append((at + clear, at + clear + size))
        at += clear + size
    assert spans == kept
    assert set(kept) <= set(ranges)


def test_a_long_clear_run_is_several_subsamples() -> None:
    """SEI of 150 kB before a slice: cut to 16 bits without a word elsewhere."""
    _, found = subsamples(150_110, [(150_010, 150_110)])
    assert found == [(LONGEST_CLEAR, 0), (LONGEST_CLEAR, 0), (150_010 - 2 * LONGEST_CLEAR, 100)]


def test_of_many_slices_the_largest_are_encrypted() -> None:
    ranges = [(100 * at + 10, 100 * at + 20 + at) for at in range(60)]
    kept, found = subsamples(6000, ranges)
    assert kept == ranges[-MOST + 1 :]  # and one for what is clear at the end
    assert len(found) == MOST


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        (b"\0\0\0\x09\x65abc", "9 bytes"),  # a NAL unit beyond the sample
        (b"\0\0\0\x02\x65\xff", "picture parameter set"),  # a slice before its parameter sets
        (b"\0\0\0\x02\x62\x80", "data partition 2"),
        (b"\0\0\0\x02\x67\x64", "its end after 2 bytes"),
        (b"\0\0", "NAL unit"),
    ],
)
def test_damage_is_named(sample: bytes, found: str) -> None:
    with pytest.raises(BadMedia, match=found):
        protected_ranges(memoryview(sample), 4, ParameterSets())


def test_what_is_no_slice_stays_clear() -> None:
    sample = b"\0\0\0\2\x09\xf0" + b"\0\0\0\0" + b"\0\0\0\3\x06ab"
    assert protected_ranges(memoryview(sample), 4, ParameterSets()) == []
    assert subsamples(len(sample), []) == ([], [(len(sample), 0)])
