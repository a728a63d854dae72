"""Viewers who read slowly or not at all, over real sockets: what they cost the node, the others, and themselves."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from cdnkit.policy.rules.service import Behavior
from edge.bodies import PIECE_BYTES
from tests.kit.http import ask
from tests.kit.http2 import http2, narrow
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.node import running_node
from tests.kit.origin import Asked, running_origin

SIZE = 20_000_000
GET = b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n"
BUFFERS = 8 * 2**20
"""What two pairs of kernel buffers, the window, and the server's own hold together, at most."""


class Counting:
    """Sends SIZE bytes in chunks and counts what the node has taken."""

    def __init__(self, fields: bytes) -> None:
        self.sent = 0
        self._fields = fields

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        writer.write(b"HTTP/1.1 200 OK\r\n" + self._fields + b"transfer-encoding: chunked\r\n\r\n")
        piece = bytes(50_000)
        for _ in range(SIZE // len(piece)):
            writer.write(b"c350\r\n" + piece + b"\r\n")
            await writer.drain()
            self.sent += len(piece)
        writer.write(b"0\r\n\r\n")


async def standstill(origin: Counting) -> int:
    """The bytes the node has taken when it has begun and takes no more."""
    before, same = 0, 0
    while same < 5:
        await asyncio.sleep(0.02)
        same = same + 1 if origin.sent == before > 0 else 0
        before = origin.sent
    return before


def test_a_body_that_is_not_kept_waits_for_its_reader_and_does_not_pile_up() -> None:
    async def run() -> None:
        pouring = Counting(b"cache-control: no-store\r\n")
        async with running_origin() as origin:
            origin.does("/big", pouring)
            async with running_node(origin.url) as node:
                async with narrow(node.url) as viewer:
                    await asyncio.get_running_loop().sock_sendall(viewer, GET)
                    assert await standstill(pouring) < BUFFERS
                pouring.sent = 0
                async with http2(node.url) as client:
                    stream = await client.ask("/big")
                    await client.until(stream, read_windows_of=set(), or_when=lambda: len(stream.body) == 65_535)
                    assert await standstill(pouring) < BUFFERS

    asyncio.run(run())


def test_fast_readers_do_not_wait_for_a_slow_one_of_the_same_body(tmp_path: Path) -> None:
    """It grows too large to keep while both read it: the slow one is cut off, the fast one has all of it."""

    async def run() -> None:
        pouring = Counting(b"cache-control: max-age=60\r\n")
        async with running_origin() as origin:
            origin.does("/big", pouring)
            records = tmp_path / "fra.jsonl"
            async with running_node(origin.url, records=records, memory="4MiB", largest="1MiB") as node:
                async with narrow(node.url) as slow:
                    loop = asyncio.get_running_loop()
                    await loop.sock_sendall(slow, GET)
                    fast = await asyncio.wait_for(ask(node.url, "/big"), GUARD_S)
                    assert len(fast.body) == SIZE and fast.whole
                    taken = 0
                    while data := await loop.sock_recv(slow, 65_536):
                        taken += len(data)
                    assert 0 < taken < SIZE
                await node.stop()
                assert origin.count["/big"] == 1
                lines = [line for line in node.records() if line["kind"] == "request"]
                cut = next(line for line in lines if line["aborted"])
                assert cut["reason"] == "viewer: too slow for a body that is not kept and that others read"

    asyncio.run(run())


def test_a_viewer_who_takes_nothing_is_dropped_and_the_record_says_so(tmp_path: Path) -> None:
    async def run(stalled: float) -> None:
        async with running_origin() as origin:
            origin.says("/big", bytes(SIZE), cache_control="max-age=60")
            records = tmp_path / f"{stalled}.jsonl"
            limits = {"stalled": stalled}
            async with running_node(origin.url, records=records, limits=limits) as node:
                if not (await node.get("/big")).whole:
                    raise Late("one who reads was dropped")
                async with narrow(node.url) as viewer, http2(node.url) as client:
                    loop = asyncio.get_running_loop()
                    await loop.sock_sendall(viewer, GET)
                    stream = await client.ask("/big")
                    await client.until(stream, read_windows_of=set())
                    assert stream.reset and not stream.whole
                    with suppress(ConnectionResetError):
                        async with asyncio.timeout(GUARD_S):
                            while await loop.sock_recv(viewer, 65_536):
                                pass
                    again = await client.ask("/big")
                    await client.until(again)
                    if not again.whole:
                        raise Late("one who reads was dropped, over HTTP/2")
                    assert len(again.body) == SIZE
                await node.stop()
                lines = [line for line in node.records() if line["kind"] == "request"]
                dropped = [line for line in lines if line["aborted"]]
                assert [line["reason"] for line in dropped] == [f"viewer: took nothing for {stalled:g} s"] * 2
                assert all(line["bytes_sent"] < SIZE for line in dropped)

    judged(lambda stalled: asyncio.run(run(stalled)), 0.2)


def test_viewers_who_do_not_read_share_the_stored_body() -> None:
    """Each costs the node some pieces of it. (In one process with the test: what grows is the node's and ours.)"""

    async def run() -> None:
        viewers = 100
        async with running_origin() as origin:
            origin.says("/big", bytes(SIZE), cache_control="max-age=60")
            async with running_node(origin.url, Behavior(path="*")) as node:
                assert len((await node.get("/big")).body) == SIZE
                process, loop = psutil.Process(), asyncio.get_running_loop()
                before = process.memory_info().rss
                stack = []
                for _ in range(viewers):
                    context = narrow(node.url)
                    await loop.sock_sendall(await context.__aenter__(), GET)
                    stack.append(context)
                await asyncio.sleep(0.5)
                assert process.memory_info().rss - before < viewers * 8 * PIECE_BYTES
                assert len((await asyncio.wait_for(node.get("/big"), GUARD_S)).body) == SIZE
                for context in stack:
                    await context.__aexit__(None, None, None)

    asyncio.run(run())


STEP_S = 0.05
PACES = [  # bytes read, twenty times a second   whether the client is served on
    pytest.param(8192, True, id="slowly: less than the kernel takes in one step"),
    pytest.param(1, False, id="a byte at a time"),
    pytest.param(0, False, id="not at all"),
]


@pytest.mark.long
@pytest.mark.parametrize(("pace", "served"), PACES)
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_viewer_is_dropped_for_what_it_takes_and_not_for_what_the_kernel_takes(
    version: str, pace: int, *, served: bool
) -> None:
    """The kernel takes half a megabyte at a time, for which a slow viewer needs several times as long as it may stall."""

    async def run(stalled: float) -> None:
        async with running_origin() as origin:
            origin.says("/big", bytes(SIZE), cache_control="max-age=60")
            async with running_node(origin.url, limits={"stalled": stalled}) as node:
                await node.get("/big")
                async with narrow(node.url) as viewer:
                    loop = asyncio.get_running_loop()
                    began = loop.time()
                    await loop.sock_sendall(viewer, GET if version == "1.1" else _get_of_http2())
                    lasted = await _read_slowly(viewer, pace, 8 * stalled)
        if served and lasted is not None:
            raise Late(f"one who reads was dropped after {lasted - began:.1f} s")
        if not served:
            assert lasted is not None
            if lasted - began > 2 * stalled + 1.0:
                raise Late(f"one who takes nothing was dropped after {lasted - began:.1f} s")

    judged(lambda stalled: asyncio.run(run(stalled)), 0.4)


async def _read_slowly(viewer: socket.socket, pace: int, seconds: float) -> float | None:
    """When the connection ended; None: it did not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        await asyncio.sleep(STEP_S)
        try:
            ended = bool(viewer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            if ended or (pace and not await loop.sock_recv(viewer, pace)):
                return loop.time()
        except ConnectionError:
            return loop.time()
    return None


def _get_of_http2() -> bytes:
    """A request by one who takes the whole body at once, as far as windows are concerned."""
    wire = H2Connection(H2Configuration(client_side=True))
    wire.initiate_connection()
    wire.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    wire.increment_flow_control_window(2**30)
    head = [(":method", "GET"), (":path", "/big"), (":scheme", "http"), (":authority", "x")]
    wire.send_headers(1, head, end_stream=True)
    return wire.data_to_send()


def test_of_a_viewer_who_left_what_it_took_is_recorded(tmp_path: Path) -> None:
    """uvloop's transport knows nothing of it once the viewer has gone; the kernel does."""

    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/big", bytes(SIZE), cache_control="max-age=60")
            async with running_node(origin.url, records=tmp_path / "fra.jsonl") as node:
                await node.get("/big")
                async with narrow(node.url) as viewer:
                    loop = asyncio.get_running_loop()
                    await loop.sock_sendall(viewer, GET)
                    taken = 0
                    while taken < 100_000:
                        taken += len(await loop.sock_recv(viewer, 8192))
                    viewer.close()
                await asyncio.sleep(0.5)
                await node.stop()
                cut = next(line for line in node.records() if line["kind"] == "request" and line["aborted"])
                exact = "uvloop" in type(loop).__module__
                held = 64 * 1024 if exact else 4 * 2**20
                assert taken - 1000 <= cut["bytes_sent"] <= taken + held  # a thousand for the head

    asyncio.run(run())


@pytest.mark.long
def test_the_last_response_of_a_connection_waits_for_a_slow_viewer() -> None:
    """All of it is in the kernel when the node hangs up; a moment later the connection was closed, though not taken."""
    size = 300_000

    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/big", bytes(size), cache_control="max-age=60")
            async with running_node(origin.url) as node:
                await node.get("/big")
                async with narrow(node.url) as viewer:
                    loop = asyncio.get_running_loop()
                    await loop.sock_sendall(viewer, GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
                    taken, fast_from = 0, loop.time() + 3.0  # longer than one lingers who has taken everything
                    while data := await loop.sock_recv(viewer, 8192):
                        taken += len(data)
                        if loop.time() < fast_from:
                            await asyncio.sleep(0.1)
                    assert taken > size

    asyncio.run(run())
