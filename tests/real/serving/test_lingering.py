"""How long a connection is kept open for one who was refused: his answer must reach him, and no longer."""

import asyncio
import gc
import socket
import struct
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from cdnkit.serving.acknowledged import acknowledged, unacknowledged
from cdnkit.serving.lingering import drop
from tests.kit.http2 import narrow
from tests.kit.hurry import hurry
from tests.kit.listener import hello, listening_on, served_by  # noqa: F401  (a fixture)

STEP_S = 0.25


def over_http2() -> bytes:
    """A request that nobody answers, and a frame that breaks the rules: DATA on no stream."""
    wire = H2Connection(H2Configuration(client_side=True))
    wire.initiate_connection()
    head = [(":method", "GET"), (":path", "/waits"), (":scheme", "http"), (":authority", "x")]
    wire.send_headers(1, head, end_stream=True)
    return wire.data_to_send() + b"\0\0\1\0\0\0\0\0\0x"


REFUSED = [  # what is sent, what the answer has in it
    pytest.param(b"NO HTTP\r\n\r\n", b"HTTP/1.1 400", id="at once"),
    pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nNO HTTP\r\n\r\n", b"HTTP/1.1 400", id="behind a request"),
    pytest.param(over_http2(), b"\0\0\x08\x07\0", id="HTTP/2, in the middle of an answer"),  # GOAWAY
]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/waits":
        while (await receive())["type"] != "http.disconnect":
            pass
    await hello(scope, receive, send)


STALLED = [  # the listener's `stalled`   for how many seconds the connection stays, the client having read everything
    (60.0, 2.0),
    (1.0, 1.0),  # no longer than it waits for anybody
]


@pytest.mark.parametrize(("sent", "answered"), REFUSED)
@pytest.mark.parametrize(("stalled", "stays"), STALLED)
def test_one_who_was_refused_may_send_for_a_moment_and_is_cut_off_then(
    stalled: float, stays: float, sent: bytes, answered: bytes
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening_on(app, stalled=stalled) as (listener, url), narrow(url) as client:
            await loop.sock_sendall(client, sent)
            answer = b""
            while more := await loop.sock_recv(client, 4096):
                answer += more
            assert answer.count(answered) == 1
            began = loop.time()
            while listener._open:
                if loop.time() < began + stays / 2:
                    await loop.sock_sendall(client, b"what is thrown away")
                await asyncio.sleep(STEP_S)
                assert loop.time() < began + 60.0
            assert stays <= loop.time() - began <= stays + 2 * STEP_S

    hurry(run())


def test_a_connection_that_was_reset_is_asked_for_nothing_and_nothing_is_said_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It once ended in a ValueError, where uvloop's socket is asked that is closed."""

    async def run() -> None:
        async with listening_on(app) as (listener, url):
            loop = asyncio.get_running_loop()
            for _ in range(20):
                async with narrow(url) as client:
                    await loop.sock_sendall(client, b"POST /waits HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1234")
                    while not listener._open:  # noqa: ASYNC110  (until it is accepted)
                        await asyncio.sleep(0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            while listener._open:  # noqa: ASYNC110  (they end by themselves)
                await asyncio.sleep(0.01)

    asyncio.run(run())
    gc.collect()
    assert not caplog.records


def test_what_a_closed_transport_is_asked_it_answers() -> None:
    async def run() -> None:
        made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

        class Peer(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.set_result(transport)  # type: ignore[arg-type]

        server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        transport = await made
        transport.abort()
        await asyncio.sleep(0.01)
        assert (acknowledged(transport), unacknowledged(transport)) == (0, 0)
        drop(transport)
        writer.close()
        server.close()

    asyncio.run(run())
