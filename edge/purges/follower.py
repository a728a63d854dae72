"""A node follows the purge log: it catches up before it serves, then carries out each order when its turn comes.

One task does it all, one thing at a time. In the store, what is stored changes together with the mark of how far the
node has come; the report to the log comes after. So a node that dies in between carries out a few orders twice.

An order that cannot be read, or that fails, does not stop those behind it. It may have named anything, so all that is
stored is purged; and as it may not have been obeyed, it is reported to the log as unread.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from cdnkit.policy.machine.purge_log import (
    ALL_BEFORE,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    PATIENCE_S,
    UNREAD,
    Batch,
    Follower,
    LoggedOrder,
    Position,
    Turn,
    lateness,
    orders_to_repeat,
    resumes_after,
    turn,
)
from cdnkit.policy.plan import PurgeKind, PurgeOrder
from cdnkit.settings.edge import Node
from edge.background import Background
from edge.purges.log import BATCH, IDLE_S, LogLost, PurgeLog
from edge.purges.order import BadOrder, order_as_json, purge_order
from edge.purges.progress import put
from edge.services import Services

logger = logging.getLogger("cdnlab.edge")

LOOK_S = 0.02
"""Between two looks at a shield for which an order waits."""

PURGES = "purges"
"""The name of this work in `Background.troubles`."""

EVERYTHING = PurgeOrder(PurgeKind.EVERYTHING)


@dataclass(slots=True)
class _Delivery:
    """An order that the node has read."""

    order: LoggedOrder
    came: float
    """When it reaches the node, losses included, on the loop's clock."""


class LogFollower:
    """One node on one log, from `start` until its background is closed."""

    def __init__(
        self, log: PurgeLog, services: Services, node: Node, url: str, parents: Sequence[str], background: Background,
        *, dice: Callable[[], float] | None = None,
    ) -> None:  # fmt: skip
        """`url`: where viewers come; `parents`: their names or URLs; `background`: keeps it going after `start`;
        `dice`: 0 to 1, for `purge_loss`."""
        self._log = log
        self._background = background
        self._services = services
        self._self = Follower(node.name, url, tuple(parents))
        self._delay = node.purge_delay
        self._loss = node.purge_loss
        self._dice = dice or Random(node.name).random
        self._known = _least(services.marks())
        self._log_id: str | None = None
        """The identity of the log that it follows; None: where to read on is to be found out."""
        self._read_to = 0
        self._coming: deque[_Delivery] = deque()
        self._waiting: deque[_Delivery] = deque()
        self._unreported: list[LoggedOrder] = []
        """Orders that are carried out, and not reported to the log yet."""
        self._counts: dict[int, int] = {}
        self._lasting = True
        self._reported = (0, 0)
        self._row_seen = 0.0
        """When the node last saw that the log knows it, on the loop's clock."""
        self._row_spoilt = False
        self._unread = 0
        self._went = asyncio.Event()
        """Set, and replaced, when orders have been carried out."""

    async def start(self) -> None:
        """Returns when nothing is stored here any more that an order from before now names.

        A node with nothing stored starts without the log, too: what it stores until the log is found is purged then.
        """
        pause = FIRST_PAUSE_S
        while self._log_id is None:
            try:
                await self._catch_up()
            except LogLost as lost:
                if self._empty():
                    logger.warning("%s: %s: served without it, as nothing is stored", self._self.name, lost)
                    self._known = Position("none", 0)  # so that what is stored from now on goes when there is one
                    break
                logger.warning("%s: %s: nothing is served until it does", self._self.name, lost)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
        self._background.keep(PURGES, self._follow)

    def health(self) -> dict[str, Any]:
        """For `/healthz`: whether the node obeys orders now, why not, and how far it has come."""
        trouble = self._background.troubles.get(PURGES, "")
        return {
            "log": self._log.where,
            "following": self._log_id is not None and not trouble,
            "trouble": trouble,
            "done": self._self.done,
            "unread": self._unread,
        }

    async def order(self, order: PurgeOrder) -> None:
        """Orders the same of every node. Returns when this node has carried it out in its turn, which is after that of
        its shields, so that what it fetches then is new; or after `PATIENCE_S`. LogLost."""
        (number,) = (await put(self._log, [order_as_json(order)])).numbers
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._self.done < number:
                    await self._went.wait()

    # ---- catching up -------------------------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        self._coming.clear()
        self._waiting.clear()
        self._unreported.clear()
        extent = (await self._log.read(0, 1)).extent
        before = (await self._log.followers()).get(self._self.name)
        reported = None if before is None else before.done
        at = resumes_after(self._known, reported, extent, empty=self._empty())
        missed = at is None or not (reported is None or extent.holds_after(reported))
        if missed and not self._services.faces_viewers:
            # A shield: nodes behind it may have carried out what it missed, and filled again from what it had.
            await self._log.append([LoggedOrder(0, {"everything": True}, again=ALL_BEFORE)])
        if at is None:
            logger.warning("%s: what was missed %s no longer has: all is purged", self._self.name, self._log.where)
            at = extent.last
            await self._purge([EVERYTHING], Position(extent.log, at))
        elif self._known is None:
            await self._purge([], Position(extent.log, at))
        # It joins the followers before it reads: an order that it does not find yet will wait for it.
        self._self.taken = self._self.done = self._read_to = at
        await self._log.join(self._self)
        self._row_seen = _now()
        self._reported = (at, at)
        self._log_id = extent.log
        while self._log_id is not None and (orders := (await self._read()).orders):
            await self._go(orders)
            await self._report()

    async def _read(self) -> Batch:
        """The next orders; none, and the log is forgotten, if they do not follow on those before."""
        batch = await self._log.read(self._read_to)
        if batch.extent.log != self._log_id or not batch.extent.holds_after(self._read_to):
            self._log_id = None
            return Batch(batch.extent)
        if batch.orders:
            self._read_to = batch.orders[-1].number
        return batch

    # ---- following ---------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """One step; what goes wrong is logged, and tried again, by `Background`."""
        try:
            await self._step()
        except LogLost:
            raise
        except Exception:
            self._log_id = None  # a fault of ours: what is remembered here may be wrong, and is found out anew
            raise

    async def _step(self) -> None:
        if self._log_id is None:
            await self._catch_up()
        await self._report()
        orders = (await self._read()).orders
        if self._log_id is None:
            return
        now = _now()
        if now - self._row_seen >= IDLE_S:
            await self._stay_known()
        for one in orders:
            came = now + lateness(self._loss, self._dice)
            # In order: behind one that was lost, the others wait.
            self._coming.append(_Delivery(one, max(came, self._coming[-1].came) if self._coming else came))
        while self._coming and self._coming[0].came <= now:
            self._waiting.append(self._coming.popleft())
            self._self.taken = self._waiting[-1].order.number
        await self._report()
        wait = await self._carry_out()
        if self._coming:
            wait = min(wait, self._coming[0].came - _now())
        if len(orders) < BATCH and wait > 0:
            await self._log.news(self._read_to, wait)

    async def _stay_known(self) -> None:
        """Writes the node's row anew if it is gone or damaged: nobody waits for a node without a row."""
        found = (await self._log.followers()).get(self._self.name)
        taken, done = self._reported
        if found != replace(self._self, taken=taken, done=done):
            if not self._row_spoilt:  # once: where two nodes have one name, each finds the other's again and again
                logger.warning("%s: its row in the log of purges was not its own: written anew", self._self.name)
            await self._log.join(self._self)
            self._reported = (self._self.taken, self._self.done)
            self._row_spoilt = True
        self._row_seen = _now()

    async def _carry_out(self) -> float:
        """Does what is due and whose turn it is; seconds until something else may be."""
        ready: list[LoggedOrder] = []
        wait, followers, early = IDLE_S, None, False
        for one in self._waiting:
            left = one.came + self._delay - _now()
            if left > 0 or len(ready) == BATCH:
                wait = min(wait, left)
                break
            if one.order.concerns(self._self.name):
                followers = followers or await self._log.followers()
                turned = turn(self._self.name, one.order, followers, _now() - one.came)
                if turned is Turn.WAITS:
                    wait = LOOK_S
                    break
                early = early or turned is Turn.OUT_OF_TURN
            ready.append(one.order)
        if ready:
            if early:
                await self._log.report(
                    self._self.name, taken=self._self.taken, done=ready[-1].number, purged={}
                )  # fmt: skip
            await self._go(ready)
            for _ in ready:
                self._waiting.popleft()
            await self._report()
        return wait

    async def _go(self, orders: Sequence[LoggedOrder]) -> None:
        """Carries them out, each by itself if all together fail."""
        try:
            await self._go_at_once(orders)
        except Exception as error:
            if len(orders) > 1:  # one by one: only the one that fails is to take all there is
                for one in orders:
                    await self._go([one])
                return
            logger.exception("%s: order %d failed", self._self.name, orders[0].number)
            why = f"{type(error).__name__}: {error}"
            await self._go_at_once([replace(orders[0], order={"everything": True}, unread=why)])

    async def _go_at_once(self, orders: Sequence[LoggedOrder]) -> None:
        assert self._log_id is not None
        here = [(one.number, *_named(one)) for one in orders if one.concerns(self._self.name)]
        counts = await self._purge([order for _, order, _ in here], Position(self._log_id, orders[-1].number))
        for (number, _, why), count in zip(here, counts, strict=True):
            self._counts[number] = UNREAD if why else count
        unread = [(number, why) for number, _, why in here if why]
        self._unread += len(unread)
        if unread:  # a line for all of them: a log may be full of them
            number, why = unread[0]
            more = f" and {len(unread) - 1} behind it" if len(unread) > 1 else ""
            logger.error("%s: order %d%s cannot be read: %.300s: all is purged", self._self.name, number, more, why)
        self._unreported += orders
        self._self.taken = max(self._self.taken, orders[-1].number)
        self._self.done = orders[-1].number
        self._went.set()
        self._went = asyncio.Event()

    async def _purge(self, orders: Sequence[PurgeOrder], position: Position) -> list[int]:
        done = await self._services.purge_all(orders, f"{position.log} {position.number}" if self._lasting else None)
        if not all(purged.lasting for purged in done):
            # No mark from now on, so that all since the last one is done again after a restart.
            self._lasting = False
            logger.error("%s: a purge could not be written to disk: it is done again after a restart", self._self.name)
        self._known = position
        return [purged.count for purged in done]

    async def _report(self) -> None:
        """Reports to the log how far the node has come, once it has ordered again for those that went too early."""
        if self._unreported:
            again = orders_to_repeat(self._self.name, self._unreported, await self._log.followers())
            if again:
                await self._log.append(again)
        self._unreported.clear()
        now = (self._self.taken, self._self.done)
        if now != self._reported or self._counts:
            await self._log.report(self._self.name, taken=now[0], done=now[1], purged=self._counts)
            self._counts.clear()
            self._reported = now

    def _empty(self) -> bool:
        return self._services.is_empty()


def _named(one: LoggedOrder) -> tuple[PurgeOrder, str]:
    """What an order names; everything, and why, where the order cannot be read."""
    try:
        return (EVERYTHING, one.unread) if one.unread else (purge_order(one.order), "")
    except BadOrder as error:
        return EVERYTHING, str(error)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _least(marks: Sequence[str | None]) -> Position | None:
    """How far all that is stored has come; None where that is not known of every store."""
    known = [_read_mark(mark) for mark in marks]
    first = known[0] if known else None
    if first is None or any(one is None or one.log != first.log for one in known):
        return None
    return min((one for one in known if one is not None), key=lambda one: one.number)


def _read_mark(mark: str | None) -> Position | None:
    log, _, number = (mark or "").partition(" ")
    return Position(log, int(number)) if number.isdigit() else None
