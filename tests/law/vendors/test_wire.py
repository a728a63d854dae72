"""The profiles over real sockets: an origin, a shield, an edge, and what arrives at both ends."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo, Key, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors import CLOUDFRONT, FASTLY, RFC9111
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, running_origin


def test_fastly_two_tiers_surrogate_fields_reach_the_edge_and_not_the_viewer() -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="jfk", profile=FASTLY, service={"gate": False}) as shield,
            running_node(shield.url, name="ord", profile=FASTLY) as edge,
        ):
            origin.says("/a", b"body", cache_control="max-age=0", surrogate_control="max-age=60", surrogate_key="k")
            first, second = await edge.get("/a"), await edge.get("/a")
            assert (first["x-cache"], second["x-cache"]) == ("MISS, MISS", "MISS, HIT")
            assert second["x-cache-hits"] == "0, 1"
            assert re.fullmatch(r"cache-jfk\d+-JFK, cache-ord\d+-ORD", str(second["x-served-by"]))
            assert re.fullmatch(r"S\d+\.\d{6},VS0,VE\d+,VS0,VE\d+", str(first["x-timer"]))
            assert first["surrogate-control"] is None and first["surrogate-key"] is None
            assert origin.count["/a"] == 1
            assert "surrogate-key" in (await shield.get("/a")).headers

    asyncio.run(run())


def test_a_viewer_who_is_blocked_sees_the_page_and_the_replay_sees_it_too(tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"
    rules = (Behavior(path="/denied.html"), Behavior(path="*", geo=Geo(deny=("KP",))))
    pages = (ErrorPage(status=403, page="/denied.html", response_status=200),)

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(
                origin.url, *rules, profile=CLOUDFRONT, records=records, service={"error_pages": pages},
                countries={"127.0.0.0/8": "KP"},
            ) as edge,
        ):  # fmt: skip
            origin.says("/denied.html", b"not in your country", cache_control="max-age=60")
            replies = [await edge.get("/a") for _ in range(2)]
            assert [(reply.status, reply.body) for reply in replies] == [(200, b"not in your country")] * 2
            assert origin.count == {"/denied.html": 1}

    asyncio.run(run())
    told = [line for line in map(json.loads, records.read_text().splitlines()) if line["kind"] == "request"]
    assert [(line["outcome"], line["reason"]) for line in told] == [
        ("refused", "geo: KP is denied"), ("refused", "geo: KP is denied"),
    ]  # fmt: skip
    service = Service(name="fra", profile="cloudfront", behaviors=rules, error_pages=pages)
    assert replay_node(read_trace(records), service, CLOUDFRONT).differences == []


def test_cloudfront_on_the_wire_and_replayed(tmp_path: Path) -> None:
    """Queries left out of the key, cookies kept from the origin, a page in place of an error, a page of the edge's own."""
    records = tmp_path / "fra.jsonl"
    behaviors = (
        Behavior(path="/keyed/*", key=Key(query=("v",), accept_encoding=("gzip", "br"))),
        Behavior(path="/managed/*", cache_policy="CachingOptimized", origin_request_policy="CORS-CustomOrigin"),
        Behavior(path="*"),
    )
    pages = (ErrorPage(status=404, page="/none.html", response_status=200),)

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(
                origin.url, *behaviors, profile=CLOUDFRONT, records=records, service={"error_pages": pages}
            ) as edge,
        ):
            origin.says("/keyed/a", b"body", set_cookie="a=b")
            origin.says("/managed/a", b"body", cache_control="no-store")
            origin.says("/none.html", b"<h1>none</h1>", content_type="text/html")
            first = await edge.get("/keyed/a?v=1&u=1", cookie="s=1", accept_encoding="zstd, br, gzip")
            second = await edge.get("/keyed/a?u=2&v=1", accept_encoding="gzip;q=0.1, br")
            assert (first["x-cache"], second["x-cache"]) == ("Miss from cloudfront", "Hit from cloudfront")
            assert first["set-cookie"] is None and len(str(second["x-amz-cf-id"])) == 56
            assert first["x-amz-cf-id"] != second["x-amz-cf-id"]
            asked = origin.asked[0]
            assert asked.target == "/keyed/a?v=1" and asked.headers.first("accept-encoding") == "br,gzip"
            assert "cookie" not in asked.headers and asked.headers.first("user-agent") == "Amazon CloudFront"
            await edge.get("/managed/a?x=1", origin="https://a")
            assert (await edge.get("/managed/a", origin="https://b"))["x-cache"] == "Hit from cloudfront"  # MinTTL 1 s
            for _ in range(2):
                missing = await edge.get("/missing")
                assert (missing.status, missing.body) == (200, b"<h1>none</h1>")
            assert origin.count["/missing"] == origin.count["/none.html"] == 1
            head = await ask(edge.url, "/missing", method="HEAD")
            assert (head.status, head.body) == (200, b"")
        gone = "http://127.0.0.1:1"
        async with running_node(gone, profile=CLOUDFRONT) as alone:
            failed = await alone.get("/a")
            assert failed.status == 502 and b"<H1>502 ERROR</H1>" in failed.body and failed.whole
            assert failed["x-cache"] == "Error from cloudfront" and failed["content-type"] == "text/html"
            assert f"Request ID: {failed['x-amz-cf-id']}".encode() in failed.body

    asyncio.run(run())
    service = Service(name="fra", profile="cloudfront", behaviors=behaviors, error_pages=pages)
    replayed = replay_node(read_trace(records), service, CLOUDFRONT)
    assert replayed.requests == 7 and replayed.differences == []


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize(
    ("profile", "behavior", "host"),
    [
        (FASTLY, Behavior(path="*"), "www.test"),
        (CLOUDFRONT, Behavior(path="*", key=Key(headers=("Host",))), "www.test"),
        (CLOUDFRONT, Behavior(path="*", origin_request_policy="AllViewer"), "www.test"),
        (CLOUDFRONT, Behavior(path="*"), ""),
    ],
)
def test_the_viewers_host_reaches_the_origin_through_both_tiers(
    profile: Profile, behavior: Behavior, host: str, http: str
) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, behavior, name="jfk", profile=profile, service={"gate": False}) as shield,
            running_node(shield.url, behavior, name="ord", profile=profile, parent_http=http) as edge,
        ):
            origin.says("/a", b"body", cache_control="max-age=60")
            assert (await edge.get("/a", host="www.test")).body == b"body"
            own = origin.url.removeprefix("http://")
            assert [asked.headers.first("host") for asked in origin.asked] == [host or own]

    asyncio.run(run())


def test_the_host_of_an_absolute_target_is_the_one_that_keys_hold_and_parents_are_told() -> None:
    """RFC 9112 section 3.2.2: else one host's answer would be stored as another's."""
    behavior = Behavior(path="*", key=Key(headers=("Host",)))

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, behavior, profile=CLOUDFRONT) as edge:
            origin.says("/a", b"body", cache_control="max-age=60")
            await ask(edge.url, "http://evil.test/a", host="www.test")
            await edge.get("/a", host="www.test")
            assert [asked.headers.first("host") for asked in origin.asked] == ["evil.test", "www.test"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("profile", "length", "whole"), [(FASTLY, "", True), (FASTLY, "9", False), (RFC9111, "", False)]
)
def test_what_came_of_a_body_that_stalls_counts_at_fastly_where_no_length_was_told(
    profile: Profile, length: str, whole: bool, tmp_path: Path
) -> None:
    """Backend API: "the response received so far will be considered complete and the fetch will end"."""
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        over = asyncio.Event()

        async def stalls(asked: Asked, writer: asyncio.StreamWriter) -> None:
            framing = f"content-length: {length}" if length else "transfer-encoding: chunked"
            body = "part" if length else "4\r\npart\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{framing}\r\n\r\n{body}".encode())
            await writer.drain()
            await over.wait()

        async with (
            running_origin() as origin,
            running_node(origin.url, profile=profile, timeouts={"between_bytes": 0.2}, records=records) as edge,
        ):
            origin.does("/a", stalls)
            reply = await edge.get("/a")
            assert (reply.body, reply.whole) == (b"part", whole)
            origin.says("/a", b"new", cache_control="max-age=60")
            again = await edge.get("/a")
            assert (again.body, again["content-length"]) == ((b"part", "4") if whole else (b"new", "3"))
            assert len(origin.asked) == (1 if whole else 2)
            over.set()

    asyncio.run(run())
    service = Service(name="fra", profile=profile.name)  # type: ignore[arg-type]
    assert replay_node(read_trace(records), service, profile).differences == []


def test_what_is_passed_and_stalls_before_its_body_is_an_empty_one() -> None:
    async def run() -> None:
        over = asyncio.Event()

        async def stalls(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncache-control: private\r\n\r\n")
            await writer.drain()
            await over.wait()

        async with (
            running_origin() as origin,
            running_node(origin.url, profile=FASTLY, timeouts={"between_bytes": 0.2}) as edge,
        ):
            origin.does("/a", stalls)
            reply = await edge.get("/a")
            assert (reply.status, reply.body, reply.whole) == (200, b"", True)
            over.set()

    asyncio.run(run())
