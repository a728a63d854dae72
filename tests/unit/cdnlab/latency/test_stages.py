"""Stages add up to the whole, whatever the instants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnlab.latency.stages import Unit, names, shares, stages

TIERS = ("origin", "shield", "fra")


def unit(received: float | None = 100.6, had: tuple[float, ...] = (100.7, 100.9, 101.0)) -> Unit:
    return Unit("part-1-2-3.m4s", 100.0, received, had, 102.0)


TABLE = [  # received, had of each tier, then
    (100.6, (100.7, 100.9, 101.0), [0.6, 0.1, 0.2, 0.1, 1.0]),
    (100.6, (100.9, 100.7, 101.0), [0.6, 0.3, 0.0, 0.1, 1.0]),  # the shield's client was woken first
    (100.6, (100.5, 100.7, 100.7), [0.6, 0.0, 0.1, 0.0, 1.3]),  # the origin's clock is a moment ahead
    (None, (100.7, 100.9, 101.0), [0.7, 0.2, 0.1, 1.0]),
    (100.6, (100.7, 100.9, 103.0), [0.6, 0.1, 0.2, 2.1, -1.0]),  # it came after its time: the player stalls
]


@pytest.mark.parametrize(("received", "had", "then"), TABLE)
def test_shares(received: float | None, had: tuple[float, ...], then: list[float]) -> None:
    one = unit(received, had)
    assert shares(one, TIERS) == pytest.approx(then)
    assert len(names(one, TIERS)) == len(then)
    assert sum(then) == pytest.approx(one.played - one.captured)


def test_rows_and_their_names() -> None:
    rows, whole = stages([unit(), unit(had=(100.7, 100.9, 101.4))], TIERS)
    assert [row.name for row in rows] == ["encoder", "origin", "shield", "fra", "player"]
    assert (rows[3].mean, rows[3].least, rows[3].most) == pytest.approx((0.3, 0.1, 0.5))
    assert (whole.name, whole.mean) == ("end to end", 2.0)


def test_an_origin_that_does_not_tell_shares_a_row_with_the_encoder() -> None:
    rows, _ = stages([unit(None)], TIERS)
    assert [row.name for row in rows] == ["encoder, origin", "shield", "fra", "player"]
    mixed, _ = stages([unit(None), unit()], TIERS)
    assert [row.name for row in mixed][:2] == ["encoder", "origin"], "of those that tell"


instants = st.floats(0, 1e6)


@given(st.lists(st.builds(Unit, st.just("x"), instants, st.one_of(st.none(), instants), st.tuples(instants, instants), instants), min_size=1, max_size=8))  # fmt: skip
def test_means_add_up(units: list[Unit]) -> None:
    rows, whole = stages(units, ("origin", "fra"))
    assert sum(row.mean for row in rows) == pytest.approx(whole.mean, abs=1e-3)
