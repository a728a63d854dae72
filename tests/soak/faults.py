"""The faults of a soak: each is switched on, switched off, and leaves its mark in the nodes' records."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cdnkit.policy.outcomes import Failure
from cdnlab.lab.cluster import Cluster
from cdnlab.lab.process import Child
from edge.purges.progress import carried
from tests.kit.http import ask
from tests.kit.poison import BAD_BODIES, Poisoned
from tests.kit.small_disk import Filler

Line = dict[str, Any]
"""A record, as it stands in a node's file."""

BROKEN = {failure.value for failure in (Failure.CONNECT, Failure.CONNECT_TIMEOUT, Failure.RESET, Failure.TRUNCATED)}


@dataclass(frozen=True)
class Fault:
    """One kind of misfortune."""

    name: str
    on: Callable[[Cluster], Awaitable[None]]
    off: Callable[[Cluster], Awaitable[None]]
    """Returns when all is well again."""
    mark: Callable[[Line], bool]
    """Whether a record of its time shows it."""
    kills: str = ""
    """The edge that it kills."""


@dataclass
class Window:
    """When a fault was on: Unix seconds."""

    fault: Fault
    began: float
    ended: float = 0.0

    def covers(self, at: float, *, slack: float) -> bool:
        return self.began - slack <= at <= self.ended + slack


def _origin_says(**faults: object) -> Callable[[Cluster], Awaitable[None]]:
    async def put(cluster: Cluster) -> None:
        url = str(cluster.origin.ready["ingest"])
        reply = await ask(url, "/faults", method="PUT" if faults else "DELETE", body=json.dumps(faults).encode())
        assert reply.status == 200, reply

    return put


_well = _origin_says()


def _killed(child_of: Callable[[Cluster], Child], health: str) -> tuple[Callable[[Cluster], Awaitable[None]], ...]:
    """Kill it; wait until it, started again by the cluster, answers. `health`: which of its URLs tells."""

    async def kill(cluster: Cluster) -> None:
        pid = child_of(cluster).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def back(cluster: Cluster) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    if (await ask(str(child_of(cluster).ready[health]), "/healthz")).status == 200:
                        return
                except (OSError, asyncio.IncompleteReadError):
                    pass
                await asyncio.sleep(0.1)

    return kill, back


async def _storm(cluster: Cluster) -> None:
    """Purges of every kind on every node, fast and in no good order."""
    orders = [{"everything": True}, {"surrogate_key": "live"}, {"url": "/live/multivariant.m3u8"}]
    for i in range(30):
        for child in cluster.nodes.values():
            order = {**orders[i % 3], "soft": i % 2 == 1}
            reply = await ask(str(child.ready["admin"]), "/purge", method="POST", body=json.dumps(order).encode())
            assert reply.status == 200, reply
        await asyncio.sleep(0.05)


async def _poison(cluster: Cluster) -> None:
    """Entries that nobody can read, and a row that nobody can: what is ordered behind them is obeyed all the same."""
    assert cluster.purges is not None
    log = Poisoned(cluster.purges.where)
    for body in BAD_BODIES:
        await log.add(body)
    await log.spoil("UPDATE followers SET parents = 'no JSON', done = 'much'")
    async for standing in carried(cluster.purges, [{"surrogate_key": "live"}], within=60.0):
        obeyed = {name: one.obeyed for name, one in standing.items()}
    assert obeyed == dict.fromkeys(cluster.nodes, True), obeyed


async def _all_follow(cluster: Cluster) -> None:
    async with asyncio.timeout(60):
        for child in cluster.nodes.values():
            while True:
                told = json.loads((await ask(str(child.ready["admin"]), "/healthz")).body)["purges"]
                if told["following"]:
                    break
                await asyncio.sleep(0.1)
            assert told["unread"] >= len(BAD_BODIES), told


async def _nothing(cluster: Cluster) -> None:
    """It is over by itself."""


def _fetch_broke(line: Line) -> bool:
    return line["kind"] == "fetch" and line["failure"] in BROKEN


def _came_back_empty(name: str) -> Callable[[Line], bool]:
    """Its own records of the time are gone with it, and it may be back before anybody asks; but then it has nothing."""
    return lambda line: line["kind"] == "request" and line["node"] == name and line["cause"] == "cold"


KILLS = (
    Fault("origin killed", *_killed(lambda cluster: cluster.origin, "url"), _fetch_broke),
    Fault("shield killed", *_killed(lambda cluster: cluster.nodes["shield"], "admin"), _came_back_empty("shield")),
    Fault("edge killed", *_killed(lambda cluster: cluster.nodes["fra"], "admin"), _came_back_empty("fra"), "fra"),
)

_kill_fra, _fra_is_back = _killed(lambda cluster: cluster.nodes["fra"], "admin")
_fillers: list[Filler] = []


async def _fill_and_kill(cluster: Cluster) -> None:
    _fillers.append(Filler(cluster.folder.path))
    await asyncio.sleep(2.0)  # until it is full, and the watch of the disks has looked
    await _kill_fra(cluster)


async def _room_again(cluster: Cluster) -> None:
    """Returns when the edge is back, and the cluster's file, which could not be written meanwhile, knows it."""
    await asyncio.to_thread(_fillers.pop().give_back)
    await _fra_is_back(cluster)
    for _ in range(600):
        if cluster.nodes["fra"].pid in {node["pid"] for node in cluster.folder.cluster()["nodes"]}:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("cluster.json has a dead pid")


DISK_FULL = Fault("disk full", _fill_and_kill, _room_again, _came_back_empty("fra"), "fra")
"""Where the run lies on a small disk of its own, and its records elsewhere."""
TROUBLES = (
    Fault(
        "origin slow", _origin_says(delay="1s"), _well, lambda line: line["kind"] == "request" and line["ttfb_ms"] > 900
    ),
    Fault(
        "origin failing",
        _origin_says(error_rate=1.0),
        _well,
        lambda line: line["kind"] == "fetch" and line["status"] == 503,
    ),
    Fault("origin breaking off", _origin_says(break_rate=1.0), _well, _fetch_broke),
    Fault(
        "poisoned purge log",
        _poison,
        _all_follow,
        lambda line: line["kind"] == "request" and line["cause"] == "purged",
    ),
    Fault("purge storm", _storm, _nothing, lambda line: line["kind"] == "request" and line["cause"] == "purged"),
)
