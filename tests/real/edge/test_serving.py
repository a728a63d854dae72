"""One real node in front of a real origin: what a viewer gets, and what the origin was asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.rules.service import Behavior, Geo, Key, Ttl
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.policy.token import FastlyToken
from tests.kit.http import ask
from tests.kit.late import GUARD_S
from tests.kit.node import running_node
from tests.kit.origin import Asked, response, running_origin

SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="


def test_a_second_request_is_a_hit_and_says_so() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            origin.says("/a", b"body", cache_control="max-age=60", etag='"1"')
            first, second = await node.get("/a"), await node.get("/a")
            assert (first.status, first.body, first["x-cache"]) == (200, b"body", "MISS")
            assert first["cache-status"] == "fra; fwd=uri-miss; ttl=60; stored"
            assert (second.status, second.body, second["x-cache"]) == (200, b"body", "HIT")
            assert second["cache-status"] == "fra; hit; ttl=60"
            assert second["age"] == "0" and second["via"] == "1.1 fra"
            assert second.headers.all("date") == first.headers.all("date")
            assert origin.count["/a"] == 1

    asyncio.run(run())


def test_head_range_and_condition_are_answered_from_the_store() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            origin.says("/a", b"0123456789", cache_control="max-age=60", etag='"v1"')
            await node.get("/a")
            head = await ask(node.url, "/a", method="HEAD")
            assert (head.status, head["content-length"], head.body) == (200, "10", b"")
            part = await node.get("/a", range="bytes=2-4")
            assert (part.status, part.body, part["content-range"]) == (206, b"234", "bytes 2-4/10")
            assert part["etag"] == '"v1"'
            tail = await node.get("/a", range="bytes=-3", if_range='"v1"')
            assert (tail.status, tail.body) == (206, b"789")
            assert (await node.get("/a", range="bytes=-3", if_range='"other"')).body == b"0123456789"
            beyond = await node.get("/a", range="bytes=50-")
            assert (beyond.status, beyond["content-range"]) == (416, "bytes */10")
            same = await node.get("/a", if_none_match='"v1"')
            assert (same.status, same.body, same["etag"]) == (304, b"", '"v1"')
            assert (await node.get("/a", if_none_match='"v2"')).status == 200
            assert origin.count["/a"] == 1

    asyncio.run(run())


def test_a_stale_answer_is_revalidated_with_its_own_validator() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                same = asked.headers.first("if-none-match") == '"v1"'
                fields = {"cache_control": "max-age=0", "etag": '"v1"'}
                writer.write(response(b"body", 304 if same else 200, asked.method, **fields))

            origin.does("/a", script)
            assert (await node.get("/a")).body == b"body"
            again = await node.get("/a", if_none_match='"of the client"')
            assert (again.status, again.body) == (200, b"body")
            assert again["cache-status"] == "fra; fwd=stale; fwd-status=304; ttl=0"
            assert [asked.headers.first("if-none-match") for asked in origin.asked] == [None, '"v1"']

    asyncio.run(run())


def test_stale_while_revalidate_answers_at_once_and_refreshes_once() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            gate, asked_again = asyncio.Event(), asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if origin.count["/a"] > 1:
                    asked_again.set()
                    await gate.wait()
                body = b"%d" % origin.count["/a"]
                writer.write(response(body, cache_control="max-age=0, stale-while-revalidate=60"))

            origin.does("/a", script)
            assert (await node.get("/a")).body == b"1"
            stale = [await node.get("/a") for _ in range(3)]
            assert {reply.body for reply in stale} == {b"1"} and stale[0]["x-cache"] == "HIT"
            await asked_again.wait()
            assert origin.count["/a"] == 2
            gate.set()
            while (reply := await node.get("/a")).body == b"1":
                pass  # the background refresh lands soon; pytest's time-out bounds the wait
            assert reply.body == b"2"

    asyncio.run(run())


@pytest.mark.parametrize("trouble", ["down", "500", "garbage", "reset", "silent"])
def test_a_failing_origin_is_covered_by_the_stale_copy(trouble: str) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, timeouts={"first_byte": "200ms"}) as node,
        ):
            origin.says("/a", b"good", cache_control="max-age=0, stale-if-error=60")
            origin.says("/b", b"good", cache_control="max-age=0, must-revalidate")
            for path in ("/a", "/b"):
                await node.get(path)
            fail(origin, trouble)
            covered = await node.get("/a")
            assert (covered.status, covered.body) == (200, b"good")
            assert "detail=stale-if-error" in str(covered["cache-status"])
            bare = await node.get("/b")
            assert bare.status in (500, 502, 504) and bare.body != b"good"

    asyncio.run(run())


def fail(origin, trouble: str) -> None:  # type: ignore[no-untyped-def]
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        match trouble:
            case "500":
                writer.write(response(b"oops", 500))
            case "garbage":
                writer.write(b"this is not HTTP\r\n\r\n")
            case "reset" | "down":
                writer.transport.abort()
            case "silent":
                await asyncio.sleep(30)

    for path in tuple(origin.scripts):
        origin.does(path, script)


def test_an_unreachable_origin_is_a_clear_502() -> None:
    async def run() -> None:
        async with running_node("http://127.0.0.1:9") as node:
            reply = await node.get("/a")
            assert reply.status == 502
            assert reply.body == b"502 origin: connect-refused\n"

    asyncio.run(run())


TRUTHS = [  # what the origin sends after a 200 head                 what the viewer gets      what the store keeps
    (b"content-length: 10\r\n\r\n01234", b"01234", False, "shorter than promised: not whole, not kept"),
    (b"content-length: 5\r\n\r\n0123456789", b"01234", True, "longer than promised: cut there"),
    (b"transfer-encoding: chunked\r\n\r\n5\r\n01234\r\n", b"01234", False, "chunked without its last chunk"),
    (b"transfer-encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n", b"01234", True, "chunked, whole"),
    (b"\r\n01234", b"01234", True, "until close"),
]


@pytest.mark.parametrize(("sent", "seen", "kept", "why"), TRUTHS, ids=[row[3] for row in TRUTHS])
def test_a_body_is_kept_only_when_it_is_what_it_said(sent: bytes, seen: bytes, kept: bool, why: str) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n" + sent)
                await writer.drain()
                writer.close()

            origin.does("/a", script)
            first = await node.get("/a")
            assert first.body == seen and first.whole == kept
            await node.get("/a")
            assert origin.count["/a"] == (1 if kept else 2)

    asyncio.run(run())


def test_500_requests_for_a_new_object_are_one_question_and_all_stream_while_it_comes() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            go, half = asyncio.Event(), asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await go.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\ncache-control: max-age=60\r\n\r\n")
                writer.write(b"x" * 100_000)
                await half.wait()
                writer.write(b"y" * 100_000)

            origin.does("/new", script)
            asks = [asyncio.create_task(node.get("/new")) for _ in range(500)]
            while (await node.health())["fills_in_flight"] != 1:
                pass
            go.set()
            half.set()
            replies = await asyncio.gather(*asks)
            assert {reply.body for reply in replies} == {b"x" * 100_000 + b"y" * 100_000}
            assert origin.count["/new"] == 1
            outcomes = [("collapsed" in str(r["cache-status"]), r["x-cache"]) for r in replies]
            assert outcomes.count((False, "MISS")) == 1

    asyncio.run(run())


def test_waiters_get_bytes_before_the_body_is_whole() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            rest = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncache-control: max-age=60\r\n\r\n01234")
                await writer.drain()
                await rest.wait()
                writer.write(b"56789")

            origin.does("/a", script)
            readers = []
            host, port = node.url.removeprefix("http://").split(":")
            for _ in range(3):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
                readers.append((reader, writer))
            for reader, _ in readers:  # the origin holds its second half back: what comes, comes while it fills
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(5) == b"01234"
            rest.set()
            for reader, writer in readers:
                assert await reader.readexactly(5) == b"56789"
                writer.close()
            assert origin.count["/a"] == 1

    asyncio.run(run())


def test_a_leader_who_leaves_takes_nobody_with_him() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            go, asked_once = asyncio.Event(), asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                asked_once.set()
                await go.wait()
                writer.write(response(b"body", cache_control="max-age=60"))

            origin.does("/a", script)
            host, port = node.url.removeprefix("http://").split(":")
            _, leader = await asyncio.open_connection(host, int(port))
            leader.write(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            await asked_once.wait()
            follower = asyncio.create_task(node.get("/a"))
            leader.transport.abort()
            await asyncio.sleep(0)
            go.set()
            assert (await follower).body == b"body"
            assert origin.count["/a"] == 1

    asyncio.run(run())


def test_an_uncacheable_answer_releases_everyone_at_once() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            first, together = asyncio.Event(), asyncio.Barrier(9)

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if origin.count["/p"] == 1:
                    await first.wait()
                else:
                    await together.wait()  # passes only if all nine others are asked at the same time
                writer.write(response(b"yours", cache_control="private"))

            origin.does("/p", script)
            asks = [asyncio.create_task(node.get("/p")) for _ in range(10)]
            while len([r for r in asks if not r.done()]) < 10 or (await node.health())["fills_in_flight"] != 1:
                pass
            for _ in range(20):
                await node.health()  # let the other nine join
            first.set()
            replies = await asyncio.wait_for(asyncio.gather(*asks), GUARD_S)
            assert {reply.body for reply in replies} == {b"yours"}
            assert origin.count["/p"] == 10

    asyncio.run(run())


def test_an_object_larger_than_may_be_stored_streams_through() -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, memory="1MiB", largest="256KiB") as node,
        ):
            big = bytes(range(256)) * 8192  # 2 MiB

            async def chunked(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n")
                for start in range(0, len(big), 65_536):
                    writer.write(b"10000\r\n" + big[start : start + 65_536] + b"\r\n")
                    await writer.drain()
                writer.write(b"0\r\n\r\n")

            origin.says("/sized", big, cache_control="max-age=60")
            origin.does("/unsized", chunked)
            for path in ("/sized", "/unsized"):
                for reply in await asyncio.gather(*(node.get(path) for _ in range(4))):
                    assert reply.body == big, path
            assert (await node.health())["stored_bytes"] == 0

    asyncio.run(run())


def test_the_room_holds_and_the_least_recently_used_goes() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, memory="1MiB", largest="1MiB") as node:
            for i in range(40):
                origin.says(f"/{i}", bytes(100_000), cache_control="max-age=600")
                await node.get(f"/{i}")
                await node.get("/0")  # kept in use, so it stays
            health = await node.health()
            assert health["stored_bytes"] <= health["room_bytes"]
            assert origin.count["/0"] == 1
            evicted = await node.get("/1")
            assert "detail=evicted" in str(evicted["cache-status"])

    asyncio.run(run())


def test_a_404_is_kept_briefly() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, Behavior(path="*", error_ttl="30s")) as node:
            assert (await node.get("/soon")).status == 404
            assert (await node.get("/soon"))["x-cache"] == "HIT"
            assert origin.count["/soon"] == 1

    asyncio.run(run())


def test_behaviors_rule_ttl_and_key() -> None:
    async def run() -> None:
        rules = (
            Behavior(path="*.m3u8", key=Key(query=("_HLS_msn",)), ttl=Ttl(max="1s")),
            Behavior(path="/live/*", key=Key(query="none"), ttl=Ttl(default="1d")),
            Behavior(path="/private/*", cache=False),
        )
        async with running_origin() as origin, running_node(origin.url, *rules) as node:
            for path in ("/live/a.m3u8", "/live/seg.m4s", "/private/x"):
                origin.says(path, b"x")
            origin.says("/live/a.m3u8", b"x", cache_control="max-age=60")
            for target in ("/live/seg.m4s?sid=1", "/live/seg.m4s?sid=2", "/private/x", "/private/x"):
                await node.get(target)
            assert origin.count["/live/seg.m4s?sid=1"] == 1 and origin.count["/live/seg.m4s?sid=2"] == 0
            assert origin.count["/private/x"] == 2
            await node.get("/live/a.m3u8?_HLS_msn=1&utm=a")
            assert (await node.get("/live/a.m3u8?utm=b&_HLS_msn=1"))["cache-status"] == "fra; hit; ttl=1"
            assert (await node.get("/live/a.m3u8?_HLS_msn=2"))["x-cache"] == "MISS"

    asyncio.run(run())


def test_the_gate_refuses_with_its_reason_and_keeps_the_token_to_itself(tmp_path: Path) -> None:
    async def run() -> None:
        rules = (
            Behavior(path="*.m3u8", token="viewer"),
            Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow")),
        )
        records = tmp_path / "fra.jsonl"
        async with (
            running_origin() as origin,
            running_node(
                origin.url,
                *rules,
                records=records,
                countries={"203.0.113.0/24": "KP"},
                service={"tokens": {"viewer": Fastly(key=SECRET)}},
            ) as node,
        ):
            origin.says("/a.m3u8", b"#EXTM3U", cache_control="max-age=60")
            origin.says("/seg", b"x", cache_control="max-age=60")
            token = FastlyToken(SECRET).sign("/a.m3u8", 4_000_000_000)
            old = FastlyToken(SECRET).sign("/a.m3u8", 1_000_000_000)
            assert (await node.get("/a.m3u8")).body == b"403 token: missing\n"
            assert (await node.get("/a.m3u8?token=nonsense")).body == b"403 token: malformed\n"
            assert (await node.get(f"/a.m3u8?token={token[:-4]}0000")).body == b"403 token: signature does not match\n"
            assert (await node.get(f"/a.m3u8?token={old}")).body == b"403 token: expired\n"
            assert (await node.get(f"/a.m3u8?token={token}")).body == b"#EXTM3U"
            other = FastlyToken(SECRET).sign("/a.m3u8", 4_000_000_001)
            assert (await node.get(f"/a.m3u8?token={other}"))["x-cache"] == "HIT"  # not part of the key
            denied = await node.get("/seg", cdnlab_client_ip="203.0.113.9")
            assert (denied.status, denied.body) == (403, b"403 geo: KP is denied\n")
            assert (await node.get("/seg", cdnlab_client_ip="198.51.100.9")).status == 200
            assert [asked.target for asked in origin.asked] == ["/a.m3u8", "/seg"]
        written = records.read_text()
        assert token not in written and token.split("_")[1] not in written and SECRET not in written
        assert written.count('"outcome":"refused"') == 5

    asyncio.run(run())


def test_purge_by_url_and_by_surrogate_key_hard_and_soft() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            for path, keys in (("/a", "live live/720p"), ("/b", "live"), ("/c", "other")):
                origin.says(path, b"x", cache_control="max-age=60", etag='"1"', surrogate_key=keys)
                await node.get(path)
            assert (await node.purge(url="http://anywhere/c"))["purged"] == 1
            assert (await node.get("/c"))["cache-status"] == "fra; fwd=uri-miss; ttl=60; stored; detail=purged"
            assert (await node.purge(surrogate_key="live", soft=True))["purged"] == 2
            assert "fwd=stale" in str((await node.get("/a"))["cache-status"])  # asked again, with its validator
            assert origin.asked[-1].headers.first("if-none-match") == '"1"'
            assert (await node.purge(everything=True))["purged"] == 3
            assert (await node.purge(surrogate_key="live"))["purged"] == 0
            assert (await node.purge(nothing=1))["status"] == 400

    asyncio.run(run())


def test_a_purge_is_not_undone_by_a_fill_already_in_flight() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            go, asked_once = asyncio.Event(), asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                asked_once.set()
                await go.wait()
                writer.write(response(b"old", cache_control="max-age=60", surrogate_key="live"))

            origin.does("/a", script)
            early = asyncio.create_task(node.get("/a"))
            await asked_once.wait()
            await node.purge(surrogate_key="live")
            go.set()
            assert (await early).body == b"old"
            origin.says("/a", b"new", cache_control="max-age=60")
            assert (await node.get("/a")).body == b"new"

    asyncio.run(run())


def test_unsafe_methods_pass_with_their_body_and_invalidate() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            origin.says("/a", b"1", cache_control="max-age=60")
            await node.get("/a")
            reply = await ask(node.url, "/a", method="POST", body=b"some news")
            assert (reply.status, reply["cache-status"]) == (200, "fra; fwd=method")
            assert origin.asked[-1].body == b"some news"
            assert origin.asked[-1].headers.first("content-length") == "9"  # as it came: some origins refuse chunks
            assert (await node.get("/a"))["x-cache"] == "MISS"

    asyncio.run(run())


def test_two_tiers_ask_the_origin_once_and_age_adds_up() -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", service={"gate": False}) as shield,
            running_node(shield.url, name="fra") as fra,
            running_node(shield.url, name="nyc") as nyc,
        ):
            origin.says("/a", b"x", cache_control="max-age=60", age="10")
            one, two = await fra.get("/a"), await nyc.get("/a")
            assert one["cache-status"] == "shield; fwd=uri-miss; ttl=50; stored, fra; fwd=uri-miss; ttl=50; stored"
            assert two["cache-status"] == "shield; hit; ttl=50, nyc; fwd=uri-miss; ttl=50; stored"
            assert one["age"] == two["age"] == "10" and two["via"] == "1.1 shield, 1.1 nyc"
            assert origin.count["/a"] == 1

    asyncio.run(run())


def test_a_loop_is_refused() -> None:
    async def run() -> None:
        async with running_node("http://127.0.0.1:9") as node:
            reply = await node.get("/a", via="1.1 fra")
            assert reply.status == 508 and b"loop" in reply.body

    asyncio.run(run())


def test_vary_keeps_variants_side_by_side() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                language = (asked.headers.first("accept-language") or "none").encode()
                writer.write(response(language, cache_control="max-age=60", vary="Accept-Language"))

            origin.does("/a", script)
            for language in ("de", "fr", "de", "fr"):
                assert (await node.get("/a", accept_language=language)).body == language.encode()
            assert origin.count["/a"] == 2

    asyncio.run(run())


MALFORMED = [
    (b"GET /a HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", b"400", "a line without a colon"),
    (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"414", "a target of 70 kB"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400", "a TLS hello"),
    (b"GET /a HTTP/1.1\r\n\r\n", b"400", "no Host"),
]


@pytest.mark.parametrize(("sent", "status", "what"), MALFORMED, ids=[row[2] for row in MALFORMED])
def test_a_malformed_request_is_refused_and_the_node_serves_on(sent: bytes, status: bytes, what: str) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            origin.says("/ok", b"fine", cache_control="max-age=60")
            host, port = node.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), GUARD_S)
            assert answer.startswith(b"HTTP/1.1 " + status + b" "), answer
            assert answer.count(b"HTTP/1.1 4") == 1, "two answers to one request"
            writer.close()
            assert (await node.get("/ok")).body == b"fine"
            assert not origin.count["/a"]

    asyncio.run(run())


def test_a_viewer_who_leaves_in_mid_body_harms_nobody(tmp_path: Path) -> None:
    async def run() -> None:
        records = tmp_path / "fra.jsonl"
        async with running_origin() as origin, running_node(origin.url, records=records) as node:
            left = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncache-control: max-age=60\r\n\r\n01234")
                await writer.drain()
                await left.wait()
                writer.write(b"56789")

            origin.does("/a", script)
            host, port = node.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"01234")
            writer.transport.abort()
            left.set()
            assert (await node.get("/a")).body == b"0123456789"
            assert origin.count["/a"] == 1
            assert (await node.health())["fills_in_flight"] == 0

    asyncio.run(run())


def test_500_viewers_of_two_edges_are_one_question_to_the_origin_behind_a_shield() -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", service={"gate": False}) as shield,
            running_node(shield.url, name="fra") as fra,
            running_node(shield.url, name="nyc") as nyc,
        ):
            body, go = bytes(range(256)) * 400, asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await go.wait()
                writer.write(response(body, cache_control="max-age=60"))

            origin.does("/seg.m4s", script)
            asks = [asyncio.create_task(edge.get("/seg.m4s")) for _ in range(250) for edge in (fra, nyc)]
            while (await shield.health())["fills_in_flight"] != 1:
                pass
            go.set()
            assert {reply.body for reply in await asyncio.gather(*asks)} == {body}
            assert origin.count["/seg.m4s"] == 1

    asyncio.run(run())


def test_a_bug_in_a_landing_is_an_error_for_those_who_wait_and_not_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            origin.says("/a", b"x", cache_control="max-age=60")
            with monkeypatch.context() as patch:
                patch.setattr("cdnkit.policy.machine.machine.EdgeMachine.on_response", broken)
                assert (await node.get("/a")).body == b"502 origin: an-error-of-the-edge\n"
            assert (await node.get("/a")).status == 200

    asyncio.run(run())


def test_a_part_is_completed_byte_for_byte_and_several_ranges_come_as_one_answer() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            body = bytes(range(256)) * 8

            async def ranged(asked: Asked, writer: asyncio.StreamWriter) -> None:
                wanted = asked.headers.first("range")
                fields = {"cache_control": "max-age=60", "etag": '"v"', "content_type": "video/mp4"}
                if wanted is None:
                    writer.write(response(body, **fields))
                    return
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop = int(first), int(last) + 1 if last else len(body)
                fields["content_range"] = f"bytes {start}-{stop - 1}/{len(body)}"
                writer.write(response(body[start:stop], 206, **fields))

            origin.does("/a", ranged)
            part = await node.get("/a", range="bytes=0-99")
            assert (part.status, part.body) == (206, body[:100])
            inside = await node.get("/a", range="bytes=10-19")
            assert (inside.status, inside.body, inside["x-cache"]) == (206, body[10:20], "HIT")
            whole = await node.get("/a")
            assert (whole.status, whole.body) == (200, body)
            assert [asked.headers.first("range") for asked in origin.asked] == ["bytes=0-99", "bytes=100-"]
            several = await node.get("/a", range="bytes=0-9, 1000-1009, 2000-")
            assert several.status == 206 and several.whole
            boundary = str(several["content-type"]).partition("boundary=")[2].encode()
            parts = several.body.split(b"--" + boundary)
            assert [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]] == [
                body[:10], body[1000:1010], body[2000:],
            ]  # fmt: skip
            assert parts[-1] == b"--\r\n" and len(origin.asked) == 2

    asyncio.run(run())


def test_the_debug_field_tells_a_trusted_client_what_explain_would_and_nobody_else() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/a", b"x", cache_control="max-age=60")
            async with running_node(origin.url) as node:
                first, second = [await node.get("/a", cdnlab_debug="1") for _ in range(2)]
                assert json.loads(str(first["cdnlab-debug"]))["next"] == "fetch from the parent (cold)"
                told = json.loads(str(second["cdnlab-debug"]))
                assert (told["next"], told["key"], told["stored"][0]["standing"]) == ("hit", "/a", "fresh")
                assert (await node.get("/a"))["cdnlab-debug"] is None
                assert "cdnlab-debug" not in origin.asked[0].headers
            async with running_node(origin.url, trusted=["192.0.2.0/24"]) as stranger:
                assert (await stranger.get("/a", cdnlab_debug="1"))["cdnlab-debug"] is None

    asyncio.run(run())


def test_a_bug_after_a_flight_has_closed_is_a_500_and_still_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Giving up the viewer's place once raised the bug a second time, and its record was never written.
    landed = EdgeMachine.on_response

    def broken(self: EdgeMachine, *told: Any) -> None:
        landed(self, *told)
        raise RuntimeError("a bug of ours")

    async def run() -> None:
        records = tmp_path / "fra.jsonl"
        async with running_origin() as origin, running_node(origin.url, records=records) as node:
            origin.says("/a", b"x", cache_control="max-age=60")
            monkeypatch.setattr(EdgeMachine, "on_response", broken)
            assert (await node.get("/a")).status == 500
        assert [line["kind"] for line in node.records()].count("request") == 1

    asyncio.run(run())


def test_a_204_with_a_length_and_content_is_a_204_and_the_next_answer_is_the_next() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 204 No\r\ncontent-length: 5\r\ncache-control: max-age=60\r\n\r\nhello")

            origin.does("/none", script)
            origin.says("/a", b"body")
            for _ in range(2):
                none = await node.get("/none")
                assert (none.status, none.body, none["content-length"], none.whole) == (204, b"", None, True)
                assert (await node.get("/a")).body == b"body"
            assert origin.count["/none"] == 1

    asyncio.run(run())
