"""When a load test has failed, whatever it counted; and what a person reads of it."""

from typing import Any

import pytest

from loadtests.launch import failures
from loadtests.tally import sentence

GOOD: dict[str, Any] = {
    "viewers": 100, "started": 100, "requests": 2000, "failures": {}, "rebuffer_ratio": 0.0, "stalls": 0, "stalled": 0.0,
    "startup_ms": {"p50": 80.0}, "live_latency": {"p50": 6.5}, "hit_share": 0.97,
}  # fmt: skip

ROWS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"failures": {"ConnectionRefusedError": 20}}, []),  # an edge that was restarted
    ({"failures": {"ConnectionRefusedError": 19, "timeout": 2}}, ["21 of 2000 requests had no answer"]),
    ({"failures": {"503": 500, "404": 90}, "rebuffer_ratio": 0.1}, []),  # results: faults are put there on purpose
    ({"failures": {"short-body": 500, "bad-playlist": 90}}, []),
    ({"rebuffer_ratio": 0.31}, ["pictures stood still for 31% of the time"]),
    ({"started": 0, "rebuffer_ratio": None, "startup_ms": None}, ["no viewer saw a picture"]),
    (
        {"started": 0, "requests": 9, "failures": {"no-answer": 9}},
        ["no viewer saw a picture", "9 of 9 requests had no answer"],
    ),
    ({"started": 0, "requests": 0}, ["no viewer saw a picture"]),
]


@pytest.mark.parametrize(("given", "then"), ROWS)
def test_a_run_has_failed(given: dict[str, Any], then: list[str]) -> None:
    assert failures({"total": GOOD | given, "generator": {"bound": False}}) == then


def test_a_generator_past_its_bound_measures_itself() -> None:
    assert failures({"total": GOOD | {"rebuffer_ratio": 0.5}, "generator": {"bound": True}}) == []


def test_what_the_viewers_saw_in_a_sentence() -> None:
    assert sentence({"total": GOOD | {"stalls": 3, "stalled": 1.25, "rebuffer_ratio": 0.0125}}) == (
        "100 of 100 viewers saw a picture, the first after 80 ms (p50), 3 stalls, 1.2 s in all, rebuffering 1.25%, "
        "6.5 s behind live (p50), 97.0% hits"
    )
    nothing = {"started": 0, "startup_ms": None, "rebuffer_ratio": None, "live_latency": None, "hit_share": None}
    assert sentence({"total": GOOD | nothing}) == "0 of 100 viewers saw a picture, 0 stalls, 0.0 s in all"
