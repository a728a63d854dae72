"""Listening: a port in use is told by its setting, clients that leave leave nothing behind, stopping is quick."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import psutil
import pytest
from starlette.types import Receive, Scope, Send

from cdnkit.serving import Left, Listener, PortInUse, bind, url_of
from tests.kit.http import ask
from tests.kit.http2 import http2
from tests.kit.hurry import hurry
from tests.kit.late import GUARD_S

LOG = logging.getLogger("test")


@asynccontextmanager
async def serving(app) -> AsyncIterator[tuple[str, Listener]]:  # type: ignore[no-untyped-def]
    listener = Listener(app, LOG)
    socket = bind("127.0.0.1:0", "test.listen")
    url = url_of(socket)
    await listener.start(socket)
    try:
        yield url, listener
    finally:
        await listener.close()


def test_a_port_in_use_is_named_with_its_setting() -> None:
    taken = bind("127.0.0.1:0", "first")
    try:
        with pytest.raises(
            PortInUse, match=r"node fra: listen: cannot listen on 127\.0\.0\.1:\d+: Address already in use"
        ):
            bind(url_of(taken).removeprefix("http://"), "node fra: listen")
    finally:
        taken.close()


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nobody until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def test_a_client_that_leaves_during_a_request_leaves_no_socket_behind() -> None:
    # It once stayed in CLOSE_WAIT until the keep-alive time-out of 75 s.
    async def run() -> None:
        async with serving(endless) as (url, _):
            host, port = url.removeprefix("http://").split(":")
            for _ in range(20):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                await writer.drain()
                writer.close()
            async with asyncio.timeout(GUARD_S):
                while any(  # noqa: ASYNC110  (the kernel table has no event to wait for)
                    connection.laddr.port == int(port) and connection.status in ("CLOSE_WAIT", "ESTABLISHED")
                    for connection in psutil.Process().net_connections("tcp")
                ):
                    await asyncio.sleep(0)

    asyncio.run(run())


def test_what_came_before_a_connection_broke_is_read() -> None:
    """An encoder sends its last objects in one go, reads no response, and resets the connection by closing it."""
    bodies: list[bytes] = []
    broken = asyncio.Event()

    async def takes(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while message := await receive():
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        bodies.append(body)
        await broken.wait()
        for part in (
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]},
            {"type": "http.response.body", "body": b""},
        ):
            with suppress(Left):
                await send(part)

    async def run() -> None:
        async with serving(takes) as (url, listener):
            host, port = url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            one = b"PUT /%d HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n" + b"x" * 9000
            for number in range(10):
                writer.write(one.replace(b"%d", b"%d" % number))
            await writer.drain()
            (connection,) = await _until(lambda: list(listener._connections.values()))
            await _until(lambda: len(connection.reader._buffer) > 4096)
            writer.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await _until(lambda: connection.transport.is_closing())
            broken.set()
            await _until(lambda: len(bodies) == 10)
            assert set(bodies) == {b"x" * 9000}

    asyncio.run(run())


async def _until(what: Callable[[], Any]) -> Any:
    async with asyncio.timeout(GUARD_S):
        while not (found := what()):  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0)
    return found


def test_closing_does_not_wait_for_those_who_never_read() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})

    async def run() -> float:
        async with serving(app) as (url, _):
            host, port = url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            began = asyncio.get_running_loop().time()
        writer.transport.abort()
        return asyncio.get_running_loop().time() - began

    assert hurry(run()) < 1.5


def test_an_application_that_fails_is_a_500_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a bug of ours")

    async def run() -> None:
        async with serving(app) as (url, _):
            assert (await ask(url, "/x")).status == 500

    asyncio.run(run())
    assert "/x: RuntimeError: a bug of ours" in caplog.text and "Traceback" not in caplog.text


def test_http2_requests_reach_the_application_as_http1_would_have_brought_them() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append([line for line in scope["headers"] if line[0] != b"host"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        async with serving(app) as (url, _), http2(url) as client:
            crumbs = await client.ask("/", ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"))
            unsized = await client.ask("/", method="POST", end=False)
            await client.until(crumbs, unsized)
        assert seen == [[(b"x", b"y"), (b"cookie", b"a=1; b=2")], [(b"transfer-encoding", b"chunked")]]

    asyncio.run(run())
