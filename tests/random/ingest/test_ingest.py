"""What random requests have found, each as small as it gets; and a few hundred of them anew."""

import logging
from random import Random

import pytest

from tests.random.ingest.__main__ import part_of
from tests.random.ingest.bodies import FRAGMENTS, TRACKS, Case, Damage, Post, fragments, some_case
from tests.random.ingest.world import wrong_with

FOUND: list[tuple[str, Case]] = [
    ("well", tuple(Post(path) for path in TRACKS)),
    # The first sample of sound claims to last for twelve hours: it was cut again and again, and never ended. A hang.
    ("endless", (Post("a.cmfa", damages=(Damage("field", 0.06321, 0.4),)),)),
    # A decode time before 0, in 64 bits without a sign: it was taken for the end of all time, and a 500.
    ("negative", (Post("a.cmfa", damages=(Damage("later", 0.167, 0.079),)),)),
]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "origin")


@pytest.mark.parametrize("part", [None, 0.25], ids=["whole", "parts"])
@pytest.mark.parametrize("case", [case for _, case in FOUND], ids=[name for name, _ in FOUND])
def test_what_was_found(case: Case, part: float | None) -> None:
    assert wrong_with(case, part=part) is None


def test_a_track_that_is_well_is_what_it_should_be() -> None:
    assert all(len(fragments(path)) == FRAGMENTS for path in TRACKS)


@pytest.mark.long
def test_random_requests() -> None:
    """The same ones each time; `make fuzz-ingest` tries others."""
    for seed in range(150):
        wrong = wrong_with(some_case(Random(seed)), part=part_of(seed))
        assert wrong is None, f"seed {seed}: {wrong}"
