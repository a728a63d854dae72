"""Playbooks of a fill that fails, when something that answers has come to lie in the store by another way."""

from collections.abc import Callable

import pytest

from cdnkit.policy import EdgeMachine, Failure, Fetch, Join, PurgeKind, PurgeOrder, RequestHead, ResponseHead, Serve
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Landing
from tests.kit.machine import NOW as START
from tests.kit.machine import get, machine, says

Fails = Callable[[EdgeMachine, Fetch, float], Landing]

FAILURES: dict[str, Fails] = {
    "no answer": lambda edge, fetch, now: edge.on_failure(fetch, Failure.RESET, now),
    "not asked": lambda edge, fetch, now: edge.on_failure(fetch, Failure.SICK, now),
    "503": lambda edge, fetch, now: edge.on_response(fetch, says(503), now),
    "503, not to be kept": lambda edge, fetch, now: edge.on_response(fetch, says(503, cache_control="no-store"), now),
    "503, to be kept": lambda edge, fetch, now: edge.on_response(fetch, says(503, cache_control="max-age=60"), now),
    "206 to a GET": lambda edge, fetch, now: edge.on_response(fetch, says(206, content_range="bytes 0-1/4"), now),
}


def waiting(request: RequestHead, by_then: ResponseHead, size: int = 10) -> tuple[EdgeMachine, Fetch, Join]:
    """Two who wait for one fill, which a purge overtakes: a third's is stored meanwhile."""
    edge = machine()
    leader, follower = edge.on_request(request, START), edge.on_request(request, START)
    assert isinstance(leader, Fetch) and isinstance(follower, Join)
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), START + 1)
    third = edge.on_request(get(), START + 1)
    assert isinstance(third, Fetch)
    edge.on_response(third, by_then, START + 1)
    edge.on_body_end(third, size, START + 1)
    return edge, leader, follower


@pytest.mark.parametrize("fails", FAILURES)
def test_who_waited_for_a_fill_that_failed_has_what_is_fresh_by_then(fails: str) -> None:
    edge, leader, follower = waiting(get(), says(cache_control="max-age=60", etag='"2"'))
    landing = FAILURES[fails](edge, leader, START + 2)
    answers = [landing.answers[ticket] for ticket in (leader.ticket, follower.ticket)]
    assert all(isinstance(answer, Serve) and answer.status == 200 for answer in answers)
    assert [answer.outcome for answer in answers] == [Outcome.HIT, Outcome.HIT]  # type: ignore[union-attr]
    assert isinstance(edge.on_request(get(), START + 3), Serve), "the error takes nothing's place"
    assert len(edge.flights) == 0


BY_THEN = [  # what is stored by then, how the fill fails 10 s later, what those who waited get, and what those who come
    ("max-age=1, stale-if-error=60", "503", 200, Outcome.HIT_STALE),
    ("max-age=1, stale-if-error=60", "206 to a GET", 200, Outcome.HIT_STALE),
    ("max-age=1, stale-while-revalidate=60", "503", 200, Outcome.HIT_STALE),
    ("max-age=1", "no answer", 200, Outcome.HIT_STALE),  # disconnected (RFC 9111 §4.2.4)
    ("max-age=1", "503", 503, Outcome.MISS),
    ("max-age=1, must-revalidate", "no answer", 502, Outcome.FAILED),
    ("max-age=60, no-cache", "no answer", 502, Outcome.FAILED),
]


@pytest.mark.parametrize(("control", "fails", "status", "outcome"), BY_THEN)
def test_what_is_stale_by_then_stands_in_as_far_as_it_may(
    control: str, fails: str, status: int, outcome: Outcome
) -> None:
    edge, leader, _ = waiting(get(), says(cache_control=control, etag='"2"'))
    answer = FAILURES[fails](edge, leader, START + 11).answers[leader.ticket]
    assert (answer.status, answer.outcome) == (status, outcome)  # type: ignore[union-attr]


NOT_ITS = [  # what they ask for, and what is stored by then, which is not for them
    (get(), says(cache_control="max-age=60", vary="x-a")),  # fits: both lack the field
    (get(x_a="1"), says(cache_control="max-age=60", vary="x-a")),
]


@pytest.mark.parametrize(("request_", "by_then"), NOT_ITS)
def test_only_what_answers_them(request_: RequestHead, by_then: ResponseHead) -> None:
    edge = machine()
    leader = edge.on_request(request_, START)
    assert isinstance(leader, Fetch)
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), START + 1)
    third = edge.on_request(get(), START + 1)
    assert isinstance(third, Fetch)
    edge.on_response(third, by_then, START + 1)
    edge.on_body_end(third, 10, START + 1)
    answer = edge.on_failure(leader, Failure.RESET, START + 2).answers[leader.ticket]
    assert isinstance(answer, Serve) is (not request_.headers.lines)


def test_a_refresh_that_fails_takes_nothing_fresh_away() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    assert isinstance(first, Fetch)
    edge.on_response(first, says(cache_control="max-age=1, stale-while-revalidate=60"), START)
    edge.on_body_end(first, 10, START)
    stale = edge.on_request(get(), START + 2)
    assert isinstance(stale, Serve) and stale.refresh is not None
    insisting = edge.on_request(get(cache_control="no-cache"), START + 3)
    assert isinstance(insisting, Fetch)
    edge.on_response(insisting, says(cache_control="max-age=600"), START + 3)
    edge.on_body_end(insisting, 10, START + 3)
    edge.on_response(stale.refresh, says(503, cache_control="max-age=60"), START + 4)
    answer = edge.on_request(get(), START + 5)
    assert isinstance(answer, Serve) and answer.status == 200
