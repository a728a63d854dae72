"""Clients who take their answer slowly or not at all: they hold little, they hold up nobody, and they are let go."""

import asyncio
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from cdnkit.serving import Left, Stalled
from tests.kit.http import ask
from tests.kit.http2 import http2, narrow
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.listener import Pouring, hello, listening, served_by  # noqa: F401  (a fixture)

ENDLESS = b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n"
WINDOW_BYTES = 65_535
"""What every stream's window begins with (RFC 9113 §6.9.2)."""

HELD_BYTES = 2 * 2**20
"""More than the buffers of both kernels and of the server together, and far less than an application can pour out."""


def test_http1_holds_back_who_writes_to_one_who_does_not_read() -> None:
    async def run() -> None:
        pouring = Pouring()
        async with listening(pouring) as url, narrow(url) as client:
            await asyncio.get_running_loop().sock_sendall(client, ENDLESS)
            await pouring.held_back(within_bytes=HELD_BYTES)

    asyncio.run(run())


def test_http2_holds_back_who_writes_to_a_stream_whose_window_is_closed() -> None:
    # hypercorn's own buffer let the writer go on: the whole body lay in memory.
    async def run() -> None:
        pouring = Pouring()
        async with listening(pouring) as url, http2(url) as client:
            poured = await client.ask("/endless")
            await client.until(poured, read_windows_of=set(), or_when=lambda: len(poured.body) == WINDOW_BYTES)
            await pouring.held_back(within_bytes=WINDOW_BYTES + 4 * 32_768)
            other = await client.ask("/other")
            await client.until(other)
            assert bytes(other.body) == b"hello"

    asyncio.run(run())


def test_one_who_takes_nothing_is_dropped_from_http1() -> None:
    async def run() -> None:
        pouring = Pouring()
        async with listening(pouring, stalled=0.2) as url, narrow(url) as client:
            await asyncio.get_running_loop().sock_sendall(client, ENDLESS)
            why = await asyncio.wait_for(pouring.ended, GUARD_S)
            assert isinstance(why, Stalled) and str(why) == "took nothing for 0.2 s"

    asyncio.run(run())


def test_a_stream_that_takes_nothing_is_dropped_and_its_connection_lives() -> None:
    async def run() -> None:
        pouring = Pouring()
        async with listening(pouring, stalled=0.2) as url, http2(url) as client:
            poured = await client.ask("/endless")
            await client.until(poured, read_windows_of=set())
            assert poured.reset == ErrorCodes.CANCEL and not poured.whole
            assert isinstance(await pouring.ended, Stalled)
            other = await client.ask("/other")
            await client.until(other)
            assert other.status == 200

    asyncio.run(run())


def test_an_http2_connection_that_takes_nothing_is_dropped_and_all_its_streams_know_why() -> None:
    # A stream that began to wait later than its connection was told only that it was closed.
    async def run() -> None:
        first, second = Pouring(), Pouring()

        async def pour(scope: Any, receive: Any, send: Any) -> None:
            async def send_later(message: Any) -> None:
                if message["type"] == "http.response.body":
                    await first.held_back(within_bytes=HELD_BYTES)
                await send(message)

            if scope["query_string"]:
                await second(scope, receive, send_later)
            else:
                await first(scope, receive, send)

        async with listening(pour, stalled=0.5) as url, narrow(url) as client:
            wire = H2Connection(H2Configuration(client_side=True))
            wire.initiate_connection()
            wire.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
            wire.increment_flow_control_window(2**30)
            for stream_id, path in ((1, "/endless"), (3, "/endless?later")):
                head = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "x")]
                wire.send_headers(stream_id, head, end_stream=True)
            await asyncio.get_running_loop().sock_sendall(client, wire.data_to_send())
            for pouring in (first, second):
                assert isinstance(await asyncio.wait_for(pouring.ended, GUARD_S), Stalled)

    asyncio.run(run())


@pytest.mark.long
def test_one_who_reads_slowly_is_served_for_as_long_as_he_reads() -> None:
    async def run(stalled: float) -> None:
        pouring = Pouring()
        async with listening(pouring, stalled=stalled) as url, narrow(url) as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, ENDLESS)
            until = loop.time() + 5 * stalled
            while loop.time() < until:
                if pouring.ended.done():
                    raise Late(f"dropped with {stalled} s: {pouring.ended.result()}")
                assert await loop.sock_recv(client, 16_384)
                await asyncio.sleep(0.02)

    judged(lambda stalled: asyncio.run(run(stalled)), 0.5)


def test_the_last_of_an_answer_waits_for_a_slow_reader_though_the_connection_ends() -> None:
    body = bytes(300_000)

    async def once(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for at in range(0, len(body), 30_000):
            await send({"type": "http.response.body", "body": body[at : at + 30_000], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        async with listening(once) as url, narrow(url) as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            taken, last = 0, loop.time() + 3.0  # longer than we linger for one who has taken everything
            while data := await loop.sock_recv(client, 8192):
                taken += len(data)
                if loop.time() < last:
                    await asyncio.sleep(0.1)
            assert taken > len(body)

    asyncio.run(run())


def test_one_who_leaves_in_the_middle_is_noticed_by_the_next_write() -> None:
    # On HTTP/2, hypercorn left who wrote to a full stream waiting for ever when its connection ended.
    async def over_http1(url: str) -> None:
        async with narrow(url) as client:
            await asyncio.get_running_loop().sock_sendall(client, ENDLESS)
            await asyncio.get_running_loop().sock_recv(client, 10_000)

    async def over_http2(url: str) -> None:
        async with http2(url) as client:
            poured = await client.ask("/endless")
            await client.until(poured, read_windows_of=set(), or_when=lambda: len(poured.body) == WINDOW_BYTES)

    async def run() -> None:
        for comes_and_leaves in (over_http1, over_http2):
            pouring = Pouring()
            async with listening(pouring) as url:
                await comes_and_leaves(url)
                why = await asyncio.wait_for(pouring.ended, GUARD_S)
                assert isinstance(why, Left) and not isinstance(why, Stalled), comes_and_leaves

    asyncio.run(run())


def test_a_stream_that_its_client_resets_is_noticed_and_its_connection_lives() -> None:
    async def run() -> None:
        pouring = Pouring()
        async with listening(pouring) as url, http2(url) as client:
            poured = await client.ask("/endless")
            await client.until(poured, read_windows_of=set(), or_when=lambda: len(poured.body) == WINDOW_BYTES)
            client.h2.reset_stream(1, ErrorCodes.CANCEL)
            await client.flush()
            assert isinstance(await asyncio.wait_for(pouring.ended, GUARD_S), Left)
            other = await client.ask("/other")
            await client.until(other)
            assert other.status == 200

    asyncio.run(run())


def test_an_answer_cut_short_is_a_reset_stream() -> None:
    # hypercorn said nothing: the client waited for the rest for ever.
    async def short(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def run() -> None:
        async with listening(short) as url, http2(url) as client:
            stream = await client.ask("/")
            await client.until(stream)
            assert stream.reset == ErrorCodes.INTERNAL_ERROR and not stream.whole

    asyncio.run(run())


def test_content_that_nobody_reads_holds_up_no_other_stream_and_no_ending() -> None:
    # hypercorn's queue blocked the connection, and blocked its task for good once the application had ended.
    async def run() -> None:
        async with listening(hello) as url, http2(url) as client:
            upload = await client.ask("/upload", method="POST", end=False)
            await client.until(upload)
            assert upload.status == 200 and bytes(upload.body) == b"hello"
            assert upload.reset in (None, ErrorCodes.NO_ERROR)
            other = await client.ask("/other")
            await client.until(other)
            assert other.status == 200
            reply = await ask(url, "/", method="POST", body=bytes(3_000_000))
            assert (reply.status, reply.body) == (200, b"hello")

    asyncio.run(run())


def test_content_comes_whole_over_both_versions_however_slowly_it_is_read() -> None:
    async def measure(scope: Any, receive: Any, send: Any) -> None:
        size = 0
        while True:
            message = await receive()
            size += len(message["body"])
            await asyncio.sleep(0)
            if not message["more_body"]:
                break
        body = b"%d" % size
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def run() -> None:
        async with listening(measure) as url, http2(url) as client:
            assert (await ask(url, "/", method="POST", body=bytes(1_000_000))).body == b"1000000"
            upload = await client.ask("/", method="POST", end=False)
            left = 1_000_000

            def room_for() -> int:
                return min(left, client.h2.local_flow_control_window(1), client.h2.max_outbound_frame_size)

            while left:
                await client.until(upload, or_when=lambda: room_for() > 0)
                room = room_for()
                client.h2.send_data(1, bytes(room), end_stream=room == left)
                left -= room
                await client.flush()
            await client.until(upload)
            assert bytes(upload.body) == b"1000000"

    asyncio.run(run())
