"""One fill, a thousand who wait for it: what the fan-out costs the node.

The node is a process of its own, so that its CPU time is its own; the origin and the viewers, who count bytes and keep
none, share this one. The object comes from the origin once, in pieces of 64 KiB, when all have asked for it. Beside it
the fan-out without sockets: the same pieces through `edge/bodies.py` to a thousand readers.
"""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import count

import psutil
import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from edge.bodies import Body, Reader
from tests.kit.burst import Viewer, allow_connections, connect, wire
from tests.kit.origin import Asked, Origin, response, running_origin

VIEWERS = 1000
PIECE = bytes(64 * 1024)
PIECES = 8
SIZE = PIECES * len(PIECE)
TOTAL = VIEWERS * SIZE

NODE = textwrap.dedent("""
    import asyncio, os, sys, uvloop
    from edge.serve import serve
    from cdnkit.settings.edge import Node
    from cdnkit.policy.rules.service import Behavior, Service
    async def main():
        stop = asyncio.Event()
        running = asyncio.create_task(serve(
            Node(name="fra"), Service(behaviors=(Behavior(path="*"),)), parent=sys.argv[1], records=None, shutdown=stop,
            ready=lambda said: print(said["url"], flush=True)))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        stop.set()
        await running
    uvloop.run(main())
""")


class Counting(Viewer):
    """Counts what it gets, and keeps none of it."""

    size = 0

    def on_body(self, piece: bytes) -> None:
        self.size += len(piece)


@pytest.fixture
def fresh() -> Iterator[int]:
    """Paths that nobody has asked for."""
    return count()


async def over_sockets(pid: int, url: str, origin: Origin, path: str) -> tuple[float, float]:
    """Seconds on the clock, and of the node's CPU, from the first byte of the origin to the last of the last viewer."""
    go = asyncio.Event()

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(response(bytes(SIZE), cache_control="max-age=600")[:-SIZE])
        for _ in range(PIECES):
            writer.write(PIECE)
            await writer.drain()

    origin.does(path, script)
    viewers = await connect(url, VIEWERS, Counting)
    for viewer in viewers:
        viewer.ask(wire(path))
    process = psutil.Process(pid)
    await _quiet(process)
    loop = asyncio.get_running_loop()
    cpu, began = sum(process.cpu_times()[:2]), loop.time()
    go.set()
    got = await asyncio.gather(*(viewer.done for viewer in viewers))
    wall, used = loop.time() - began, sum(process.cpu_times()[:2]) - cpu
    assert all(one.status == 200 and one.whole for one in got)
    assert {viewer.size for viewer in viewers if isinstance(viewer, Counting)} == {SIZE}
    assert origin.count[path] == 1
    return wall, used


async def _quiet(process: psutil.Process) -> None:
    """Until the node has taken in every request: it uses no more CPU."""
    before = -1.0
    while (now := sum(process.cpu_times()[:2])) != before:
        before = now
        await asyncio.sleep(0.3)


@pytest.mark.benchmark(group="fan-out to 1000")
def test_a_fill_reaches_a_thousand_waiters_over_sockets(benchmark: BenchmarkFixture, fresh: Iterator[int]) -> None:
    rounds: list[tuple[float, float]] = []

    async def once() -> None:
        async with running_origin() as origin:
            node = await asyncio.create_subprocess_exec(
                sys.executable, "-c", NODE, origin.url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert node.stdin is not None and node.stdout is not None
            try:
                url = (await node.stdout.readline()).decode().strip()
                rounds.append(await over_sockets(node.pid, url, origin, f"/{next(fresh)}"))
            finally:
                node.stdin.close()
                await node.wait()

    allow_connections(VIEWERS)  # before the node starts: it inherits the limit
    benchmark.pedantic(lambda: uvloop.run(once()), rounds=3)
    wall, used = min(rounds)
    benchmark.extra_info["MB_a_second"] = round(TOTAL / wall / 1e6)
    benchmark.extra_info["cpu_ms_a_MB"] = round(used * 1e3 / (TOTAL / 1e6), 3)
    benchmark.extra_info["cpu_us_a_viewer"] = round(used * 1e6 / VIEWERS)


@pytest.mark.benchmark(group="fan-out to 1000")
def test_a_body_reaches_a_thousand_readers_in_memory(benchmark: BenchmarkFixture) -> None:
    async def read(reader: Reader) -> int:
        return sum([len(piece) async for piece in reader.read()])

    async def once() -> None:
        body = Body(kept=True)
        readers = [asyncio.create_task(read(Reader(body, 0))) for _ in range(VIEWERS)]
        for _ in range(PIECES):
            await asyncio.sleep(0)
            body.write(PIECE)
        await asyncio.sleep(0)
        body.finish()
        assert set(await asyncio.gather(*readers)) == {SIZE}

    benchmark.pedantic(lambda: uvloop.run(once()), rounds=5, warmup_rounds=1)
    benchmark.extra_info["us_a_piece_and_reader"] = round(benchmark.stats["min"] * 1e6 / (PIECES * VIEWERS), 2)
