"""HTTP/2 to the parent (RFC 9113): against hypercorn as it is, and against a peer that sends the odd frames."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import RFC9111
from edge.bodies import WINDOW_BYTES
from edge.upstream import Upstream
from tests.kit.h2_parent import BIG, Peer, answering, running_hypercorn, running_peer
from tests.kit.hurry import hurry
from tests.kit.late import judged
from tests.kit.origin import running_origin
from tests.kit.upstream import QUICK, ask, asking, or_late, pieces, settled, until
from tests.real.edge.test_upstream import REQUESTS

# ---- hypercorn -----------------------------------------------------------------------------------------------------


def test_many_exchanges_share_one_connection() -> None:
    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            named = [("host", "viewer.example")]
            asks = [ask(upstream, asking(f"/{i}", "GET", *(named if i % 2 else []))) for i in range(200)]
            seen = await asyncio.gather(*asks)
            assert [one.headers.first("asked") for one in seen] == [f"/{i}" for i in range(200)]
            assert {one.headers.first("http") for one in seen} == {"2"}
            hosts = {one.headers.first("host") for one in seen}
            assert hosts == {url.removeprefix("http://"), "viewer.example"}  # the origin's own where none is named
            assert upstream.open_connections == 1
            await upstream.close()

    asyncio.run(run())


def test_bodies_both_ways_hints_head_and_304() -> None:
    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            echo = await ask(upstream, asking("/echo", "POST"), pieces(*[bytes(100_000)] * 10, b"end"))
            assert echo.body == bytes(1_000_000) + b"end"
            counted = await ask(upstream, asking("/echo", "POST"), pieces(b"12", b"345"), body_length=5)
            assert counted.body == b"12345"
            assert (await ask(upstream, asking("/big"))).body == BIG
            hints = await ask(upstream, asking("/hints"))
            assert [(head.status, head.headers.lines) for head in hints.interim] == [
                (103, [("link", "<a>; rel=preload")])
            ]
            assert hints.body == b"final"
            # hypercorn ends these with an empty DATA frame: no lie about the length
            for request in (asking("/304"), asking("/head", "HEAD")):
                seen = await ask(upstream, request)
                assert (seen.failure, seen.body, seen.headers.first("content-length")) == (None, b"", "100")
            assert upstream.open_connections == 1
            await upstream.close()

    asyncio.run(run())


def test_a_slow_reader_stops_his_own_stream_only() -> None:
    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            slow = await upstream.exchange(asking("/big"))
            for _ in range(3):
                fast = await upstream.exchange(asking("/big"))
                assert b"".join([chunk async for chunk in fast.chunks()]) == BIG  # 12 MiB past the slow one
                fast.close()
            await asyncio.sleep(3 * QUICK.between_bytes)  # it is not the parent that is slow
            assert slow._incoming.queued_bytes <= WINDOW_BYTES
            assert b"".join([chunk async for chunk in slow.chunks()]) == BIG
            slow.close()
            assert upstream.open_connections == 1
            await upstream.close()

    hurry(run())


def test_a_parent_that_speaks_http1_is_told_from_one_that_speaks_http2() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking()) for _ in range(3)))
            assert {(one.failure, one.detail) for one in seen} == {(Failure.GARBAGE, "the parent speaks HTTP/1")}
            assert upstream.open_connections == 0
            await upstream.close()

    asyncio.run(run())


# ---- TLS -----------------------------------------------------------------------------------------------------------


NEGOTIATED = [  # we want   they offer           then
    ("auto", ("h2", "http/1.1"), "2"),
    ("auto", ("http/1.1",), "1.1"),
    ("1.1", ("h2", "http/1.1"), "1.1"),
    ("2", ("h2",), "2"),
    ("2", ("http/1.1",), Failure.GARBAGE),
]


@pytest.mark.parametrize(("http", "alpn", "then"), NEGOTIATED)
def test_tls_negotiates(certificate: Path, http: Any, alpn: tuple[str, ...], then: str | Failure) -> None:
    async def run() -> None:
        async with running_hypercorn(certificate, alpn) as url:
            trust = ssl.create_default_context(cafile=str(certificate))
            upstream = Upstream(url, QUICK, 4, http=http, tls=trust)
            seen = await asyncio.gather(*(ask(upstream, asking("/big")) for _ in range(4)))
            for one in seen:
                assert (one.failure or one.headers.first("http")) == then, one.detail
                assert one.failure or one.body == BIG
            assert upstream.open_connections <= {"2": 1, "1.1": 5}.get(str(then), 0)
            await upstream.close()

    asyncio.run(run())


def test_a_certificate_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async def run() -> None:
        async with running_hypercorn(certificate) as url:
            for http in ("1.1", "2", "auto"):
                upstream = Upstream(url, QUICK, 4, http=http)  # type: ignore[arg-type]
                seen = await ask(upstream, asking())
                assert seen.failure is Failure.CONNECT and "certificate" in seen.detail.lower()
                await upstream.close()

    asyncio.run(run())


# ---- a scripted peer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("request_head", "what"), REQUESTS, ids=[row[1] for row in REQUESTS])
def test_a_request_that_cannot_be_written_opens_no_stream(request_head: RequestHead, what: str) -> None:
    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            assert (await ask(upstream, request_head)).failure is Failure.GARBAGE
            assert (await ask(upstream, asking())).status == 200
            assert upstream._shared[0]._h2.highest_outbound_stream_id == 1
            await upstream.close()

    asyncio.run(run())


LENGTHS = [  # Content-Length lines      body      failure            what is read of it
    (("5",), b"hello", None, b"hello"),
    (("5", "5"), b"hello", None, b"hello"),
    ((), b"hello", None, b"hello"),
    (("0",), b"", None, b""),
    (("6",), b"hello", Failure.TRUNCATED, b"hello"),
    (("4",), b"hello", Failure.GARBAGE, b""),  # malformed, and an intermediary must not pass it on (RFC 9113 §8.1.1)
]  # fmt: skip


@pytest.mark.parametrize(("lengths", "body", "failure", "read"), LENGTHS)
def test_a_length_that_lies_fails_its_own_stream(
    lengths: tuple[str, ...], body: bytes, failure: Failure | None, read: bytes
) -> None:
    async def run() -> None:
        gate, asked = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer, _: int) -> None:
            bystander = await peer.request()
            asked.set()
            liar = await peer.request()
            peer.head(liar, *[("content-length", value) for value in lengths])
            peer.data(liar, body)
            await gate.wait()
            peer.head(bystander)
            peer.data(bystander, b"fine")

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            bystander = asyncio.create_task(ask(upstream, asking("/bystander")))
            await asked.wait()
            seen = await ask(upstream, asking("/liar"))
            gate.set()
            assert (seen.failure, seen.body) == (failure, read), seen.detail
            assert (await bystander).body == b"fine"
            assert upstream.open_connections == 1
            await upstream.close()

    asyncio.run(run())


def test_interim_responses_and_trailers() -> None:
    async def run() -> None:
        async def script(peer: Peer, _: int) -> None:
            stream = await peer.request()
            peer.head(stream, status="100")
            peer.head(stream, ("link", "<a>"), ("link", "<b>"), ("x-any", "1"), status="103")
            peer.head(stream, status="102")
            peer.head(stream, ("a", "\xe9"))
            peer.data(stream, b"hello", end=False)
            peer.h2.send_headers(stream, [("checksum", "1")], end_stream=True)
            peer.flush()

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await ask(upstream, asking())
            assert [(head.status, head.headers.lines) for head in seen.interim] == [
                (103, [("link", "<a>"), ("link", "<b>"), ("x-any", "1")]), (102, []),
            ]  # fmt: skip
            assert seen.body == b"hello" and "checksum" not in seen.headers
            await upstream.close()

    asyncio.run(run())


def test_a_graceful_goaway_lets_answers_under_way_end_and_moves_the_rest() -> None:
    async def run() -> None:
        asked, told = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer, before: int) -> None:
            if before:
                await answering(body=b"second")(peer, before)
            first = await peer.request()
            asked.set()
            await peer.request()
            peer.head(first)
            peer.data(first, b"he", end=False)
            peer.goaway(first)
            await told.wait()
            peer.data(first, b"llo")

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            first = asyncio.create_task(ask(upstream, asking("/1")))
            await asked.wait()
            # It lay beyond the last stream the parent acted on: asked again elsewhere (RFC 9113 §6.8), even a DELETE.
            assert (await ask(upstream, asking("/2", "DELETE"))).body == b"second"
            told.set()
            assert (await first).body == b"hello"
            await settled(upstream, 1)  # the old one has gone with its last answer
            await upstream.close()

    asyncio.run(run())


RESETS = [  # method  code                 answered by then  asked again   then
    ("GET", "REFUSED_STREAM", False, True, None),
    ("POST", "REFUSED_STREAM", False, True, None),  # it says that it has done nothing (RFC 9113 §8.7)
    ("GET", "INTERNAL_ERROR", False, False, Failure.RESET),
    ("GET", "INTERNAL_ERROR", True, False, Failure.TRUNCATED),
    ("GET", "NO_ERROR", True, False, Failure.TRUNCATED),
]  # fmt: skip


@pytest.mark.parametrize(("method", "code", "answered", "again", "failure"), RESETS)
def test_a_stream_that_is_reset(method: str, code: str, answered: bool, again: bool, failure: Failure | None) -> None:
    async def run() -> None:
        asked = 0

        async def script(peer: Peer, _: int) -> None:
            nonlocal asked
            while True:
                stream = await peer.request()
                asked += 1
                if asked == 1:
                    if answered:
                        peer.head(stream)
                        peer.data(stream, b"half", end=False)
                    peer.h2.reset_stream(stream, h2.errors.ErrorCodes[code])
                    peer.flush()
                else:
                    peer.head(stream)
                    peer.data(stream, b"whole")

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await ask(upstream, asking(method=method))
            assert seen.failure is failure and asked == (2 if again else 1)
            assert upstream.open_connections == 1  # the connection itself is well
            assert (await ask(upstream, asking())).body == b"whole"
            await upstream.close()

    asyncio.run(run())


def test_a_parent_that_refuses_every_stream_is_not_asked_for_ever() -> None:
    async def run() -> None:
        asked = 0

        async def script(peer: Peer, _: int) -> None:
            nonlocal asked
            while True:
                stream = await peer.request()
                asked += 1
                peer.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
                peer.flush()

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            assert (await ask(upstream, asking())).failure is Failure.RESET
            assert asked == 3
            await upstream.close()

    asyncio.run(run())


def test_the_parents_limit_of_streams_holds() -> None:
    async def run() -> None:
        most = 0

        async def script(peer: Peer, _: int) -> None:
            nonlocal most
            served = 0
            waiting: list[int] = []
            while served < 10:
                waiting.append(await peer.request())
                most = max(most, len(waiting))
                if len(waiting) == 2:  # no third comes while two are open
                    for stream in waiting:
                        peer.head(stream, end=True)
                    served += len(waiting)
                    waiting = []

        async with running_peer(script, MAX_CONCURRENT_STREAMS=2) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking()) for _ in range(10)))
            assert {one.status for one in seen} == {200} and most == 2
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize(("connections", "opened", "most"), [(8, 5, 10), (3, 3, 6), (1, 1, 2)])
def test_where_all_connections_are_full_another_is_opened(connections: int, opened: int, most: int) -> None:
    """Ten at once, two streams a connection: five connections if there may be so many; else the rest wait."""

    async def run() -> None:
        held = released = peers = 0
        go = asyncio.Event()

        async def script(peer: Peer, _: int) -> None:
            nonlocal held, peers
            peers += 1
            while True:
                stream = await peer.request()
                held += 1
                if not go.is_set():
                    asyncio.get_running_loop().create_task(late(peer, stream))
                else:
                    peer.head(stream, end=True)

        async def late(peer: Peer, stream: int) -> None:
            nonlocal released
            await go.wait()
            released += 1
            peer.head(stream, end=True)

        async with running_peer(script, MAX_CONCURRENT_STREAMS=2) as url:
            upstream = Upstream(url, QUICK, connections, http="2", keep_alive=60)
            asks = [asyncio.create_task(ask(upstream, asking())) for _ in range(10)]
            await until(lambda: held == most)
            await until(lambda: sum(one.slots.waiting for one in upstream._shared) == len(asks) - most)
            assert (held, peers, upstream.open_connections) == (most, opened, opened)
            go.set()
            assert {one.status for one in await asyncio.gather(*asks)} == {200}
            # One after another they all fit on the first: the others are left to rest, and to close.
            for _ in range(3):
                assert (await ask(upstream, asking())).status == 200
            assert peers == opened and released == most
            await upstream.close()

    asyncio.run(run())


def test_where_no_other_connection_can_be_made_they_wait_for_the_one_there_is() -> None:
    async def run() -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer, _: int) -> None:
            stream = await peer.request()
            asked.set()
            await go.wait()
            while True:
                peer.head(stream, end=True)
                stream = await peer.request()

        async with running_peer(script, MAX_CONCURRENT_STREAMS=1) as url:
            upstream = Upstream(url, QUICK, 8, http="2")
            first = asyncio.create_task(ask(upstream, asking()))
            await asked.wait()
            with socket.socket() as bound:  # bound, not listening: refused
                bound.bind(("127.0.0.1", 0))
                upstream._dialer.port = bound.getsockname()[1]
                more = [asyncio.create_task(ask(upstream, asking())) for _ in range(3)]
                await until(lambda: upstream._shared[0].slots.waiting == 3)
                go.set()
                assert [one.status for one in await asyncio.gather(first, *more)] == [200] * 4
            await upstream.close()

    asyncio.run(run())


def test_a_parent_that_takes_no_streams_and_no_more_connections_is_waited_for() -> None:
    async def run() -> None:
        peers: list[Peer] = []

        async def script(peer: Peer, _: int) -> None:
            peers.append(peer)
            await peer.request()
            await peer.request()

        async with running_peer(script, MAX_CONCURRENT_STREAMS=0) as url:
            upstream = Upstream(url, replace(RFC9111.waits, connect=0.2), 8, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking()) for _ in range(4)))
            assert {(one.failure, one.detail) for one in seen} == {(Failure.CONNECT_TIMEOUT, "no stream came free")}
            assert len(peers) == 1
            await upstream.close()

    asyncio.run(run())


def test_a_connection_that_dies_fails_all_its_streams_and_the_next_opens_another() -> None:
    async def run() -> None:
        async def script(peer: Peer, before: int) -> None:
            if before:
                await answering(body=b"again")(peer, before)
            streams = [await peer.request() for _ in range(3)]
            peer.head(streams[0])
            peer.data(streams[0], b"half", end=False)
            await peer.writer.drain()
            peer.writer.close()

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await asyncio.gather(*(ask(upstream, asking()) for _ in range(3)))
            assert [one.failure for one in seen] == [Failure.TRUNCATED, Failure.RESET, Failure.RESET]
            assert (await ask(upstream, asking())).body == b"again"
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False)])
def test_a_kept_connection_that_dies_in_silence(method: str, again: bool) -> None:
    async def run() -> None:
        async def script(peer: Peer, before: int) -> None:
            if before:
                await answering(body=b"again")(peer, before)
            peer.head(await peer.request(), end=True)
            await peer.request()
            peer.writer.transport.abort()

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            await ask(upstream, asking())  # its SETTINGS were acknowledged before: nothing more is on its way
            seen = await ask(upstream, asking(method=method))
            assert seen.body == (b"again" if again else b"") and seen.failure is (None if again else Failure.RESET)
            await upstream.close()

    asyncio.run(run())


def test_an_answer_before_the_body_is_sent_stops_the_sending() -> None:
    async def run() -> None:
        reset = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(65_536)

        async def script(peer: Peer, _: int) -> None:
            stream = await peer.request()  # and opens no window: the rest of the body waits
            peer.head(stream, status="413")
            peer.data(stream, b"too")
            await peer.next(h2.events.StreamReset)
            reset.set()
            await answering(body=b"next")(peer, 0)

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await ask(upstream, asking(method="POST"), endless())
            assert (seen.status, seen.body) == (413, b"too")
            await reset.wait()
            assert (await ask(upstream, asking())).body == b"next"  # on the same connection
            await upstream.close()

    asyncio.run(run())


BROKEN = [  # what the peer sends instead of an answer                                                      failure
    (b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", Failure.GARBAGE),  # WINDOW_UPDATE by nothing
    (b"\x00\x00\x05\x00\x01\x00\x00\x00\x63hello", Failure.GARBAGE),  # DATA on a stream nobody opened
    (b"\x00\x00\x04\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff", Failure.GARBAGE),  # HEADERS that are no HPACK
]  # fmt: skip


@pytest.mark.parametrize(("frame", "failure"), BROKEN)
def test_frames_that_break_the_rules_end_the_connection(frame: bytes, failure: Failure) -> None:
    async def run() -> None:
        async def script(peer: Peer, before: int) -> None:
            if before:
                await answering(body=b"again")(peer, before)
            await peer.request()
            peer.writer.write(frame)

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            assert (await ask(upstream, asking())).failure is failure
            assert (await ask(upstream, asking())).body == b"again"
            await upstream.close()

    asyncio.run(run())


def test_silence_fails_the_stream_and_the_next_asks_on_another_connection() -> None:
    async def run(silence: float) -> None:
        async def script(peer: Peer, before: int) -> None:
            if before:
                await answering(body=b"again")(peer, before)
            peer.head(await peer.request(), end=True)
            await peer.request()  # and never a word more

        async with running_peer(script) as url:
            upstream = Upstream(url, replace(QUICK, first_byte=silence), 1, http="2")
            with or_late():
                (await upstream.exchange(asking())).close()
            assert (await ask(upstream, asking())).failure is Failure.FIRST_BYTE_TIMEOUT
            with or_late():
                again = await upstream.exchange(asking())
                assert b"".join([chunk async for chunk in again.chunks()]) == b"again"
                again.close()
            await upstream.close()

    judged(lambda silence: asyncio.run(run(silence)), 0.1)


def test_cancelled_exchanges_leave_no_stream_and_the_connection_rests_only_so_long() -> None:
    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, QUICK, 1, http="2", keep_alive=0.1)
            for patience in range(0, 40, 2):
                tasks = [asyncio.create_task(ask(upstream, asking("/big"))) for _ in range(8)]
                for _ in range(patience):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert (await ask(upstream, asking("/big"))).body == BIG  # no window was lost on the way
            shared = upstream._shared[0] if upstream._shared else None
            assert shared is not None and shared.slots.taken == 0 and not shared._streams
            await until(lambda: not upstream.open_connections)
            await upstream.close()

    asyncio.run(run())


def test_interim_listener_that_fails_fails_its_stream() -> None:
    async def run() -> None:
        async def script(peer: Peer, _: int) -> None:
            stream = await peer.request()
            peer.head(stream, status="103")
            await peer.next(h2.events.StreamReset)
            await answering(body=b"next")(peer, 0)

        def on_interim(head: ResponseHead) -> None:
            raise LookupError("whom to tell?")

        async with running_peer(script) as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            with pytest.raises(Exception, match="whom to tell"):
                await upstream.exchange(asking(), on_interim=on_interim)
            assert (await ask(upstream, asking())).body == b"next"
            await upstream.close()

    asyncio.run(run())
