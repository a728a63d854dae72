"""`python -m tests.soak.origin.wake`: how long 2,000 blocking reloads of one playlist take to be answered.

The origin is a process of its own, so that the clients' work is on another core where there is one.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

from tests.kit import ll_player
from tests.kit.http import Reply, ask
from tests.kit.late import GUARD_S
from tests.kit.looped import chunk
from tests.kit.origin_process import OriginProcess
from tests.soak.origin.source import looped_tracks

SEGMENT_S = 6.0
"""Requests are held for three of them: time to open the connections."""


class _Waiting(asyncio.Protocol):
    """One connection with a request on it, again and again."""

    def __init__(self, came: "asyncio.Queue[bytes]") -> None:
        self._came = came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.waits = False

    def ask(self, head: bytes) -> None:
        self.waits = True
        self.transport.write(head)

    def data_received(self, data: bytes) -> None:
        if self.waits:
            self.waits = False
            self._came.put_nowait(data[:12])


async def wake(folder: Path, *, waiting: int, rounds: int, profile: Path | None = None) -> list[float]:
    """Seconds from sending a part to the last answer, for each of some rounds; and the origin's CPU for it, seconds."""
    settings = [f'segment = "{SEGMENT_S:g}s"', 'part = "500ms"', 'window = "30s"']
    origin = await OriginProcess(folder, settings, profile).start()
    took = []
    try:
        (track,) = await looped_tracks(folder / "vod", ("240p.cmfv",))
        parts = urlsplit(origin.ingest)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"POST /ingest/live/240p.cmfv HTTP/1.1\r\nHost: {parts.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode() + chunk(track.header))
        pieces = track.pieces(Fraction(6), Fraction(1, 2))
        for _ in range(30):
            writer.write(chunk(next(pieces).data))
        target, came = "/live/240p/media.m3u8", asyncio.Queue[bytes]()
        host, port = urlsplit(origin.url).hostname, urlsplit(origin.url).port
        await _until(lambda: ask(origin.url, target), lambda reply: reply.status == 200)
        loop = asyncio.get_running_loop()
        clients = [(await loop.create_connection(lambda: _Waiting(came), host, port))[1] for _ in range(waiting)]
        for _ in range(rounds):
            await asyncio.sleep(0.3)
            msn, part = ll_player.read((await ask(origin.url, target)).body.decode()).next_part
            request = f"GET {target}?_HLS_msn={msn}&_HLS_part={part} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
            for client in clients:
                client.ask(request)
            await _until(lambda: ask(origin.url), lambda reply: b'"waiting": %d' % waiting in reply.body)
            assert came.empty()
            before, began = origin.cpu_s(), time.perf_counter()
            writer.write(chunk(next(pieces).data))
            for _ in range(waiting):
                assert await came.get() == b"HTTP/1.1 200"
            took.append(time.perf_counter() - began)
            print(f"{1000 * took[-1]:.0f} ms, {1000 * (origin.cpu_s() - before):.0f} ms of CPU", flush=True)
        writer.close()
    finally:
        await origin.stop()
    return took


async def _until(look: Callable[[], Awaitable[Reply]], well: Callable[[Reply], bool]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not well(await look()):  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.origin.wake", description=__doc__)
    parser.add_argument("--waiting", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--profile", type=Path, default=None, help="a file for what cProfile finds in the origin")
    given = parser.parse_args()
    folder = Path(mkdtemp(prefix="wake-"))
    try:
        took = asyncio.run(wake(folder, waiting=given.waiting, rounds=given.rounds, profile=given.profile))
    finally:
        shutil.rmtree(folder)
    print(f"{given.waiting} blocking reloads: {1000 * min(took):.0f} ms at best, {1000 * max(took):.0f} ms at worst")
    return 0


if __name__ == "__main__":
    sys.exit(main())
