"""What answers tell those who ask for more: "Fastly-Debug-*" of Fastly's header reference; CloudFront's Server-Timing."""

import asyncio
import re
from dataclasses import replace
from hashlib import sha256

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.store.key import cache_key
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin

FRESH = {"cache_control": "max-age=60"}
KEPT = {"surrogate_control": "max-age=600", "surrogate_key": "a b", **FRESH}


def debugging(trusted: bool = True) -> RequestHead:
    return replace(ask(fastly_debug="1"), trusted=trusted)


def landed(edge: EdgeMachine, response: ResponseHead, request: RequestHead, now: float = NOW) -> dict[str, str]:
    plan = fetched(edge, edge.on_request(request, now))
    answer = edge.on_response(plan, response, now + 0.177).answers[plan.ticket]
    edge.on_body_end(plan, 10, now + 0.177)
    assert isinstance(answer, Serve | Relay)
    return dict(answer.headers)


def hit(edge: EdgeMachine, request: RequestHead, now: float) -> dict[str, str]:
    answer = edge.on_request(request, now)
    assert isinstance(answer, Serve), answer
    return dict(answer.headers)


# ---- Fastly-Debug --------------------------------------------------------------------------------------------------


def test_a_miss_and_a_hit_tell_of_path_ttl_and_key() -> None:
    edge = node(FASTLY, Behavior(path="*", stale_if_error=30.0))
    me = f"cache-fra{int(sha256(b'fra').hexdigest()[:4], 16)}-FRA"
    miss = landed(edge, says(**KEPT), debugging())
    assert miss["fastly-debug-path"] == f"(D {me} {int(NOW)}) (F {me} {int(NOW)})"
    assert miss["fastly-debug-ttl"] == f"(M {me} - - 0)"
    told = hit(edge, debugging(), NOW + 10)
    assert told["fastly-debug-path"] == f"(D {me} {int(NOW + 10)}) (F {me} {int(NOW)})"
    assert told["fastly-debug-ttl"] == f"(H {me} 590.177 30.000 9)"
    key = cache_key(ask(), edge.state.matcher.match("/a").behavior)
    assert told["fastly-debug-digest"] == miss["fastly-debug-digest"] == sha256(key.encode()).hexdigest()
    assert (told["surrogate-key"], told["surrogate-control"]) == ("a b", "max-age=600")


def test_two_urls_have_two_digests_and_two_methods_one() -> None:
    edge = node(FASTLY)
    digests = [
        landed(edge, says(), replace(request, trusted=True))["fastly-debug-digest"]
        for request in (
            ask("/a", fastly_debug="1"), ask("/b", fastly_debug="1"), ask("/a", host="other", fastly_debug="1"),
            ask("/a", method="POST", fastly_debug="1"),
        )
    ]  # fmt: skip
    assert len(set(digests)) == 3 and digests[0] == digests[3]


@pytest.mark.parametrize("request_", [ask(), debugging(trusted=False)], ids=["not asked", "a stranger"])
@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_nobody_else_is_told(profile: Profile, request_: RequestHead) -> None:
    edge = node(profile)
    for told in (landed(edge, says(**KEPT), request_), hit(edge, request_, NOW + 1)):
        assert not any(name.startswith("fastly-debug") for name in told)
        assert ("surrogate-key" in told) is (profile is not FASTLY)


def test_a_304_and_a_part_tell_it_too_and_an_origin_may_not_say_it() -> None:
    edge = node(FASTLY)
    landed(edge, says(etag='"1"', content_length="10", fastly_debug_ttl="forged", **FRESH), ask())
    for fields in ({"if_none_match": '"1"'}, {"range": "bytes=0-1"}):
        told = hit(edge, replace(ask(fastly_debug="1", **fields), trusted=True), NOW + 1)
        assert told["fastly-debug-path"].startswith("(D ")
    assert not any(name.startswith("fastly-debug") for name in hit(edge, ask(), NOW + 1))


def test_a_304_from_the_origin_leaves_the_time_of_the_fetch() -> None:
    """ "HTTP caching semantics": vcl_fetch is not executed for a revalidation."""
    edge = node(FASTLY)
    landed(edge, says(cache_control="max-age=1", etag='"1"'), ask())
    told = landed(edge, says(304), debugging(), NOW + 30)
    assert told["fastly-debug-path"].count(f" {int(NOW + 30)})") == 1
    assert told["fastly-debug-path"].count(f" {int(NOW)})") == 1


def test_over_two_tiers_each_node_stands_before_those_above_it() -> None:
    """The generated VCL: what the shield wrote is kept with the object."""

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="jfk", profile=FASTLY, service={"gate": False}) as shield,
            running_node(shield.url, name="ord", profile=FASTLY) as edge,
        ):
            origin.says("/a", b"body", **KEPT)
            plain = await edge.get("/a")
            assert plain["fastly-debug-path"] is None and plain["surrogate-key"] is None
            told = await edge.get("/a", fastly_debug="1")
            ord_, jfk = r"cache-ord\d+-ORD", r"cache-jfk\d+-JFK"
            path = rf"\(D {ord_} \d+\) \(F {ord_} \d+\) \(D {jfk} \d+\) \(F {jfk} \d+\)"
            assert re.fullmatch(path, str(told["fastly-debug-path"]))
            assert re.fullmatch(
                rf"\(H {ord_} \d+\.\d{{3}} 0\.000 \d+\) \(M {jfk} - - 0\)",
                str(told["fastly-debug-ttl"]),
            )
            assert told["surrogate-key"] == "a b"
        async with running_node(origin.url, profile=FASTLY, trusted=["192.0.2.0/24"]) as stranger:
            assert (await stranger.get("/b", fastly_debug="1"))["fastly-debug-path"] is None

    asyncio.run(run())


# ---- Server-Timing -------------------------------------------------------------------------------------------------

ON_DEMAND = Behavior(path="*", server_timing=0.0)


def timed(**fields: str) -> RequestHead:
    return ask(pragma="server-timing", **fields)


def metrics(told: dict[str, str]) -> dict[str, str]:
    """Each metric of the field and its parameter."""
    return {
        name: parameter.partition("=")[2].strip('"')
        for name, _, parameter in (one.strip().partition(";") for one in told["server-timing"].split(","))
    }


def test_a_miss_names_the_layer_that_asked_and_how_long_the_origin_took() -> None:
    told = landed(node(CLOUDFRONT, ON_DEMAND), says(**FRESH), timed())
    assert metrics(told) == {
        "cdn-upstream-layer": "EDGE", "cdn-upstream-fbl": "177", "cdn-cache-miss": "", "cdn-pop": told["x-amz-cf-pop"],
        "cdn-rid": told["x-amz-cf-id"], "cdn-downstream-fbl": "177",
    }  # fmt: skip


def test_a_hit_names_the_layer_that_had_it_and_drops_what_the_origin_said() -> None:
    edge = node(CLOUDFRONT, ON_DEMAND)
    told = landed(edge, says(server_timing="db;dur=53", **FRESH), timed())
    assert told["server-timing"].startswith("db;dur=53, cdn-upstream-layer")  # a miss merges them
    told = hit(edge, timed(), NOW + 1)
    assert metrics(told) == {
        "cdn-cache-hit": "", "cdn-pop": told["x-amz-cf-pop"], "cdn-rid": told["x-amz-cf-id"], "cdn-hit-layer": "EDGE",
        "cdn-downstream-fbl": "0",
    }  # fmt: skip
    assert hit(edge, ask(), NOW + 1)["server-timing"] == "db;dur=53"  # not asked for: the origin's own stays


def test_a_304_is_a_refresh() -> None:
    edge = node(CLOUDFRONT, ON_DEMAND)
    landed(edge, says(cache_control="max-age=1", etag='"1"'), ask())
    told = landed(edge, says(304), timed(), NOW + 30)
    assert "cdn-cache-refresh" in metrics(told) and "cdn-cache-miss" not in metrics(told)


@pytest.mark.parametrize(
    ("stored", "metric", "layer"), [(True, "cdn-cache-hit", "hit"), (False, "cdn-cache-miss", "upstream")]
)
def test_behind_a_shield_the_serving_tier_is_told(stored: bool, metric: str, layer: str) -> None:
    shield, edge = node(CLOUDFRONT, ON_DEMAND, name="nyc", gate=False), node(CLOUDFRONT, ON_DEMAND)
    if stored:
        filled(shield, says(**FRESH))
    plan = fetched(edge, edge.on_request(timed(), NOW))
    above = shield.on_request(plan.request, NOW)
    if isinstance(above, Fetch):
        above = shield.on_response(above, says(**FRESH), NOW).answers[above.ticket]
    assert isinstance(above, Serve) and "server-timing" not in dict(above.headers)
    answer = edge.on_response(plan, ResponseHead(above.status, Headers(above.headers)), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve)
    found = metrics(dict(answer.headers))
    assert metric in found and found[f"cdn-{layer}-layer"] == "Origin Shield"


def test_it_is_told_only_where_it_is_switched_on() -> None:
    for profile, behavior in ((CLOUDFRONT, Behavior(path="*")), (RFC9111, ON_DEMAND), (FASTLY, ON_DEMAND)):
        assert "server-timing" not in landed(node(profile, behavior), says(**FRESH), timed())
    assert "server-timing" not in landed(node(CLOUDFRONT, ON_DEMAND), says(**FRESH), ask())


@pytest.mark.parametrize(("percent", "least", "most"), [(0.0, 0, 0), (25.0, 200, 300), (100.0, 1000, 1000)])
def test_so_many_answers_carry_it(percent: float, least: int, most: int) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", server_timing=percent))
    filled(edge, says(**FRESH))
    assert least <= sum("server-timing" in hit(edge, ask(), NOW + 1) for _ in range(1000)) <= most


@pytest.mark.parametrize("percent", [-1, 101, "on"])
def test_what_is_no_percentage_is_refused(percent: object) -> None:
    with pytest.raises(ValueError, match="server_timing"):
        Service.model_validate({"behaviors": [{"path": "*", "server_timing": percent}]})
