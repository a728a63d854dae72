"""The purge log: purge orders by number, which every node reads and carries out by itself.

An order is appended to the log and sent to nobody. A node reads on from the last number that it has carried out, so a
node that was away finds the orders it missed, and carries them out before it serves. What is decided here:

| what                                                              | by                 |
|-------------------------------------------------------------------|--------------------|
| where a node reads on, or that it cannot know what it missed      | `resumes_after`    |
| which nodes go before which                                       | `depths`           |
| whether a node waits for those before it                          | `turn`             |
| what a late node must order again, for nodes that went without it | `orders_to_repeat` |
| by how much a lossy network delays an order                       | `lateness`         |

A node that reads an order records "taken" in the log at once, and "done" when it has carried it out. An edge goes after
its shield, so it waits for the shield's "done". For a shield that has not even taken the order it waits at most
`UNTAKEN_S`: that shield is down, and catches up before it serves. If it did serve, cut off from the log, its children
may have filled from its old copies. So a node that goes without waiting records "done" before it goes. A node that is
late looks for such records once it has carried out the order, and repeats the order for the nodes behind it before its
own "done".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Order = dict[str, Any]
"""What to purge: the body of a node's `POST /purge`."""

UNREAD = -1
"""In place of a count: a node could not read an order, and removed all that it had stored."""

ALL_BEFORE = -1
"""In place of a number: an order that repeats all before it, since nobody knows what they were."""

UNTAKEN_S = 1.0
"""A node that follows the log reads an order within some 20 ms. One that takes longer than this is away."""

UNDONE_S = 120.0
"""A node that has taken an order carries it out after its `purge_delay`, a minute at most, and the delay by losses."""

PATIENCE_S = 2.0
"""Clients of Fastly's API, and of `PURGE`, have their response by then; nodes that are away catch up later."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Pauses between two attempts; each is twice the one before."""


@dataclass(slots=True, frozen=True)
class Position:
    """How far a node has come: the log, and the last number that it has carried out."""

    log: str
    number: int


@dataclass(slots=True, frozen=True)
class Extent:
    """The range of numbers that a log holds, without a gap."""

    log: str
    """Its identity: a log that was lost and begun anew has another."""
    first: int
    """The lowest number still there; `last` + 1 when there is none."""
    last: int
    """The highest number ever given."""

    def holds_after(self, number: int) -> bool:
        """Whether every order after it is still there."""
        return self.first - 1 <= number <= self.last


@dataclass(slots=True, frozen=True)
class LoggedOrder:
    """One order in the log."""

    number: int
    """0: the log has yet to give it one."""
    order: Order
    only: tuple[str, ...] = ()
    """The nodes that it is for; empty: all."""
    again: int = 0
    """The number of the order that this one repeats, or ALL_BEFORE; 0: none."""
    unread: str = ""
    """Why the entry could not be read: it may have named anything, so `order` names everything."""

    def concerns(self, node: str) -> bool:
        return not self.only or node in self.only


@dataclass(slots=True)
class Follower:
    """One node in the log."""

    name: str
    url: str = ""
    """Where its viewers connect."""
    parents: tuple[str, ...] = ()
    """Where its upstream requests go: names of nodes, or URLs."""
    taken: int = 0
    done: int = 0


@dataclass(slots=True, frozen=True)
class Batch:
    """What a node reads in one go."""

    extent: Extent
    orders: tuple[LoggedOrder, ...] = field(default=())
    """The orders after a given number, in rising order; there may be more."""


def resumes_after(known: Position | None, logged: int | None, extent: Extent, *, empty: bool) -> int | None:
    """The number after which a node reads on; None: what it missed cannot be known, so everything must go.

    `known`: the position of its store, None if that never followed a log. `logged`: its last number by the log, None if
    the log does not know the node. `empty`: it has nothing stored.
    """
    logged = None if logged is None or not extent.holds_after(logged) else logged
    if empty:
        # It has nothing to purge, but may have been late for orders that it has not recorded as done.
        return extent.last if logged is None else logged
    if known is None:
        # A log that nobody has used yet has nothing that could have been missed.
        return 0 if extent.last == 0 else None
    if known.log != extent.log or not extent.holds_after(known.number):
        return None  # another log, one trimmed past it, or one put back to an earlier state
    return known.number if logged is None else min(known.number, logged)


def depths(followers: Iterable[Follower]) -> dict[str, int]:
    """How many nodes are between each node and the origin, on its longest path; the nearest to the origin first."""
    nodes = list(followers)
    known = {one.url: one for one in nodes} | {one.name: one for one in nodes}

    def depth(one: Follower, passed: frozenset[str]) -> int:
        above = [known[parent] for parent in one.parents if parent in known and known[parent].name not in passed]
        return 1 + max((depth(parent, passed | {parent.name}) for parent in above), default=-1)

    found = {one.name: depth(one, frozenset({one.name})) for one in nodes}
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def _ahead(node: str, one: LoggedOrder, followers: Mapping[str, Follower]) -> list[str]:
    """The nodes that go before a node: those nearer to the origin. An edge that went before its shield would refill
    from the old copies there."""
    place = depths(followers.values())
    own = place.get(node, 0)
    return [name for name, at in place.items() if at < own and one.concerns(name)]


class Turn(Enum):
    """Whether a node may carry out an order now."""

    COME = "come"
    """All nodes before it have carried it out."""
    WAITS = "waits"
    OUT_OF_TURN = "out-of-turn"
    """It has waited long enough, and goes without them."""


def turn(node: str, one: LoggedOrder, followers: Mapping[str, Follower], waited: float) -> Turn:
    """`followers`: all of them, as the log knows them now; `waited`: seconds since the node read the order."""
    late = [followers[name] for name in _ahead(node, one, followers) if followers[name].done < one.number]
    if not late:
        return Turn.COME
    patience = max(UNDONE_S if other.taken >= one.number else UNTAKEN_S for other in late)
    return Turn.WAITS if waited < patience else Turn.OUT_OF_TURN


def orders_to_repeat(node: str, gone: Iterable[LoggedOrder], followers: Mapping[str, Follower]) -> list[LoggedOrder]:
    """The orders of `gone`, which a node has just carried out, that it must repeat for the nodes behind it: one of
    those went before it."""
    place = depths(followers.values())
    behind = [name for name, at in place.items() if at > place.get(node, 0)]
    again = []
    for one in gone:
        if one.concerns(node):
            names = tuple(name for name in behind if one.concerns(name))
            if any(followers[name].done >= one.number for name in names):
                again.append(LoggedOrder(0, one.order, only=names, again=one.number))
    return again


def lateness(loss: float, dice: Callable[[], float]) -> float:
    """Seconds by which lost deliveries delay an order: each is repeated after a pause twice as long as the last."""
    late, pause = 0.0, FIRST_PAUSE_S
    while dice() < loss:
        late += pause
        pause = min(2 * pause, LONGEST_PAUSE_S)
    return late
