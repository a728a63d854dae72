"""What requests that wait for one fill cost a node (`make bench-waiters`).

The node is a process of its own. All viewers connect, then ask for one new object, which the origin holds back. Its
bytes come when the node is quiet again. Afterwards each viewer asks for the same object once more: a plain hit, beside
which a waiter's share is read. CPU is that of the node's whole process, in nanoseconds (`schedstat`). One more client
asks for another object every 2 ms and says how long it waited at most.
"""

import argparse
import multiprocessing
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

NODE = """
import asyncio, sys, uvloop
from pathlib import Path
from edge.serve import serve
from cdnkit.settings.edge import Node
from cdnkit.policy.rules.service import Behavior, Service
async def main():
    stop = asyncio.Event()
    node = Node.model_validate({"name": "fra", "limits": {"connections": 30_000, "idle": "600s"}, "front": sys.argv[2] == "front",
        "timeouts": {"connect": 30, "first_byte": 600, "between_bytes": 600}})
    running = asyncio.create_task(serve(
        node, Service(behaviors=(Behavior(path="*"),)), parent=sys.argv[1], records=Path("/dev/null"), shutdown=stop,
        ready=lambda said: print(said["url"], flush=True)))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    stop.set()
    await running
uvloop.run(main())
"""
SPARE = 50
"""A node takes half as many connections as it may open files; some are not those of viewers that wait."""
QUIET_S = 0.3
"""The node has taken everything in when it used no CPU, or hardly any, for so long."""


class HoldingOrigin:
    """Answers each request for a path of waiters when it is let; any other at once."""

    def __init__(self, size: int, pieces: int) -> None:
        self.body = bytes(size)
        self.pieces = pieces
        self.go = threading.Event()
        self.sent_at = 0.0
        """When the last byte was handed over."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        kept = b""
        while piece := client.recv(65_536):
            kept += piece
            if not kept.endswith(b"\r\n\r\n"):
                continue
            held = kept.startswith(b"GET /held")
            body, kept = self.body if held else b"x" * 1200, b""
            head = (
                "HTTP/1.1 200 OK\r\nserver: o\r\ncontent-type: application/x-mpegurl\r\ncache-control: max-age=600\r\n"
                f'etag: "1"\r\ncontent-length: {len(body)}\r\n\r\n'
            )
            if held:
                self.go.wait()
            size = -(-len(body) // self.pieces) if held else len(body)
            client.sendall(head.encode() + body[:size])
            for begin in range(size, len(body), size):
                client.sendall(body[begin : begin + size])
            self.sent_at = time.monotonic()


@contextmanager
def node(tree: Path, origin: str, front: str) -> Iterator[tuple[str, int]]:
    """Its URL and process id."""
    running = subprocess.Popen(
        [sys.executable, "-c", NODE, origin, front], cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdin is not None and running.stdout is not None
    try:
        yield running.stdout.readline().strip(), running.pid
    finally:
        running.stdin.close()
        running.wait()


def cpu(pid: int) -> float:
    """Seconds that all its threads have run."""
    return sum(int((one / "schedstat").read_text().split()[0]) for one in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def rss(pid: int) -> int:
    """Bytes of its own: what it shares with others is not counted."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


def quiet(pid: int) -> None:
    before = -1.0
    while (now := cpu(pid)) - before > 0.002:
        before = now
        time.sleep(QUIET_S)


class Viewers:
    """Connections that ask for the same, and count what they get."""

    def __init__(self, address: tuple[str, int], number: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(number):
            one = socket.create_connection(address)
            one.setblocking(False)
            self._sockets[one.fileno()] = one
            self._poll.register(one.fileno(), select.EPOLLIN)

    def ask(self, path: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: player\r\n\r\n".encode()
        for one in self._sockets.values():
            one.send(request)

    def read(self, least: int) -> float:
        """Until each has more than so many bytes, and nothing more comes; when the last byte came."""
        got = dict.fromkeys(self._sockets, 0)
        missing, last = len(got), 0.0
        while missing or time.monotonic() < last + QUIET_S:
            for descriptor, _ in self._poll.poll(QUIET_S / 4):
                came = len(self._sockets[descriptor].recv(1 << 20))
                assert came, "the node hung up"
                missing -= got[descriptor] <= least < got[descriptor] + came
                got[descriptor] += came
                last = time.monotonic()
        assert len(set(got.values())) <= 3, "not all got the same"  # Age and the like may have a digit more
        return last

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._poll.close()


def probe(
    address: tuple[str, int], stop: "multiprocessing.synchronize.Event", longest: "multiprocessing.Value"
) -> None:  # type: ignore[valid-type,name-defined]
    """Hits of somebody else, every 2 ms: how long the longest took."""
    client = socket.create_connection(address)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while not stop.is_set():
        began = time.monotonic()
        client.sendall(b"GET /other HTTP/1.1\r\nHost: a.example\r\n\r\n")
        client.recv(65_536)
        longest.value = max(longest.value, time.monotonic() - began)  # type: ignore[attr-defined]
        time.sleep(0.002)


def measure(tree: Path, front: str, number: int, size: int, pieces: int, rounds: int) -> dict[str, float]:
    origin = HoldingOrigin(size, pieces)
    rows: list[dict[str, float]] = []
    with node(tree, origin.url, front) as (url, pid):
        host, port = url.removeprefix("http://").split(":")
        address = host, int(port)
        first = Viewers(address, 1)
        first.ask("/other")
        first.read(1200)
        quiet(pid)
        empty, began = rss(pid), cpu(pid)
        viewers = Viewers(address, number)
        quiet(pid)
        connected, accepted = rss(pid), cpu(pid)
        for turn in range(rounds):
            origin.go.clear()
            path = f"/held/{turn}"
            quiet(pid)
            before = cpu(pid)
            viewers.ask(path)
            quiet(pid)
            waiting, held = cpu(pid), rss(pid)
            stop, longest = multiprocessing.Event(), multiprocessing.Value("d", 0.0)
            other = multiprocessing.Process(target=probe, args=(address, stop, longest))
            if turn:  # its own hits cost CPU: the first round counts without it
                other.start()
                time.sleep(0.2)
            let = cpu(pid)
            origin.go.set()
            last = viewers.read(size)
            woken = cpu(pid)
            if turn:
                stop.set()
                other.join()
            quiet(pid)
            hit = cpu(pid)
            viewers.ask(path)
            viewers.read(size)
            quiet(pid)
            rows.append({
                "CPU until it waits, us": (waiting - before) / number * 1e6,
                "CPU when it wakes, us": (woken - let) / number * 1e6 if not turn else 0.0,
                "CPU of a hit, us": (cpu(pid) - hit) / number * 1e6,
                "last byte to last viewer, ms": (last - origin.sent_at) * 1e3,
                "longest hit of another meanwhile, ms": longest.value * 1e3,
                "memory of one that waits, with its connection, kB": (held - empty) / number / 1000,
            })  # fmt: skip
        first.close()
        viewers.close()
    found = {name: median(one[name] for one in rows) for name in rows[0]}
    found["CPU when it wakes, us"] = rows[0]["CPU when it wakes, us"]
    found["memory of one that waits, with its connection, kB"] = rows[0][
        "memory of one that waits, with its connection, kB"
    ]
    found["CPU of a new connection, us"] = (accepted - began) / number * 1e6
    found["memory of a new connection, kB"] = (connected - empty) / number / 1000
    share = found["CPU until it waits, us"] + found["CPU when it wakes, us"]
    found["a waiter's share beside a hit"] = share / found["CPU of a hit, us"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.waiters", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, default=[1000, 10_000], help="how many wait")
    parser.add_argument("--size", type=int, default=1200, help="bytes of the object")
    parser.add_argument("--pieces", type=int, default=1, help="in how many pieces the origin sends it")
    parser.add_argument("--rounds", type=int, default=3, help="objects, one after the other; medians are printed")
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="whose code the node runs")
    parser.add_argument("--hypercorn", action="store_true", help="front = false")
    asked = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in asked.numbers:
        number = min(number, most // 2 - SPARE)
        front = "plain" if asked.hypercorn else "front"
        found = measure(asked.tree, front, number, asked.size, asked.pieces, asked.rounds)
        print(f"{number} waiters, {asked.size} bytes in {asked.pieces}:")
        for name, value in sorted(found.items()):
            print(f"  {name:55} {value:8.1f}")


if __name__ == "__main__":
    main()
