"""Purge orders carried out on one node: in its machine, its store, and the tier that it shares with others."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Purged, PurgeOrder
from edge.recorder import Recorder
from edge.stored_bodies import StoredBodies
from edge.stores import Store

if TYPE_CHECKING:
    from edge.stores.shared import SharedTier

SETTLED_AT_ONCE = 128
"""Stored responses that a soft purge of very many changes in one turn of the loop: under half a millisecond."""


class NodePurges:
    """What purges one node, or one of its services."""

    def __init__(
        self,
        machine: EdgeMachine,
        store: Store,
        bodies: StoredBodies,
        tier: "SharedTier | None",
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        self._machine = machine
        self._store = store
        self._bodies = bodies
        self._tier = tier
        self._recorder = recorder
        self._clock = clock

    async def carry_out(self, orders: Sequence[PurgeOrder], mark: str | None = None) -> list[Purged]:
        """Take away, or make stale, what the orders name, one after the other: at once, and for good on return.

        `mark` is left in the store when all are carried out for good.
        """
        if self._tier is not None and orders:
            # The tier first: else it could bring back, from now on, what the orders take away here.
            await self._tier.mark([mark for order in orders for mark in self._machine.marks_left_by(order)])
        done = [self._carry_out(order) for order in orders]
        purges = self._machine.soft_purges  # not those that come meanwhile: else none would end while they do
        while (entries := self._machine.settle(SETTLED_AT_ONCE, purges)) is not None:
            self._bodies.update((), entries)
            await asyncio.sleep(0)
        lasting = await self._store.settled(mark)
        for purged in done:
            purged.lasting = lasting
        return done

    def _carry_out(self, order: PurgeOrder) -> Purged:
        now = self._clock()
        purged = self._machine.on_purge(order, now)
        if purged.everything:
            self._store.empty()
        else:
            self._store.drop(purged.dropped)
        self._bodies.update((), purged.changed)
        self._recorder.purge(order, now, purged.count)
        return purged
