"""When a follower of the log of purges wakes up, and how often: in virtual time, beside a log that counts."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cdnkit.policy.machine.purge_log import ALL_BEFORE, UNDONE_S, UNTAKEN_S, Batch, Extent, Follower, LoggedOrder
from cdnkit.policy.plan import Purged, PurgeOrder
from cdnkit.settings.edge import Node
from edge.background import Background
from edge.purges.follower import LOOK_S, PURGES, LogFollower, logger
from edge.purges.log import BATCH, IDLE_S, LogLost
from tests.kit.virtual_time import run_virtually


class Log:
    """A log that tells at once what is new, and counts what it is asked."""

    where = "the log"

    def __init__(self) -> None:
        self.orders: list[LoggedOrder] = []
        self.known: dict[str, Follower] = {}
        self.calls: list[tuple[str, float]] = []
        self.lost = False
        self.new = asyncio.Event()

    def called(self, name: str) -> None:
        self.calls.append((name, asyncio.get_running_loop().time()))
        if self.lost:
            raise LogLost(self.where, "gone")

    def order(self) -> None:
        self.orders.append(LoggedOrder(len(self.orders) + 1, {"url": "/a"}))
        self.new.set()

    async def append(self, orders: Sequence[LoggedOrder]) -> list[int]:
        self.called("append")
        first = len(self.orders) + 1
        self.orders += [replace(one, number=number) for number, one in enumerate(orders, first)]
        return [one.number for one in self.orders[first - 1 :]]

    async def read(self, after: int, most: int = 1000) -> Batch:
        self.called("read")
        self.new.clear()
        return Batch(Extent("1", 1, len(self.orders)), tuple(self.orders[after : after + most]))

    async def news(self, after: int, within: float = IDLE_S) -> None:
        self.called("news")
        if after < len(self.orders):
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self.new.wait(), within)

    async def join(self, one: Follower) -> None:
        self.called("join")
        self.known[one.name] = one

    async def followers(self) -> dict[str, Follower]:
        self.called("followers")
        return dict(self.known)

    async def report(self, name: str, *, taken: int, done: int, purged: Mapping[int, int]) -> None:
        self.called("report")


class Lab:
    """One node on one log, and when it purged."""

    def __init__(self, *, mark: str | None = "1 0", faces_viewers: bool = True, **settings: Any) -> None:
        """`mark`: how far what it has stored has come, the log's name and a number; None: that is not known."""
        self.log = Log()
        self.purged_at: list[float] = []
        services = SimpleNamespace(
            purge_all=self.purge_all, marks=lambda: [mark], is_empty=lambda: False, faces_viewers=faces_viewers
        )
        self.background = Background(logger, "fra")
        node = Node.model_validate({"name": "fra", **settings})
        self.following = LogFollower(
            cast(Any, self.log), cast(Any, services), node, "http://fra", ["shield"], self.background
        )

    async def purge_all(self, orders: list[PurgeOrder], mark: str | None = None) -> list[Purged]:
        self.purged_at += [round(asyncio.get_running_loop().time(), 6)] * len(orders)
        return [Purged(1, []) for _ in orders]

    def count(self, name: str) -> int:
        return sum(one == name for one, _ in self.log.calls)


def test_an_idle_follower_looks_once_in_its_idle_time() -> None:
    async def run() -> None:
        lab = Lab()
        await lab.following.start()
        lab.log.calls.clear()
        await asyncio.sleep(100 * IDLE_S + 0.5)
        assert 100 <= lab.count("read") <= 102
        assert 100 <= lab.count("news") <= 102
        assert 99 <= lab.count("followers") <= 101  # whether its row still stands
        assert lab.count("report") == lab.count("join") == 0, "nothing has changed"
        await lab.background.close()

    run_virtually(run())


def test_it_is_one_of_those_who_follow_before_it_serves(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        lab = Lab()
        await lab.following.start()
        assert lab.log.known == {"fra": Follower("fra", "http://fra", ("shield",))}
        await asyncio.sleep(10 * IDLE_S)
        assert lab.count("join") == 1
        await lab.background.close()

    run_virtually(run())
    assert caplog.messages == []


AGAIN = [LoggedOrder(2, {"everything": True}, again=ALL_BEFORE)]
MISSED = [  # how far what is stored has come, is it an edge, what it orders when it starts
    ("1 1", True, []),
    ("1 1", False, []),
    (None, True, []),  # all that it has goes; nobody has filled from it
    (None, False, AGAIN),
    ("2 1", False, AGAIN),  # of another log
]


@pytest.mark.parametrize(("mark", "faces_viewers", "again"), MISSED)
def test_a_shield_that_missed_orders_has_what_was_filled_from_it_purged(
    mark: str | None, faces_viewers: bool, again: list[LoggedOrder]
) -> None:
    async def run() -> None:
        lab = Lab(mark=mark, faces_viewers=faces_viewers)
        lab.log.order()
        await lab.following.start()
        assert lab.log.orders[1:] == again
        assert bool(lab.purged_at) is (mark != "1 1"), "all that it has itself is purged before it serves"
        await lab.background.close()

    run_virtually(run())


ORDERS = [  # orders that wait in the log    questions until they are carried out: reads, waits for news
    (BATCH - 1, 1, 1),
    (BATCH, 2, 1),  # there may be more: it reads on
    (2 * BATCH + 1, 3, 1),
]


@pytest.mark.parametrize(("orders", "reads", "waits"), ORDERS)
def test_many_orders_are_read_in_batches_and_without_a_pause(orders: int, reads: int, waits: int) -> None:
    async def run() -> None:
        lab = Lab()
        await lab.following.start()
        await asyncio.sleep(0.5)
        lab.log.orders += [LoggedOrder(number, {"url": "/a"}) for number in range(1, orders + 1)]
        lab.log.calls.clear()
        lab.log.new.set()
        await asyncio.sleep(IDLE_S / 4)
        assert lab.purged_at == [0.5] * orders
        assert (lab.count("read"), lab.count("news")) == (reads, waits)
        await lab.background.close()

    run_virtually(run())


DELAYS = [  # purge_delay     an order comes at   and is carried out at
    ("0s", 3.25, 3.25),
    ("300ms", 3.25, 3.55),
    ("7s", 3.25, 10.25),
]


@pytest.mark.parametrize(("delay", "comes", "done"), DELAYS)
def test_an_order_wakes_it_and_is_carried_out_when_it_is_due(delay: str, comes: float, done: float) -> None:
    async def run() -> None:
        lab = Lab(purge_delay=delay)
        await lab.following.start()
        await asyncio.sleep(comes)
        lab.log.order()
        lab.log.calls.clear()
        await asyncio.sleep(20.0)
        assert lab.purged_at == [pytest.approx(done, abs=0.001)]
        assert lab.count("read") <= 20 / IDLE_S + 4, "it waits for the instant, and does not look for it"
        await lab.background.close()

    run_virtually(run())


def test_several_orders_of_different_instants_each_have_their_own() -> None:
    async def run() -> None:
        lab = Lab(purge_delay="2s")
        await lab.following.start()
        for _ in range(3):
            await asyncio.sleep(0.25)
            lab.log.order()
        await asyncio.sleep(10.0)
        assert lab.purged_at == [pytest.approx(at, abs=0.001) for at in (2.25, 2.5, 2.75)]
        await lab.background.close()

    run_virtually(run())


def test_while_it_waits_for_its_shield_it_looks_by_a_short_time_and_not_without_pause() -> None:
    async def run() -> None:
        lab = Lab()
        lab.log.known["shield"] = Follower("shield", "http://shield", ())
        await lab.following.start()
        lab.log.order()
        await asyncio.sleep(0)
        lab.log.calls.clear()
        await asyncio.sleep(20.5 * LOOK_S)
        assert lab.purged_at == []
        assert 18 <= lab.count("news") <= 22
        lab.log.known["shield"].taken = lab.log.known["shield"].done = 1
        await asyncio.sleep(LOOK_S)
        assert lab.purged_at == [pytest.approx(21 * LOOK_S, abs=LOOK_S / 2)]
        await lab.background.close()

    run_virtually(run())


@pytest.mark.parametrize(("taken", "patience"), [(0, UNTAKEN_S), (1, UNDONE_S)])
def test_for_a_shield_that_never_obeys_it_waits_no_longer_than_its_patience(taken: int, patience: float) -> None:
    async def run() -> None:
        lab = Lab()
        lab.log.known["shield"] = Follower("shield", "http://shield", (), taken=taken)
        await lab.following.start()
        await asyncio.sleep(1.0)
        lab.log.order()
        await asyncio.sleep(2 * patience)
        assert lab.purged_at == [pytest.approx(1.0 + patience, abs=LOOK_S)]
        await lab.background.close()

    run_virtually(run())


def test_a_log_that_is_gone_is_tried_more_and_more_slowly_and_told_in_its_health() -> None:
    async def run() -> None:
        lab = Lab()
        await lab.following.start()
        lab.log.lost = True
        await asyncio.sleep(IDLE_S)
        lab.log.calls.clear()
        await asyncio.sleep(60.0)
        assert 28 <= len(lab.log.calls) <= 36  # 50 ms, doubling, to 2 s
        assert lab.background.troubles == {PURGES: "the log of purges at the log does not answer: gone"}
        assert (lab.following.health()["following"], lab.following.health()["trouble"]) == (
            False,
            "the log of purges at the log does not answer: gone",
        )
        lab.log.lost = False
        await asyncio.sleep(2.0)
        assert lab.following.health() == {"log": "the log", "following": True, "trouble": "", "done": 0, "unread": 0}
        await lab.background.close()

    run_virtually(run())
