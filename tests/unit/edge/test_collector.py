"""What the cycle collector need not walk over: what is stored, and the tables that have it. It is freed all the same."""

import asyncio
import gc
from collections.abc import Callable, Iterator

import pytest

from cdnkit.policy import EdgeMachine, Fetch, Headers, PurgeKind, PurgeOrder, Serve
from cdnkit.policy.record.object_class import classify
from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.entry import Entry
from edge.collector import leave_out, left_out, settled
from edge.stored_bodies import StoredBodies
from edge.stores import MemoryStore
from tests.kit.machine import NOW, fill, get, machine, says

EVERY = ["lru", "lfu", "fifo", "sieve", "s3-fifo"]


class Stored:
    """A machine with its bodies, as a driver has them."""

    def __init__(self, edge: EdgeMachine) -> None:
        self.machine, self.store = edge, MemoryStore()
        self.bodies = StoredBodies(edge, self.store)

    def fill(self, path: str, **fields: str) -> Entry:
        plan = self.machine.on_request(get(path, x_device=fields.pop("x_device", "tv")), NOW)
        assert isinstance(plan, Fetch)
        entry = self.machine.on_response(plan, says(cache_control="max-age=60", **fields), NOW).store
        assert entry is not None
        body = self.bodies.begin(entry)
        body.write(b"12345")
        body.finish()
        self.bodies.update(self.machine.on_body_end(plan, 5, NOW).dropped)
        assert self.bodies.keep(entry)
        return entry

    def tables(self) -> Iterator[object]:
        yield from self.machine.index.tables()
        yield from vars(self.machine.room).values()
        yield from self.store.tables()


def tracked(edge: Stored, entry: Entry) -> list[object]:
    parts = (entry, entry.headers, entry.headers.lines, entry.life, *edge.machine.index.tables_of(entry))
    return [one for one in parts if gc.is_tracked(one)]


def test_what_is_stored_is_left_out_with_all_tables_that_have_it() -> None:
    async def scenario() -> None:
        edge = Stored(machine())
        entries = [edge.fill(f"/{n}", surrogate_key=f"live one-{n}") for n in range(300)]
        entries += [edge.fill("/v", x_device=f"{n}", vary="x-device", surrogate_key="v") for n in range(5)]
        assert [tracked(edge, entry) for entry in entries] == [[]] * 305
        with left_out(edge.tables):
            gc.collect()
            assert [one for one in edge.tables() if gc.is_tracked(one) and isinstance(one, dict | list)] == []
            edge.fill("/new")
            assert gc.is_tracked(edge.machine.index._by_key)  # until the next pass, of any generation
            gc.collect(0)
            assert [one for one in edge.tables() if gc.is_tracked(one) and isinstance(one, dict | list)] == []
        assert not any(getattr(one, "__name__", "") == "before" for one in gc.callbacks)

    asyncio.run(scenario())


@pytest.mark.parametrize("memoized", [classify, Matcher([], Behavior(path="*")).match], ids=["class", "rule"])
def test_a_thousand_memoized_results_are_few_objects(memoized: Callable[[str], object]) -> None:
    memoized("/live/720p/first.ts")
    gc.collect()
    before = len(gc.get_objects())
    for n in range(1000):
        memoized(f"/live/720p/seg-{n}.ts")
    gc.collect()  # after which a tuple of texts is left out
    assert len(gc.get_objects()) - before < 50


def test_what_a_hit_leaves_is_nothing_to_walk_over() -> None:
    edge = machine()
    fill(edge, get("/a"), says(cache_control="max-age=60"))
    found = edge.short_way.find(edge.short_way.alike(get("/", x_device="tv")), "/a", NOW)
    assert found is not None
    assert [one for one in (found[0], found[1].life) if gc.is_tracked(one)] == []


def test_a_304_brings_new_fields_that_are_left_out_too() -> None:
    async def scenario() -> None:
        edge = Stored(machine())
        entry = edge.fill("/a", etag='"1"', surrogate_key="a b")
        plan = edge.machine.on_request(get("/a", x_device="tv"), NOW + 61)
        assert isinstance(plan, Fetch)
        landing = edge.machine.on_response(plan, says(304, cache_control="max-age=60", etag='"1"'), NOW + 61)
        assert landing.changed == [entry] and tracked(edge, entry)
        edge.bodies.update(landing.dropped, landing.changed)
        assert not tracked(edge, entry)

    asyncio.run(scenario())


@pytest.mark.parametrize("eviction", EVERY)
@pytest.mark.parametrize("how", ["evicted", "purged", "purged by a shared key", "all purged"])
def test_what_goes_is_freed_though_no_pass_looks_at_it(how: str, eviction: str) -> None:
    gone: list[str] = []

    class Watched(Headers):
        __slots__ = ()

        def __del__(self) -> None:
            gone.append(self.first("surrogate-key") or "")

    async def scenario() -> None:
        edge = Stored(machine(eviction=eviction, room=2 * 200 * (1024 + 5)))
        for n in range(200):
            entry = edge.fill(f"/{n}", surrogate_key=f"live one-{n}", vary="x-device")
            entry.headers = Watched.wrap(entry.headers.lines)
            leave_out(entry.headers)
        del entry
        match how:
            case "purged":
                for n in range(200):
                    edge.bodies.update(edge.machine.on_purge(PurgeOrder(PurgeKind.URL, f"/{n}"), NOW).dropped)
            case "purged by a shared key":
                edge.bodies.update(edge.machine.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, "live"), NOW).dropped)
            case "all purged":
                edge.machine.on_purge(PurgeOrder(PurgeKind.EVERYTHING), NOW)
                edge.store.empty()
        for n in range(500 if how == "evicted" else 60):
            edge.fill(f"/new/{n}")
            await asyncio.sleep(0)
        if how == "evicted" and eviction in ("lfu", "s3-fifo"):
            assert len(gone) > 0  # they keep some of the old
        else:
            assert len(gone) == 200

    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()


def test_leaving_out_what_no_collector_knows_does_nothing() -> None:
    leave_out("text", 1, None, (), b"")
    for untracks_itself_unchecked in (lambda: None, (n for n in ()), tracked):
        leave_out(untracks_itself_unchecked)
        assert gc.is_tracked(untracks_itself_unchecked)
    one: list[object] = []
    leave_out(one, one)
    assert not gc.is_tracked(one)
    one.append(one)  # a list stays out, so only cycles that are not made may be left out
    one.clear()


def test_a_node_is_frozen_before_it_says_that_it_is_ready() -> None:
    said: list[dict[str, object]] = []
    try:
        settled(lambda urls: said.append({**urls, "frozen": gc.get_freeze_count() > 1000}))({"ready": "fra"})
    finally:
        gc.unfreeze()
    assert said == [{"ready": "fra", "frozen": True}]


def test_a_hit_is_a_hit() -> None:
    async def scenario() -> None:
        edge = Stored(machine())
        entry = edge.fill("/a")
        plan = edge.machine.on_request(get("/a"), NOW + 1)
        assert isinstance(plan, Serve) and edge.bodies.whole(plan.entry) == b"12345" and plan.entry is entry

    asyncio.run(scenario())
