"""Which connection an exchange gets, how long it waits, and what it leaves behind: the pool of HTTP/1.1 connections."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import RFC9111
from edge.bodies import WINDOW_BYTES
from edge.errors import UpstreamFailed
from edge.parent.http1 import Http1Connection
from edge.upstream import Upstream
from tests.kit.hurry import hurry
from tests.kit.late import Late, judged
from tests.kit.origin import Asked, running_origin
from tests.kit.upstream import OK, QUICK, SILENT, ask, asking, or_late, pieces, sends, settled, until


def open_files() -> int:
    """Descriptors this process holds, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_connections_are_limited_and_those_who_wait_are_served_in_order() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 2, keep_alive=60)
            go, both = asyncio.Event(), asyncio.Barrier(3)

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await both.wait()
                await go.wait()
                writer.write(OK + b"content-length: 0\r\n\r\n")

            origin.does("/held", script)
            origin.says("/a", b"")
            held = [asyncio.create_task(ask(upstream, asking("/held"))) for _ in range(2)]
            await both.wait()
            late = [asyncio.create_task(ask(upstream, asking(f"/a?{i}"))) for i in range(6)]
            await until(lambda: upstream._slots.waiting == len(late))
            late[2].cancel()
            assert len(origin.connections) == 2
            go.set()
            await asyncio.gather(*held, *late, return_exceptions=True)
            assert [asked.target for asked in origin.asked[2:]] == [f"/a?{i}" for i in (0, 1, 3, 4, 5)]
            assert len(origin.connections) == 2
            await upstream.close()

    asyncio.run(run())


def test_who_waits_too_long_for_a_connection_is_told_and_takes_none() -> None:
    async def run(wait: float) -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, replace(RFC9111.waits, connect=wait), 1)
            origin.says("/a", b"x" * 5)
            with or_late():
                first = await upstream.exchange(asking())
            late = await ask(upstream, asking())
            assert (late.failure, late.detail) == (Failure.CONNECT_TIMEOUT, "1 connections are busy")
            first.close()
            first.close()  # harmless when repeated: the slot is given once
            with or_late():
                (await upstream.exchange(asking())).close()
            await upstream.close()

    judged(lambda wait: asyncio.run(run(wait)), 0.05)


def test_nobody_listens_and_nobody_answers() -> None:
    async def run() -> None:
        with socket.socket() as bound:  # bound, not listening: refused
            bound.bind(("127.0.0.1", 0))
            upstream = Upstream(f"http://127.0.0.1:{bound.getsockname()[1]}", QUICK, 1, keep_alive=60)
            seen = await ask(upstream, asking())
            assert seen.failure is Failure.CONNECT and upstream.url in seen.detail
            await upstream.close()
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepted by the kernel, answered by nobody
            upstream = Upstream(f"http://127.0.0.1:{silent.getsockname()[1]}", SILENT, 1)
            assert (await ask(upstream, asking())).failure is Failure.FIRST_BYTE_TIMEOUT
            assert (await ask(upstream, asking())).failure is Failure.FIRST_BYTE_TIMEOUT  # the slot is free again
            await upstream.close()

    asyncio.run(run())


def test_a_body_that_stands_still_is_given_up_but_not_one_whose_reader_does() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1)
            stop = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(OK + b"content-length: 10\r\n\r\nhello")
                await stop.wait()

            origin.does("/stands", script)
            seen = await ask(upstream, asking("/stands"))
            assert (seen.failure, seen.body) == (Failure.BETWEEN_BYTES_TIMEOUT, b"hello")
            stop.set()
            big = os.urandom(WINDOW_BYTES) * 16
            origin.says("/big", big)
            exchange = await upstream.exchange(asking("/big"))
            await asyncio.sleep(3 * QUICK.between_bytes)
            assert b"".join([chunk async for chunk in exchange.chunks()]) == big
            exchange.close()
            await upstream.close()

    hurry(run())


def test_a_slow_reader_holds_the_parent_back() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            sent = 0

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                nonlocal sent
                writer.write(OK + b"content-length: 67108864\r\n\r\n")
                for _ in range(1024):
                    writer.write(bytes(65_536))
                    await writer.drain()
                    sent += 65_536

            origin.does("/a", script)
            exchange = await upstream.exchange(asking())
            before, same = 0, 0
            while same < 1000:  # turns of the loop in which nothing moves: the sockets' own buffers are full
                await asyncio.sleep(0)
                same = same + 1 if sent == before > 0 else 0
                before = sent
            assert sent < 32 * 2**20
            size = 0
            async for chunk in exchange.chunks():
                size += len(chunk)
            assert size == 67_108_864
            exchange.close()
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT"])
def test_only_a_safe_method_is_asked_again_on_a_kept_connection_that_dies_in_silence(method: str) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            origin.says("/warm", b"")
            await ask(upstream, asking("/warm"))

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if origin.count["/a"] == 1:
                    writer.transport.abort()
                else:
                    writer.write(OK + b"content-length: 0\r\n\r\n")

            origin.does("/a", script)
            seen = await ask(upstream, asking(method=method))
            safe = method in ("GET", "HEAD", "OPTIONS")
            assert seen.failure is (None if safe else Failure.RESET)
            assert origin.count["/a"] == (2 if safe else 1)
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize("answer", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_nothing_is_asked_again_once_a_byte_of_an_answer_has_come(answer: bytes) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            origin.says("/warm", b"")
            await ask(upstream, asking("/warm"))
            sends(origin, answer, closes=True)
            assert (await ask(upstream, asking())).failure is Failure.RESET
            assert origin.count["/a"] == 1
            await upstream.close()

    asyncio.run(run())


def test_a_kept_connection_that_the_parent_closes_or_writes_to_is_never_used() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            origin.says("/a", b"")
            for spoil in (lambda w: w.close(), lambda w: w.write(OK + b"content-length: 4\r\n\r\nevil")):
                await ask(upstream, asking())
                assert upstream.open_connections == 1
                spoil(next(iter(origin.connections)))
                await settled(upstream, 0)
                seen = await ask(upstream, asking())
                assert (seen.status, seen.body) == (200, b"")
            assert origin.count["/a"] == 4  # nothing had to be asked twice
            await upstream.close()

    asyncio.run(run())


def test_a_connection_rests_only_so_long() -> None:
    async def run(rest: float) -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 4, keep_alive=rest)
            origin.says("/a", b"")
            await asyncio.gather(*(ask(upstream, asking()) for _ in range(4)))
            if upstream.open_connections < 4:
                raise Late("one has rested while the others were asked")
            await settled(upstream, 0)
            await until(lambda: not origin.connections)
            await upstream.close()

    judged(lambda rest: asyncio.run(run(rest)), 0.05)


RESTS = [  # Keep-Alive of the answer      seconds of the 100 that the connection may rest
    ("timeout=5", 4.0),
    ("Timeout = 5, max=100", 4.0),
    ("max=1000, timeout=1", 0.8),
    ("timeout=600", 100.0),
    ("timeout=0", 0.0),
    ("max=5", 100.0),
    ("timeout=soon", 100.0),
    ("timeout=-1", 100.0),
]


@pytest.mark.parametrize(("said", "rests"), RESTS)
def test_a_connection_rests_no_longer_than_the_parent_says(said: str, rests: float) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=100)
            origin.says("/a", b"", keep_alive=said)
            exchange = await upstream.exchange(asking())
            (connection,) = upstream._all
            exchange.close()
            assert isinstance(connection, Http1Connection) and connection._rests == pytest.approx(rests)
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_no_request_is_lost_to_a_parent_that_closes_what_rests(method: str) -> None:
    """It hangs up the moment something comes on a kept connection: what crosses with that is nobody's fault."""

    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 2, keep_alive=60)
            served: set[asyncio.StreamWriter] = set()

            async def script(_: Asked, writer: asyncio.StreamWriter) -> None:
                if writer in served:
                    writer.transport.abort()
                else:
                    served.add(writer)
                    writer.write(OK + b"content-length: 0\r\n\r\n")

            origin.does("/a", script)
            for _ in range(10):
                body = None if method == "GET" else pieces(b"form")
                assert (await ask(upstream, asking(method=method), body)).status == 200
                assert upstream.open_connections <= 2
            await upstream.close()

    asyncio.run(run())


CROSSED = [  # method     the connection       408 with "close"      then           asked how often
    ("GET", "kept", True, 200, 2),
    ("POST", "kept", True, 408, 1),  # it may have been acted on
    ("GET", "kept", False, 408, 1),
    ("GET", "new", True, 408, 1),
]


@pytest.mark.parametrize(("method", "connection", "closes", "then", "times"), CROSSED)
def test_a_408_that_crosses_with_a_request_on_a_kept_connection(
    method: str, connection: str, closes: bool, then: int, times: int
) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            origin.says("/warm", b"")
            if connection == "kept":
                await ask(upstream, asking("/warm"))

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if origin.count["/a"] == 1:
                    end = b"connection: close\r\n" if closes else b""
                    writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n" + end + b"\r\n")
                else:
                    writer.write(OK + b"content-length: 0\r\n\r\n")

            origin.does("/a", script)
            assert (await ask(upstream, asking(method=method))).status == then
            assert origin.count["/a"] == times
            await upstream.close()

    asyncio.run(run())


def test_a_request_body_is_streamed_with_its_length_or_chunked() -> None:
    async def run() -> None:
        server, heard = await raw_server(OK + b"content-length: 0\r\n\r\n", until=b"end")
        upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUICK, 1, keep_alive=60)
        request = asking("/a", "POST", ("content-length", "99"), ("transfer-encoding", "x"), ("x", "y"))
        assert (await ask(upstream, request, pieces(b"the ", b"", b"end"), body_length=7)).status == 200
        assert (await ask(upstream, request, pieces(b"the ", b"", b"0\r\n\r\nend"))).status == 200
        named = asking("/a", "POST", ("x", "y"), ("host", "other.test"))
        assert (await ask(upstream, named, pieces(b"the end"), body_length=7)).status == 200
        host = upstream.url.removeprefix("http://").encode()
        head = b"POST /a HTTP/1.1\r\nhost: " + host + b"\r\nx: y\r\n"
        assert heard[0] == head + b"content-length: 7\r\n\r\nthe end"
        assert heard[2].endswith(head.replace(host, b"other.test") + b"content-length: 7\r\n\r\nthe end")
        assert heard[1].startswith(head + b"transfer-encoding: chunked\r\n\r\n4\r\nthe \r\n8\r\n0\r\n\r\nend")
        await upstream.close()
        server.close()

    asyncio.run(run())


async def raw_server(answer: bytes, until: bytes) -> tuple[asyncio.Server, list[bytes]]:
    """Answers whatever ends in `until`, and remembers it."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heard.append(await reader.readuntil(until))
                writer.write(answer)
        except asyncio.IncompleteReadError:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0), heard


@pytest.mark.parametrize(("chunks", "length"), [((b"abc",), 4), ((b"abc", b"de"), 4), ((), 1)])
def test_a_request_body_that_is_not_as_long_as_promised_is_not_passed_off_as_whole(
    chunks: tuple[bytes, ...], length: int
) -> None:
    async def run() -> None:
        server, heard = await raw_server(OK + b"content-length: 0\r\n\r\n", until=b"\r\n\r\nabcd")
        upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUICK, 1, keep_alive=60)
        seen = await ask(upstream, asking(method="POST"), pieces(*chunks), body_length=length)
        assert seen.failure is Failure.ABANDONED and not heard
        await settled(upstream, 0)
        await upstream.close()
        server.close()

    asyncio.run(run())


def test_an_answer_that_comes_before_the_body_is_sent_is_read_and_the_body_abandoned() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            left, over = asyncio.Event(), asyncio.Event()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\ntoo")
                assert await reader.read(2**20)  # and reads no more: the rest of the body stands in the sockets
                await over.wait()  # it does not hang up: that is ours to do
                writer.close()

            async def endless() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield bytes(2**20)
                finally:
                    left.set()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            early = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUICK, 1, keep_alive=60)
            seen = await ask(early, asking(method="POST"), endless())
            assert (seen.status, seen.body, seen.failure) == (413, b"too", None)
            await settled(early, 0)  # half a request has gone out on it: nothing else may
            await left.wait()  # whoever made the body knows
            over.set()
            await early.close()
            await upstream.close()
            server.close()

    asyncio.run(run())


def test_an_answer_may_begin_while_the_request_is_still_sent() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            seen = asyncio.Event()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
                while size := int(await reader.readline(), 16):
                    chunk = await reader.readexactly(size + 2)
                    writer.write(b"%x\r\n%b" % (size, chunk))
                writer.write(b"0\r\n\r\n")
                writer.close()

            async def slowly() -> AsyncIterator[bytes]:
                yield b"one "
                await seen.wait()
                yield b"two"

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUICK, 1, keep_alive=60)
            exchange = await upstream.exchange(asking(method="POST"), slowly())
            body = b""
            async for chunk in exchange.chunks():
                body += chunk
                seen.set()  # only the answer's first byte lets the request go on
            assert body == b"one two"
            exchange.close()
            await upstream.close()
            server.close()
            assert not origin.asked

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "why"),
    [(UpstreamFailed(Failure.ABANDONED, "the viewer left"), Failure.ABANDONED), (LookupError("odd"), Failure.INTERNAL)],
)
def test_a_request_body_that_fails_fails_the_exchange(error: Exception, why: Failure) -> None:
    async def run() -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"half"
            raise error

        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            seen = await ask(upstream, asking(method="POST"), broken())
            assert seen.failure is why
            await settled(upstream, 0)
            await until(lambda: not origin.connections)
            assert not origin.asked  # half a request is none
            await upstream.close()

    asyncio.run(run())


def test_a_parent_that_does_not_read_the_request_is_given_up() -> None:
    async def run() -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(2**20)

        with socket.create_server(("127.0.0.1", 0)) as deaf:
            upstream = Upstream(f"http://127.0.0.1:{deaf.getsockname()[1]}", SILENT, 1)
            seen = await ask(upstream, asking(method="POST"), endless())
            assert seen.failure is Failure.BETWEEN_BYTES_TIMEOUT
            await upstream.close()

    asyncio.run(run())


def test_a_thousand_exchanges_cancelled_anywhere_leave_no_slot_taken_and_no_socket_open() -> None:
    async def run() -> None:
        dice = random.Random(20261123)
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 8)

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                for piece in (b"HTTP/1.1 103 Early Hints\r\n\r\n", OK, b"content-length: 6\r\n\r\n", b"abc", b"def"):
                    writer.write(piece)
                    await writer.drain()
                    for _ in range(dice.randrange(3)):
                        await asyncio.sleep(0)

            origin.does("/a", script)
            files = open_files()
            whole = 0

            async def once(patience: int) -> None:
                nonlocal whole
                post = dice.random() < 0.3
                request = asking(method="POST" if post else "GET")
                task = asyncio.create_task(ask(upstream, request, pieces(b"a", b"b") if post else None))
                for _ in range(patience):
                    await asyncio.sleep(0)
                task.cancel()
                done = (await asyncio.gather(task, return_exceptions=True))[0]
                if not isinstance(done, BaseException):
                    assert (done.status, done.body) == (200, b"abcdef")
                    whole += 1

            for _ in range(50):
                await asyncio.gather(*(once(dice.randrange(60)) for _ in range(20)))
            assert 100 < whole < 900  # some were cancelled, some were not
            # All eight places are free, and every answer is one's own.
            seen = await asyncio.gather(*(ask(upstream, asking()) for _ in range(16)))
            assert {answer.body for answer in seen} == {b"abcdef"}
            assert upstream.open_connections <= 8
            await upstream.close()
            await until(lambda: not origin.connections)
            await asyncio.sleep(0)
            assert open_files() <= files

    asyncio.run(run())


def test_close_fails_what_is_under_way_and_leaves_no_connection() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 2, keep_alive=60)
            asked_once, never = asyncio.Event(), asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                asked_once.set()
                await never.wait()

            origin.does("/a", script)
            waiting = asyncio.create_task(ask(upstream, asking()))
            await asked_once.wait()
            await upstream.close()
            assert (await waiting).failure is Failure.RESET
            assert upstream.open_connections == 0
            assert (await ask(upstream, asking())).failure is Failure.ABANDONED
            never.set()

    asyncio.run(run())
