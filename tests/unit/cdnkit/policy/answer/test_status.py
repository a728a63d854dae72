"""Cache-Status, a row for each way an answer comes to be (RFC 9211)."""

import re

import http_sf
import pytest

from cdnkit.policy import (
    Behavior,
    EdgeMachine,
    Failure,
    Fetch,
    Headers,
    Join,
    Refuse,
    Relay,
    RequestHead,
    ResponseHead,
    Serve,
    Service,
)
from cdnkit.policy.answer.status import numbered_ids
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.plan import PurgeKind, PurgeOrder
from tests.kit.machine import NOW, fill, get
from tests.kit.machine import dated as says


def node() -> EdgeMachine:
    return EdgeMachine(Service(name="fra", behaviors=(Behavior(path="/no", cache=False), Behavior(path="*"))))


def of(answer: object) -> str:
    assert isinstance(answer, Serve | Relay | Refuse), answer
    value = Headers(answer.headers).joined("cache-status")
    assert value is not None
    http_sf.parse(value.encode(), tltype="list")  # a structured list (RFC 9651)
    return value


def asked(edge: EdgeMachine, request: RequestHead, answer: ResponseHead, now: float = NOW, size: int = 10) -> str:
    (made,) = fill(edge, request, answer, size, now).answers.values()
    return of(made)


FRESH = {"cache_control": "max-age=60"}


def test_a_hit_has_what_is_left_of_its_lifetime() -> None:
    edge = node()
    asked(edge, get(), says(**FRESH))
    assert of(edge.on_request(get(), NOW)) == "fra; hit; ttl=60"
    assert of(edge.on_request(get(), NOW + 59.5)) == "fra; hit; ttl=1"


def test_a_stale_hit_says_for_how_long_it_has_been() -> None:
    edge = node()
    asked(edge, get(), says(cache_control="max-age=60, stale-while-revalidate=60"))
    assert of(edge.on_request(get(), NOW + 70)) == "fra; hit; ttl=-10"


FORWARDED = [  # the request, the origin's answer, what Cache-Status says: of a first request
    (get(), says(**FRESH), "fra; fwd=uri-miss; ttl=60; stored"),
    (get(), says(cache_control="no-store"), "fra; fwd=uri-miss; detail=no-store"),
    (get(), says(cache_control="private"), "fra; fwd=uri-miss; detail=private"),
    (get("/no"), says(**FRESH), "fra; fwd=bypass"),
    (get(method="POST"), says(), "fra; fwd=method"),
    (get(cache_control="no-store"), says(**FRESH), "fra; fwd=request"),
]


@pytest.mark.parametrize(("request_", "answer", "expected"), FORWARDED)
def test_a_first_request(request_: RequestHead, answer: ResponseHead, expected: str) -> None:
    assert asked(node(), request_, answer) == expected


SECOND = [  # what is stored, the second request, when, the origin's answer to it, what Cache-Status says
    (FRESH, get(), 70, says(**FRESH), "fra; fwd=stale; ttl=60; stored"),
    ({**FRESH, "etag": '"1"'}, get(), 70, says(304, etag='"1"'), "fra; fwd=stale; fwd-status=304; ttl=60"),
    (FRESH, get(cache_control="no-cache"), 1, says(**FRESH), "fra; fwd=request; ttl=60; stored"),
    ({**FRESH, "vary": "x-a"}, get(x_a="1"), 1, says(**FRESH), "fra; fwd=vary-miss; ttl=60; stored"),
    (
        {"cache_control": "max-age=1, stale-if-error=60"}, get(), 10, says(503),
        "fra; fwd=stale; fwd-status=503; ttl=-9; detail=stale-if-error",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "request_", "after", "answer", "expected"), SECOND)
def test_a_second_request(
    stored: dict[str, str], request_: RequestHead, after: float, answer: ResponseHead, expected: str
) -> None:
    edge = node()
    asked(edge, get(), says(**stored))
    answer.headers.lines[0] = ("date", format_date(NOW + after))
    assert asked(edge, request_, answer, NOW + after) == expected


def test_a_part_that_does_not_do() -> None:
    edge = node()
    part = says(206, content_range="bytes 0-4/10", etag='"1"', **FRESH)
    assert asked(edge, get(range="bytes=0-4"), part, size=5) == "fra; fwd=uri-miss; ttl=60; stored"
    other = says(206, content_range="bytes 7-8/10", etag='"1"', **FRESH)
    assert asked(edge, get(range="bytes=7-8"), other, size=2) == "fra; fwd=partial; ttl=60; stored"


def test_who_waited_was_collapsed() -> None:
    edge = node()
    first, second = edge.on_request(get(), NOW), edge.on_request(get(), NOW)
    assert isinstance(first, Fetch) and isinstance(second, Join)
    landing = edge.on_response(first, says(**FRESH), NOW)
    assert of(landing.answers[second.ticket]) == "fra; fwd=uri-miss; ttl=60; collapsed"


def test_what_was_purged_says_so() -> None:
    edge = node()
    asked(edge, get(), says(**FRESH))
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW)
    assert asked(edge, get(), says(**FRESH)) == "fra; fwd=uri-miss; ttl=60; stored; detail=purged"


def test_it_stands_behind_what_nodes_nearer_the_origin_said() -> None:
    assert asked(node(), get(), says(cache_status="shield; hit; ttl=9", **FRESH)) == (
        "shield; hit; ttl=9, fra; fwd=uri-miss; ttl=60; stored"
    )


def test_an_answer_of_the_nodes_own_says_why() -> None:
    edge = node()
    fetch = edge.on_request(get(), NOW)
    assert isinstance(fetch, Fetch)
    failed = edge.on_failure(fetch, Failure.CONNECT, NOW).answers[fetch.ticket]
    assert of(failed) == 'fra; fwd=uri-miss; detail="origin: connect-refused"'
    asked(edge, get(), says(cache_control="max-age=1, must-revalidate"))
    fetch = edge.on_request(get(), NOW + 9)
    assert isinstance(fetch, Fetch)
    failed = edge.on_failure(fetch, Failure.CONNECT, NOW + 9).answers[fetch.ticket]
    assert of(failed) == 'fra; fwd=stale; detail="origin: connect-refused"'
    assert of(edge.on_request(get(method="TRACE"), NOW)) == 'fra; detail="method: TRACE is not for a cache to forward"'


def test_request_ids_are_of_one_form_another_each_time_and_the_same_in_each_run() -> None:
    fra, again, iad = numbered_ids("fra"), numbered_ids("fra"), numbered_ids("iad")
    ids = [fra() for _ in range(100)]
    assert all(re.fullmatch("[0-9a-f]{54}==", one) for one in ids)
    assert len(set(ids)) == 100
    assert ids == [again() for _ in range(100)]
    assert iad() not in ids
