"""CloudFront's expiry and error-caching tables, a row each: "Manage how long content stays in the cache"."""

import pytest

from cdnkit.policy.freshness.reuse import Standing, standing
from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import Fetch, Join, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.service import Behavior, Key, Ttl
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, at, bounds, fetched, filled, kept_for, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

YEAR = 31_536_000.0
USUAL = bounds(0, 86_400, YEAR)

VECTORS = [  # id, behavior, the origin's answer, seconds at the edge or why it is not kept
    ("CF-T01", USUAL, says(), 86_400),
    ("CF-T02", USUAL, says(cache_control="max-age=60"), 60),
    ("CF-T03", USUAL, says(cache_control="max-age=60, s-maxage=10"), 10),
    ("CF-T04", bounds(0, 30, 30), says(cache_control="max-age=60"), 30),
    ("CF-T05", USUAL, says(cache_control="max-age=0"), 0),
    ("CF-T06", USUAL, says(expires=at(300)), 300),
    ("CF-T07", USUAL, says(cache_control="max-age=60", expires=at(300)), 60),
    ("CF-T08", USUAL, says(expires=at(-10)), 0),
    ("CF-T09", USUAL, says(cache_control="no-store"), "no-store"),
    ("CF-T10", bounds(1, 86_400, YEAR), says(cache_control="no-store"), 1),
    ("CF-T11", bounds(1, 86_400, YEAR), says(cache_control="max-age=0"), 1),
    ("CF-T12", bounds(100, 100, YEAR), says(), 100),
    ("CF-T13", bounds(5, 10, 60), says(cache_control="max-age=600"), 60),
    ("CF-T14", bounds(5, 10, 60), says(cache_control="max-age=2"), 5),
    ("CF-T16", USUAL, says(cache_control="public"), 86_400),
    ("CF-T17", USUAL, says(404), 10),
    ("CF-T18", USUAL, says(404, cache_control="max-age=60"), 60),
    ("CF-T19", USUAL, says(503, cache_control="max-age=2"), 10),
    ("CF-T20", USUAL, says(403), "status"),
    ("CF-T21", USUAL, says(416, cache_control="max-age=60"), "status"),
    # The table's other cells.
    ("min0-no-cache", USUAL, says(cache_control="no-cache"), 0),
    ("min0-private", USUAL, says(cache_control="private"), "private"),
    ("min0-s-maxage-alone", bounds(0, 30, 60), says(cache_control="s-maxage=600"), 60),
    ("min-no-cache", bounds(7, 7, YEAR), says(cache_control="no-cache"), 7),
    ("min-private", bounds(7, 7, YEAR), says(cache_control="private"), 7),
    ("min-all-three", bounds(7, 7, YEAR), says(cache_control="no-cache, no-store, private, max-age=60"), 7),
    ("min-nothing", bounds(7, 9, YEAR), says(), 9),
    ("min-expires", bounds(7, 9, 60), says(expires=at(2)), 7),
    ("max-expires", bounds(7, 9, 60), says(expires=at(3600)), 60),
    ("max-leaves-default", bounds(0, 60, 60), says(), 60),
    ("min-s-maxage", bounds(7, 9, 60), says(cache_control="max-age=30, s-maxage=1"), 7),
    ("max-s-maxage", bounds(7, 9, 60), says(cache_control="max-age=30, s-maxage=600"), 60),
    ("min-public", bounds(7, 9, 60), says(cache_control="public"), 9),
    ("min-max-age-and-expires", bounds(7, 9, 600), says(cache_control="max-age=60", expires=at(300)), 60),
    ("min0-max-expires", bounds(0, 30, 30), says(expires=at(300)), 30),
    ("min0-private-max-age", USUAL, says(cache_control="private, max-age=60"), "private"),
    ("min0-no-cache-max-age", USUAL, says(cache_control="no-cache, max-age=60"), 0),
    ("min-unlike-directives-are-overridden-alike", bounds(7, 7, YEAR), says(cache_control="private, max-age=60"), 7),
    # Statuses: 2xx and 3xx by the table above, errors by their own.
    ("204", USUAL, says(204), 86_400),
    ("302", USUAL, says(302, location="/b"), 86_400),
    ("301-max-age", USUAL, says(301, cache_control="max-age=60", location="/b"), 60),
    # 307 and 308 only with a Cache-Control of the origin's ("How CloudFront processes HTTP 3xx status codes").
    ("307-bare", USUAL, says(307, location="/b"), "status"),
    ("308-bare", USUAL, says(308, location="/b"), "status"),
    ("307-expires-alone", USUAL, says(307, expires=at(300), location="/b"), "status"),
    ("307-bare-min", bounds(7, 7, YEAR), says(307, location="/b"), "status"),
    ("308-max-age", USUAL, says(308, cache_control="max-age=60", location="/b"), 60),
    ("307-public", USUAL, says(307, cache_control="public", location="/b"), 86_400),
    ("308-no-store-min", bounds(7, 7, YEAR), says(308, cache_control="no-store", location="/b"), 7),
    ("303-bare", USUAL, says(303, location="/b"), 86_400),
    ("307-no-store", USUAL, says(307, cache_control="no-store", location="/b"), "no-store"),
    ("error-no-store", USUAL, says(500, cache_control="no-store"), 10),
    ("error-no-cache", USUAL, says(404, cache_control="no-cache"), 10),
    ("error-private", USUAL, says(503, cache_control="private, max-age=60"), 60),
    ("error-max", bounds(0, 30, 30), says(404, cache_control="max-age=600"), 30),
    ("error-expires", USUAL, says(404, expires=at(300)), 300),
    ("403-told", USUAL, says(403, cache_control="max-age=60"), 60),
    ("403-told-by-expires-alone", USUAL, says(403, expires=at(300)), "status"),
    ("error-min-of-its-own", Behavior(path="*", error_ttl=3.0), says(404), 3),
    ("error-min-by-status", Behavior(path="*", error_ttls={404: 1.0}), says(404), 1),
    ("error-min-of-another-status", Behavior(path="*", error_ttls={404: 1.0}), says(503), 10),
    ("error-min-by-status-first", Behavior(path="*", error_ttl=3.0, error_ttls={503: 0.0}), says(503), 0),
    (
        "error-min-by-status-and-told",
        Behavior(path="*", error_ttls={404: 1.0}),
        says(404, cache_control="max-age=5"),
        5,
    ),
]


@pytest.mark.parametrize(
    ("behavior", "response", "expected"), [row[1:] for row in VECTORS], ids=[r[0] for r in VECTORS]
)
def test_edge_ttl(behavior: Behavior, response: ResponseHead, expected: float | str) -> None:
    assert kept_for(response, CLOUDFRONT, behavior) == expected


@pytest.mark.parametrize("status", [404, 414, 500, 501, 502, 503, 504])
def test_errors_that_are_always_cached(status: int) -> None:
    assert kept_for(says(status), CLOUDFRONT) == 10


@pytest.mark.parametrize("status", [400, 403, 405, 412, 415])
def test_errors_that_are_cached_when_the_origin_says_for_how_long(status: int) -> None:
    assert kept_for(says(status), CLOUDFRONT) == "status"
    assert kept_for(says(status, cache_control="s-maxage=60"), CLOUDFRONT) == 60


DEFAULTS = [  # ttl as written, (min, default, max) as run: CachePolicyConfig
    (Ttl(), (0, 86_400, YEAR)),
    (Ttl(min=100_000.0), (100_000, 100_000, YEAR)),
    (Ttl(default=YEAR * 2), (0, YEAR * 2, YEAR * 2)),
    (Ttl(min=5.0, default=10.0, max=60.0), (5, 10, 60)),
    (Ttl(max=YEAR * 100), (0, 86_400, YEAR * 100)),  # up to 100 years are accepted
]


@pytest.mark.parametrize(("written", "run"), DEFAULTS)
def test_bounds_left_out_follow_those_given(written: Ttl, run: tuple[float, float, float]) -> None:
    ttl = resolve(Behavior(path="*", ttl=written), CLOUDFRONT).ttl
    assert (ttl.min, ttl.default, ttl.max) == run


def test_cf_t15_all_zero_disables_caching_and_collapsing() -> None:
    edge = node(CLOUDFRONT, bounds(0, 0, 0))
    first, second = edge.on_request(ask(), NOW), edge.on_request(ask(), NOW)
    assert isinstance(first, Fetch) and isinstance(second, Fetch)
    landing = edge.on_response(first, says(cache_control="max-age=60"), NOW)
    assert isinstance(landing.answers[first.ticket], Relay) and landing.store is None


COOKIES = [  # behavior, do simultaneous requests for one key wait for the first? ("Simultaneous requests", Important)
    (Behavior(path="*"), True),
    (Behavior(path="*", key=Key(cookies="all")), False),  # legacy settings
    (Behavior(path="*", key=Key(cookies=("s",))), False),
    (Behavior(path="*", cache_policy="Amplify"), False),
    (Behavior(path="*", cache_policy="CachingOptimized"), True),
    (Behavior(path="*", cache_policy="CachingOptimized", origin_request_policy="AllViewer"), False),
    (Behavior(path="*", cache_policy="CachingOptimized", origin_request_policy="CORS-CustomOrigin"), True),
]


@pytest.mark.parametrize(("behavior", "wait"), COOKIES)
def test_where_cookies_are_forwarded_nobody_waits_for_another(behavior: Behavior, wait: bool) -> None:
    edge = node(CLOUDFRONT, behavior)
    plans = [edge.on_request(ask(cookie="s=1"), NOW) for _ in range(3)]
    assert [isinstance(plan, Join) for plan in plans] == [False, wait, wait]
    edge.on_response(fetched(edge, plans[0]), says(cache_control="max-age=60"), NOW)
    assert isinstance(edge.on_request(ask(cookie="s=1"), NOW), Serve)


def test_a_minimum_counts_from_the_arrival_whatever_the_age() -> None:
    """MinTTL is time in CloudFront's cache."""
    assert kept_for(says(cache_control="max-age=60", age="59"), CLOUDFRONT, bounds(5, 5, YEAR)) == 5
    assert kept_for(says(age="100"), CLOUDFRONT, USUAL) == 86_400


def test_those_who_waited_for_what_may_not_be_shared_go_alone_and_later_ones_wait_again() -> None:
    edge = node(CLOUDFRONT)
    leader, waiter = fetched(edge, edge.on_request(ask(), NOW)), edge.on_request(ask(), NOW)
    assert isinstance(waiter, Join)
    landing = edge.on_response(leader, says(cache_control="private"), NOW)
    assert isinstance(landing.answers[waiter.ticket], Fetch)
    assert isinstance(edge.on_request(ask(), NOW), Fetch) and isinstance(edge.on_request(ask(), NOW), Join)


STALE = [  # the stored answer, what the origin then does (a status, or how it fails), is the stored one served?
    ("5xx", says(cache_control="max-age=1", etag='"1"'), 503, True),
    ("s-maxage", says(cache_control="s-maxage=1"), 500, True),
    ("unreachable", says(cache_control="max-age=1"), Failure.CONNECT, True),
    ("no such name", says(cache_control="max-age=1"), Failure.NAME, True),
    ("too late, when that is known", says(cache_control="max-age=1"), Failure.FIRST_BYTE_TIMEOUT, True),
    ("4xx", says(cache_control="max-age=1"), 404, False),
    # "Serve stale (expired) content": an error code that is between 500 and 600.
    ("501", says(cache_control="max-age=1"), 501, True),
    ("505", says(cache_control="max-age=1"), 505, True),
    ("599", says(cache_control="max-age=1, stale-if-error=60"), 599, True),
    ("499", says(cache_control="max-age=1, stale-if-error=60"), 499, False),
    ("stale-if-error=0", says(cache_control="max-age=1, stale-if-error=0"), 503, False),
    ("stale-if-error=0, unreachable", says(cache_control="max-age=1, stale-if-error=0"), Failure.CONNECT, False),
    ("stale-if-error, within", says(cache_control="max-age=1, stale-if-error=60"), 503, True),
    (
        "stale-if-error, within, unreachable",
        says(cache_control="max-age=1, stale-if-error=60"),
        Failure.FIRST_BYTE_TIMEOUT,
        True,
    ),
    ("stale-if-error, past", says(cache_control="max-age=1, stale-if-error=5"), 503, False),
]


@pytest.mark.parametrize(("stored", "origin", "served"), [row[1:] for row in STALE], ids=[row[0] for row in STALE])
def test_stale_on_error(stored: ResponseHead, origin: int | Failure, served: bool) -> None:
    edge = node(CLOUDFRONT)
    filled(edge, stored)
    plan = fetched(edge, edge.on_request(ask(), NOW + 30))
    if isinstance(origin, Failure):
        landing = edge.on_failure(plan, origin, NOW + 30)
    else:
        landing = edge.on_response(plan, says(origin), NOW + 30)
    assert (landing.answers[plan.ticket].outcome is Outcome.HIT_STALE) is served  # type: ignore[union-attr]


LONGEST = [  # behavior, the origin's Cache-Control, seconds since it arrived, what it is good for then
    # HTTPStatusCodes, tip: stale up to the maximum TTL; after this duration the object is not available.
    (bounds(0, 30, 60), "max-age=10", 59, Standing.FALLBACK),
    (bounds(0, 30, 60), "max-age=10", 60, Standing.SPENT),
    (bounds(0, 30, 60), "max-age=10, stale-if-error=3600", 59, Standing.FALLBACK),
    (bounds(0, 30, 60), "max-age=10, stale-if-error=3600", 60, Standing.SPENT),
    (bounds(0, 30, 60), "max-age=10, stale-if-error=5", 15, Standing.SPENT),  # whichever is less
    (bounds(0, 30, 60), "max-age=10, stale-while-revalidate=3600", 59, Standing.REFRESHABLE),
    (bounds(0, 30, 60), "max-age=10, stale-while-revalidate=3600", 60, Standing.SPENT),
    (bounds(0, 30, 60), "max-age=10, stale-while-revalidate=5", 14, Standing.REFRESHABLE),
    (bounds(0, 30, 60), "max-age=600, stale-while-revalidate=600", 59, Standing.FRESH),
    (bounds(0, 30, 60), "max-age=600, stale-while-revalidate=600", 60, Standing.SPENT),  # all of it was freshness
    (Behavior(path="*", ttl=Ttl(max=60.0), stale_while_revalidate=600.0, stale_if_error=600.0), "max-age=10", 61, Standing.SPENT),
    (bounds(0, 30, 60), "public", 59, Standing.FALLBACK),  # also where nothing names a lifetime
    (bounds(0, 30, 60), "public", 60, Standing.SPENT),
    (USUAL, "max-age=10", YEAR - 1, Standing.FALLBACK),
    (USUAL, "max-age=10", YEAR, Standing.SPENT),
]  # fmt: skip


@pytest.mark.parametrize(("behavior", "control", "after", "good_for"), LONGEST)
def test_nothing_stale_is_served_after_the_maximum_ttl(
    behavior: Behavior, control: str, after: float, good_for: Standing
) -> None:
    edge = node(CLOUDFRONT, behavior)
    filled(edge, says(cache_control=control))
    (entry,) = edge.index
    assert standing(entry.life, NOW + after) is good_for
    if good_for is Standing.SPENT:
        # Nor for an origin that does not answer at all.
        plan = fetched(edge, edge.on_request(ask(), NOW + after))
        answer = edge.on_failure(plan, Failure.CONNECT, NOW + after).answers[plan.ticket]
        assert isinstance(answer, Refuse) and answer.status == 502


def test_a_304_begins_the_maximum_ttl_anew() -> None:
    edge = node(CLOUDFRONT, bounds(0, 30, 60))
    filled(edge, says(cache_control="max-age=10", etag='"1"'))
    plan = fetched(edge, edge.on_request(ask(), NOW + 50))
    edge.on_response(plan, says(304, cache_control="max-age=10", etag='"1"'), NOW + 50)
    plan = fetched(edge, edge.on_request(ask(), NOW + 100))
    answer = edge.on_response(plan, says(503), NOW + 100).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.outcome is Outcome.HIT_STALE


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_elsewhere_ttl_max_bounds_freshness_alone(profile: Profile) -> None:
    edge = node(profile, Behavior(path="*", ttl=Ttl(max=60.0), stale_if_error=600.0))
    filled(edge, says(cache_control="max-age=10"))
    plan = fetched(edge, edge.on_request(ask(), NOW + 100))
    answer = edge.on_failure(plan, Failure.CONNECT, NOW + 100).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.outcome is Outcome.HIT_STALE


@pytest.mark.parametrize("word", ["no-cache", "no-store", "private"])
@pytest.mark.parametrize(("more", "stale"), [("", True), (", stale-if-error=0", False)])
def test_a_minimum_that_overrides_leaves_a_copy_for_when_the_origin_is_away(word: str, more: str, stale: bool) -> None:
    edge = node(CLOUDFRONT, bounds(5, 5, YEAR))
    filled(edge, says(cache_control=word + more))
    assert isinstance(edge.on_request(ask(), NOW + 4), Serve)
    plan = fetched(edge, edge.on_request(ask(), NOW + 6))
    answer = edge.on_failure(plan, Failure.CONNECT, NOW + 6).answers[plan.ticket]
    assert (answer.outcome is Outcome.HIT_STALE) is stale  # type: ignore[union-attr]


AWAY = [  # the origin's Cache-Control with MinTTL 0, how it then fails, is the stored answer served?
    ("no-cache", Failure.CONNECT, True),  # "if ... the minimum or maximum TTL value is greater than 0"
    ("no-cache, max-age=60", Failure.FIRST_BYTE_TIMEOUT, True),
    ("no-cache, stale-if-error=0", Failure.CONNECT, False),
    ("no-cache, max-age=60, stale-if-error=0", Failure.CONNECT, False),
    ("no-cache", 503, False),  # it was reached
    ("no-cache, max-age=60", 503, False),
    ("max-age=0, must-revalidate", Failure.CONNECT, False),  # of this the page says nothing: the standard's
]


@pytest.mark.parametrize(("control", "failure", "served"), AWAY)
def test_what_says_no_cache_stands_in_for_an_origin_that_is_away(
    control: str, failure: Failure | int, served: bool
) -> None:
    edge = node(CLOUDFRONT, bounds(0, 30, 600))
    filled(edge, says(cache_control=control, etag='"1"'))
    plan = fetched(edge, edge.on_request(ask(), NOW + 1))
    if isinstance(failure, Failure):
        answer = edge.on_failure(plan, failure, NOW + 1).answers[plan.ticket]
    else:
        answer = edge.on_response(plan, says(failure), NOW + 1).answers[plan.ticket]
    assert (answer.outcome is Outcome.HIT_STALE) is served  # type: ignore[union-attr]
    if isinstance(failure, Failure):  # and while the origin is left alone, for 10 seconds, the same
        held = edge.on_request(ask(), NOW + 10)
        assert not isinstance(held, Fetch | Join) and (held.outcome is Outcome.HIT_STALE) is served  # type: ignore[union-attr]


def test_a_4xx_replaces_the_stored_answer_and_is_kept_by_the_error_rules() -> None:
    """ "HTTP 4xx and 5xx": the 4xx is returned and cached, though an expired copy of the object is there."""
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=1"))
    plan = fetched(edge, edge.on_request(ask(), NOW + 30))
    edge.on_response(plan, says(404), NOW + 30)
    edge.on_body_end(plan, 3, NOW + 30)
    kept = edge.on_request(ask(), NOW + 39)
    assert isinstance(kept, Serve) and kept.status == 404
    assert isinstance(edge.on_request(ask(), NOW + 40), Fetch)


NOT_REUSED = ["private", "no-store", "no-cache", "max-age=0", "s-maxage=0"]


@pytest.mark.parametrize("control", NOT_REUSED)
def test_with_min_0_those_who_waited_for_what_is_not_reused_each_go_alone(control: str) -> None:
    """ "Simultaneous requests": they wait for the first, then each is fetched separately."""
    edge = node(CLOUDFRONT)
    leader = fetched(edge, edge.on_request(ask(), NOW))
    waiters = [edge.on_request(ask(), NOW) for _ in range(3)]
    assert all(isinstance(waiter, Join) for waiter in waiters)
    landing = edge.on_response(leader, says(cache_control=control), NOW)
    assert all(isinstance(landing.answers.get(waiter.ticket), Fetch) for waiter in waiters)  # type: ignore[union-attr]


def test_what_max_age_0_leaves_is_kept_and_revalidated_at_every_use() -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=0", etag='"1"'))
    for after in (0, 1):
        plan = fetched(edge, edge.on_request(ask(), NOW + after))
        assert plan.request.headers.first("if-none-match") == '"1"'
        edge.on_response(plan, says(304, etag='"1"'), NOW + after)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_kept_and_not_followed(status: int) -> None:
    """ "Redirects" (2023)."""
    edge = node(CLOUDFRONT)
    filled(edge, says(status, location="/b", cache_control="max-age=60"))
    hit = edge.on_request(ask(), NOW + 1)
    assert isinstance(hit, Serve) and (hit.status, dict(hit.headers)["location"]) == (status, "/b")


def test_stale_while_revalidate_serves_at_once_and_asks_behind() -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=1, stale-while-revalidate=60"))
    plan = edge.on_request(ask(), NOW + 30)
    assert isinstance(plan, Serve) and plan.refresh is not None


@pytest.mark.parametrize(
    "fields", [{"cache_control": "no-cache"}, {"cache_control": "max-age=0"}, {"pragma": "no-cache"}]
)
def test_what_viewers_say_of_caching_is_not_heard(fields: dict[str, str]) -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=60"))
    assert isinstance(edge.on_request(ask(**fields), NOW + 1), Serve)


def test_set_cookie_is_taken_out_where_no_cookies_are_forwarded_and_kept_where_they_are() -> None:
    for cookies, expected in (("none", None), ("all", "a=b")):
        edge = node(CLOUDFRONT, Behavior(path="*", key=Key(cookies=cookies)))  # type: ignore[arg-type]
        plan = fetched(edge, edge.on_request(ask(), NOW))
        answer = edge.on_response(plan, says(set_cookie="a=b"), NOW).answers[plan.ticket]
        assert dict(answer.headers).get("set-cookie") == expected  # type: ignore[union-attr]


def test_cache_control_and_expires_reach_the_viewer_untouched() -> None:
    edge = node(CLOUDFRONT, bounds(100, 100, YEAR))
    plan = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_response(plan, says(cache_control="max-age=1", expires=at(1)), NOW).answers[plan.ticket]
    fields = dict(answer.headers)  # type: ignore[union-attr]
    assert (fields["cache-control"], fields["expires"]) == ("max-age=1", at(1))
