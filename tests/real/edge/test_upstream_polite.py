"""A parent that ends connections politely costs no viewer an answer: a real nginx, and a peer that plays the odd cases."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h2.errors
import h2.settings
import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.retry import HARMLESS_LIMIT
from edge.parent.repeatable import KEPT_BYTES, Repeatable
from edge.upstream import DRAINING, Upstream
from tests.kit.h2_parent import Peer, answering, running_peer
from tests.kit.upstream import QUICK, ask, asking, pieces, until
from tests.outside.differential.servers import NGINX, running_nginx_parent

MANY = 40
SEVERAL = 4

# ---- nginx ---------------------------------------------------------------------------------------------------------

ENDS = [  # nginx's own words for how it ends a connection, or refuses a stream
    "keepalive_requests 1;",
    "keepalive_requests 7;",
    "http2_max_concurrent_streams 1; keepalive_requests 1;",
    "http2_max_concurrent_streams 2; keepalive_requests 3;",
    "keepalive_time 0;",
]
ASKED = [("GET", "/"), ("DELETE", "/"), ("POST", "/"), ("POST", "/read/")]


@pytest.mark.long
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("directives", ENDS)
def test_nginx_loses_no_request_when_it_ends_connections(tmp_path: Path, directives: str) -> None:
    async def run() -> None:
        async with running_nginx_parent(tmp_path, directives) as at:
            for method, path in ASKED:
                upstream = Upstream(f"http://{at}", QUICK, SEVERAL, http="2")
                await _all_answered(upstream, method, path)
                await upstream.close()

    asyncio.run(run())


@pytest.mark.long
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nor_over_tls(tmp_path: Path, certificate: Path) -> None:
    async def run() -> None:
        directives = f"keepalive_requests 1; ssl_certificate {certificate}; ssl_certificate_key {certificate};"
        async with running_nginx_parent(tmp_path, directives, listen="ssl http2") as at:
            trust = ssl.create_default_context(cafile=str(certificate))
            for method, path in ASKED:
                upstream = Upstream(f"https://{at}", QUICK, SEVERAL, http="auto", tls=trust)
                await _all_answered(upstream, method, path)
                await upstream.close()

    asyncio.run(run())


@pytest.mark.long
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("directives", ["keepalive_requests 1;", "keepalive_requests 3;", "keepalive_timeout 0;"])
def test_nor_in_http1(tmp_path: Path, directives: str) -> None:
    async def run() -> None:
        async with running_nginx_parent(tmp_path, directives, listen="") as at:
            for method, path in ASKED:
                upstream = Upstream(f"http://{at}", QUICK, SEVERAL)
                await _all_answered(upstream, method, path)
                await upstream.close()

    asyncio.run(run())


async def _all_answered(upstream: Upstream, method: str, path: str) -> None:
    def body() -> AsyncIterator[bytes] | None:
        return pieces(b"x" * 1000, b"y") if method == "POST" else None

    most = 0

    async def one(number: int) -> int:
        nonlocal most
        seen = await ask(upstream, asking(f"{path}{number}", method), body())
        most = max(most, upstream.open_connections)
        assert seen.failure is None, seen.detail
        return seen.status

    seen = await asyncio.gather(*map(one, range(MANY)))
    assert Counter(seen) == {200: MANY}
    assert most <= (DRAINING + 1) * SEVERAL


# ---- a scripted peer -----------------------------------------------------------------------------------------------


def test_a_request_is_refused_twice_behind_others_and_then_asked_as_the_first_on_a_connection_of_its_own() -> None:
    async def run() -> None:
        asked: list[int] = []

        async def script(peer: Peer, _: int) -> None:
            first = await peer.request()
            asked.append(first)
            peer.goaway(first)
            peer.head(first, end=True)

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, SEVERAL, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking(f"/{i}", "POST")) for i in range(20)))
            assert [one.status for one in seen] == [200] * 20
            assert asked == [1] * 20
            await until(lambda: upstream.open_connections == 0)
            assert upstream._slots.taken == 0
            await upstream.close()

    asyncio.run(run())


BODIES = [  # pieces                        GOAWAY when the parent has        then
    ([b"a", b"b"], "head", None),
    ([b"a", b"b"], "everything", None),
    ([b"x" * KEPT_BYTES], "everything", None),
    ([b"x" * 16_000] * 8, "head", Failure.RESET),  # 128,000 bytes: its beginning is no longer kept
]  # fmt: skip


@pytest.mark.parametrize(("chunks", "when", "failure"), BODIES)
def test_a_body_is_sent_once_more_while_its_beginning_is_kept(
    chunks: list[bytes], when: str, failure: Failure | None
) -> None:
    async def run() -> None:
        got: list[bytes] = []
        read, closed = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            try:
                for chunk in chunks:
                    yield chunk
                read.set()
            finally:
                closed.set()

        async def script(peer: Peer, before: int) -> None:
            stream = await peer.request()
            if not before:
                if failure is not None:
                    peer.h2.increment_flow_control_window(1_000_000)
                    peer.h2.increment_flow_control_window(1_000_000, stream)
                    peer.flush()
                if when == "everything" or failure is not None:
                    await read.wait()
                peer.goaway(0)
                return
            whole = b""
            while True:
                event = await peer.next((h2.events.DataReceived, h2.events.StreamEnded))  # type: ignore[arg-type]
                if isinstance(event, h2.events.StreamEnded):
                    break
                whole += event.data
            got.append(whole)
            peer.head(stream, end=True)

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await ask(upstream, asking("/", "POST"), body(), body_length=sum(map(len, chunks)))
            assert seen.failure is failure, seen.detail
            assert got == ([] if failure else [b"".join(chunks)])
            await asyncio.wait_for(closed.wait(), 10)
            await upstream.close()

    asyncio.run(run())


def test_a_body_that_waits_for_its_viewer_loses_no_byte_when_it_is_sent_once_more() -> None:
    async def run() -> None:
        more = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            await more.wait()  # the viewer pauses, and the parent leaves meanwhile
            yield b"second"

        async def script(peer: Peer, before: int) -> None:
            stream = await peer.request()
            await peer.next(h2.events.DataReceived)
            if not before:
                peer.goaway(0)
                return
            more.set()
            await peer.next(h2.events.StreamEnded)
            peer.head(stream, end=True)

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            assert (await ask(upstream, asking("/", "POST"), body(), body_length=11)).status == 200
            await upstream.close()

    asyncio.run(run())


def test_a_body_is_kept_to_a_bound_and_let_go_when_the_answer_comes() -> None:
    async def run() -> None:
        body = Repeatable(pieces(b"x" * KEPT_BYTES, b"y", b"z"))
        reading = body.reading()
        await anext(reading)
        assert body.whole
        await anext(reading)
        assert not body.whole and body.kept is None
        assert [chunk async for chunk in reading] == [b"z"]

        answered = Repeatable(pieces(b"a", b"b"))
        reading = answered.reading()
        assert await anext(reading) == b"a"
        await answered.once()
        assert not answered.whole and [chunk async for chunk in reading] == [b"b"]

    asyncio.run(run())


def test_graceful_shutdown_by_two_goaways() -> None:
    """RFC 9113 §6.8: first the highest id there is, so that no more comes, then the last one acted on."""

    async def run() -> None:
        async def script(peer: Peer, before: int) -> None:
            if before:
                await answering(body=b"second")(peer, before)
            first = await peer.request()
            peer.goaway(2**31 - 1)
            second = await peer.request()  # sent before it has heard of that
            peer.goaway(first)
            peer.head(first)
            peer.data(first, b"first")
            assert second > first

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await asyncio.gather(ask(upstream, asking("/1", "POST")), ask(upstream, asking("/2", "POST")))
            assert [one.body for one in seen] == [b"first", b"second"]
            await upstream.close()

    asyncio.run(run())


def test_a_stream_that_is_not_above_the_last_is_still_answered() -> None:
    async def run() -> None:
        async def script(peer: Peer, _: int) -> None:
            stream = await peer.request()
            peer.goaway(stream)
            await until(lambda: not upstream._taking())
            peer.head(stream)
            peer.data(stream, b"late")

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            assert (await ask(upstream, asking("/", "POST"))).body == b"late"
            await upstream.close()

    asyncio.run(run())


def test_a_limit_of_streams_that_is_lowered_in_the_same_breath_fails_nobody() -> None:
    async def run() -> None:
        async def script(peer: Peer, _: int) -> None:
            first = await peer.request()
            for limit in (8, 1):  # eight who wait are woken, and then there is a place for none of them
                payload = b"\x00\x03" + limit.to_bytes(4, "big")
                peer.writer.write(len(payload).to_bytes(3, "big") + b"\x04\x00" + bytes(4) + payload)
            await peer.writer.drain()
            peer.head(first, end=True)
            while True:
                peer.head(await peer.request(), end=True)

        async with running_peer(script, MAX_CONCURRENT_STREAMS=1) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking(f"/{i}", "POST")) for i in range(8)))
            assert [(one.status, one.detail) for one in seen] == [(200, "")] * 8
            await upstream.close()

    asyncio.run(run())


def test_those_who_wait_for_a_stream_are_not_refused_when_the_connection_is_left() -> None:
    async def run() -> None:
        async def script(peer: Peer, _: int) -> None:
            first = await peer.request()
            peer.goaway(first)
            peer.head(first, end=True)

        async with running_peer(script, MAX_CONCURRENT_STREAMS=1) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking(f"/{i}", "POST")) for i in range(8)))
            assert [(one.status, one.detail) for one in seen] == [(200, "")] * 8
            await upstream.close()

    asyncio.run(run())


def test_a_parent_that_leaves_before_it_is_asked_is_not_connected_to_for_ever() -> None:
    async def run() -> None:
        connections = 0

        async def script(peer: Peer, _: int) -> None:
            nonlocal connections
            connections += 1
            peer.goaway(0)

        async with running_peer(script) as url:
            upstream = Upstream(url, replace(QUICK, connect=2.0), SEVERAL, http="2")
            seen = await ask(upstream, asking())
            assert seen.failure in (Failure.RESET, Failure.CONNECT_TIMEOUT)
            assert connections <= 200
            assert seen.failure is not Failure.RESET or connections <= HARMLESS_LIMIT + 1
            await upstream.close()

    asyncio.run(run())


def test_an_opening_that_is_over_and_not_yet_put_away_is_waited_for_by_nobody() -> None:
    """Who asks at that moment must not wait for it: it would go round and round, and let nobody put it away."""

    async def run() -> None:
        async with running_peer(answering(body=b"here"), MAX_CONCURRENT_STREAMS=1) as url:
            upstream = Upstream(url, QUICK, SEVERAL, http="2")
            upstream._opening = asyncio.create_task(asyncio.sleep(0))
            await upstream._opening
            assert (await ask(upstream, asking())).body == b"here"
            await upstream.close()

    asyncio.run(run())


def test_no_more_connections_than_a_bound_while_older_ones_are_still_answered() -> None:
    async def run() -> None:
        go = asyncio.Event()
        peers = 0

        async def script(peer: Peer, _: int) -> None:
            nonlocal peers
            peers += 1
            first = await peer.request()
            peer.goaway(first)
            peer.head(first)
            await go.wait()
            peer.data(first, b"long")

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 2, http="2")
            most = (DRAINING + 1) * 2
            held = [await upstream.exchange(asking(f"/{i}")) for i in range(most)]
            more = [asyncio.create_task(ask(upstream, asking(f"/{i}"))) for i in range(10)]
            await until(lambda: upstream._slots.waiting == len(more))
            assert upstream.open_connections == peers == most
            go.set()
            for exchange in held:
                assert b"".join([chunk async for chunk in exchange.chunks()]) == b"long"
                exchange.close()
            assert [one.body for one in await asyncio.gather(*more)] == [b"long"] * 10
            await upstream.close()

    asyncio.run(run())


@pytest.mark.long
@pytest.mark.parametrize("how", ["reset", "goaway", "at once"])
@pytest.mark.parametrize(("http", "then"), [("auto", 200), ("2", 0)])
def test_a_parent_that_requires_http1_gets_it_where_that_may_be(
    certificate: Path,
    http: Any,
    then: int,
    how: str,
) -> None:
    """RFC 9113 §7, HTTP_1_1_REQUIRED, of a parent that offered HTTP/2 all the same."""

    async def run() -> None:
        asked: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                    asked.append((await reader.readuntil(b"\r\n")) + (await reader.readuntil(b"form"))[-4:])
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    await writer.drain()
                    await reader.read()
                    return
                peer = Peer(reader, writer, {})
                if how != "at once":
                    stream = await peer.request()
                code = h2.errors.ErrorCodes.HTTP_1_1_REQUIRED
                if how == "reset":
                    peer.h2.reset_stream(stream, code)
                    peer.flush()
                else:
                    peer.goaway(0, int(code))
                await peer.next(type(None))
            writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.set_alpn_protocols(["h2", "http/1.1"])
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        trust = ssl.create_default_context(cafile=str(certificate))
        upstream = Upstream(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUICK, 4, http=http, tls=trust)
        seen = await ask(upstream, asking("/a", "POST"), pieces(b"form"), body_length=4)
        assert seen.status == then, seen.detail
        assert asked == ([b"POST /a HTTP/1.1\r\nform"] if then else [])
        await upstream.close()
        server.close()

    asyncio.run(run())
