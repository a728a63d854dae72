"""Orders to purge, three nodes in two tiers, and whatever may happen to them: in virtual time, the followers as they are.

Nodes die at any moment and come back with what they had on disk, are cut off from the log and serve on, lose messages,
are slow; the log is trimmed, or forgets everything. After an order is complete, no node serves what was purged.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdnkit.policy.machine.purge_log import Batch, Extent, Follower, LoggedOrder
from cdnkit.policy.plan import Purged, PurgeKind, PurgeOrder
from cdnkit.settings.edge import Node as NodeSettings
from edge.background import Background
from edge.purges.follower import LogFollower
from edge.purges.log import BATCH, IDLE_S, LogLost
from edge.purges.progress import carried
from tests.kit.virtual_time import run_virtually

pytestmark = pytest.mark.long

TREE = {"shield": "", "fra": "shield", "nyc": "shield"}
PATHS = ["/a", "/b"]


class World:
    """What the log holds, and what the origin publishes."""

    def __init__(self) -> None:
        self.version = dict.fromkeys(PATHS, 0)
        self.oldest = dict.fromkeys(PATHS, 0)
        """The oldest version that may still be served: an order for what was before it is complete."""
        self.nodes: dict[str, Node] = {}
        self.lives = 0
        self.forget()

    def forget(self) -> None:
        """The log loses all it knew."""
        self.lives += 1
        self.ordered = dict.fromkeys(PATHS, 0)
        """Path -> what was published when an order for what was before it came into the log."""
        self.orders: list[LoggedOrder] = []
        self.last = 0
        self.followers: dict[str, Follower] = {}
        self.counts: dict[tuple[int, str], int] = {}

    @property
    def extent(self) -> Extent:
        return Extent(str(self.lives), self.orders[0].number if self.orders else self.last + 1, self.last)


@dataclass
class Log:
    """One program's way to the log; a `PurgeLog`."""

    world: World
    cut: bool = False
    where: str = "the log"

    async def _reached(self) -> World:
        await asyncio.sleep(0.001)
        if self.cut:
            raise LogLost(self.where, "cut off")
        return self.world

    async def append(self, orders: Sequence[LoggedOrder]) -> list[int]:
        world = await self._reached()
        numbers = []
        for one in orders:
            world.last += 1
            for path in PATHS if "everything" in one.order else [one.order["url"]]:
                world.ordered[path] = world.ordered[path] if one.again else world.version[path]
            world.orders.append(replace(one, number=world.last))
            numbers.append(world.last)
        return numbers

    async def read(self, after: int, most: int = BATCH) -> Batch:
        world = await self._reached()
        return Batch(world.extent, tuple([one for one in world.orders if one.number > after][:most]))

    async def news(self, after: int, within: float = IDLE_S) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while (await self._reached()).last <= after and loop.time() < end:  # noqa: ASYNC110  # as another process would
            await asyncio.sleep(min(0.02, end - loop.time()))

    async def join(self, one: Follower) -> None:
        (await self._reached()).followers[one.name] = replace(one)

    async def keep_only(self, names: Iterable[str]) -> None:
        raise NotImplementedError

    async def report(self, name: str, *, taken: int, done: int, purged: Mapping[int, int]) -> None:
        world = await self._reached()
        if name in world.followers:
            world.followers[name].taken, world.followers[name].done = taken, done
        world.counts |= {(number, name): count for number, count in purged.items()}

    async def followers(self) -> dict[str, Follower]:
        return {name: replace(one) for name, one in (await self._reached()).followers.items()}

    async def purged(self, numbers: Iterable[int]) -> dict[str, int]:
        world = await self._reached()
        return {name: world.counts.get((number, name), 0) for number in numbers for name in world.nodes}

    async def close(self) -> None:
        pass


@dataclass
class Node:
    """A cache node: what it has stored, what of that is on disk, and the follower as it is."""

    world: World
    name: str
    disk: bool
    delay: float
    loss: float
    stored: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    mark: str | None = None
    serves: bool = False

    def __post_init__(self) -> None:
        self.log = Log(self.world)
        self.life: asyncio.Task[None] | None = None
        self.following: LogFollower | None = None
        self.background = Background(logging.getLogger(__name__), self.name)

    async def purge_all(self, orders: Sequence[PurgeOrder], mark: str | None = None) -> list[Purged]:
        done = []
        for order in orders:
            gone = list(self.stored) if order.kind is PurgeKind.EVERYTHING else [order.value]
            done.append(Purged(sum(self.stored.pop(path, None) is not None for path in gone), []))
        there = dict(self.stored)
        await asyncio.sleep(0.003)  # the disk; who is killed here has it all still to do
        self.kept = {path: version for path, version in self.stored.items() if path in there or path in self.kept}
        self.kept |= self.stored
        self.mark = mark or self.mark
        return done

    def start(self) -> None:
        self.stored = self.kept = dict(self.kept) if self.disk else {}
        self.stored = dict(self.stored)
        services = SimpleNamespace(
            purge_all=self.purge_all,
            marks=lambda: [self.mark if self.disk else None],
            is_empty=lambda: not self.stored,
            faces_viewers=self.name != "shield",
        )
        plan = NodeSettings(name=self.name, purge_delay=self.delay, purge_loss=self.loss)
        self.background = Background(logging.getLogger(__name__), self.name)
        self.following = LogFollower(
            cast(Any, self.log), cast(Any, services), plan, f"http://{self.name}", [TREE[self.name]], self.background
        )
        self.life = asyncio.create_task(self._live(self.following))

    async def _live(self, following: LogFollower) -> None:
        ordered, log = dict(self.world.ordered), self.world.lives
        await following.start()
        if log == self.world.lives:
            for path, version in self.stored.items():
                assert version >= ordered[path], f"{self.name} has version {version} of {path} when it begins to serve"
        self.serves = True

    async def kill(self) -> None:
        self.serves = False
        if self.life is not None and self.following is not None:
            self.life.cancel()
            with suppress(asyncio.CancelledError):
                await self.life  # also what it found wrong
            await self.background.close()
        self.life = None

    def get(self, path: str) -> int | None:
        """The version it serves; None: it does not answer, or has nobody to ask."""
        if not self.serves:
            return None
        if path not in self.stored:
            parent = TREE[self.name]
            found = self.world.nodes[parent].get(path) if parent else self.world.version[path]
            if found is None:
                return None
            self.stored[path] = self.kept[path] = found
        return self.stored[path]


NAMES = st.sampled_from(list(TREE))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), NAMES, st.sampled_from(PATHS)),
        st.tuples(st.just("order"), st.sampled_from([*PATHS, "*"])),
        st.tuples(st.just("kill"), NAMES),
        st.tuples(st.just("start"), NAMES),
        st.tuples(st.just("cut"), NAMES),
        st.tuples(st.just("mend"), NAMES),
        st.tuples(st.just("trim")),
        st.tuples(st.just("forget")),
        st.tuples(st.just("wait"), st.sampled_from([0.001, 0.002, 0.004, 0.01, 0.03, 0.3, 1.1, 3.0])),
    ),
    min_size=5,
    max_size=50,
)
KINDS = st.fixed_dictionaries(
    {
        name: st.tuples(st.booleans(), st.sampled_from([0.0, 0.0, 0.2, 2.0]), st.sampled_from([0.0, 0.0, 0.5, 0.9]))
        for name in TREE
    }
)


async def lived(kinds: dict[str, tuple[bool, float, float]], steps: list[tuple[Any, ...]]) -> None:
    world = World()
    world.nodes = {name: Node(world, name, *kind) for name, kind in kinds.items()}
    for node in world.nodes.values():
        node.start()
    await asyncio.sleep(0.5)

    def look(name: str, path: str) -> None:
        version = world.nodes[name].get(path)
        if version is not None:
            oldest = world.oldest[path]
            assert version >= oldest, f"{name} serves version {version} of {path}, {oldest} is complete"

    async def order(value: str) -> None:
        for path in PATHS if value == "*" else [value]:
            world.version[path] += 1
        published = dict(world.version)
        what = {"everything": True} if value == "*" else {"url": value}
        async for _ in carried(cast(Any, Log(world)), [what], expecting=TREE):
            pass
        for path in PATHS if value == "*" else [value]:
            world.oldest[path] = max(world.oldest[path], published[path])

    orders: list[asyncio.Task[None]] = []
    for step in steps:
        match step:
            case ("get", name, path):
                look(name, path)
            case ("order", value):
                orders.append(asyncio.create_task(order(value)))
            case ("kill", name):
                await world.nodes[name].kill()
            case ("start", name):
                if world.nodes[name].life is None:
                    world.nodes[name].start()
            case ("cut", name):
                world.nodes[name].log.cut = True
            case ("mend", name):
                world.nodes[name].log.cut = False
            case ("trim",):
                del world.orders[: len(world.orders) // 2 + 1]
            case ("forget",):
                world.forget()
            case ("wait", seconds):
                await asyncio.sleep(seconds)
        for node in world.nodes.values():
            for path in PATHS:
                if Random(f"{step} {node.name} {path}").random() < 0.2:
                    look(node.name, path)
    for node in world.nodes.values():
        node.log.cut = False
        if node.life is None:
            node.start()
    async with asyncio.timeout(3000):
        await asyncio.gather(*orders)
    for node in world.nodes.values():
        for path in PATHS:
            look(node.name, path)
        await node.kill()


KEPT = dict.fromkeys(TREE, (True, 0.0, 0.0))
SLOW_EDGE = KEPT | {"fra": (True, 2.0, 0.0)}
FORGETFUL_SHIELD = KEPT | {"shield": (False, 0.0, 0.0)}
STALE_SHIELD: list[tuple[Any, ...]] = [
    ("get", "fra", "/a"), ("cut", "shield"), ("wait", 0.3), ("order", "/a"), ("wait", 3.0), ("get", "fra", "/a"),
]  # fmt: skip
"""The shield serves on and hears nothing; the edge has gone without it, and filled from it again."""


@settings(max_examples=60, deadline=None)
@given(KINDS, STEPS)
@example(KEPT, [*STALE_SHIELD, ("mend", "shield"), ("wait", 3.0)])
@example(KEPT, [*STALE_SHIELD, ("trim",), ("mend", "shield"), ("wait", 3.0)])
@example(FORGETFUL_SHIELD, [*STALE_SHIELD, ("kill", "shield"), ("mend", "shield"), ("start", "shield"), ("wait", 3.0)])
@example(FORGETFUL_SHIELD, [*STALE_SHIELD, ("trim",), ("kill", "shield"), ("mend", "shield"), ("start", "shield")])
@example(
    KEPT, [("get", "fra", "/a"), ("kill", "fra"), ("order", "/a"), ("wait", 3.0), ("start", "fra"), ("wait", 0.03)]
)
@example(KEPT, [("get", "fra", "/a"), ("forget",), ("order", "/a"), ("wait", 0.03), ("get", "fra", "/a")])
@example(
    FORGETFUL_SHIELD | {"fra": (False, 0.0, 0.0)},
    [
        ("kill", "fra"),
        ("cut", "fra"),
        ("start", "fra"),
        ("wait", 0.3),
        ("get", "fra", "/a"),
        ("order", "/a"),
        ("wait", 3.0),
        ("forget",),
        ("mend", "fra"),
        ("wait", 3.0),
    ],
)  # it begins without the log, and finds one that has forgotten
@example(SLOW_EDGE, [("get", "fra", "/a"), ("order", "/a"), ("wait", 1.1), ("kill", "fra"), ("start", "fra")])
def test_after_an_order_is_complete_nobody_serves_what_was_purged(
    kinds: dict[str, tuple[bool, float, float]], steps: list[tuple[Any, ...]]
) -> None:
    run_virtually(lived(kinds, steps))
