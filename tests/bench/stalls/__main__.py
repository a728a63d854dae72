"""`python -m tests.bench.stalls`: one client asks for a stored response every 2 ms; how long does it wait at worst?

Meanwhile `wrk` fills the node, then makes it evict, then asks for stored responses; then much is purged at once. Each
phase prints the longest silences that the client met, and of the node's longest turns the CPU time: that part of a
stall is ours, whatever else the machine does.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.request import Request, urlopen

from tests.bench.peers.processes import cpu_seconds, free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
EVERY_S = 0.002
CORES = {"node": "0", "others": "1"}
CONNECTIONS = 32

FILL = """
local n, last = tonumber(os.getenv("FIRST")), tonumber(os.getenv("LAST"))
request = function() n = n + 1; return wrk.format("GET", string.format("/%s/live/%d/seg-%d.m4s", os.getenv("SIZE"), n / 10, n)) end
response = function() if n >= last then os.exit(0) end end
"""
HOT = """
request = function() return wrk.format("GET", "/1000/hot") end
done = function(summary, latency, _)
  io.write(string.format("FOUND %d %f\\n", summary.requests, latency:percentile(99) / 1000))
end
"""
HITS = """
local most = tonumber(os.getenv("LAST"))
request = function() local n = math.random(most); return wrk.format("GET", string.format("/%s/live/%d/seg-%d.m4s", os.getenv("SIZE"), n / 10, n)) end
done = function(_, latency, _) io.write(string.format("P99 %f\\n", latency:percentile(99) / 1000)) end
"""


@dataclass
class Running:
    """One started node."""

    process: subprocess.Popen[str]
    urls: dict[str, str]

    @classmethod
    def start(cls, tree: Path, settings: dict[str, Any], records: str, parent: str, *, stacks: bool) -> "Running":
        command = ["taskset", "-c", CORES["node"], sys.executable, str(HERE / "node.py")]
        command += [json.dumps(settings), records, parent, "stacks" if stacks else ""]
        told = {**os.environ, "PYTHONPATH": str(tree)}
        process = subprocess.Popen(
            command, cwd=tree, env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert process.stdout is not None
        return cls(process, json.loads(process.stdout.readline()))

    def turns(self) -> list[dict[str, Any]]:
        """The longest since the last call."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        found: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return found

    def ask_admin(self, path: str, order: dict[str, Any] | None = None) -> Any:
        data = None if order is None else json.dumps(order).encode()
        request = Request(self.urls["admin"] + path, data, {"content-type": "application/json"})
        with urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    @property
    def resident_bytes(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


@dataclass
class Probe:
    """The client that asks for one stored response again and again."""

    url: str
    waits: list[float] = field(default_factory=list)

    def run(self, until: Event) -> None:
        host, _, port = self.url.partition("://")[2].partition(":")
        with socket.create_connection((host, int(port)), 30) as client:
            client.settimeout(60)
            while not until.is_set():
                began = time.monotonic()
                client.sendall(b"GET /1000/hot HTTP/1.1\r\nHost: h\r\n\r\n")
                answer = client.recv(65_536)
                while not answer.endswith(b"xxxx"):
                    answer += client.recv(65_536)
                self.waits.append(time.monotonic() - began)
                time.sleep(EVERY_S)


@contextlib.contextmanager
def probed(node: Running, what: str, *, stacks: bool) -> Iterator[None]:
    """Print the longest waits of a client while this context lasts."""
    probe, over = Probe(node.urls["url"]), Event()
    node.turns()
    began = cpu_seconds([node.process.pid])
    thread = Thread(target=probe.run, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    spent, turns = cpu_seconds([node.process.pid]) - began, node.turns()
    waits = [wait * 1e3 for wait in sorted(probe.waits, reverse=True)]
    longest = ", ".join(f"{wait:.0f}" for wait in waits[:3])
    cpu = ", ".join(f"{turn['cpu_ms']:.1f}" for turn in turns[:4])
    print(
        f"{what:32} waits {longest} ms, p99 {waits[len(waits) // 100]:.1f}, median {statistics.median(waits):.1f}; "
        f"turns by CPU {cpu} ms; {spent:.1f} s of CPU",
        flush=True,
    )
    for turn in turns[:3] if stacks else ():
        print(f"    {turn['cpu_ms']:.1f} ms of CPU in {turn['wall_ms']:.1f}")
        for stack, count in turn["stacks"][:2]:
            print(f"      {count:3} x {stack}")


def wrk(
    script: str, folder: Path, node: Running, seconds: int, *, connections: int = CONNECTIONS, **told: object
) -> str:
    path = folder / "load.lua"
    path.write_text(script)
    command = ["taskset", "-c", CORES["others"], "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | {name: str(value) for name, value in told.items()}
    done = subprocess.run(
        [*command, "-s", str(path), node.urls["url"]], capture_output=True, text=True, env=environment, check=True
    )  # fmt: skip
    return done.stdout


def measure(tree: Path, options: argparse.Namespace, folder: Path, origin: str) -> None:
    node = Running.start(
        tree, {"name": "fra", "memory": options.memory, "largest": "1MiB"}, str(folder / "fra.jsonl") if options.records else "", origin,
        stacks=options.stacks,
    )  # fmt: skip
    many, size = options.stored, options.size
    idle = node.resident_bytes
    try:
        with probed(node, f"fill to {many:,}", stacks=options.stacks):
            wrk(FILL, folder, node, 300, FIRST=0, LAST=many, SIZE=size)
        store = node.ask_admin("/healthz")
        print(f"    resident {(node.resident_bytes - idle) / 1e6:.0f} MB above {idle / 1e6:.0f}; healthz: {store}")
        with probed(node, f"{many // 4:,} more", stacks=options.stacks):
            wrk(FILL, folder, node, 300, FIRST=many, LAST=many + many // 4, SIZE=size)
        print(f"    resident {(node.resident_bytes - idle) / 1e6:.0f} MB; healthz: {node.ask_admin('/healthz')}")
        with probed(node, "hits", stacks=options.stacks):
            print("    wrk: " + wrk(HITS, folder, node, 5, LAST=many, SIZE=size).rpartition("P99")[2].strip())
        orders: list[dict[str, Any]] = [
            {"surrogate_key": "live", "soft": True}, {"prefix": f"/{size}/live/", "soft": True},
            {"prefix": f"/{size}/live/"},
        ]  # fmt: skip
        for order in orders:
            with probed(node, f"purge {json.dumps(order)}", stacks=options.stacks):
                time.sleep(0.3)
                node.ask_admin("/purge", order)
                time.sleep(1)
        with probed(node, f"{many // 4:,} again", stacks=options.stacks):
            wrk(FILL, folder, node, 300, FIRST=0, LAST=many // 4, SIZE=size)
        with probed(node, "purge of a shared key, hard", stacks=options.stacks):
            time.sleep(0.3)
            node.ask_admin("/purge", {"surrogate_key": "live"})
            time.sleep(1)
    finally:
        node.stop()


def compare_records(tree: Path, folder: Path, origin: str, rounds: int) -> None:
    """Hits of one object over 64 connections, in turns, by a node that writes records and by one that writes none."""
    names = {"without records": "", "with records": str(folder / "fra.jsonl")}
    nodes = {name: Running.start(tree, {"name": "fra"}, file, origin, stacks=False) for name, file in names.items()}
    p99: dict[str, list[float]] = {name: [] for name in nodes}
    cpu: dict[str, list[float]] = {name: [] for name in nodes}
    try:
        for turn in range(rounds):
            for name, node in sorted(nodes.items(), reverse=turn % 2 == 1):
                began = cpu_seconds([node.process.pid])
                out = wrk(HOT, folder, node, 1, connections=64)
                requests, p99_ms = map(float, out.rpartition("FOUND ")[2].split())
                p99[name].append(p99_ms)
                cpu[name].append((cpu_seconds([node.process.pid]) - began) * 1e6 / requests)
    finally:
        for node in nodes.values():
            node.stop()
    for name in nodes:
        found = statistics.quantiles(p99[name], n=4)
        print(
            f"{name:16} p99 {found[1]:.2f} ms ({found[0]:.2f} to {found[2]:.2f} in half of the rounds, at best "
            f"{min(p99[name]):.2f}), {statistics.median(cpu[name]):.1f} us of CPU a hit (at best {min(cpu[name]):.1f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-stalls", description=__doc__)
    parser.add_argument("--stored", type=int, default=100_000, help="responses that are stored; 100,000")
    parser.add_argument("--size", type=int, default=1000, help="bytes of each body; 1,000")
    parser.add_argument("--memory", default="270MiB", help="the node's room; full at 110,000 of 1,000 bytes")
    parser.add_argument("--no-records", dest="records", action="store_false", help="write none")
    parser.add_argument("--stacks", action="store_true", help="where the longest turns were, by samples")
    parser.add_argument("--p99", type=int, metavar="ROUNDS", help="only hits with and without records, in turns")
    parser.add_argument("--beside", metavar="COMMIT", help="measure that commit, too, first")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stalls-"))
    port, former = free_port(), folder / "former"
    command = ["taskset", "-c", CORES["others"], sys.executable, str(HERE / "origin.py"), str(port)]
    origin = subprocess.Popen(command)
    try:
        time.sleep(1)
        if options.beside:
            subprocess.run(["git", "worktree", "add", "--detach", former, options.beside], check=True, cwd=ROOT)
        for tree in (former, ROOT) if options.beside else (ROOT,):
            print(options.beside if tree == former else "this tree")
            if options.p99:
                compare_records(tree, folder, f"http://127.0.0.1:{port}", options.p99)
            else:
                measure(tree, options, folder, f"http://127.0.0.1:{port}")
    finally:
        origin.terminate()
        origin.wait()
        if former.exists():
            subprocess.run(["git", "worktree", "remove", "--force", former], check=True, cwd=ROOT)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
