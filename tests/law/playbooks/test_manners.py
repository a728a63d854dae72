"""Playbooks of an origin of bad manners: whatever it answers, one request asks it at most `MAX_UPSTREAM_REQUESTS` times."""

from collections.abc import Callable
from itertools import count

import pytest

from cdnkit.policy import (
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
from cdnkit.policy.plan import Landing
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.upstream.request import MAX_UPSTREAM_REQUESTS, mismatch
from cdnkit.vendors.cloudfront.profile import CLOUDFRONT
from cdnkit.vendors.fastly.profile import FASTLY
from tests.kit.machine import NOW as START
from tests.kit.machine import get, says

Origin = Callable[[RequestHead], ResponseHead]
Answer = Serve | Relay | Refuse
LATER = START + 100.0

numbers = count(1)


def part(first: int = 0, last: int = 1, **fields: str) -> ResponseHead:
    fields = {"cache_control": "max-age=60", "etag": '"1"'} | fields
    return says(206, content_range=f"bytes {first}-{last}/4", content_length=str(last - first + 1), **fields)


RUDE: dict[str, Origin] = {
    "206": lambda asked: part(),
    "206 not to be kept": lambda asked: part(cache_control="no-store"),
    "206 of other bytes": lambda asked: part(2, 3),
    "206 without Content-Range": lambda asked: says(206, etag='"1"', cache_control="max-age=60"),
    "206 of many parts": lambda asked: says(206, content_type="multipart/byteranges; boundary=x", etag='"1"'),
    "206 under a flipping tag": lambda asked: part(etag=f'"{next(numbers)}"'),
    "304": lambda asked: says(304, etag='"1"', cache_control="max-age=60"),
    "304 without a tag": lambda asked: says(304, cache_control="max-age=0"),
    "304 under a flipping tag": lambda asked: says(304, etag=f'"{next(numbers)}"'),
    "412": lambda asked: says(412),
    "416": lambda asked: says(416, content_range="bytes */4"),
    "416 that would be kept": lambda asked: says(416, cache_control="max-age=60"),
    "200 under a flipping tag": lambda asked: says(200, etag=f'"{next(numbers)}"', cache_control="no-cache"),
    "200 under a flipping Vary": lambda asked: says(200, vary=f"x-{next(numbers)}", cache_control="max-age=60"),
}

ASKED = {
    "a GET": {},
    "a GET of a part": {"range": "bytes=0-0"},
    "a GET of other bytes": {"range": "bytes=2-3"},
    "a GET of several parts": {"range": "bytes=0-0,2-3"},
    "a GET with a condition": {"if_none_match": '"mine"'},
    "a GET that would not be answered from the store": {"cache_control": "no-cache"},
    "a HEAD": {"method": "HEAD"},
}

STORED: dict[str, ResponseHead | None] = {
    "nothing": None,
    "a stale response": says(etag='"1"', cache_control="max-age=1"),
    "a stale response without a validator": says(cache_control="max-age=1"),
    "a stale part": part(cache_control="max-age=1"),
    "a fresh part": part(cache_control="max-age=600"),
}


def lived(
    edge: EdgeMachine, requests: list[RequestHead], origin: Origin, most: int = MAX_UPSTREAM_REQUESTS
) -> list[tuple[int, Answer]]:
    """(How often each asked, what it was answered), whatever the origin says to all that is asked of it."""
    asks: dict[int, int] = {}
    answers: dict[int, Answer] = {}
    owed: list[Fetch] = []
    order: list[int] = []

    def given(ticket: int, answer: Answer | Fetch) -> None:
        if isinstance(answer, Fetch):
            asks[ticket] = asks.get(ticket, 0) + 1
            assert asks[ticket] <= most, f"{asks[ticket]} questions for one request"
            owed.append(answer)
        else:
            answers[ticket] = answer
            if isinstance(answer, Serve) and answer.refresh is not None:
                owed.append(answer.refresh)

    for number, request in enumerate(requests):
        plan = edge.on_request(request, LATER)
        assert isinstance(plan, Fetch | Join | Serve | Refuse)
        ticket = plan.ticket if isinstance(plan, Fetch | Join) else -number
        order.append(ticket)
        if not isinstance(plan, Join):
            given(ticket, plan)
    while owed:
        fetch = owed.pop(0)
        landing: Landing = edge.on_response(fetch, origin(fetch.request), LATER)
        for ticket, answer in landing.answers.items():
            given(ticket, answer)
        if landing.store is not None and landing.store.length is not None:
            edge.on_body_end(fetch, landing.store.length, LATER)
    assert len(edge.flights) == 0
    return [(asks.get(ticket, 0), answers[ticket]) for ticket in order]


def holding(stored: ResponseHead | None, profile: Profile = RFC9111) -> EdgeMachine:
    edge = EdgeMachine(Service(name="fra"), profile)
    if stored is not None:
        fetch = edge.on_request(get(range="bytes=0-1") if stored.status == 206 else get(), START)
        assert isinstance(fetch, Fetch)
        edge.on_response(fetch, stored, START)
        edge.on_body_end(fetch, 2, START)
    return edge


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=["rfc9111", "cloudfront", "fastly"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("origin", RUDE)
def test_no_answer_makes_a_request_ask_more_than_its_share(origin: str, stored: str, profile: Profile) -> None:
    for wanted in ASKED.values():
        edge = holding(STORED[stored], profile)
        lived(edge, [get(**wanted), get(**wanted), get()], RUDE[origin])  # type: ignore[arg-type]


ANSWERED = [  # the origin, what is asked, what is stored: questions, status, reason
    ("206", "a GET", "nothing", 1, 502, "origin: 206 to a request without Range"),
    ("206", "a HEAD", "nothing", 1, 206, ""),  # passed on: a HEAD has no body that could be a part
    ("206", "a GET with a condition", "nothing", 2, 502, "origin: 206 to a request without Range"),
    ("206", "a GET that would not be answered from the store", "nothing", 1, 502, "origin: 206 to a request without Range"),
    ("206", "a GET", "a stale response", 2, 502, "origin: 206 to a request without Range"),
    ("206", "a GET of a part", "nothing", 1, 206, ""),
    ("206 of other bytes", "a GET of a part", "nothing", 1, 206, ""),  # as it says of itself
    ("206 of other bytes", "a GET", "a fresh part", 1, 200, ""),  # the very rest
    ("206", "a GET", "a fresh part", 2, 502, "origin: 206 to a request without Range"),  # not the rest
    ("304", "a GET", "nothing", 1, 502, "origin: 304 to a request without conditions"),
    ("304", "a GET with a condition", "nothing", 1, 304, ""),
    ("304", "a GET", "a stale response", 1, 200, ""),
    ("304", "a GET", "a stale response without a validator", 1, 502, "origin: 304 to a request without conditions"),
    ("304", "a GET", "a fresh part", 2, 502, "origin: 304 to a request without conditions"),
    ("304 under a flipping tag", "a GET", "a stale response", 2, 502, "origin: 304 to a request without conditions"),
    ("412", "a GET", "nothing", 1, 412, ""),
    ("416", "a GET", "nothing", 1, 416, ""),  # an error like another
    ("416", "a GET", "a fresh part", 2, 416, ""),  # the rest is not there any more: the whole is asked for
    ("416", "a GET of other bytes", "a fresh part", 1, 416, ""),
]  # fmt: skip


@pytest.mark.parametrize(("origin", "wanted", "stored", "asks", "status", "reason"), ANSWERED)
def test_what_comes_of_an_answer_to_something_else(
    origin: str, wanted: str, stored: str, asks: int, status: int, reason: str
) -> None:
    edge = holding(STORED[stored])
    ((asked, answer),) = lived(edge, [get(**ASKED[wanted])], RUDE[origin])  # type: ignore[arg-type]
    assert (asked, answer.status) == (asks, status)
    assert (answer.reason if isinstance(answer, Refuse) else "") == reason


def test_a_thousand_who_waited_for_what_does_not_fit_are_told_by_one_question() -> None:
    told = lived(holding(None), [get()] * 1000, RUDE["206"])
    assert sum(asks for asks, _ in told) == 1
    assert {answer.status for _, answer in told} == {502}


def test_what_is_stored_stands_in_for_an_answer_that_does_not_fit() -> None:
    edge = holding(says(etag='"1"', cache_control="max-age=1, stale-if-error=600"))
    ((asks, answer),) = lived(edge, [get()], RUDE["206"])
    assert (asks, answer.status) == (2, 200) and "stale-if-error" in dict(answer.headers)["cache-status"]


def test_the_second_question_is_plain() -> None:
    """Another stores something meanwhile: that is not asked about, so that any answer is of use."""
    edge = holding(says(etag='"1"', cache_control="max-age=1"))
    first = edge.on_request(get(), LATER)
    assert isinstance(first, Fetch) and "if-none-match" in first.request.headers
    insisting = edge.on_request(get(cache_control="no-cache"), LATER)
    assert isinstance(insisting, Fetch)
    edge.on_response(insisting, says(etag='"2"', cache_control="max-age=0"), LATER)
    edge.on_body_end(insisting, 2, LATER)
    second = edge.on_response(first, says(304, etag='"1"'), LATER).answers[first.ticket]
    assert isinstance(second, Fetch) and second.request.headers.first("if-none-match") is None


@pytest.mark.parametrize("origin", ["206", "304"])
def test_the_bound_holds_even_where_nobody_sees_that_an_answer_does_not_fit(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdnkit.policy.machine.landings.mismatch", lambda question, answer: None)
    told = lived(holding(None), [get()] * 3, RUDE[origin])
    assert all(asks <= MAX_UPSTREAM_REQUESTS for asks, _ in told)


MISFITS = [  # fields of the question, status of the answer, whether it fits
    ({}, 200, True),
    ({}, 206, False),
    ({"range": "bytes=0-"}, 206, True),
    ({"range": "bytes=0-", "method": "HEAD"}, 206, True),  # nobody would get its body
    ({"method": "HEAD"}, 304, True),
    ({}, 304, False),
    ({"if_none_match": '"1"'}, 304, True),
    ({"if_modified_since": "x"}, 304, True),
    ({"if_match": '"1"'}, 304, False),
    ({"range": "bytes=0-", "if_range": '"1"'}, 304, False),
    ({}, 412, True),
    ({}, 416, True),
]


@pytest.mark.parametrize(("fields", "status", "fits"), MISFITS)
def test_whether_an_answer_is_one_to_the_question(fields: dict[str, str], status: int, fits: bool) -> None:
    assert (mismatch(get(**fields), ResponseHead(status, Headers())) is None) is fits  # type: ignore[arg-type]


def test_a_range_goes_on_with_the_if_range_that_bounds_it() -> None:
    """Without it the origin would send a part of another version to one who wants that whole."""
    edge = holding(STORED["a stale part"])
    asking = edge.on_request(get(range="bytes=0-0", if_range='"1"'), LATER)
    assert isinstance(asking, Fetch)
    asked = asking.request.headers
    assert (asked.first("range"), asked.first("if-range"), asked.first("if-none-match")) == ("bytes=0-0", '"1"', '"1"')


@pytest.mark.parametrize("origin", RUDE)
def test_a_page_in_place_of_an_error_is_asked_for_no_oftener(origin: str) -> None:
    pages = [{"status": status, "page": f"/{status}.html", "response_status": status} for status in (416, 502)]
    edge = EdgeMachine(Service.model_validate({"name": "fra", "error_pages": pages}))
    lived(edge, [get(), get(), get("/b")], RUDE[origin], most=2 * MAX_UPSTREAM_REQUESTS)
    assert not edge.state.substitutions


# ---- as others have met it: what is stored, what is asked, what the origin says to the question; status, Content-Range ----

WHOLE = says(etag='"1"', cache_control="max-age=1", content_length="10")
MET: list[tuple[ResponseHead, dict[str, str], ResponseHead | None, int, str | None]] = [
    # a 304 to the node's own condition, for viewers who made none
    (WHOLE, {}, says(304, etag='"1"'), 200, None),
    (WHOLE, {"cache_control": "max-stale=6"}, says(304, etag='"1"'), 200, None),
    (WHOLE, {"if_none_match": '"0"'}, says(304, etag='"1"'), 200, None),
    (WHOLE, {"if_none_match": '"1"'}, says(304, etag='"1"'), 304, None),
    # a range of what has to be validated first: an error is told as one, and is no part of anything
    (WHOLE, {"range": "bytes=2-4"}, says(304, etag='"1"'), 206, "bytes 2-4/10"),
    (WHOLE, {"range": "bytes=2-4"}, says(404), 404, None),
    (WHOLE, {"range": "bytes=2-4"}, says(500), 500, None),
    # a range that lies half in a stored part: an error is not made up for by that half
    (part(cache_control="max-age=600"), {"range": "bytes=1-3"}, says(403), 403, None),
    (part(cache_control="max-age=600"), {"range": "bytes=1-3"}, says(503), 503, None),
    (part(cache_control="max-age=600"), {"range": "bytes=1-3"}, None, 502, None),
]


@pytest.mark.parametrize(("stored", "fields", "said", "status", "shown"), MET)
def test_as_others_have_met_it(
    stored: ResponseHead, fields: dict[str, str], said: ResponseHead | None, status: int, shown: str | None
) -> None:
    edge = EdgeMachine(Service(name="fra"))
    first = edge.on_request(get(range="bytes=0-1") if stored.status == 206 else get(), START)
    assert isinstance(first, Fetch)
    edge.on_response(first, stored, START)
    edge.on_body_end(first, 2 if stored.status == 206 else 10, START)
    asking = edge.on_request(get(**fields), LATER)  # type: ignore[arg-type]
    assert isinstance(asking, Fetch)
    if said is None:
        landing = edge.on_failure(asking, Failure.RESET, LATER)
    else:
        landing = edge.on_response(asking, said, LATER)
    answer = landing.answers[asking.ticket]
    assert not isinstance(answer, Fetch) and answer.status == status
    assert Headers(answer.headers).first("content-range") == shown
