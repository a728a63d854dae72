"""One slice of load on one server, by wrk or h2load on a core of its own; and the objects that are asked for."""

import http.client
import json
import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from pathlib import Path

from tests.bench.peers.rows import SIZES, Channel, Row
from tests.bench.peers.servers import CLIENT_CORE, Server, path_of

OBJECTS = 100_000
SET_BYTES = 256 * 2**20
"""Bodies of a working set together, at most: of large ones there are fewer objects."""
POPULARITY = 1.0
"""The exponent of Zipf's law: the object of rank n is asked for n ** -1 times as often as the first. Breslau et al.
(1999) measured 0.64 to 0.83 at web proxies; video catalogues lie near 1."""
CONNECTIONS = 64
H2_CONNECTIONS, H2_STREAMS = 16, 4
REQUESTS_A_SECOND = 90_000
"""More than any of the servers answers: so many are drawn for each second of a slice."""
FILLED_AT_ONCE = 16

_LUA = """
local paths, at, once = {}, 0, os.getenv("ONCE")
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end
request = function()
  at = at + 1
  if at > #paths then
    if once then wrk.thread:stop() end
    at = 1
  end
  return wrk.format(nil, paths[at])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('JSON {"requests":%d,"p50_us":%.1f,"p99_us":%.1f,"refused":%d,"failed":%d}\\n', summary.requests,
    latency:percentile(50), latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass
class Slice:
    """What one slice of load measured."""

    requests: int
    cpu_us: float
    """The server's CPU time per request."""
    p99_us: float
    failed: int


class Load:
    """Makes the requests."""

    def __init__(self, folder: Path, objects: int, seconds: int) -> None:
        self._script, self._paths = folder / "load.lua", folder / "paths"
        self._script.write_text(_LUA)
        self._objects = objects
        self._seconds = seconds
        self._fresh = count(10_000_000)
        self._ranks: dict[str, list[float]] = {}

    def numbers(self, size: str) -> int:
        """How many objects of that size are in a working set."""
        return max(1, min(self._objects, SET_BYTES // SIZES[size]))

    def drawn(self, row: Row, seed: int, *, hot: bool) -> list[int]:
        """The objects of one slice, in the order in which they are asked for."""
        wanted = REQUESTS_A_SECOND * self._seconds
        if row.fresh:
            return [next(self._fresh) for _ in range(wanted // 3)]
        if hot:
            return [0]
        if row.size not in self._ranks:
            weights = (rank**-POPULARITY for rank in range(1, self.numbers(row.size) + 1))
            self._ranks[row.size] = list(accumulate(weights))
        ranks = self._ranks[row.size]
        return random.Random(seed).choices(range(len(ranks)), cum_weights=ranks, k=wanted)

    def fill(self, server: Server, size: str) -> None:
        """Ask once for each object of the working set, over several connections at a time."""
        host = server.urls[Channel.PLAIN].partition("://")[2]
        clients = [http.client.HTTPConnection(host, timeout=30) for _ in range(FILLED_AT_ONCE)]
        for first in range(0, self.numbers(size), FILLED_AT_ONCE):
            numbers = range(first, min(first + FILLED_AT_ONCE, self.numbers(size)))
            for client, number in zip(clients, numbers, strict=False):
                path = path_of(size, number)
                client.request("GET", path + server.signed(path))
            for client, _ in zip(clients, numbers, strict=False):
                client.getresponse().read()
        for client in clients:
            client.close()

    def slice(self, server: Server, row: Row, numbers: Sequence[int], etag: str) -> Slice:
        self._write(server, row, numbers)
        began = server.child.cpu_seconds()
        if row.method == "HEAD":
            found = self._heads(server)  # wrk and h2load wait for the body of a response to HEAD
        elif row.channel is Channel.H2:
            found = self._h2load(server, row, etag)
        else:
            found = self._wrk(server, row, etag, self._seconds, once=row.fresh)
        requests = int(found["requests"])
        spent = server.child.cpu_seconds() - began
        wrong = int(found["refused"]) if row.status < 400 else requests - int(found["refused"])
        return Slice(requests, spent * 1e6 / max(1, requests), found["p99_us"], int(found["failed"]) + wrong)

    def _write(self, server: Server, row: Row, numbers: Sequence[int]) -> None:
        base = server.urls[row.channel] if row.channel is Channel.H2 else ""
        paths = (path_of(row.size, number) for number in numbers)
        lines = (f"{base}{path}{server.signed(path) if row.token else ''}\n" for path in paths)
        self._paths.write_text("".join(lines))

    def _wrk(self, server: Server, row: Row, etag: str, seconds: int, *, once: bool) -> dict[str, float]:
        command = [
            "taskset",
            "-c",
            str(CLIENT_CORE),
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--timeout",
            "10s",
        ]
        command += ["-s", str(self._script), *_fields(row, etag), server.urls[row.channel]]
        told = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PATHS": str(self._paths), **({"ONCE": "1"} if once else {})}
        out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, env=told).stdout
        found = re.search(r"JSON (\{.*\})", out)
        if found is None:
            raise RuntimeError(f"wrk says nothing of {server.name}: {out[-300:]}")
        values: dict[str, float] = json.loads(found[1])
        return values

    def _heads(self, server: Server) -> dict[str, float]:
        """As wrk does it: on each connection the next request once the response is there."""
        host, _, port = server.urls[Channel.PLAIN].partition("://")[2].partition(":")
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {CLIENT_CORE})
        clients = [socket.create_connection((host, int(port)), timeout=10) for _ in range(CONNECTIONS)]
        lines = self._paths.read_text().splitlines()
        requests = failed = 0
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            for at, client in enumerate(clients):
                target = lines[(requests + at) % len(lines)]
                client.sendall(f"HEAD {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            for client in clients:
                head = client.recv(8192)
                failed += not (head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n"))
            requests += len(clients)
        for client in clients:
            client.close()
        os.sched_setaffinity(0, own)
        return {"requests": requests, "refused": 0, "failed": failed, "p99_us": 0.0}

    def _h2load(self, server: Server, row: Row, etag: str) -> dict[str, float]:
        command = ["taskset", "-c", str(CLIENT_CORE), "h2load", "-t1", f"-D{self._seconds}", "-i", str(self._paths)]
        command += [f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", *_fields(row, etag)]
        out = subprocess.run(command, capture_output=True, text=True, timeout=self._seconds + 60).stdout
        done = re.search(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", out)
        if done is None:
            raise RuntimeError(f"h2load says nothing of {server.name}: {out[-300:]}")
        return {"requests": float(done[1]), "refused": float(done[3]), "failed": float(done[4]), "p99_us": 0.0}


def _fields(row: Row, etag: str) -> list[str]:
    return [word for name, value in row.fields for word in ("-H", f"{name}: {value.replace('{etag}', etag)}")]
