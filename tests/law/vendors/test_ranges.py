"""Ranges, conditions and bodies that come cut, a row each: "Range GETs", "Request and response behavior"."""

import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Assemble, Fetch, Join, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Key
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

FRESH = {"cache_control": "max-age=60"}
PROFILES = [CLOUDFRONT, FASTLY]


def named(profile: Profile) -> str:
    return profile.name


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_a_range_of_a_stored_object_is_cut_from_it(profile: Profile) -> None:
    edge = node(profile)
    filled(edge, says(content_length="10", **FRESH))
    part = edge.on_request(ask(range="bytes=2-5"), NOW + 1)
    assert isinstance(part, Serve) and part.status == 206
    assert dict(part.headers)["content-range"] == "bytes 2-5/10"


def test_cloudfront_passes_a_range_on_and_keeps_the_part() -> None:
    edge = node(CLOUDFRONT)
    plan = fetched(edge, edge.on_request(ask(range="bytes=0-9"), NOW))
    assert plan.request.headers.first("range") == "bytes=0-9"
    answer = edge.on_response(
        plan, says(206, content_range="bytes 0-9/100", content_length="10", etag='"1"', **FRESH), NOW
    ).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.status == 206
    edge.on_body_end(plan, 10, NOW)
    again = edge.on_request(ask(range="bytes=3-4"), NOW + 1)
    assert isinstance(again, Serve) and dict(again.headers)["content-range"] == "bytes 3-4/100"
    assert isinstance(edge.on_request(ask(range="bytes=50-59"), NOW + 1), Fetch)


def test_an_origin_that_answers_a_range_with_the_whole_has_it_stored_and_passed_on() -> None:
    """ "If the origin doesn't support range GET requests": the current request gets all of it, new ones their range."""
    edge = node(CLOUDFRONT)
    plan = fetched(edge, edge.on_request(ask(range="bytes=0-9"), NOW))
    waiter = edge.on_request(ask(range="bytes=0-9"), NOW)
    assert isinstance(waiter, Join)
    landing = edge.on_response(plan, says(content_length="100", **FRESH), NOW)
    assert landing.store is not None
    first, second = landing.answers[plan.ticket], landing.answers[waiter.ticket]
    assert isinstance(first, Serve) and first.status == 200 and first.span is None
    assert dict(first.headers)["content-length"] == "100" and "content-range" not in dict(first.headers)
    assert isinstance(second, Serve) and second.status == 206  # it waited for what is then in the cache
    edge.on_body_end(plan, 100, NOW)
    later = edge.on_request(ask(range="bytes=90-"), NOW + 1)
    assert isinstance(later, Serve) and dict(later.headers)["content-range"] == "bytes 90-99/100"
    assert isinstance(edge.on_request(ask(), NOW + 1), Serve)


def test_the_standards_profile_cuts_such_a_whole_for_its_asker_too() -> None:
    edge = node(RFC9111)
    plan = fetched(edge, edge.on_request(ask(range="bytes=0-9"), NOW))
    answer = edge.on_response(plan, says(content_length="100", **FRESH), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.status == 206


def test_fastly_fetches_the_whole_for_a_range_and_serves_later_ranges_from_it() -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(range="bytes=0-9"), NOW))
    assert "range" not in plan.request.headers
    answer = edge.on_response(plan, says(content_length="100", **FRESH), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.status == 206
    edge.on_body_end(plan, 100, NOW)
    later = edge.on_request(ask(range="bytes=90-"), NOW + 1)
    assert isinstance(later, Serve) and dict(later.headers)["content-range"] == "bytes 90-99/100"


def test_a_206_that_nobody_asked_for_is_not_kept() -> None:
    """(measured at Fastly); RFC 9111 section 3.3."""
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_response(plan, says(206, content_range="bytes 0-9/100", etag='"1"', **FRESH), NOW)
    assert len(edge.index) == 0


MORE_THAN_AN_OBJECT = 25 * 1024 * 1024


def test_with_segments_fastly_takes_an_object_larger_than_its_limit() -> None:
    """ "Segmented Caching": the limit of 20 MiB is for objects that are cached whole; a block is an object."""
    edge = node(FASTLY, Behavior(path="*", slice=2**20))
    plan = edge.on_request(ask(range="bytes=0-9"), NOW)
    assert isinstance(plan, Assemble)
    block = fetched(edge, edge.on_request(plan.assembly.opening_request(), NOW))
    assert block.request.headers.first("range") == f"bytes=0-{2**20 - 1}"
    part = says(206, content_range=f"bytes 0-{2**20 - 1}/{MORE_THAN_AN_OBJECT}", etag='"1"', **FRESH)
    opening = edge.on_response(block, part, NOW).answers[block.ticket]
    assert not isinstance(opening, Fetch)
    told = edge.assembled(plan.assembly, opening, NOW)
    assert isinstance(told, Serve) and dict(told.headers)["content-range"] == f"bytes 0-9/{MORE_THAN_AN_OBJECT}"


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_a_body_without_a_length_that_ends_with_its_connection_may_be_cut_and_is_kept(profile: Profile) -> None:
    """CloudFront, "Dropped TCP connections" (2023)."""
    edge = node(profile)
    filled(edge, says(**FRESH))
    assert isinstance(edge.on_request(ask(), NOW + 1), Serve)


WANTED = [  # profile, Range, the status from a stored object of 1000 bytes
    (CLOUDFRONT, "bytes=0-9", 206),
    (CLOUDFRONT, "bytes=0-9, 500-509", 206),
    (CLOUDFRONT, "bytes=9-0", 200),  # invalid
    (CLOUDFRONT, "bytes=a-b", 200),
    (CLOUDFRONT, "bytes=500-509, 0-9", 200),  # descending
    (CLOUDFRONT, "bytes=0-99, 50-149", 200),  # overlapping
    (CLOUDFRONT, "bytes=-10, 0-9", 200),  # the suffix stands before what it is behind
    (CLOUDFRONT, "bytes=0-9, -10", 206),
    (RFC9111, "bytes=500-509, 0-9", 206),
]


@pytest.mark.parametrize(("profile", "wanted", "status"), WANTED)
def test_ranges_that_cloudfront_answers_with_the_whole(profile: Profile, wanted: str, status: int) -> None:
    edge = node(profile)
    fetch = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_response(fetch, says(content_length="1000", **FRESH), NOW)
    edge.on_body_end(fetch, 1000, NOW)
    answer = edge.on_request(ask(range=wanted), NOW + 1)
    assert isinstance(answer, Serve) and answer.status == status


@pytest.mark.parametrize(("profile", "status"), [(CLOUDFRONT, 200), (FASTLY, 206), (RFC9111, 206)])
def test_a_range_of_what_came_chunked(profile: Profile, status: int) -> None:
    """CloudFront: the whole object; Fastly: the part, once the length is known."""
    edge = node(profile)
    filled(edge, says(transfer_encoding="chunked", **FRESH))
    answer = edge.on_request(ask(range="bytes=0-1"), NOW + 1)
    assert isinstance(answer, Serve) and answer.status == status


@pytest.mark.parametrize("profile", PROFILES, ids=named)
@pytest.mark.parametrize(
    "condition", [{"if_none_match": '"1"'}, {"if_modified_since": "Wed, 18 Nov 2026 10:00:00 GMT"}]
)
def test_a_condition_that_holds_of_a_fresh_copy_is_a_304(profile: Profile, condition: dict[str, str]) -> None:
    edge = node(profile)
    filled(edge, says(etag='"1"', last_modified="Wed, 18 Nov 2026 10:00:00 GMT", **FRESH))
    answer = edge.on_request(ask(**condition), NOW + 1)
    assert isinstance(answer, Serve) and answer.status == 304


CONDITIONS = [  # profile, cookies in the key, does the condition of a miss reach the origin?
    (CLOUDFRONT, "none", True),
    (CLOUDFRONT, "all", False),  # not when cookies are forwarded
    (FASTLY, "none", False),
]


@pytest.mark.parametrize(("profile", "cookies", "forwarded"), CONDITIONS)
def test_a_condition_of_a_miss(profile: Profile, cookies: str, forwarded: bool) -> None:
    edge = node(profile, Behavior(path="*", key=Key(cookies=cookies)))  # type: ignore[arg-type]
    plan = fetched(edge, edge.on_request(ask(if_none_match='"1"'), NOW))
    assert ("if-none-match" in plan.request.headers) is forwarded


def test_fastly_answers_the_condition_of_a_miss_from_what_it_fetched() -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(if_none_match='"1"'), NOW))
    answer = edge.on_response(plan, says(etag='"1"', **FRESH), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.status == 304


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_a_body_cut_short_is_delivered_and_not_kept(profile: Profile) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_response(plan, says(content_length="100", **FRESH), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.body
    edge.on_failure(plan, Failure.TRUNCATED, NOW)
    assert isinstance(edge.on_request(ask(), NOW + 1), Fetch)


@pytest.mark.parametrize("profile", PROFILES, ids=named)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_origin_passes_with_its_own_head_and_body(profile: Profile, status: int) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_response(plan, says(status, x_own="1"), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve | Relay) and answer.status == status and answer.body
    assert dict(answer.headers)["x-own"] == "1"
