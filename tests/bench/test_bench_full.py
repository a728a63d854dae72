"""What a node's longest steps take when it is full: 100,000 stored responses, or thousands of variants of one URL.

Each is a stall of every client of the node, since one loop does all.
"""

import asyncio
import gc
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import EdgeMachine, Fetch, Headers, PurgeKind, PurgeOrder, RequestHead, ResponseHead, Serve, Service
from edge.collector import left_out
from edge.stored_bodies import StoredBodies
from edge.stores import MemoryStore

NOW = 1_795_000_000.0
STORED = 100_000
FIELDS = [
    ("cache-control", "max-age=31536000"), ("content-length", "1000"), ("content-type", "text/plain"),
    ("date", "Sun, 29 Nov 2026 04:00:00 GMT"),
]  # fmt: skip


def get(path: str, *lines: tuple[str, str]) -> RequestHead:
    return RequestHead("GET", "http", "h", path, None, Headers(lines))


def store(edge: EdgeMachine, request: RequestHead, *lines: tuple[str, str]) -> None:
    plan = edge.on_request(request, NOW)
    assert isinstance(plan, Fetch)
    edge.on_response(plan, ResponseHead(200, Headers([*FIELDS, *lines])), NOW)
    edge.on_body_end(plan, 1000, NOW)


ORDERS = {"key": (PurgeKind.SURROGATE_KEYS, "live"), "prefix": (PurgeKind.PREFIX, "/live/")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("named_by", ORDERS)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_purge_of_what_all_share(benchmark: BenchmarkFixture, soft: bool, named_by: str) -> None:
    benchmark.group = "purge of a key, or of a prefix, that 100,000 share"
    edge = EdgeMachine(Service(name="fra", room=2**40))
    for n in range(STORED):
        store(edge, get(f"/live/{n // 10}/seg-{n % 10}.m4s"), ("surrogate-key", f"live one-{n}"), ("etag", f'"{n}"'))
    kind, value = ORDERS[named_by]
    order = PurgeOrder(kind, value, soft)
    done = benchmark.pedantic(edge.on_purge, args=(order, NOW), rounds=1)
    assert done.count == STORED


@pytest.mark.parametrize("variants", [10, 1000, 5000])
def test_a_hit_on_one_of_many_variants(benchmark: BenchmarkFixture, variants: int) -> None:
    benchmark.group = "a hit on one of many variants"
    edge = EdgeMachine(Service.model_validate({"name": "fra", "room": 2**40, "variants": 10_000}))
    for n in range(variants):
        store(edge, get("/live/x", ("x-variant", str(n))), ("vary", "x-variant"))
    numbers = iter(range(10**9))

    def hit() -> None:
        asked = get("/live/x", ("x-variant", str(next(numbers) * 7919 % variants)))
        assert isinstance(edge.on_request(asked, NOW + 1), Serve)

    benchmark(hit)


def filled(edge: EdgeMachine, bodies: StoredBodies, count: int, keys: int = 2, *, start: int = 0) -> None:
    """As a driver fills: head, body, end; the strings are new for each, as a parser makes them."""
    for n in range(start, start + count):
        plan = edge.on_request(get(f"/live/{n // 10}/seg-{n % 10}.m4s"), NOW)
        assert isinstance(plan, Fetch)
        surrogate_keys = " ".join(["live", *(f"one-{n}-{at}" for at in range(1, keys))][:keys])
        lines = [*FIELDS, ("surrogate-key", surrogate_keys), ("etag", f'"{n}"')]
        lines = [("".join([*name]), "".join([*value])) for name, value in lines if value]
        entry = edge.on_response(plan, ResponseHead(200, Headers(lines)), NOW).store
        assert entry is not None
        body = bodies.begin(entry)
        body.write(bytes(1000))
        body.finish()
        bodies.update(edge.on_body_end(plan, 1000, NOW).dropped)
        bodies.keep(entry)


@pytest.fixture(scope="module")
def full() -> Iterator[tuple[EdgeMachine, MemoryStore]]:
    async def fill() -> tuple[EdgeMachine, MemoryStore]:
        edge, store = EdgeMachine(Service(name="fra", room=2**40)), MemoryStore()
        gc.freeze()  # what the bench itself is made of
        filled(edge, StoredBodies(edge, store), STORED)
        return edge, store

    yield asyncio.run(fill())
    gc.unfreeze()


@pytest.mark.timeout(300)
def test_a_full_pass_of_the_cycle_collector(benchmark: BenchmarkFixture, full: tuple[EdgeMachine, MemoryStore]) -> None:
    benchmark.group = "beside 100,000 stored responses"
    edge, store = full

    def tables() -> Iterator[object]:
        yield from edge.index.tables()
        yield from vars(edge.room).values()
        yield from store.tables()

    with left_out(tables):
        gc.collect()
        benchmark.pedantic(gc.collect, rounds=10)


@pytest.mark.timeout(300)
def test_what_healthz_asks(benchmark: BenchmarkFixture, full: tuple[EdgeMachine, MemoryStore]) -> None:
    benchmark.group = "beside 100,000 stored responses"
    edge, store = full
    assert benchmark(lambda: (len(edge.index), edge.room.currsize, store.memory_bytes))[2] == STORED * 1000


MEMORY = [  # surrogate keys of each, responses
    (0, 50_000),
    (2, 50_000),
    (10, 20_000),
    (1000, 1000),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("keys", "count"), MEMORY)
def test_the_memory_of_a_stored_response(benchmark: BenchmarkFixture, keys: int, count: int) -> None:
    """In a process of its own. It prints resident bytes and counted bytes, each of one response."""
    benchmark.group = "resident memory"
    code = f"from tests.bench.test_bench_full import resident; resident({keys}, {count})"
    done = benchmark.pedantic(subprocess.check_output, args=([sys.executable, "-c", code],), rounds=1)
    taken, counted = map(float, done.split())
    print(f"{keys} surrogate keys: {taken:.0f} bytes each, {counted:.0f} counted: {taken / counted:.2f}")
    benchmark.extra_info.update(taken=taken, counted=counted)


def resident(keys: int, count: int) -> None:
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    async def fill() -> None:
        edge, store = EdgeMachine(Service(name="fra", room=2**40)), MemoryStore()
        bodies = StoredBodies(edge, store)
        filled(edge, bodies, 100)
        before, counted = pages(), edge.room.currsize
        filled(edge, bodies, count, keys, start=100)
        print((pages() - before) / count, (edge.room.currsize - counted) / count)

    asyncio.run(fill())
