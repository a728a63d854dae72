"""Fastly's freshness rules with the boilerplate VCL, a row each: "Cache freshness", "Age", "Request collapsing"."""

from dataclasses import replace

import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import Fetch, Join, Serve
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, Ttl
from cdnkit.vendors import FASTLY
from tests.kit.machine import NOW, at, fetched, filled, kept_for, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

OLDER = replace(FASTLY, pass_words=("private",))

VECTORS = [  # id, profile, request, the origin's answer, ttl or why it is a pass
    ("FA-T01", FASTLY, ask(), says(), 3600),
    ("FA-T01-bare-VCL", replace(FASTLY, default_ttl=120.0), ask(), says(), 120),
    (
        "FA-T02", FASTLY, ask(),
        says(surrogate_control="max-age=3600", cache_control="max-age=60"), 3600,
    ),
    ("FA-T03", FASTLY, ask(), says(cache_control="max-age=60, s-maxage=10"), 10),
    ("FA-T04", FASTLY, ask(), says(cache_control="max-age=60", expires=at(300)), 60),
    ("FA-T05", FASTLY, ask(), says(expires=at(300)), 300),
    ("FA-T06", FASTLY, ask(), says(cache_control="max-age=30", age="10"), 20),
    ("FA-T07", FASTLY, ask(), says(cache_control="private, max-age=60"), "private"),
    ("FA-T08", FASTLY, ask(), says(cache_control="no-store, max-age=60"), "no-store"),
    ("FA-T08-older", OLDER, ask(), says(cache_control="no-store, max-age=60"), 60),
    ("FA-T09", FASTLY, ask(), says(cache_control="no-cache, max-age=60"), 60),
    ("FA-T10", FASTLY, ask(), says(cache_control="max-age=60", set_cookie="a=b"), "set-cookie"),
    ("FA-T11", FASTLY, ask(), says(404), 3600),
    ("FA-T12-500", FASTLY, ask(), says(500, cache_control="max-age=60"), "status"),
    ("FA-T12-204", FASTLY, ask(), says(204, cache_control="max-age=60"), "status"),
    ("FA-T13", FASTLY, ask(),
     says(surrogate_control="max-age=60, stale-while-revalidate=30",
          cache_control="max-age=5, stale-while-revalidate=600"), 60),
    ("FA-T14", FASTLY, ask(method="POST"), says(cache_control="max-age=60"), "method"),
    # Between the vectors.
    ("410", FASTLY, ask(), says(410), 3600),
    ("302", FASTLY, ask(), says(302, location="/b"), 3600),
    ("surrogate-without-max-age", FASTLY, ask(),
     says(surrogate_control="stale-while-revalidate=30", cache_control="max-age=5"), 5),
    ("surrogate-and-private", FASTLY, ask(), says(surrogate_control="max-age=60", cache_control="private"), "private"),
    ("private-of-a-field", FASTLY, ask(), says(cache_control='private="x", max-age=60'), "private"),  # a regex, no parser
    ("no-heuristics", FASTLY, ask(), says(last_modified=at(-1_000_000)), 3600),
    # (observed): what switches do, which Fastly's pages do not promise.
    ("names-in-lower-case", FASTLY, ask(), says(cache_control="Max-Age=60"), 3600),
    ("names-of-some-in-lower-case", FASTLY, ask(), says(cache_control="S-MAXAGE=10, max-age=60"), 60),
    ("pass-words-in-lower-case", FASTLY, ask(), says(cache_control="Private, max-age=60"), 60),
    ("no-targeted-field", FASTLY, ask(), says(cdn_cache_control="max-age=7", cache_control="max-age=60"), 60),
    ("authorization", FASTLY, ask(authorization="Basic x"), says(cache_control="max-age=60"), 60),
    ("vary-star", FASTLY, ask(), says(cache_control="max-age=60", vary="*"), 60),
    ("default-takes-no-account-of-age", FASTLY, ask(), says(age="100"), 3600),
    ("expires-takes-no-account-of-age", FASTLY, ask(), says(age="100", expires=at(300)), 300),
]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "request_", "response", "expected"), [row[1:] for row in VECTORS], ids=[row[0] for row in VECTORS]
)
def test_ttl(profile: Profile, request_: RequestHead, response: ResponseHead, expected: float | str) -> None:
    assert kept_for(response, profile, request=request_) == expected


UNCACHEABLE = [204, 206, 299, 303, 307, 308, 400, 403, 405, 414, 499, 500, 501, 502, 503, 504, 599]


@pytest.mark.parametrize("status", UNCACHEABLE)
def test_other_statuses_are_not_cached_whatever_they_say(status: int) -> None:
    assert kept_for(says(status, cache_control="max-age=60"), FASTLY) == "status"


@pytest.mark.parametrize("status", [200, 203, 300, 301, 302, 404, 410])
def test_cacheable_statuses(status: int) -> None:
    assert kept_for(says(status), FASTLY) == 3600


def test_fa_t02_surrogate_fields_end_at_the_viewer_and_go_on_from_a_shield() -> None:
    response = says(surrogate_control="max-age=3600", surrogate_key="a b", cache_control="max-age=60")
    for faces_viewers, expected in (
        (True, {"cache-control"}),
        (False, {"cache-control", "surrogate-control", "surrogate-key"}),
    ):
        machine = node(FASTLY, gate=faces_viewers)
        filled(machine, response)
        hit = machine.on_request(ask(), NOW + 100)
        assert isinstance(hit, Serve)
        assert {name for name, _ in hit.headers} & {"cache-control", "surrogate-control", "surrogate-key"} == expected
        assert machine.index.by_surrogate_keys("a") != []


def test_fa_t06_age_starts_where_the_received_one_stood() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=30", age="10"))
    hit = edge.on_request(ask(), NOW + 5)
    assert isinstance(hit, Serve) and dict(hit.headers)["age"] == "15"
    assert isinstance(edge.on_request(ask(), NOW + 20), Fetch)


def test_with_a_ttl_from_expires_the_age_starts_at_0_whatever_age_came() -> None:
    edge = node(FASTLY)
    filled(edge, says(age="100", expires=at(300)))
    hit = edge.on_request(ask(), NOW + 5)
    assert isinstance(hit, Serve) and dict(hit.headers)["age"] == "5"
    assert isinstance(edge.on_request(ask(), NOW + 299), Serve) and isinstance(edge.on_request(ask(), NOW + 300), Fetch)


def test_an_expired_object_is_asked_for_with_its_validators_and_a_304_starts_its_ttl_anew() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=10", etag='"1"', last_modified=at(-100)))
    plan = fetched(edge, edge.on_request(ask(), NOW + 10))
    assert plan.request.headers.first("if-none-match") == '"1"'
    assert plan.request.headers.first("if-modified-since") == at(-100)
    edge.on_response(plan, says(304, cache_control="max-age=10"), NOW + 10)
    assert isinstance(edge.on_request(ask(), NOW + 19), Serve)


def test_inside_stale_while_revalidate_it_serves_stale_and_asks_behind() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=10, stale-while-revalidate=30"))
    stale = edge.on_request(ask(), NOW + 20)
    assert isinstance(stale, Serve) and stale.outcome is Outcome.HIT_STALE and stale.refresh is not None


def test_fa_t13_stale_windows_come_from_where_they_stand() -> None:
    edge = node(FASTLY)
    filled(
        edge,
        says(surrogate_control="max-age=60, stale-while-revalidate=30", cache_control="stale-while-revalidate=600"),
    )
    assert isinstance(edge.on_request(ask(), NOW + 89), Serve)
    assert isinstance(edge.on_request(ask(path="/b"), NOW), Fetch)
    machine = node(FASTLY)
    filled(machine, says(surrogate_control="max-age=60", cache_control="max-age=5, stale-while-revalidate=600"))
    assert isinstance(machine.on_request(ask(), NOW + 600), Serve)


MARKED = [("FA-T07", says(cache_control="private, max-age=60")), ("FA-T10", says(set_cookie="a=b"))]


@pytest.mark.parametrize("response", [row[1] for row in MARKED], ids=[row[0] for row in MARKED])
def test_a_pass_from_vcl_fetch_leaves_a_marker_and_all_who_waited_go_at_once(response: ResponseHead) -> None:
    edge = node(FASTLY)
    leader = fetched(edge, edge.on_request(ask(), NOW))
    others = [edge.on_request(ask(), NOW) for _ in range(3)]
    landing = edge.on_response(leader, response, NOW)
    assert all(isinstance(landing.answers[other.ticket], Fetch) for other in others)  # type: ignore[union-attr]
    later = [edge.on_request(ask(), NOW + 60) for _ in range(2)]
    assert all(isinstance(plan, Fetch) for plan in later)


def test_an_uncacheable_answer_that_is_delivered_leaves_none_and_who_waited_goes_one_after_another() -> None:
    edge = node(FASTLY)
    leader = fetched(edge, edge.on_request(ask(), NOW))
    second, third = edge.on_request(ask(), NOW), edge.on_request(ask(), NOW)
    landing = edge.on_response(leader, says(303, cache_control="max-age=60"), NOW)
    again = landing.answers[second.ticket]  # type: ignore[union-attr]
    assert isinstance(again, Fetch) and third.ticket not in landing.answers  # type: ignore[union-attr]
    landing = edge.on_response(again, says(303), NOW)
    assert isinstance(landing.answers[third.ticket], Fetch)  # type: ignore[union-attr]
    assert isinstance(edge.on_request(ask(), NOW), Join)


STALE = [  # the stored answer, the behavior's window, what the origin does, stale?
    ("error delivered", says(cache_control="max-age=1"), None, 503, False),
    ("stale-if-error alone", says(cache_control="max-age=1, stale-if-error=600"), None, 503, False),
    ("unreachable", says(cache_control="max-age=1"), None, None, False),
    ("switched on", says(cache_control="max-age=1"), 600.0, 503, True),
    ("404 replaces", says(cache_control="max-age=1"), 600.0, 404, False),
    ("410 replaces", says(cache_control="max-age=1"), 600.0, 410, False),
]


@pytest.mark.parametrize(("stored", "window", "origin", "stale"), [row[1:] for row in STALE], ids=[r[0] for r in STALE])
def test_stale_on_error_is_off_until_it_is_switched_on(
    stored: ResponseHead, window: float | None, origin: int | None, stale: bool
) -> None:
    edge = node(FASTLY, Behavior(path="*", stale_if_error=window))
    filled(edge, stored)
    plan = fetched(edge, edge.on_request(ask(), NOW + 30))
    if origin is None:
        landing = edge.on_failure(plan, Failure.CONNECT, NOW + 30)
    else:
        landing = edge.on_response(plan, says(origin), NOW + 30)
    assert (landing.answers[plan.ticket].outcome is Outcome.HIT_STALE) is stale  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_an_unsafe_method_invalidates_nothing(method: str) -> None:
    """(observed)"""
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=60"))
    plan = fetched(edge, edge.on_request(ask(method=method), NOW + 1))
    edge.on_response(plan, says(200), NOW + 1)
    assert isinstance(edge.on_request(ask(), NOW + 2), Serve)


@pytest.mark.parametrize(
    "fields", [{"cache_control": "no-cache"}, {"cache_control": "max-age=0"}, {"pragma": "no-cache"}]
)
def test_what_viewers_say_of_caching_is_not_heard(fields: dict[str, str]) -> None:
    """(observed)"""
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=60"))
    assert isinstance(edge.on_request(ask(**fields), NOW + 1), Serve)


def test_vary_star_is_reused() -> None:
    """(observed)"""
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=60", vary="*"))
    assert isinstance(edge.on_request(ask(), NOW + 1), Serve)


def test_a_head_that_misses_is_asked_as_a_get_which_is_kept() -> None:
    """(observed)"""
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(method="HEAD"), NOW))
    assert plan.request.method == "GET"
    answer = edge.on_response(plan, says(cache_control="max-age=60"), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and not answer.body
    edge.on_body_end(plan, 10, NOW)
    assert isinstance(edge.on_request(ask(), NOW + 1), Serve)


def test_there_are_no_bounds_but_those_a_behavior_sets() -> None:
    assert kept_for(says(cache_control="max-age=999999999"), FASTLY) == 999_999_999
    assert kept_for(says(cache_control="max-age=60"), FASTLY, Behavior(path="*", ttl=Ttl(max=10.0))) == 10
