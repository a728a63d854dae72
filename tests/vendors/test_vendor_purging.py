"""A purge names a URL; keys may hold more. And a parent that failed is left alone where the profile says so."""

import pytest

from policy.plan import Failure, Fetch, PurgeKind, PurgeOrder, Refuse, Serve
from policy.profile import Profile
from policy.record import Outcome
from policy.service import Behavior, Key
from tests.vendors.vendor_lab import NOW, ask, fetched, filled, node, says
from vendors import CLOUDFRONT, FASTLY, RFC9111

FRESH = {"cache_control": "max-age=60"}


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_a_url_takes_every_host_header_and_cookie_variant_with_it_and_no_other_url(profile: Profile) -> None:
    edge = node(profile, Behavior(path="*", key=Key(query="all", headers=("x-kind",), cookies="all")))
    asked = [ask(host=host, x_kind=kind, cookie=f"a={kind}") for host in ("a", "b") for kind in ("1", "2")]
    for request in asked:
        plan = edge.on_request(request, NOW)
        if isinstance(plan, Fetch):
            edge.on_response(plan, says(**FRESH), NOW)
            edge.on_body_end(plan, 10, NOW)
    other = ask("/a", query="b=1")
    filled(edge, says(**FRESH), request=other)
    count = len(edge.index) - 1
    assert edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 1).count == count >= 2
    assert all(isinstance(edge.on_request(request, NOW + 2), Fetch) for request in asked[:1])
    assert isinstance(edge.on_request(other, NOW + 2), Serve)


def test_a_fill_under_way_is_bound_by_a_purge_of_its_url_whatever_its_host() -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(host="a.example"), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 1)
    edge.on_response(plan, says(**FRESH), NOW + 2)
    edge.on_body_end(plan, 10, NOW + 2)
    assert isinstance(edge.on_request(ask(host="a.example"), NOW + 3), Fetch)


def test_cloudfront_leaves_a_failing_origin_alone_and_serves_stale_meanwhile() -> None:
    """ "HTTP 4xx and 5xx": the expired copy is served; the origin is asked again after ErrorCachingMinTTL."""
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=1"))
    plan = fetched(edge, edge.on_request(ask(), NOW + 30))
    edge.on_response(plan, says(503), NOW + 30)
    held = edge.on_request(ask(), NOW + 39)
    assert isinstance(held, Serve) and held.outcome is Outcome.HIT_STALE
    assert isinstance(edge.on_request(ask(), NOW + 40), Fetch)


def test_cloudfront_holds_an_error_of_its_own_as_long() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttl=3.0))
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_failure(plan, Failure.FIRST_BYTE_TIMEOUT, NOW)
    held = edge.on_request(ask(), NOW + 2)
    assert isinstance(held, Refuse) and held.status == 504
    assert isinstance(edge.on_request(ask("/b"), NOW + 2), Fetch)
    assert isinstance(edge.on_request(ask(), NOW + 3), Fetch)


def test_a_url_takes_every_variant_of_vary_with_it() -> None:
    """Fastly, "Vary": variants lie under one key, which is what a purge names."""
    edge = node(FASTLY)
    asked = [ask(x_kind=kind) for kind in ("1", "2", "3")]
    for request in asked:
        filled(edge, says(vary="X-Kind", **FRESH), request=request)
    assert len(edge.index) == 3
    assert edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 1).count == 3
    assert not any(isinstance(edge.on_request(request, NOW + 2), Serve) for request in asked)


@pytest.mark.parametrize("profile", [CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_what_was_asked_for_before_a_purge_is_not_stored_after_it(profile: Profile) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), NOW + 1)
    edge.on_response(plan, says(**FRESH), NOW + 2)
    assert isinstance(edge.on_request(ask(), NOW + 3), Fetch)


SOFT = [  # what is stored, what a request a second after the soft purge gets
    ({"etag": '"1"'}, "asks with the validator"),
    ({"cache_control": "max-age=60, stale-while-revalidate=30"}, "stale, and a refresh behind"),
    ({}, "asks anew"),
]


@pytest.mark.parametrize(("stored", "expected"), SOFT, ids=[row[1] for row in SOFT])
def test_a_soft_purge_makes_stale_what_a_hard_one_takes_away(stored: dict[str, str], expected: str) -> None:
    edge = node(FASTLY)
    filled(edge, says(surrogate_key="k", **({"cache_control": "max-age=60"} | stored)))
    assert edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEY, "k", soft=True), NOW + 1).count == 1
    plan = edge.on_request(ask(), NOW + 2)
    if isinstance(plan, Serve):
        assert expected == "stale, and a refresh behind" and plan.refresh is not None
    else:
        asked = "if-none-match" in fetched(edge, plan).request.headers
        assert expected == ("asks with the validator" if asked else "asks anew")


def test_surrogate_keys_are_separated_by_spaces_and_printable_others_are_ignored() -> None:
    """Fastly, "Surrogate-Key": printable ASCII, 0x21 to 0x7E."""
    edge = node(FASTLY)
    filled(edge, says(surrogate_key="live/480p  b b\xe4d \x7fx a~!", **FRESH))
    (entry,) = edge.index
    assert entry.surrogate_keys == ("live/480p", "b", "a~!")


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_the_others_ask_again_at_once(profile: Profile) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_failure(plan, Failure.CONNECT, NOW)
    assert isinstance(edge.on_request(ask(), NOW), Fetch)
