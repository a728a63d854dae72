"""What a response costs inside `Front.data_received`, with a token, a country and a record, without sockets.

Process time, since the machine has other work: `pytest tests/bench/test_bench_front.py -o addopts= --benchmark-only`.
"""

import asyncio
import gc
import hmac
import logging
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

import pytest

import edge.serve
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.serving.alarms import Alarms
from cdnkit.serving.front import Front
from cdnkit.serving.listener import Listener
from edge.at_once import AtOnce
from edge.collector import leave_out
from edge.driver import Driver
from tests.kit.node import running_node
from tests.kit.origin import running_origin

SECRET, KEY = b"k" * 32, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
OBJECTS = 100_000
CALLS = 5_000
ROUNDS = 10
KINDS = {  # method, fields, status
    "hit": ("GET", "", 200),
    "304": ("GET", 'If-None-Match: "1"\r\n', 304),
    "206": ("GET", "Range: bytes=0-599\r\n", 206),
    "HEAD": ("HEAD", "", 200),
    "403, no token": ("GET", "", 403),
    "403, a wrong token each": ("GET", "", 403),
    "403, geo": ("GET", "CDNLab-Client-IP: 198.51.100.7\r\n", 403),
    "429": ("GET", "CDNLab-Client-IP: 192.0.2.9\r\n", 429),
    "400": ("GET", "", 400),
    "hits by Zipf's law": ("GET", "", 200),
    "first visits": ("GET", "", 200),
}


class Nowhere:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.last = b""
        self._socket = socket.socket()

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("127.0.0.1", 5), "socket": self._socket}.get(name)

    def set_write_buffer_limits(self, high: int) -> None: ...

    def write(self, data: bytes) -> None:
        self.last = data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self._socket.close()


@contextmanager
def kept(made: list[AtOnce], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def make(*of: Any) -> AtOnce:
        made.append(AtOnce(*of))
        return made[-1]

    monkeypatch.setattr(edge.serve, "AtOnce", make)
    yield


def signed(path: str) -> str:
    expires = f"{int(time.time()) + 3600}"
    return f"{path}?token={expires}_{hmac.digest(SECRET, (path + expires).encode(), 'sha256').hex()}"


def targets_of(kind: str) -> list[str]:
    """As many as a benchmark asks for: one again and again, or each another."""
    calls = CALLS * (ROUNDS + 1)
    if kind == "403, a wrong token each":
        return [f"/0.m3u8?token={int(time.time()) + 3600}_{number:064x}" for number in range(calls)]
    if kind == "403, no token":
        return ["/0.m3u8"]
    if kind == "400":
        return ["/%2e%2e/0.m3u8"]
    if kind == "first visits":
        return [signed(f"/{number}.m3u8") for number in range(calls)]
    if kind == "hits by Zipf's law":
        weights = list(accumulate(1 / rank for rank in range(1, OBJECTS + 1)))
        numbers = random.Random(1).choices(range(OBJECTS), cum_weights=weights, k=calls)
        return [signed(f"/{number}.m3u8") for number in numbers]
    return [signed("/1.m3u8" if kind == "429" else "/0.m3u8")]


def store_more(driver: Driver) -> None:
    """Copies of the one stored response, under other names."""
    machine = driver.machine
    first = machine.index.only("/0.m3u8")
    body = driver.store.look(first)
    for number in range(1, OBJECTS):
        entry = copy(first)
        entry.id, entry.key, entry.generation = machine.state.next_id(), f"/{number}.m3u8", None
        machine.index.add(entry)
        machine.room.admit(entry)
        leave_out(entry)
        driver.store._whole[entry.id] = body.whole  # type: ignore[attr-defined]


@pytest.mark.benchmark(group="front", timer=time.process_time)
@pytest.mark.parametrize("kind", KINDS)
def test_a_response_of_the_front(benchmark: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, fields, status = KINDS[kind]
    made: list[AtOnce] = []

    async def run() -> None:
        rule = Behavior(path="*", token="v", geo=Geo(deny=("KP",), unknown="allow"))
        limited = rule.model_copy(
            update={"path": "/1.m3u8", "token": None, "rate_limit": RateLimit(requests=1, per=3600.0)}
        )
        rules = (limited, rule) if kind == "429" else (rule,)
        tokens = {"tokens": {"v": {"scheme": "fastly", "key": KEY}}}
        async with (
            running_origin() as origin,
            running_node(
                origin.url,
                *rules,
                records=tmp_path / "fra.jsonl",
                service=tokens,
                trusted=["127.0.0.0/8"],
                countries={"198.51.100.0/24": "KP"},
            ) as node,
        ):
            origin.says(
                "/0.m3u8", b"x" * 1200, cache_control="max-age=3600", content_type="application/x-mpegurl", etag='"1"'
            )
            assert (await node.get(signed("/0.m3u8"))).status == 200
            services = made[0]._services
            if kind in ("hits by Zipf's law", "first visits"):
                store_more(services.default)
            requests = [
                f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n".encode() for target in targets_of(kind)
            ]
            listener = Listener(services, logging.getLogger("bench"), date_header=False, front=made[0])
            listener.end_of_head = b"\r\n"
            listener.alarms = Alarms(asyncio.get_running_loop())
            front, transport = Front(listener, asyncio.get_running_loop()), Nowhere()
            front.connection_made(transport)  # type: ignore[arg-type]
            if kind == "429":
                assert (await node.get(targets_of(kind)[0], CDNLab_Client_IP="192.0.2.9")).status == 404
            front.data_received(requests[0])
            assert transport.last.startswith(b"HTTP/1.1 %d" % status)
            gc.collect()
            gc.freeze()  # as a node does before it serves
            following = cycle(requests).__next__
            take: Callable[[bytes], None] = front.data_received
            benchmark.pedantic(lambda: take(following()), rounds=ROUNDS, iterations=CALLS, warmup_rounds=1)
            gc.unfreeze()
            front.connection_lost(None)
            transport.close()

    with kept(made, monkeypatch):
        asyncio.run(run())
