"""Compression at the edge: CloudFront, "Serve compressed files". A row for each condition, then real bytes."""

import asyncio
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.policy.http.messages import Headers, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Key, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors import CLOUDFRONT, FASTLY
from edge.codings import ENCODERS
from tests.kit.http import ask as ask_over
from tests.kit.machine import NOW, at, fetched
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin

BOTH = Behavior(path="*", compress=True, key=Key(accept_encoding=("gzip", "br")))
PLAYLIST = {"content_type": "application/vnd.apple.mpegurl", "content_length": "5000", "cache_control": "max-age=60"}


def lab(
    behavior: Behavior = BOTH, profile: Profile = CLOUDFRONT, codings: tuple[str, ...] = ("gzip", "br")
) -> EdgeMachine:
    return EdgeMachine(Service(name="fra", behaviors=(behavior,)), profile, codings=codings)


def playlist(status: int = 200, **fields: str) -> ResponseHead:
    return says(status, **{**PLAYLIST, **fields})


CONDITIONS = [  # the viewer's Accept-Encoding, the origin's answer, the coding put on it
    ("gzip, br", playlist(), "br"),  # brotli is preferred
    ("gzip", playlist(), "gzip"),
    ("br;q=0.1, gzip", playlist(), "br"),
    ("gzip, br;q=0", playlist(), "gzip"),
    ("zstd", playlist(), ""),
    (None, playlist(), ""),
    ("gzip", playlist(403), "gzip"),
    ("gzip", playlist(404), "gzip"),
    ("gzip", playlist(301, location="/b"), ""),
    ("gzip", playlist(500), ""),
    ("gzip", playlist(content_length="999"), ""),
    ("gzip", playlist(content_length="1000"), "gzip"),
    ("gzip", playlist(content_length="10000000"), "gzip"),
    ("gzip", playlist(content_length="10000001"), ""),
    ("gzip", says(content_type="text/html", cache_control="max-age=60"), ""),  # no Content-Length
    ("gzip", playlist(content_encoding="gzip"), ""),
    ("gzip", playlist(content_encoding="identity"), ""),
    ("gzip", playlist(cache_control="max-age=0"), ""),  # a lifetime of 0
    ("gzip", playlist(cache_control="private"), ""),
    ("gzip", playlist(cache_control="max-age=60, no-transform"), ""),  # ours (RFC 9110 §7.7)
    ("gzip", playlist(content_type="Text/CSS; charset=utf-8"), "gzip"),
    ("gzip", playlist(content_type="application/dash+xml"), "gzip"),
    ("gzip", playlist(content_type="application/x-mpegurl"), "gzip"),
    ("gzip", playlist(content_type="image/svg+xml"), "gzip"),
    ("gzip", playlist(content_type="audio/mpegurl"), ""),
    ("gzip", playlist(content_type="video/mp4"), ""),
    ("gzip", playlist(content_type="text/vtt"), ""),
]


@pytest.mark.parametrize(("accepted", "response", "coding"), CONDITIONS)
def test_what_is_compressed(accepted: str | None, response: ResponseHead, coding: str) -> None:
    edge = lab()
    plan = fetched(edge, edge.on_request(ask() if accepted is None else ask(accept_encoding=accepted), NOW))
    landing = edge.on_response(plan, response, NOW)
    assert landing.coding == coding
    told = dict(landing.answers[plan.ticket].headers)  # type: ignore[union-attr]
    if coding:
        assert told["content-encoding"] == coding and "content-length" not in told
        assert told["vary"].lower() == "accept-encoding"
    else:
        assert told.get("content-encoding") == response.headers.first("content-encoding")


TYPES = [  # "Serve compressed files" (2026), "File types that CloudFront compresses": all of them, in its order
    "application/dash+xml", "application/eot", "application/font", "application/font-sfnt", "application/javascript",
    "application/json", "application/opentype", "application/otf", "application/pdf", "application/pkcs7-mime",
    "application/protobuf", "application/rss+xml", "application/truetype", "application/ttf",
    "application/vnd.apple.mpegurl", "application/vnd.mapbox-vector-tile", "application/vnd.ms-fontobject",
    "application/wasm", "application/xhtml+xml", "application/xml", "application/x-font-opentype",
    "application/x-font-truetype", "application/x-font-ttf", "application/x-httpd-cgi", "application/x-javascript",
    "application/x-mpegurl", "application/x-opentype", "application/x-otf", "application/x-perl", "application/x-ttf",
    "font/eot", "font/opentype", "font/otf", "font/ttf", "image/svg+xml", "text/css", "text/csv", "text/html",
    "text/javascript", "text/js", "text/plain", "text/richtext", "text/tab-separated-values", "text/xml",
    "text/x-component", "text/x-java-source", "text/x-script", "vnd.apple.mpegurl",
]  # fmt: skip


@pytest.mark.parametrize("content_type", TYPES)
def test_types_that_are_compressed(content_type: str) -> None:
    edge = lab()
    plan = fetched(edge, edge.on_request(ask(accept_encoding="br"), NOW))
    assert edge.on_response(plan, playlist(content_type=content_type), NOW).coding == "br"


@pytest.mark.parametrize(("version", "coding"), [("1.0", ""), ("1.1", "br"), ("2", "br"), ("3", "br")])
def test_only_for_who_speaks_http_1_1_or_later(version: str, coding: str) -> None:
    edge = lab()
    plan = fetched(edge, edge.on_request(replace(ask(accept_encoding="br"), version=version), NOW))
    assert edge.on_response(plan, playlist(), NOW).coding == coding


def test_who_speaks_http_1_0_gets_nothing_that_was_compressed_for_others() -> None:
    """ "Request uses HTTP 1.0": its Accept-Encoding is removed."""
    edge = lab()
    plan = fetched(edge, edge.on_request(ask(accept_encoding="gzip"), NOW))
    edge.on_response(plan, playlist(), NOW)
    edge.on_body_end(plan, 900, NOW)
    old = fetched(edge, edge.on_request(replace(ask(accept_encoding="gzip"), version="1.0"), NOW + 1))
    assert "accept-encoding" not in old.request.headers


OFF = [  # where nothing is
    (CLOUDFRONT, Behavior(path="*", key=Key(accept_encoding=("gzip", "br")))),
    (CLOUDFRONT, Behavior(path="*", compress=True, cache_policy="CachingOptimizedForUncompressedObjects")),
    (RFC9111, BOTH),
    (FASTLY, BOTH),
]


@pytest.mark.parametrize(("profile", "behavior"), OFF)
def test_where_nothing_is_compressed(profile: Profile, behavior: Behavior) -> None:
    edge = lab(behavior, profile)
    plan = fetched(edge, edge.on_request(ask(accept_encoding="gzip, br"), NOW))
    assert edge.on_response(plan, playlist(), NOW).coding == ""


POLICIES = [("CachingOptimized", "br"), ("Elemental-MediaPackage", "gzip"), ("Amplify", "br"), ("CachingDisabled", "")]


@pytest.mark.parametrize(("policy", "coding"), POLICIES)
def test_managed_policies_say_which_codings(policy: str, coding: str) -> None:
    edge = lab(Behavior(path="*", compress=True, cache_policy=policy))  # type: ignore[arg-type]
    plan = fetched(edge, edge.on_request(ask(accept_encoding="gzip, br"), NOW))
    assert edge.on_response(plan, playlist(), NOW).coding == coding


def test_a_shell_without_brotli_does_gzip() -> None:
    edge = lab(codings=("gzip",))
    plan = fetched(edge, edge.on_request(ask(accept_encoding="gzip, br"), NOW))
    assert edge.on_response(plan, playlist(), NOW).coding == "gzip"


TAGS = [('"1"', 'W/"1"'), ('W/"1"', 'W/"1"'), ("1", None), ('"a', None)]


@pytest.mark.parametrize(("origins", "ours"), TAGS)
def test_a_strong_tag_becomes_weak_and_a_malformed_one_goes(origins: str, ours: str | None) -> None:
    edge = lab()
    plan = fetched(edge, edge.on_request(ask(accept_encoding="gzip"), NOW))
    answer = edge.on_response(plan, playlist(etag=origins), NOW).answers[plan.ticket]
    assert dict(answer.headers).get("etag") == ours  # type: ignore[union-attr]


def test_after_a_304_it_is_still_what_was_compressed() -> None:
    edge = lab()
    gzip = ask(accept_encoding="gzip")
    plan = fetched(edge, edge.on_request(gzip, NOW))
    edge.on_response(plan, playlist(etag='"1"'), NOW)
    edge.on_body_end(plan, 300, NOW)
    again = fetched(edge, edge.on_request(gzip, NOW + 61))
    assert again.request.headers.first("if-none-match") == 'W/"1"'
    update = {"date": at(61), "etag": '"1"', "cache-control": "max-age=60", "content-length": "5000"}
    edge.on_response(again, ResponseHead(304, Headers(update.items())), NOW + 61)
    hit = edge.on_request(gzip, NOW + 62)
    assert isinstance(hit, Serve)
    told = dict(hit.headers)
    assert (told["etag"], told["content-encoding"], told["content-length"]) == ('W/"1"', "gzip", "300")
    unchanged = edge.on_request(ask(accept_encoding="gzip", if_none_match='W/"1"'), NOW + 62)
    assert isinstance(unchanged, Serve) and unchanged.status == 304


def test_a_head_of_the_origins_does_not_retire_it() -> None:
    edge = lab(Behavior(path="*", compress=True, key=Key(accept_encoding=("gzip",)), ttl=BOTH.ttl))
    gzip = ask(accept_encoding="gzip")
    plan = fetched(edge, edge.on_request(gzip, NOW))
    edge.on_response(plan, playlist(etag='"1"', cache_control="max-age=60, stale-while-revalidate=600"), NOW)
    edge.on_body_end(plan, 300, NOW)
    (entry,) = edge.index
    life = entry.life
    head = edge.on_request(ask(method="HEAD", accept_encoding="gzip"), NOW + 700)
    assert isinstance(head, Fetch)
    edge.on_response(head, playlist(etag='"1"'), NOW + 700)
    assert entry.life is life


def test_compress_wants_codings_in_the_key() -> None:
    with pytest.raises(ValueError, match=r"accept_encoding.*with compress"):
        Behavior(path="*", compress=True)


BODY = b"".join(b"#EXTINF:4.00000,\nseg-1-%06d.m4s\n" % number for number in range(2000))


def decoded(coding: str, body: bytes) -> bytes:
    if coding == "gzip":
        return zlib.decompress(body, wbits=31)
    return pytest.importorskip("brotli").decompress(body)  # type: ignore[no-any-return]


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_an_encoder_gives_back_the_same_bytes_however_they_came(coding: str) -> None:
    for size in (1, 1000, len(BODY)):
        encoder = ENCODERS[coding]()
        coded = b"".join(encoder.add(BODY[at : at + size]) for at in range(0, len(BODY), size)) + encoder.finish()
        assert decoded(coding, coded) == BODY and len(coded) < len(BODY) / 4


def test_on_the_wire_and_replayed(tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, BOTH, profile=CLOUDFRONT, records=records) as edge,
        ):
            origin.says(
                "/a.m3u8", BODY, content_type="application/vnd.apple.mpegurl", cache_control="max-age=60", etag='"1"'
            )
            for coding in sorted(ENCODERS):
                miss, hit = [await edge.get("/a.m3u8", accept_encoding=coding) for _ in range(2)]
                for reply in (miss, hit):
                    assert (reply.status, reply["content-encoding"], reply["etag"]) == (200, coding, 'W/"1"')
                    assert reply.whole and decoded(coding, reply.body) == BODY
                assert hit["content-length"] == str(len(hit.body)) and hit["x-cache"] == "Hit from cloudfront"
            plain = await edge.get("/a.m3u8")
            assert plain.body == BODY and plain["content-encoding"] is None and plain["etag"] == '"1"'
            part = await edge.get("/a.m3u8", accept_encoding="gzip", range="bytes=0-9")
            assert part.status == 200 and decoded("gzip", part.body) == BODY
            origin.says("/b.m3u8", BODY, content_type="application/vnd.apple.mpegurl", cache_control="max-age=60")
            for _ in range(2):  # one who speaks HTTP/1.0 accepts no coding; the replay must know it
                old = await ask_over(edge.url, "/b.m3u8", version="1.0", accept_encoding="gzip")
                assert old.body == BODY and old["content-encoding"] is None
            part = await edge.get("/b.m3u8", range="bytes=0-9")
            assert (part.status, part.body) == (206, BODY[:10])  # of what it filled
            part = await edge.get("/b.m3u8", accept_encoding="gzip", range="bytes=0-9")
            assert part.status == 200 and decoded("gzip", part.body) == BODY  # a compressed one is sent whole

    asyncio.run(run())
    service = Service(name="fra", profile="cloudfront", behaviors=(BOTH,))
    assert replay_node(read_trace(records), service, CLOUDFRONT).differences == []
