"""The rates of a media playlist (RFC 8216 4.1), against a definition that tries every set of segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.hls.rates import Rates, average_bps, measured, peak_at_end

MEASURED = [  # segments (bytes, seconds), target, peak, average
    ([(1000, 4.0), (2000, 4.0)], 4, 4000.0, 3000.0),
    ([(1000, 4.0), (2000, 1.9)], 4, 3000 * 8 / 5.9, 3000 * 8 / 5.9),  # the short tail counts with its neighbour
    ([(500, 1.0), (3000, 1.0), (500, 1.0)], 4, 3500 * 8 / 2.0, 4000 * 8 / 3),  # no segment lasts half a target duration
    ([(2000, 1.0)], 4, 16000.0, 16000.0),  # nothing does: its average
    ([], 4, 0.0, 0.0),
    ([(10, 0.0)], 4, 0.0, 0.0),
]


@pytest.mark.parametrize(("segments", "target", "peak", "average"), MEASURED)
def test_4_1_peak_and_average(segments: list[tuple[int, float]], target: float, peak: float, average: float) -> None:
    assert measured(segments, target) == Rates(pytest.approx(peak), pytest.approx(average))


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0, 1.9, 2.0, 3.9, 4.0, 6.0])), max_size=20)
)
def test_4_1_the_peak_is_the_largest_rate_of_contiguous_segments_of_half_to_one_and_a_half_target_durations(
    segments: list[tuple[int, float]],
) -> None:
    sets = [segments[a:b] for a in range(len(segments)) for b in range(a + 1, len(segments) + 1)]
    counted = [one for one in sets if 2.0 <= sum(seconds for _, seconds in one) <= 6.0]
    wanted = max((average_bps(one) for one in counted), default=0.0)
    found = max((peak_at_end(reversed(segments[:end]), 4) for end in range(len(segments) + 1)), default=0.0)
    assert found == pytest.approx(wanted)
    assert measured(segments, 4).peak_bps == pytest.approx(wanted or average_bps(segments))
