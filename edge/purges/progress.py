"""The progress of a purge: an order is put into the log, and the nodes are watched while they carry it out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from cdnkit.policy.machine.purge_log import (
    ALL_BEFORE,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    UNREAD,
    Follower,
    LoggedOrder,
    Order,
    depths,
)
from edge.purges.log import BATCH, LogLost, PurgeLog
from edge.purges.order import purge_order

logger = logging.getLogger("cdnlab.purges")

LOOK_S = 0.01
"""Between two looks at how far the nodes are."""


@dataclass
class LogRenewed(LogLost):
    """The log is not the one that took the order: nobody knows any more which nodes have carried it out."""

    why: str = "it was begun anew"


@dataclass(slots=True)
class Standing:
    """One node and one order."""

    taken: bool = False
    done: bool = False
    purged: int = 0
    """Stored responses that it took away."""
    unread: bool = False
    """It could not read the order, or one of several, and took away all it had: it may not have obeyed."""

    @property
    def obeyed(self) -> bool:
        """It has carried out what was ordered, and nothing else."""
        return self.done and not self.unread


@dataclass
class Sent:
    """Orders that are in the log."""

    log: PurgeLog
    identity: str
    numbers: list[int]
    """Of the orders, and of those that repeat them."""
    only: Collection[str]
    expecting: set[str]
    """Nodes that the log may not know yet."""
    _looked_to: int = field(init=False)

    def __post_init__(self) -> None:
        self._looked_to = self.numbers[-1]

    async def look(self) -> dict[str, Standing]:
        """How far each node has come, in the order of turns. LogLost; LogRenewed when the log has forgotten them."""
        standing = await self._look()
        # A node that is late orders again before it reports that it is done, so this is read after that.
        return await self._look() if await self._repeated() else standing

    async def _look(self) -> dict[str, Standing]:
        followers = await self.log.followers()
        purged = await self.log.purged(self.numbers)
        self.expecting -= followers.keys()
        last = self.numbers[-1]
        found = {name: _standing(followers[name], last, purged.get(name, 0)) for name in depths(followers.values())} | {
            name: Standing() for name in sorted(self.expecting)
        }
        return {name: one for name, one in found.items() if not self.only or name in self.only}

    async def _repeated(self) -> bool:
        """Whether a node that was late has ordered them again meanwhile."""
        known = len(self.numbers)
        while True:
            batch = await self.log.read(self._looked_to)
            if batch.extent.log != self.identity:
                raise LogRenewed(self.log.where)
            wanted = {ALL_BEFORE, *self.numbers}
            for one in batch.orders:
                if one.again in wanted:  # what repeats them may be repeated in its turn
                    wanted.add(one.number)
                    self.numbers.append(one.number)
                self._looked_to = one.number
            if len(batch.orders) < BATCH:
                return len(self.numbers) > known


def _standing(one: Follower, number: int, purged: int) -> Standing:
    return Standing(one.taken >= number, one.done >= number, max(0, purged), purged == UNREAD)


async def put(
    log: PurgeLog,
    orders: Sequence[Order],
    *,
    only: Collection[str] = (),
    expecting: Collection[str] = (),
) -> Sent:
    """Puts at least one order into the log; `only`: for these nodes alone. LogLost: they may be there, or not.
    BadOrder: no node could read one of them.

    `expecting`: nodes that are to carry them out also where the log does not know them.
    """
    for one in orders:
        purge_order(one)
    identity = (await log.read(0, 1)).extent.log
    numbers = await log.append([LoggedOrder(0, one, tuple(only)) for one in orders])
    return Sent(log, identity, numbers, only, set(expecting))


async def carried(
    log: PurgeLog,
    orders: Sequence[Order],
    *,
    only: Collection[str] = (),
    expecting: Collection[str] = (),
    within: float | None = None,
) -> AsyncIterator[dict[str, Standing]]:
    """Puts orders into the log, and yields how far the nodes are whenever that changes, until all are done or `within`
    seconds have passed.

    `within` None: there is no limit, not even on reaching the log; otherwise LogLost when it does not take the orders.
    """
    now = asyncio.get_running_loop().time
    start, pause = now(), FIRST_PAUSE_S
    sent: Sent | None = None
    last: dict[str, Standing] | None = None
    while True:
        try:
            sent = sent or await put(log, orders, only=only, expecting={*expecting, *(last or ())})
            standing = await sent.look()
        except LogRenewed:
            sent = None  # and all nodes that the other knew must come to this one
        except LogLost as lost:
            if sent is None and within is not None:
                raise
            logger.warning("%s", lost)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        else:
            pause = FIRST_PAUSE_S
            if standing != last:
                last = standing
                yield standing
            if all(one.done for one in standing.values()):
                return
        if within is not None and now() - start >= within:
            return
        await asyncio.sleep(LOOK_S)
