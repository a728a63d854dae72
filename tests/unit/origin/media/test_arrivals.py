"""When media came, whatever became of its fragments."""

import pytest

from origin.media.arrivals import MOST_ARRIVALS, Arrivals


@pytest.mark.parametrize(("end", "then"), [(1, 10.0), (100, 10.0), (101, 11.0), (200, 11.0), (300, 12.5), (301, 0.0)])
def test_the_fragment_that_brought_the_last_of_it(end: int, then: float) -> None:
    arrivals = Arrivals()
    for at, now in [(100, 10.0), (200, 11.0), (300, 12.5), (300, 13.0), (250, 14.0)]:
        arrivals.arrived(at, now)
    assert arrivals.of(end) == then


def test_the_oldest_are_forgotten() -> None:
    arrivals = Arrivals()
    for n in range(3 * MOST_ARRIVALS):
        arrivals.arrived(n + 1, float(n))
    assert len(arrivals._ends) == len(arrivals._instants) == MOST_ARRIVALS
    assert arrivals.of(3 * MOST_ARRIVALS) == 3 * MOST_ARRIVALS - 1


def test_what_lies_before_a_segment_that_was_cut_is_forgotten() -> None:
    arrivals = Arrivals()
    for n in range(1, 11):
        arrivals.arrived(100 * n, float(n))
    assert arrivals.of_segment(550) == 6.0
    assert (len(arrivals._ends), arrivals.of(550), arrivals.of(601)) == (5, 6.0, 7.0)
