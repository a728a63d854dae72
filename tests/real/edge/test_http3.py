"""A node over HTTP/3: one cache behind all listeners, the same bounds, and where it is told of."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.serving import PortInUse
from cdnkit.serving.authority import Authority
from cdnkit.settings.edge import Node
from tests.kit.http3 import http3
from tests.kit.late import GUARD_S
from tests.kit.local_ca import ask_over_tls, secured
from tests.kit.node import running_node
from tests.kit.origin import Asked, response

BODY = bytes(range(256)) * 2048


def test_one_cache_behind_all_listeners_and_a_replay_that_agrees(authority: Authority, tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        async with secured(http3=True, records=records) as (node, origin, port):
            over_tcp = await ask_over_tls(port, authority, "/a")
            assert over_tcp["alt-svc"] == f'h3=":{port}"; ma=86400' and (await node.get("/a"))["alt-svc"] is None
            async with http3(port, authority.certificate_file) as viewer:
                stream = viewer.ask("/a", authority="cdn.localhost")
                await stream.until()
                assert (stream.status, bytes(stream.body)) == (200, b"ok")
                assert "hit" in stream.headers["cache-status"] and "age" in stream.headers
                assert stream.headers["alt-svc"] == over_tcp["alt-svc"]
                missing = viewer.ask("/missing")
                await missing.until()
                assert missing.status == 404
            assert origin.count["/a"] == 1

    asyncio.run(run())
    requests = [line for line in read_trace(records).events if type(line).__name__ == "Requested"]
    assert len(requests) == 4
    replayed = replay_node(read_trace(records), Service(name="fra", behaviors=(Behavior(path="*"),)), RFC9111)
    assert replayed.differences == []


def test_many_at_once_large_bodies_and_content(authority: Authority) -> None:
    async def run() -> None:
        async with secured(http3=True) as (_, origin, port), http3(port, authority.certificate_file) as viewer:
            origin.says("/big", BODY, cache_control="max-age=60")
            seen: list[bytes] = []

            async def takes(asked: Asked, writer: asyncio.StreamWriter) -> None:
                seen.append(asked.body)
                writer.write(response(b"taken"))

            origin.does("/form", takes)
            posted = viewer.ask("/form", method="POST", end=False)
            streams = [viewer.ask("/big") for _ in range(5)]
            viewer.sends(posted, b"a" * 100_000, last=False)
            viewer.sends(posted, b"b" * 100_000, last=True)
            for stream in (*streams, posted):
                await stream.until()
            assert {bytes(stream.body) == BODY for stream in streams} == {True} and origin.count["/big"] == 1
            assert (posted.status, seen) == (200, [b"a" * 100_000 + b"b" * 100_000])
            part = viewer.ask("/big", ("range", "bytes=10-19"))
            await part.until()
            assert (part.status, bytes(part.body)) == (206, BODY[10:20])

    asyncio.run(run())


def test_interim_responses(authority: Authority) -> None:
    async def run() -> None:
        async with secured(http3=True) as (_, origin, port), http3(port, authority.certificate_file) as viewer:
            hinted = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-My: own\r\n\r\n")
                await writer.drain()
                await hinted.wait()
                writer.write(response(b"body", cache_control="max-age=60"))

            origin.does("/hints", script)
            stream = viewer.ask("/hints")
            await stream.until(lambda: stream.interim)
            assert stream.interim == [{":status": "103", "link": "</a.css>; rel=preload", "x-my": "own"}]
            hinted.set()
            await stream.until()
            assert (stream.status, bytes(stream.body)) == (200, b"body")

    asyncio.run(run())


def test_an_answer_that_breaks_off_is_not_taken_for_whole_and_one_who_leaves_takes_nobody_with_him(
    authority: Authority,
) -> None:
    async def run() -> None:
        async with secured(http3=True) as (_, origin, port), http3(port, authority.certificate_file) as viewer:
            asked_for, left = asyncio.Event(), asyncio.Event()

            async def half(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                await writer.drain()
                writer.close()

            async def late(asked: Asked, writer: asyncio.StreamWriter) -> None:
                asked_for.set()
                await left.wait()
                writer.write(response(b"late", cache_control="max-age=60"))

            origin.does("/half", half)
            origin.does("/late", late)
            broken, one, other = viewer.ask("/half"), viewer.ask("/late"), viewer.ask("/late")
            await broken.until()
            assert broken.reset is not None and not broken.whole
            await asked_for.wait()
            viewer.leaves(one)
            left.set()
            await other.until()
            assert (other.status, bytes(other.body), one.status) == (200, b"late", 0)

    asyncio.run(run())


@pytest.mark.parametrize("streams", [1, 3])
def test_more_requests_at_once_than_may_be_are_rejected(authority: Authority, streams: int) -> None:
    async def run() -> None:
        limits = {"streams": streams}
        async with (
            secured(http3=True, limits=limits) as (_, origin, port),
            http3(port, authority.certificate_file) as viewer,
        ):
            go = asyncio.Event()

            async def waits(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await go.wait()
                writer.write(response(b"x", cache_control="no-store"))

            origin.does("/waits", waits)
            asked = [viewer.ask("/waits") for _ in range(streams + 1)]
            await asked[-1].until()
            assert asked[-1].reset == 0x10B  # H3_REQUEST_REJECTED: safe to ask again (RFC 9114 section 4.1.1)
            go.set()
            for stream in asked[:-1]:
                await stream.until()
                assert stream.status == 200

    asyncio.run(run())


def test_one_who_takes_nothing_is_dropped_and_holds_no_more_than_his_share(authority: Authority) -> None:
    async def run() -> None:
        limits = {"stalled": "300ms"}
        async with secured(http3=True, limits=limits) as (node, origin, port):
            origin.says("/big", BODY * 8, cache_control="max-age=60")
            # His windows stay as they are at the beginning: he reads, and opens none.
            async with http3(port, authority.certificate_file, max_data=64 * 1024, max_stream_data=64 * 1024) as viewer:
                viewer._quic._write_connection_limits = lambda *_, **__: None
                viewer._quic._write_stream_limits = lambda *_, **__: None
                slow = viewer.ask("/big")
                await slow.until()
                assert slow.reset is not None and len(slow.body) <= 64 * 1024
            assert (await node.get("/big")).body == BODY * 8

    asyncio.run(run())


def test_the_local_ca_signs_for_the_services_hosts(authority: Authority) -> None:
    async def run() -> None:
        async with (
            secured(http3=True, hostnames=("cdn.test",)) as (_, _, port),
            http3(port, authority.certificate_file, host="cdn.test") as viewer,
        ):
            stream = viewer.ask("/a", authority="cdn.test")
            await stream.until()
            assert stream.status == 200

    asyncio.run(run())


def test_an_empty_query_is_forwarded(authority: Authority) -> None:
    async def run() -> None:
        async with secured(http3=True) as (_, origin, port), http3(port, authority.certificate_file) as viewer:
            stream = viewer.ask("/a?")
            await stream.until()
            assert origin.count == {"/a?": 1}

    asyncio.run(run())


def test_head(authority: Authority) -> None:
    async def run() -> None:
        async with secured(http3=True) as (_, _, port), http3(port, authority.certificate_file) as viewer:
            # aioquic's client takes the length of what a HEAD does not bring for that of a body that is missing.
            viewer.h3._check_content_length = lambda stream: None  # type: ignore[method-assign]
            head = viewer.ask("/a", method="HEAD")
            await head.until()
            assert (head.status, head.headers["content-length"], bytes(head.body)) == (200, "2", b"")

    asyncio.run(run())


def test_content_that_nobody_takes_ends_its_request_and_no_other(authority: Authority) -> None:
    async def run() -> None:
        async with (
            secured(http3=True, link={"bandwidth": "100kbit"}) as (_, _, port),
            http3(port, authority.certificate_file) as viewer,
        ):
            await viewer.ask("/a").until()
            posted = viewer.ask("/form", method="POST", end=False)
            for _ in range(32):
                viewer.sends(posted, bytes(2**18), last=False)
            await posted.until()
            assert posted.reset == 0x107  # H3_EXCESSIVE_LOAD
            other = viewer.ask("/a")
            await other.until()
            assert other.status == 200

    asyncio.run(run())


def test_connections_are_bounded_and_noise_is_ignored(authority: Authority) -> None:
    async def run() -> None:
        async with secured(http3=True, limits={"connections": 1}) as (_, _, port):
            async with http3(port, authority.certificate_file) as first:
                loop = asyncio.get_running_loop()
                noise, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
                )
                for data in (b"", b"\x00", b"\xc0" * 20, bytes(1200), b"\xc0\x00\x00\x00\x01\x08" + bytes(1300)):
                    noise.sendto(data)
                with pytest.raises((TimeoutError, ConnectionError)):
                    async with asyncio.timeout(1), http3(port, authority.certificate_file):
                        pass
                stream = first.ask("/a")
                await stream.until()
                assert stream.status == 200
                noise.close()
            async with asyncio.timeout(GUARD_S), http3(port, authority.certificate_file) as second:
                stream = second.ask("/a")
                await stream.until()
                assert stream.status == 200

    asyncio.run(run())


def test_a_node_that_stops_says_goodbye_and_a_taken_port_is_told(authority: Authority) -> None:
    async def run() -> None:
        async with secured(http3=True) as (node, origin, port):
            async with http3(port, authority.certificate_file) as viewer:
                await viewer.ask("/a").until()
                await node.stop()
                await asyncio.wait_for(viewer.ended.wait(), GUARD_S)
            with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
                taken.bind(("127.0.0.1", port))
                with pytest.raises(PortInUse, match=rf"http3: cannot listen on 127.0.0.1:{port} \(UDP\)"):
                    async with running_node(origin.url, listen_tls=f"127.0.0.1:{port}", http3=True):
                        pass

    asyncio.run(run())


def test_it_wants_a_port() -> None:
    with pytest.raises(ValueError, match="wanted listen_tls with http3"):
        Node(name="fra", http3=True)


def test_a_cookie_in_crumbs_is_one(authority: Authority) -> None:
    """RFC 9114 §4.2.1."""

    async def run() -> None:
        async with secured(http3=True) as (_, origin, port), http3(port, authority.certificate_file) as viewer:
            origin.says("/c", b"")
            stream = viewer.ask("/c", ("cookie", "a=1"), ("cookie", "b=2"))
            await stream.until()
            assert origin.asked[-1].headers.all("cookie") == ["a=1; b=2"]

    asyncio.run(run())


HIDDEN = "GET /hidden HTTP/1.1\r\nx: y"
ODD = [  # fields that a proxy which copies them would make another request of, or two
    ("transfer-encoding", "chunked"), ("connection", "keep-alive"), ("x", f"y\r\n\r\n{HIDDEN}"), ("x\r\ny", "z"), ("x", "a\0b"),
    ("content-length", "+10"), ("content-length", "1_0"), ("content-length", "3"), ("content-length", "0x0a"),
    ("host", "other"), ("te", "chunked"), ("X", "y"), (":late", "y"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ODD)
def test_nothing_of_one_request_becomes_another(authority: Authority, name: str, value: str) -> None:
    async def run() -> None:
        async with secured(http3=True) as (_, origin, port):
            origin.says("/form", b"taken")
            async with http3(port, authority.certificate_file) as attacker:
                stream = attacker.ask("/form", (name, value), method="POST", end=False)
                attacker.sends(stream, b"0123456789", last=True)
                over = asyncio.create_task(attacker.ended.wait())
                await asyncio.wait({over, asyncio.create_task(stream.until())}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
            async with http3(port, authority.certificate_file) as honest:
                for path in ("/form", "/a"):
                    answer = honest.ask(path)
                    await answer.until()
                    assert answer.status == 200
            assert {asked.target for asked in origin.asked} <= {"/form", "/a"}
            for asked in origin.asked:
                assert asked.headers.first("host") == origin.url.removeprefix("http://")
                assert asked.method == "GET" or (asked.body == b"0123456789" and name != "content-length"), asked

    asyncio.run(run())
