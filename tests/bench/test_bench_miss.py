"""What a miss costs the whole node, over sockets: beside a hit of the same size, and beside a fetch alone.

The node runs in this process, on uvloop, behind a token and a country, with records; origin and client are processes of
their own, so that CPU time here is the node's. Sixteen connections ask, each for one new object after the other:
`pytest tests/bench/test_bench_miss.py -o addopts= --benchmark-only`.
"""

import asyncio
import hmac
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy.rules.service import Behavior, Geo
from edge.collector import settled
from tests.bench.test_bench_upstream import ORIGIN, cpu_s, running
from tests.kit.node import running_node

SECRET, KEY = b"k" * 32, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
CONNECTIONS = 16
KINDS = {  # the first letter of a path, bytes, requests of a round, whether each is for a new object
    "hit-1.2kB": ("s", 1200, 8_000, False),
    "miss-1.2kB": ("s", 1200, 4_000, True),
    "miss-chunked-1.2kB": ("c", 1200, 4_000, True),
    "hit-1.5MB": ("l", 1_500_000, 200, False),
    "miss-1.5MB": ("l", 1_500_000, 100, True),
}

CLIENT = textwrap.dedent('''
    """Sends the request lines that come on standard input, over so many connections, and reads each response."""
    import asyncio, sys, uvloop
    port, connections, size = map(int, sys.argv[1:])
    class Client(asyncio.Protocol):
        def __init__(self, targets, over): self.targets, self.over, self.want = targets, over, 0
        def connection_made(self, transport):
            self.transport = transport
            self.ask()
        def ask(self):
            target = next(self.targets, None)
            if target is None:
                self.transport.abort()
                return
            self.got, self.head = 0, b""
            self.transport.write(b"GET %b HTTP/1.1\\r\\nHost: a.example\\r\\nUser-Agent: a player/1.0\\r\\n\\r\\n" % target)
        def data_received(self, data):
            if self.head is not None:
                self.head += data
                end = self.head.find(b"\\r\\n\\r\\n")
                if end < 0: return
                assert self.head.startswith(b"HTTP/1.1 200"), self.head
                self.chunked = b"transfer-encoding: chunked" in self.head[:end]
                data, self.head = self.head[end + 4:], None
            self.got += len(data)
            if data.endswith(b"0\\r\\n\\r\\n") if self.chunked else self.got >= size: self.ask()
        def connection_lost(self, error): self.over()
    async def main():
        targets = iter(sys.stdin.buffer.read().split())
        left, done = connections, asyncio.Event()
        def over():
            nonlocal left
            left -= 1
            if not left: done.set()
        for _ in range(connections):
            await asyncio.get_running_loop().create_connection(lambda: Client(targets, over), "127.0.0.1", port)
        await done.wait()
    uvloop.run(main())
''')  # fmt: skip


def signed(path: str) -> str:
    expires = f"{int(time.time()) + 3600}"
    return f"{path}?token={expires}_{hmac.digest(SECRET, (path + expires).encode(), 'sha256').hex()}"


async def ask(url: str, targets: list[str], size: int) -> float:
    """CPU seconds of this process for each of these requests."""
    port = url.rpartition(":")[2]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, port, str(CONNECTIONS), str(size), stdin=asyncio.subprocess.PIPE
    )
    before = cpu_s()
    await client.communicate("\n".join(targets).encode())
    assert client.returncode == 0
    return (cpu_s() - before) / len(targets)


async def a_node(origin: str, records: Path, kind: str, measured: Callable[[float], None], rounds: int) -> None:
    letter, size, count, new = KINDS[kind]
    rule = Behavior(path="*", token="v", geo=Geo(deny=("KP",), unknown="allow"))
    tokens = {"tokens": {"v": {"scheme": "fastly", "key": KEY}}}
    async with running_node(origin, rule, records=records, service=tokens, memory="1GiB") as node:
        settled(lambda _: None)({})  # as in a node's own process
        for turn in range(rounds + 1):
            numbers = range(turn * count, (turn + 1) * count) if new else [0] * count
            used = await ask(node.url, [signed(f"/{letter}{number}.m4s") for number in numbers], size)
            if turn:
                measured(used)


@pytest.mark.benchmark(group="miss")
@pytest.mark.parametrize("kind", KINDS)
def test_a_response_of_a_node(benchmark: BenchmarkFixture, kind: str, tmp_path: Path) -> None:
    used: list[float] = []
    with running(ORIGIN) as origin:
        benchmark.pedantic(
            lambda: uvloop.run(a_node(origin, tmp_path / "fra.jsonl", kind, used.append, rounds=5)), rounds=1
        )
    used.sort()
    benchmark.extra_info["cpu_us_a_request"] = round(used[len(used) // 2] * 1e6, 1)
