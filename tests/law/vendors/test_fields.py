"""What answers carry, over one tier and two; and the pages made when the origin fails."""

import re
from dataclasses import replace

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure, RefusalKind
from cdnkit.policy.plan import Fetch, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Incident, Profile
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask


def fields(answer: object) -> dict[str, str]:
    assert isinstance(answer, Serve | Relay | Refuse), answer
    names = [name for name, _ in answer.headers]
    assert len(set(names)) == len(names), names
    return dict(answer.headers)


def missed(
    edge: EdgeMachine, response: ResponseHead, now: float = NOW, request: RequestHead | None = None
) -> dict[str, str]:
    plan = fetched(edge, edge.on_request(request or ask(), now))
    answer = edge.on_response(plan, response, now + 0.25).answers[plan.ticket]
    edge.on_body_end(plan, 10, now + 0.25)
    return fields(answer)


def through(shield: EdgeMachine, edge: EdgeMachine, now: float, request: RequestHead | None = None) -> dict[str, str]:
    """A request at the edge, which asks the shield where it must; the shield holds what is asked for."""
    plan = edge.on_request(request or ask(), now)
    if not isinstance(plan, Fetch):
        return fields(plan)
    above = shield.on_request(plan.request, now)
    assert isinstance(above, Serve)
    landing = edge.on_response(plan, ResponseHead(above.status, Headers(above.headers)), now + 0.01)
    edge.on_body_end(plan, 10, now + 0.01)
    return fields(landing.answers[plan.ticket])


# ---- CloudFront ----------------------------------------------------------------------------------------------------

FRESH = {"cache_control": "max-age=60"}


def test_cloudfront_signs_a_miss_and_a_hit() -> None:
    edge = node(CLOUDFRONT)
    miss = missed(edge, says(**FRESH))
    assert miss["x-cache"] == "Miss from cloudfront"
    assert re.fullmatch(r"1\.1 [0-9a-f]+\.cloudfront\.net \(CloudFront\)", miss["via"])
    assert re.fullmatch(r"[A-Z]{3}[0-9]+-[A-Z][0-9]", miss["x-amz-cf-pop"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{54}==", miss["x-amz-cf-id"])
    assert miss["server"] == "CloudFront"
    hit = fields(edge.on_request(ask(), NOW + 7))
    assert (hit["x-cache"], hit["age"]) == ("Hit from cloudfront", "7")


def test_cloudfront_request_ids_are_fresh_also_for_plain_hits_of_one_second() -> None:
    ids = iter(f"{n:054d}==" for n in range(9))
    edge = EdgeMachine(Service(name="fra"), CLOUDFRONT, fresh_id=lambda: next(ids))
    filled(edge, says(**FRESH))
    seen = [fields(edge.on_request(ask(), NOW + 1))["x-amz-cf-id"] for _ in range(4)]
    assert seen == [f"{n:054d}==" for n in (2, 3, 4, 5)]  # one for the origin, one for its answer came first


def test_cloudfront_keeps_the_origins_server() -> None:
    assert missed(node(CLOUDFRONT), says(server="nginx"))["server"] == "nginx"


def test_cloudfront_says_refresh_hit_after_a_304() -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=1", etag='"1"'))
    assert missed(edge, says(304, etag='"1"'), NOW + 5)["x-cache"] == "RefreshHit from cloudfront"


def test_cloudfront_says_hit_while_it_refreshes_behind() -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=1, stale-while-revalidate=60"))
    assert fields(edge.on_request(ask(), NOW + 5))["x-cache"] == "Hit from cloudfront"


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_cloudfront_says_error_of_4xx_and_5xx_of_the_origin(status: int) -> None:
    assert missed(node(CLOUDFRONT), says(status))["x-cache"] == "Error from cloudfront"


def test_cloudfront_says_error_also_of_an_error_that_is_kept() -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(404))
    assert fields(edge.on_request(ask(), NOW + 5))["x-cache"] == "Error from cloudfront"


def test_cloudfront_followers_of_a_fill_are_hits() -> None:
    edge = node(CLOUDFRONT)
    leader, follower = fetched(edge, edge.on_request(ask(), NOW)), edge.on_request(ask(), NOW)
    landing = edge.on_response(leader, says(**FRESH), NOW)
    assert fields(landing.answers[leader.ticket])["x-cache"] == "Miss from cloudfront"
    assert fields(landing.answers[follower.ticket])["x-cache"] == "Hit from cloudfront"  # type: ignore[union-attr]


def test_cloudfront_over_two_tiers_has_one_x_cache() -> None:
    shield, edge = node(CLOUDFRONT, name="nyc", gate=False), node(CLOUDFRONT)
    filled(shield, says(**FRESH))
    told = through(shield, edge, NOW + 3)
    assert told["x-cache"] == "Miss from cloudfront" and told["via"].count("CloudFront") == 2
    assert len(told["x-amz-cf-id"]) == 56
    assert through(shield, edge, NOW + 5)["x-cache"] == "Hit from cloudfront"


# ---- Fastly --------------------------------------------------------------------------------------------------------


def test_fastly_signs_a_miss_and_hits() -> None:
    edge = node(FASTLY)
    miss = missed(edge, says(**FRESH))
    assert (miss["x-cache"], miss["x-cache-hits"], miss["age"]) == ("MISS", "0", "0")
    assert re.fullmatch(r"cache-fra\d+-FRA", miss["x-served-by"])
    assert miss["x-timer"] == f"S{NOW:.6f},VS0,VE250"
    hits = [fields(edge.on_request(ask(), NOW + after)) for after in (5, 5, 6.5)]
    assert [hit["x-cache-hits"] for hit in hits] == ["1", "2", "3"]
    assert {hit["x-cache"] for hit in hits} == {"HIT"} and hits[2]["age"] == "6"
    assert hits[0]["x-timer"] == f"S{NOW + 5:.6f},VS0,VE0"


def test_fastly_over_two_tiers_lists_the_shield_first() -> None:
    shield, edge = node(FASTLY, name="jfk", gate=False), node(FASTLY, name="ord")
    asked = ask(host="shield")  # what the edge's shell writes as Host
    filled(shield, says(**FRESH), request=asked)
    first = through(shield, edge, NOW + 3, asked)
    assert (first["x-cache"], first["x-cache-hits"]) == ("HIT, MISS", "1, 0")
    assert re.fullmatch(r"cache-jfk\d+-JFK, cache-ord\d+-ORD", first["x-served-by"])
    assert re.fullmatch(r"S\d+\.\d{6},VS0,VE0,VS0,VE10", first["x-timer"])
    assert first["age"] == "3"
    for n in range(1, 7):
        later = through(shield, edge, NOW + 4, asked)
        # The shield's entry is the one stored with the object.
        assert (later["x-cache"], later["x-cache-hits"]) == ("HIT, HIT", f"1, {n}")


def test_fastly_edge_hit_of_what_the_shield_missed() -> None:
    edge = node(FASTLY, name="ord")
    told = missed(
        edge, says(200, ("x-cache", "MISS"), ("x-served-by", "cache-jfk1041-JFK"), ("x-cache-hits", "0"), **FRESH)
    )
    assert told["x-cache"] == "MISS, MISS"
    hit = fields(edge.on_request(ask(), NOW + 5))
    assert (hit["x-cache"], hit["x-cache-hits"]) == ("MISS, HIT", "0, 1")
    assert hit["x-served-by"].startswith("cache-jfk1041-JFK, cache-ord")


X_CACHE = [  # case, method, the origin's answer
    ("pass", "POST", says(**FRESH)),
    ("hit-for-pass", "GET", says(cache_control="private")),
    ("uncacheable", "GET", says(500)),
]


@pytest.mark.parametrize(("method", "response"), [row[1:] for row in X_CACHE], ids=[row[0] for row in X_CACHE])
def test_fastly_calls_it_a_miss(method: str, response: ResponseHead) -> None:
    edge = node(FASTLY)
    for _ in range(2):
        assert missed(edge, response, request=ask(method=method))["x-cache"] == "MISS"


def test_fastly_calls_stale_and_synthetic_hits_and_an_error_a_miss() -> None:
    edge = node(FASTLY, Behavior(path="*", geo=Geo(deny=("KP",))))
    filled(edge, says(cache_control="max-age=1, stale-while-revalidate=60"), request=_from("DE"))
    assert fields(edge.on_request(_from("DE"), NOW + 5))["x-cache"] == "HIT"
    refused = edge.on_request(_from("KP"), NOW)
    assert isinstance(refused, Refuse) and fields(refused)["x-cache"] == "HIT"
    plan = fetched(edge, edge.on_request(_from("DE", "/b"), NOW))
    failed = edge.on_failure(plan, Failure.CONNECT, NOW).answers[plan.ticket]
    assert fields(failed)["x-cache"] == "MISS"


def _from(country: str, path: str = "/a") -> RequestHead:
    request = ask(path)
    request.place = Place(country)
    return request


# ---- when the origin fails -----------------------------------------------------------------------------------------

FAILURES = [  # profile, failure, status, in the page
    (RFC9111, Failure.CONNECT, 502, "502 origin: connect-refused\n"),
    (RFC9111, Failure.FIRST_BYTE_TIMEOUT, 504, "504 origin: first-byte-timeout\n"),
    (CLOUDFRONT, Failure.NAME, 502, "<H1>502 ERROR</H1>"),
    (CLOUDFRONT, Failure.CONNECT, 502, "<H1>502 ERROR</H1>"),
    (CLOUDFRONT, Failure.CONNECT, 502, "CloudFront wasn&#x27;t able to connect to the origin."),
    (CLOUDFRONT, Failure.CONNECT_TIMEOUT, 504, "<H1>504 ERROR</H1>"),
    (CLOUDFRONT, Failure.FIRST_BYTE_TIMEOUT, 504, "<TITLE>ERROR: The request could not be satisfied</TITLE>"),
    (FASTLY, Failure.CONNECT_TIMEOUT, 503, "<title>503 connection timed out</title>"),
    (FASTLY, Failure.FIRST_BYTE_TIMEOUT, 503, "<h1>Error 503 first byte timeout</h1>"),
    (FASTLY, Failure.GARBAGE, 503, "<title>503 backend read error</title>"),
    (FASTLY, Failure.CONNECT, 503, "<h3>Guru Mediation:</h3>"),
]


@pytest.mark.parametrize(
    ("profile", "why", "status", "text"), FAILURES, ids=[f"{row[0].name}-{row[1].value}" for row in FAILURES]
)
def test_what_a_viewer_is_told(profile: Profile, why: Failure, status: int, text: str) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_failure(plan, why, NOW).answers[plan.ticket]
    assert isinstance(answer, Refuse) and answer.status == status and text in answer.body.decode()
    assert fields(answer)["content-type"].startswith("text/plain" if profile is RFC9111 else "text/html")


WORDS = [  # "HTTP 502/504 status code" and detailed result types; "Fastly generated errors"
    (CLOUDFRONT, Failure.NAME, "OriginDnsError"),
    (CLOUDFRONT, Failure.CONNECT, "OriginConnectError"),
    (CLOUDFRONT, Failure.CONNECT_TIMEOUT, "OriginCommError"),
    (CLOUDFRONT, Failure.FIRST_BYTE_TIMEOUT, "OriginCommError"),
    (CLOUDFRONT, Failure.GARBAGE, "OriginInvalidResponseError"),
    (FASTLY, Failure.CONNECT_TIMEOUT, "connection timed out"),
    (FASTLY, Failure.FIRST_BYTE_TIMEOUT, "first byte timeout"),
    (FASTLY, Failure.GARBAGE, "backend read error"),
    (FASTLY, Failure.RESET, "backend read error"),
    (FASTLY, Failure.SICK, "Backend is unhealthy"),
]


@pytest.mark.parametrize(("profile", "why", "words"), WORDS, ids=[f"{row[0].name}-{row[1].value}" for row in WORDS])
def test_the_vendors_words_for_a_failure(profile: Profile, why: Failure, words: str) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_failure(plan, why, NOW).answers[plan.ticket]
    assert isinstance(answer, Refuse) and answer.words == words


SENTENCES = [  # what is refused, the sentence of CloudFront's page
    (ask(method="DELETE"), "not configured to allow the HTTP request method"),
    (replace(ask(), place=Place("KP")), "configured to block access from your country."),
    (ask(content_length="3"), "Bad request."),
]


@pytest.mark.parametrize(("request_", "sentence"), SENTENCES)
def test_cloudfronts_page(request_: RequestHead, sentence: str) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", methods="GET, HEAD", geo=Geo(deny=("KP",))))
    request_.place = request_.place if request_.place.country else Place("DE")
    answer = edge.on_request(request_, NOW)
    assert isinstance(answer, Refuse) and answer.status == 403
    page = answer.body.decode()
    assert page.startswith('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN"') and sentence in page
    for part in (
        "<TITLE>ERROR: The request could not be satisfied</TITLE>",
        "<H1>403 ERROR</H1>",
        "<H2>The request could not be satisfied.</H2>",
        "Generated by cloudfront (CloudFront)",
        "Try again later, or ask whoever runs the site.",
    ):
        assert part in page
    assert fields(answer)["content-type"] == "text/html"


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (RefusalKind.METHOD, "not configured to allow the HTTP request method"),
        (RefusalKind.GEO, "configured to block access from your country."),
        (RefusalKind.CONTENT, "Bad request."),
        (RefusalKind.TOKEN, "Request blocked."),
    ],
)
def test_the_page_of_a_refusal_follows_its_kind_and_not_our_words_for_it(kind: RefusalKind, sentence: str) -> None:
    assert sentence in CLOUDFRONT.page(Incident(403, "geo: or anything else", "", "id", "fra", NOW, kind)).body


def test_fields_of_one_connection_do_not_reach_the_viewer() -> None:
    """ "Request and response behavior": Trailer and Upgrade are removed, Transfer-Encoding is the edge's own."""
    hops = {"trailer": "x", "upgrade": "h2c", "transfer_encoding": "chunked", "connection": "x-hop", "x_hop": "1"}
    for profile in (CLOUDFRONT, FASTLY):
        told = missed(node(profile), says(200, **FRESH, **hops))
        kept = set() if profile.connection_names_fields else {"x-hop"}  # Fastly was observed to keep what is named
        assert set(told) & {name.replace("_", "-") for name in hops} == kept


def test_pages_name_the_request_and_the_node() -> None:
    edge = EdgeMachine(
        Service(name="fra", behaviors=(Behavior(path="*", geo=Geo(deny=("KP",))),)),
        CLOUDFRONT,
        fresh_id=lambda: "ID<1>",
    )
    refused = edge.on_request(_from("KP"), NOW)
    assert isinstance(refused, Refuse)
    page = refused.body.decode()
    assert "Request ID: ID&lt;1&gt;" in page and "Generated by cloudfront (CloudFront)" in page
    assert "block access from your country" in page
    assert fields(refused)["x-cache"] == "Error from cloudfront"
    fastly = node(FASTLY)
    plan = fetched(fastly, fastly.on_request(ask(), NOW))
    answer = fastly.on_failure(plan, Failure.RESET, NOW).answers[plan.ticket]
    assert isinstance(answer, Refuse)
    text = answer.body.decode()
    assert re.search(rf"<p>Details: cache-fra\d+-FRA {int(NOW)} \d+</p>", text)
    assert "<title>503 backend read error</title>" in text and "<p>Varnish cache server</p>" in text


def test_the_standards_profile_adds_none_of_the_vendors_fields() -> None:
    told = missed(node(RFC9111), says(**FRESH))
    assert told["via"] == "1.1 fra" and told["x-cache"] == "MISS"
    assert not any(name.startswith(("x-amz", "x-timer", "x-served")) for name in told)
