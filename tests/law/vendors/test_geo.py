"""What the vendors tell an origin of a viewer, what of it makes the key, and what a refused viewer is shown."""

import asyncio
import json
from pathlib import Path

import pytest

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.place import Place
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Fetch, Join, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo, Key, Service
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.replay import read_trace, replay_node
from cdnkit.settings.edge import Whereabouts
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.http import ask as ask_url
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin

US_CA = Place("US", "CA", 64500)


def viewer(place: Place, path: str = "/a", **fields: str) -> RequestHead:
    request = ask(path, **fields)
    request.place, request.client_port = place, 46532
    return request


TOLD = [  # profile, field, value for a viewer in US-CA at 198.51.100.7
    (CLOUDFRONT, "CloudFront-Viewer-Country", "US"),
    (CLOUDFRONT, "CloudFront-Viewer-Country-Region", "CA"),
    (CLOUDFRONT, "CloudFront-Viewer-ASN", "64500"),
    (CLOUDFRONT, "CloudFront-Viewer-Address", "198.51.100.7:46532"),
    (CLOUDFRONT, "CloudFront-Forwarded-Proto", "http"),
    (FASTLY, "Fastly-Geo-Country", "US"),
    (FASTLY, "Fastly-Geo-Region", "CA"),
]


@pytest.mark.parametrize(("profile", "field", "value"), TOLD)
@pytest.mark.parametrize("where", ["key", "viewer_headers", "neither"])
def test_the_origin_is_told_what_is_listed_and_never_the_viewers_own_word(
    profile: Profile, field: str, value: str, where: str
) -> None:
    listed = {"key": {"key": Key(headers=(field,))}, "viewer_headers": {"viewer_headers": (field,)}, "neither": {}}[
        where
    ]
    edge = node(profile, Behavior(path="*", **listed))  # type: ignore[arg-type]
    forged = {field.lower().replace("-", "_"): "forged"}
    sent = fetched(edge, edge.on_request(viewer(US_CA, **forged), NOW)).request.headers
    assert sent.all(field.lower()) == ([] if where == "neither" else [value])


@pytest.mark.parametrize("policy", ["AllViewer", "CORS-CustomOrigin", "none"])
def test_managed_policies_take_nothing_away_and_let_nothing_forged_through(policy: str) -> None:
    behavior = Behavior(
        path="*", cache_policy="CachingOptimized", origin_request_policy=policy,  # type: ignore[arg-type]
        viewer_headers=("CloudFront-Viewer-Country",),
    )  # fmt: skip
    request = viewer(US_CA, cloudfront_viewer_country="DE", cloudfront_viewer_asn="1")
    edge = node(CLOUDFRONT, behavior)
    sent = fetched(edge, edge.on_request(request, NOW)).request.headers
    assert sent.all("cloudfront-viewer-country") == ["US"] and "cloudfront-viewer-asn" not in sent


def test_what_is_not_known_is_not_told() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", viewer_headers=("CloudFront-Viewer-Country", "CloudFront-Viewer-ASN")))
    sent = fetched(edge, edge.on_request(viewer(Place(), cloudfront_viewer_country="DE"), NOW)).request.headers
    assert "cloudfront-viewer-country" not in sent and "cloudfront-viewer-asn" not in sent


KEYED = [  # profile, behavior
    (CLOUDFRONT, Behavior(path="*", key=Key(headers=("CloudFront-Viewer-Country",)))),
    (CLOUDFRONT, Behavior(path="*", cache_policy="Amplify", origin_request_policy="AllViewer")),
    (FASTLY, Behavior(path="*", key=Key(headers=("Fastly-Geo-Country",)))),
]


@pytest.mark.parametrize(("profile", "behavior"), KEYED)
def test_a_keyed_country_is_the_edges_own(profile: Profile, behavior: Behavior) -> None:
    edge = node(profile, behavior)
    filled(edge, says(cache_control="max-age=60"), request=viewer(Place("DE")))
    forged = {"cloudfront_viewer_country": "DE", "fastly_geo_country": "DE"}
    assert isinstance(edge.on_request(viewer(Place("DE"), **dict.fromkeys(forged, "FR")), NOW), Serve)
    assert isinstance(edge.on_request(viewer(Place("DE")), NOW), Serve)
    for place in (Place("FR"), Place("US", "CA"), Place()):
        plan = edge.on_request(viewer(place, **forged), NOW)
        assert isinstance(plan, Fetch) and plan.key.count("DE") == 0
    again = edge.on_request(viewer(Place("FR")), NOW)
    assert (
        again.key.count("FR") if isinstance(again, Fetch) else isinstance(again, Join)
    )  # its own flight, not that of DE


def test_what_is_told_beside_the_key_is_of_the_viewer_who_asked_first() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", viewer_headers=("CloudFront-Viewer-Country",)))
    filled(edge, says(cache_control="max-age=60"), request=viewer(Place("DE")))
    assert isinstance(edge.on_request(viewer(Place("FR")), NOW), Serve)


def test_a_shield_keys_and_tells_what_its_edges_found() -> None:
    async def run() -> None:
        behavior = Behavior(path="*", key=Key(headers=("CloudFront-Viewer-Country",)))
        geo = Whereabouts(countries={"203.0.113.0/24": "DE", "198.51.100.0/24": "FR"})
        async with (
            running_origin() as origin,
            running_node(origin.url, behavior, name="shield", profile=CLOUDFRONT, service={"gate": False}) as shield,
            running_node(shield.url, behavior, name="fra", profile=CLOUDFRONT, geo=geo) as fra,
            running_node(shield.url, behavior, name="cdg", profile=CLOUDFRONT, geo=geo) as cdg,
        ):
            origin.says("/a", b"body", cache_control="max-age=60")
            for edge in (fra, cdg):
                for ip in ("203.0.113.9", "198.51.100.9", "203.0.113.10"):
                    await edge.get("/a", cdnlab_client_ip=ip, cloudfront_viewer_country="NL")
            told = [asked.headers.all("cloudfront-viewer-country") for asked in origin.asked]
            assert told == [["DE"], ["FR"]]

    asyncio.run(run())


# ---- what a refused viewer is shown -----------------------------------------------------------------------------------

KP = Place("KP")
GEO = Behavior(path="*", geo=Geo(deny=("KP",)))


@pytest.mark.parametrize(
    ("profile", "content_type", "words"),
    [
        (RFC9111, "text/plain; charset=utf-8", "403 geo: KP is denied\n"),
        (CLOUDFRONT, "text/html", "is configured to block access from your country."),
        (FASTLY, "text/html; charset=utf-8", "<h1>Error 403 Forbidden</h1>"),
    ],
)
def test_refusals_look_as_the_vendors_do(profile: Profile, content_type: str, words: str) -> None:
    refused = node(profile, GEO).on_request(viewer(KP), NOW)
    assert isinstance(refused, Refuse) and refused.status == 403 and words in refused.body.decode()
    assert dict(refused.headers)["content-type"] == content_type
    if profile is CLOUDFRONT:
        assert dict(refused.headers)["x-cache"] == "Error from cloudfront"
        assert "KP" not in refused.body.decode()  # the vendor's page does not say what it knows


PAGES = (ErrorPage(status=403, page="/errors/elsewhere.html", response_status=200),)


def test_a_page_stands_in_for_a_refusal_and_the_refusal_is_not_cached() -> None:
    """ "Restrict the geographic distribution of your content": a custom error message."""
    edge = node(CLOUDFRONT, GEO, error_pages=PAGES)
    first = fetched(edge, edge.on_request(viewer(KP), NOW))
    assert first.request.path == "/errors/elsewhere.html" and first.outcome is Outcome.REFUSED
    second = edge.on_request(viewer(KP, "/b"), NOW)
    assert isinstance(second, Join) and second.outcome is Outcome.REFUSED
    landing = edge.on_response(first, says(cache_control="max-age=60"), NOW)
    edge.on_body_end(first, 10, NOW)
    for ticket in (first.ticket, second.ticket):
        answer = landing.answers[ticket]
        assert isinstance(answer, Serve) and (answer.status, answer.outcome, answer.cause) == (
            200,
            Outcome.REFUSED,
            None,
        )
        assert answer.reason == "geo: KP is denied" and answer.entry.key == "/errors/elsewhere.html"
    again = edge.on_request(viewer(KP), NOW)
    assert isinstance(again, Serve) and (again.outcome, again.entry.key) == (Outcome.REFUSED, "/errors/elsewhere.html")
    # Neither the page nor the refusal is what others get.
    assert fetched(edge, edge.on_request(viewer(Place("DE")), NOW)).request.path == "/a"
    plain = edge.on_request(viewer(Place("DE"), "/errors/elsewhere.html"), NOW)
    assert isinstance(plain, Serve) and (plain.status, plain.outcome, plain.reason) == (200, Outcome.HIT, "")


def test_a_page_that_fails_shows_its_own_failure() -> None:
    edge = node(CLOUDFRONT, GEO, error_pages=PAGES)
    first = fetched(edge, edge.on_request(viewer(KP), NOW))
    answer = edge.on_response(first, says(404), NOW).answers[first.ticket]
    assert isinstance(answer, Serve | Relay) and (answer.status, answer.outcome) == (404, Outcome.REFUSED)


def test_a_refused_post_is_told_the_refusal_itself() -> None:
    post = viewer(KP)
    post.method = "POST"
    refused = node(CLOUDFRONT, GEO, error_pages=PAGES).on_request(post, NOW)
    assert isinstance(refused, Refuse) and refused.status == 403


def test_pages_and_viewer_fields_on_the_wire_and_replayed(tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"
    behaviors = (
        Behavior(path="/keyed/*", key=Key(headers=("CloudFront-Viewer-Country-Region", "CloudFront-Viewer-ASN"))),
        Behavior(path="/errors/*"),
        Behavior(path="/signed/*", geo=Geo(deny=("KP",)), token="viewer"),
        Behavior(path="*", geo=Geo(deny=("KP",))),
    )
    settings = {"error_pages": PAGES, "tokens": {"viewer": Fastly(key="c2VjcmV0IG9mIHRoZSB0ZXN0cw==")}}
    geo = Whereabouts(
        countries={"203.0.113.0/24": "DE", "198.51.100.0/24": "KP", "192.0.2.0/25": "US-CA", "192.0.2.128/25": "US-NY"},
        asns={"192.0.2.0/24": 64500},
    )

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(
                origin.url, *behaviors, profile=CLOUDFRONT, records=records, geo=geo, service=settings
            ) as edge,
        ):
            for path, body in {
                "/a": b"body",
                "/keyed/a": b"keyed",
                "/errors/elsewhere.html": b"<h1>elsewhere</h1>",
            }.items():
                origin.says(path, body, cache_control="max-age=60")
            for _ in range(2):
                shown = await edge.get("/a", cdnlab_client_ip="198.51.100.9")
                assert (shown.status, shown.body) == (200, b"<h1>elsewhere</h1>")
            assert (await edge.get("/a", cdnlab_client_ip="203.0.113.9")).body == b"body"
            assert (await edge.get("/signed/a?token=4_secret", cdnlab_client_ip="198.51.100.9")).status == 200
            head = await ask_url(edge.url, "/a", method="HEAD", cdnlab_client_ip="198.51.100.9")
            assert (head.status, head["content-length"], head.body) == (200, "18", b"")
            refused = await ask_url(edge.url, "/a", method="POST", body=b"x", cdnlab_client_ip="198.51.100.9")
            assert refused.status == 403 and b"block access from your country" in refused.body
            for ip in ("192.0.2.1", "192.0.2.200", "192.0.2.2", "203.0.113.9"):
                forged = {"cloudfront_viewer_asn": "1", "cloudfront_viewer_country_region": "XX"}
                assert (await edge.get("/keyed/a", cdnlab_client_ip=ip, **forged)).body == b"keyed"
            assert origin.count == {"/errors/elsewhere.html": 1, "/a": 1, "/keyed/a": 3}

    asyncio.run(run())
    # Neither what was signed nor what was forged is written down.
    assert "secret" not in records.read_text() and "XX" not in records.read_text()
    asked = [line for line in map(json.loads, records.read_text().splitlines()) if line["kind"] == "request"]
    told = [(line["outcome"], line["reason"], line["cause"]) for line in asked if line["country"] == "KP"]
    assert told == [("refused", "geo: KP is denied", None)] * 5
    assert [(line["region"], line["asn"]) for line in asked if line["country"] == "US"] == [
        ("CA", 64500), ("NY", 64500), ("CA", 64500),
    ]  # fmt: skip
    service = Service(name="fra", profile="cloudfront", behaviors=behaviors, **settings)  # type: ignore[arg-type]
    replayed = replay_node(read_trace(records), service, CLOUDFRONT)
    assert replayed.differences == [] and replayed.requests == len(asked)


def test_connections_that_are_told_apart_by_their_port_are_in_the_replay_too(tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"
    behavior = Behavior(path="*", key=Key(headers=("CloudFront-Viewer-Address",)))

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, behavior, profile=CLOUDFRONT, records=records) as fra,
        ):
            origin.says("/a", b"x", cache_control="max-age=60")
            for _ in range(2):
                await fra.get("/a")
            assert origin.count["/a"] == 2

    asyncio.run(run())
    service = Service(name="fra", profile="cloudfront", behaviors=(behavior,))
    replayed = replay_node(read_trace(records), service, CLOUDFRONT)
    assert replayed.outcomes == {Outcome.MISS: 2} and not replayed.differences
