"""`python -m tests.bench.workers`: one node with one, two and three processes: hits, misses, and memory.

All of a node's processes run on core 0, wrk on core 1, 64 connections, slices of a second in turn. So what is measured
is CPU time, of each process by itself. A capacity follows: the hits a second at which the busiest process would fill a
core of its own, were the connections spread as they were here. With as many cores as processes a node would reach it
if the cores shared nothing; caches of the CPU and the kernel's part they do share.
"""

import argparse
import shutil
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.peers.load import Load
from tests.bench.peers.processes import cpu_seconds, tree
from tests.bench.peers.rows import ROWS, Row
from tests.bench.peers.servers import Server, Servers

OBJECTS = 20_000
WORKERS = (1, 2, 3)
FILLS = 6
"""So often is each object asked for before anything is measured, over connections that come to any process."""


@dataclass
class Measured:
    """The slices of one node in one row."""

    hits_a_second: list[float] = field(default_factory=list)
    each: list[list[float]] = field(default_factory=list)
    """By slice, CPU time in µs of each process per request of the node."""

    @property
    def cpu(self) -> float:
        return median(map(sum, self.each))

    @property
    def capacity(self) -> float:
        return 1e6 / median(map(max, self.each))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--only", default="hit,hit-set,hit200,304,miss")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="workers-"))
    servers = Servers(folder)
    try:
        servers.start_edges(*WORKERS)
        load = Load(folder, options.objects, options.seconds)
        rows = {row.name: row for row in ROWS}
        for server in servers.all:
            server.child.pids = tree(server.child.pids[0])
            for size in ("small", "seg200"):
                for _ in range(FILLS):
                    load.fill(server, size)
        print("| what | processes | hits/s, one core | µs of CPU per request | of each process | capacity |")
        print("|---|--:|--:|--:|---|--:|")
        for name in options.only.split(","):
            row, over = rows[name.removesuffix("-set")], "set" if name.endswith("-set") else "hot"
            found = {server.name: Measured() for server in servers.all}
            for number in range(options.rounds + 1):
                for server in servers.all:
                    _slice(load, server, row, number, found[server.name] if number else None, over, options.seconds)
            for server in servers.all:
                _print(row, over, len(server.child.pids), found[server.name])
        for server in servers.all:
            print(f"{server.name}: PSS in MB of each process: {', '.join(map(_memory, server.child.pids))}")
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _slice(load: Load, server: Server, row: Row, seed: int, measured: Measured | None, over: str, seconds: int) -> None:
    """`measured`: None for the first one, which warms them up."""
    before = [cpu_seconds([pid]) for pid in server.child.pids]
    began = time.monotonic()
    etag = _etag(server) if row.status == 304 else ""
    one = load.slice(server, row, load.drawn(row, seed, hot=over == "hot"), etag)
    took = time.monotonic() - began
    after = [cpu_seconds([pid]) for pid in server.child.pids]
    if one.failed:
        raise RuntimeError(f"{server.name}: {one.failed} of {one.requests} requests failed")
    if measured is not None:
        requests = max(1, one.requests)
        measured.hits_a_second.append(one.requests / min(took, seconds))
        measured.each.append([(later - then) * 1e6 / requests for then, later in zip(before, after, strict=True)])


def _print(row: Row, over: str, processes: int, found: Measured) -> None:
    each = " + ".join(f"{median(one[number] for one in found.each):.1f}" for number in range(processes))
    rate = median(found.hits_a_second)
    label = f"{row.label}, {'one object' if over == 'hot' else 'a working set'}"
    print(f"| {label} | {processes} | {rate:,.0f} | {found.cpu:.1f} | {each} | {found.capacity:,.0f} |", flush=True)


def _etag(server: Server) -> str:
    path = "/small/0.m3u8"
    url = next(iter(server.urls.values())) + path + server.signed(path)
    with urllib.request.urlopen(url) as response:
        return str(response.headers["ETag"])


def _memory(pid: int) -> str:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return f"{int(next(line.split()[1] for line in lines if line.startswith('Pss:'))) / 1024:.0f}"


if __name__ == "__main__":
    main()
