"""A purge of very many on one node: other work goes on meanwhile, and it comes to its end."""

import asyncio
from typing import cast

import pytest

from cdnkit.policy import PurgeKind, PurgeOrder
from cdnkit.policy.store import index as index_module
from edge.purges import node as node_module
from edge.purges.node import NodePurges
from edge.recorder import Recorder
from edge.stored_bodies import StoredBodies
from edge.stores import MemoryStore
from tests.kit.machine import NOW, fill, get, machine, says

LIVE = PurgeOrder(PurgeKind.SURROGATE_KEYS, "live", soft=True)


class Unrecorded:
    def purge(self, *_: object) -> None:
        """Nothing is written."""


@pytest.fixture
def purges(monkeypatch: pytest.MonkeyPatch) -> NodePurges:
    monkeypatch.setattr(index_module, "PURGED_AT_ONCE", 0)
    monkeypatch.setattr(node_module, "SETTLED_AT_ONCE", 1)
    edge, store = machine(), MemoryStore()
    for n in range(20):
        fill(edge, get(f"/{n}"), says(cache_control="max-age=60", surrogate_key="live"))
    clock = iter(range(1000))
    return NodePurges(
        edge, store, StoredBodies(edge, store), None, cast(Recorder, Unrecorded()), lambda: NOW + next(clock)
    )


def test_others_have_their_turns(purges: NodePurges) -> None:
    async def scenario() -> int:
        turns, task = 0, asyncio.create_task(purges.carry_out([LIVE]))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        assert task.result()[0].count == 20
        return turns

    assert asyncio.run(scenario()) > 20


def test_it_ends_while_further_ones_come(purges: NodePurges) -> None:
    async def scenario() -> None:
        first = asyncio.create_task(purges.carry_out([LIVE]))
        others: list[asyncio.Task[object]] = []
        for _ in range(200):
            if first.done():
                break
            others.append(asyncio.create_task(purges.carry_out([LIVE])))
            await asyncio.sleep(0)
        assert first.done()
        assert not all(task.done() for task in others)
        await asyncio.gather(*others)

    asyncio.run(scenario())
