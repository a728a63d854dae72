"""What the stores cost: a restart with 100,000 objects on disk, a purge of one key among them, a body from each level.

Times on disk are those of the page cache, as after a restart of the process; a purge waits for the device.
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import EdgeMachine, Fetch, Headers, PurgeKind, PurgeOrder, RequestHead, ResponseHead, Service
from cdnkit.policy.store.eviction import room_for
from cdnkit.policy.store.index import Entry
from edge.clock import Clock
from edge.stores.disk import DiskStore
from edge.stores.disk_folder import long_lived, open_disk
from tests.kit.redis_server import needs_redis, running_redis

pytestmark = pytest.mark.timeout(600)

NOW = 1_795_000_000.0
COUNT = 100_000
ROOM = {"room": 2**40, "block": 4096}


def fields(n: int, size: int) -> Headers:
    return Headers(
        [
            ("content-type", "video/mp4"), ("cache-control", "public, max-age=31536000, immutable"),
            ("etag", f'"{n:x}"'), ("surrogate-key", f"live live/720p segment one-{n}"), ("content-length", str(size)),
            ("access-control-allow-origin", "*"), ("date", "Mon, 23 Nov 2026 09:11:01 GMT"),
            ("last-modified", "Mon, 23 Nov 2026 09:11:01 GMT"),
        ]
    )  # fmt: skip


def stored(edge: EdgeMachine, n: int, size: int) -> Entry:
    plan = edge.on_request(RequestHead("GET", "http", "h", f"/live/720p/seg-{n}.m4s", None, Headers()), NOW)
    assert isinstance(plan, Fetch)
    entry = edge.on_response(plan, ResponseHead(200, fields(n, size)), NOW).store
    edge.on_body_end(plan, size, NOW)
    assert entry is not None
    return entry


def opened(folder: Path) -> DiskStore:
    return open_disk(folder, memory=room_for("lru", 64 * 2**20), rules="bench", name="fra")


async def kept(store: DiskStore, entry: Entry, body: bytes) -> None:
    store.begin(entry).write(body)
    filling = store.look(entry)
    assert filling is not None
    filling.finish()
    store.keep(entry)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """100,000 objects of 1 kB, and one of each size that is read."""
    path = tmp_path_factory.mktemp("disk")

    async def fill() -> None:
        store, edge = opened(path), EdgeMachine(Service(name="fra", **ROOM))
        for n in range(COUNT):
            await kept(store, stored(edge, n, 1000), b"%04d" % (n % 10_000) * 250)
            if n % 1000 == 0:
                await store.settled()
        assert await store.settled() and store.unwritten == 0
        await store.close()

    asyncio.run(fill())
    yield path
    shutil.rmtree(path)


@pytest.mark.benchmark(group="stores: restart with 100,000 objects")
def test_a_restart(benchmark: BenchmarkFixture, folder: Path) -> None:
    """From nothing to a machine that knows them all."""

    async def restart() -> int:
        edge = EdgeMachine(Service(name="fra", **ROOM))
        with long_lived():
            store = opened(folder)
            edge.restore(store.recovered())
        await store.close()
        return len(edge.index)

    assert benchmark.pedantic(lambda: asyncio.run(restart()), rounds=3) == COUNT


@pytest.mark.benchmark(group="stores: purge of one key among 100,000")
@pytest.mark.parametrize("kind", [PurgeKind.URL, PurgeKind.SURROGATE_KEYS])
def test_a_purge_in_memory(benchmark: BenchmarkFixture, kind: PurgeKind) -> None:
    edge = EdgeMachine(Service(name="fra", **ROOM))
    for n in range(COUNT):
        stored(edge, n, 1000)
    numbers = iter(range(COUNT))

    def purge() -> int:
        n = next(numbers)
        value = f"/live/720p/seg-{n}.m4s" if kind is PurgeKind.URL else f"one-{n}"
        return edge.on_purge(PurgeOrder(kind, value), NOW).count

    assert benchmark.pedantic(purge, rounds=1000) == 1


@pytest.mark.benchmark(group="stores: purge of one key among 100,000")
def test_a_purge_that_is_on_the_disk(benchmark: BenchmarkFixture, folder: Path, tmp_path: Path) -> None:
    """Until it would outlive a power cut."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with asyncio.Runner() as runner:

        async def start() -> tuple[DiskStore, EdgeMachine]:
            store, edge = opened(copy), EdgeMachine(Service(name="fra", **ROOM))
            edge.restore(store.recovered())
            return store, edge

        store, edge = runner.run(start())
        numbers = iter(range(COUNT))

        async def purge() -> bool:
            store.drop(edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, f"one-{next(numbers)}"), NOW).dropped)
            return await store.settled()

        assert benchmark.pedantic(lambda: runner.run(purge()), rounds=50)
        runner.run(store.close())


@pytest.mark.benchmark(group="stores: a body to memory")
@pytest.mark.parametrize("size", [1_000, 100_000, 5_000_000])
def test_a_body_from_disk(benchmark: BenchmarkFixture, size: int, tmp_path: Path) -> None:
    """Read in a thread, checked, and put into memory: what a hit costs that memory does not have."""
    with asyncio.Runner() as runner:

        async def start() -> tuple[DiskStore, Entry]:
            store = open_disk(tmp_path, memory=room_for("lru", 1), rules="bench", name="fra")  # keeps nothing
            entry = stored(EdgeMachine(Service(name="fra", **ROOM)), 1, size)
            await kept(store, entry, bytes(size))
            await store.settled()
            return store, entry

        store, entry = runner.run(start())

        async def ten() -> None:
            for _ in range(10):
                body = await store.load(entry)
                assert body is not None and body.size_bytes == size

        benchmark.extra_info["operations"] = 10
        benchmark.pedantic(lambda: runner.run(ten()), rounds=30, warmup_rounds=2)
        runner.run(store.close())


@needs_redis
@pytest.mark.benchmark(group="stores: a body to memory")
@pytest.mark.parametrize("size", [1_000, 100_000, 5_000_000])
def test_a_body_from_the_shared_tier(benchmark: BenchmarkFixture, size: int, tmp_path: Path) -> None:
    from edge.stores.shared import SharedTier

    with asyncio.Runner() as runner:

        async def start() -> tuple[object, SharedTier, Fetch]:
            running = running_redis(tmp_path)
            redis = await running.__aenter__()
            clock = Clock()
            tier = SharedTier(redis.url, rules="bench", name="fra", clock=clock)
            edge, request = EdgeMachine(Service(name="fra")), RequestHead("GET", "http", "h", "/a", None, Headers())
            fetch = edge.on_request(request, clock())
            assert isinstance(fetch, Fetch)
            found = await tier.ask(fetch)
            assert found is not None
            entry = edge.on_response(fetch, ResponseHead(200, fields(1, size)), clock()).store
            edge.on_body_end(fetch, size, clock())
            assert entry is not None
            tier.put(entry, bytes(size), found.counter)
            await tier._background.finished()
            return running, tier, fetch

        running, tier, fetch = runner.run(start())

        async def ten() -> None:
            for _ in range(10):
                found = await tier.ask(fetch)
                assert found is not None and len(found.body) == size

        benchmark.extra_info["operations"] = 10
        benchmark.pedantic(lambda: runner.run(ten()), rounds=20, warmup_rounds=2)

        async def end() -> None:
            await tier.close()
            await running.__aexit__(None, None, None)  # type: ignore[attr-defined]

        runner.run(end())


@pytest.mark.benchmark(group="stores: the loop's next turn")
@pytest.mark.parametrize("busy", ["nothing else", "reading 5 MB bodies", "writing 5 MB bodies"])
def test_the_loop_beside_the_disk(benchmark: BenchmarkFixture, busy: str, tmp_path: Path) -> None:
    """How long a callback waits for its turn (`call_later` of 1 ms, less that) while the store's threads work."""
    with asyncio.Runner() as runner:

        async def start() -> tuple[DiskStore, list[Entry]]:
            store = open_disk(tmp_path, memory=room_for("lru", 1), rules="bench", name="fra")
            edge = EdgeMachine(Service(name="fra", **ROOM))
            entries = [stored(edge, n, 5_000_000) for n in range(4)]
            for entry in entries:
                await kept(store, entry, bytes(5_000_000))
                await store.settled()
            return store, entries

        store, entries = runner.run(start())

        async def reading(entry: Entry) -> None:
            while True:
                assert await store.load(entry) is not None

        async def writing(entry: Entry) -> None:
            while True:
                await kept(store, entry, bytes(5_000_000))
                await store.settled()

        async def turns() -> None:
            work = {"nothing else": [], "reading 5 MB bodies": [reading(e) for e in entries]}.get(busy)
            tasks = [asyncio.create_task(one) for one in ([writing(entries[0])] if work is None else work)]
            loop, late = asyncio.get_running_loop(), []
            for _ in range(500):
                due = loop.time() + 0.001
                await asyncio.sleep(0.001)
                late.append(loop.time() - due)
            for task in tasks:
                task.cancel()
            late.sort()
            benchmark.extra_info |= {
                "median_ms": late[250] * 1e3,
                "p99_ms": late[495] * 1e3,
                "worst_ms": late[-1] * 1e3,
            }

        benchmark.pedantic(lambda: runner.run(turns()), rounds=1)
        print({name: round(value, 2) for name, value in benchmark.extra_info.items()})
        runner.run(store.close())
