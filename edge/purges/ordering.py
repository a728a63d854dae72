"""Ordering a purge: an entry in the log, and how far the nodes have come with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from edge.purges.log import BATCH, LogLost, PurgeLog
from policy.propagation import FIRST_PAUSE_S, LONGEST_PAUSE_S, Logged, Order, TierOrder, tiers_of

logger = logging.getLogger("cdnlab.purges")

LOOK_S = 0.01
"""Between two looks at how far the nodes are."""


@dataclass
class LogRenewed(LogLost):
    """The log is another than the one that took the order: nobody knows any more who has carried it out."""

    why: str = "it was begun anew"


@dataclass(slots=True)
class Standing:
    """One node and one order."""

    taken: bool = False
    done: bool = False
    purged: int = 0
    """Stored responses that it took away."""


@dataclass
class Sent:
    """Orders that stand in the log."""

    log: PurgeLog
    identity: str
    numbers: list[int]
    """Theirs, and those of the orders that repeat them."""
    nodes: list[str]
    """Who is to carry them out, in the order in which they go."""
    _looked_to: int = field(init=False)

    def __post_init__(self) -> None:
        self._looked_to = self.numbers[-1]

    async def look(self) -> dict[str, Standing]:
        """How far each node has come. LogLost, and LogRenewed when the log has forgotten them."""
        standing = await self._look()
        # Who is late orders again before it says that it is done, so this is read after that.
        return await self._look() if await self._repeated() else standing

    async def _look(self) -> dict[str, Standing]:
        followers = await self.log.followers()
        purged = await self.log.purged(self.numbers)
        found: dict[str, Standing] = {}
        for name in self.nodes:
            one = followers.get(name)
            if one is not None:
                last = self.numbers[-1]
                found[name] = Standing(one.taken >= last, one.done >= last, purged.get(name, 0))
        return found

    async def _repeated(self) -> bool:
        """Whether a node that was late has ordered them again meanwhile."""
        known = len(self.numbers)
        while True:
            batch = await self.log.read(self._looked_to)
            if batch.extent.log != self.identity:
                raise LogRenewed(self.log.where)
            self.numbers += [one.number for one in batch.orders if one.again in self.numbers]
            if batch.orders:
                self._looked_to = batch.orders[-1].number
            if len(batch.orders) < BATCH:
                return len(self.numbers) > known


async def put(
    log: PurgeLog, orders: Sequence[Order], *, order: TierOrder = TierOrder.SHIELDS_FIRST, only: Collection[str] = ()
) -> Sent:
    """Puts orders into the log, one at least; `only`: for these nodes alone. LogLost: they may stand there, or not."""
    followers = [one for one in (await log.followers()).values() if not only or one.name in only]
    tiers = tiers_of(followers, order)
    names = [name for tier in tiers for name in tier] or sorted(one.name for one in followers)
    identity = (await log.read(0, 1)).extent.log
    if only and not tiers:
        tiers = (tuple(names),)
    numbers = await log.append([Logged(0, one, tiers, only=bool(only)) for one in orders])
    return Sent(log, identity, numbers, names)


async def carried(
    log: PurgeLog,
    orders: Sequence[Order],
    *,
    order: TierOrder = TierOrder.SHIELDS_FIRST,
    only: Collection[str] = (),
    within: float | None = None,
) -> AsyncIterator[dict[str, Standing]]:
    """Orders, and tells how far the nodes are whenever that changes, until all are done or `within` seconds are over.

    `within` None: for however long it takes, also to reach the log; otherwise LogLost when it does not take the order.
    """
    now = asyncio.get_running_loop().time
    start, pause = now(), FIRST_PAUSE_S
    sent: Sent | None = None
    told: dict[str, Standing] | None = None
    while True:
        try:
            sent = sent or await put(log, orders, order=order, only=only)
            standing = await sent.look()
        except LogRenewed:
            sent = None
        except LogLost as lost:
            if sent is None and within is not None:
                raise
            logger.warning("%s", lost)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        else:
            pause = FIRST_PAUSE_S
            if standing != told:
                told = standing
                yield standing
            if all(one.done for one in standing.values()):
                return
        if within is not None and now() - start >= within:
            return
        await asyncio.sleep(LOOK_S)
