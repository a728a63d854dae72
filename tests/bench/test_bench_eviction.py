"""What keeping room costs, per policy: a use, and an admission that has to push something out."""

import random

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.store.eviction import HEAD_COST_BYTES, Eviction, Room, room_for
from cdnkit.policy.store.index import Entry

POLICIES: list[Eviction] = ["lru", "lfu", "fifo", "sieve", "s3-fifo"]
LIFE = Lifetime(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "max-age")
SLOTS = 10_000


def full(policy: Eviction) -> tuple[Room, list[Entry]]:
    """A room of 10,000, full, and used as an edge is: by Zipf's law."""
    room = room_for(policy, SLOTS * HEAD_COST_BYTES)
    entries = [Entry(n, f"/{n}", 200, Headers(), LIFE) for n in range(SLOTS)]
    for entry in entries:
        room.admit(entry)
    for entry in random.Random(1).choices(entries, [1 / n for n in range(1, SLOTS + 1)], k=5 * SLOTS):
        room.touch(entry)
    return room, entries


@pytest.mark.benchmark(group="eviction: a use")
@pytest.mark.parametrize("policy", POLICIES)
def test_a_touch(benchmark: BenchmarkFixture, policy: Eviction) -> None:
    room, entries = full(policy)
    benchmark(room.touch, entries[SLOTS // 2])


@pytest.mark.benchmark(group="eviction: an admission into a full room")
@pytest.mark.parametrize("policy", POLICIES)
def test_an_admission_that_pushes_out(benchmark: BenchmarkFixture, policy: Eviction) -> None:
    room, _ = full(policy)
    ids = iter(range(SLOTS, 10**9))

    def admit() -> None:
        n = next(ids)
        room.admit(Entry(n, f"/{n}", 200, Headers(), LIFE))
        room.take_evicted()

    benchmark(admit)
    assert len(room) == SLOTS
