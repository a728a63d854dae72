"""How orders to purge travel: one numbered log, which every node follows by itself.

Whoever orders appends to the log; nobody is sent anything. A node reads on from the last number it has carried out, so
a node that was away finds what it missed, and carries it out before it serves. What is decided here:

| what                                                              | by              |
|-------------------------------------------------------------------|-----------------|
| from where a node reads on, or that it cannot know what it missed | `resumes_after` |
| which nodes go before which                                       | `depths`        |
| whether a node waits for those before it                          | `turn`          |
| what a late node must order again, for those who went without it  | `orders_to_repeat`     |
| how late a lossy way makes an order                               | `lateness`      |

A node that reads an order says so at once ("taken"), and again when it has carried it out ("done"). An edge that is to
go after its shield waits for the shield's "done"; for one that has not even taken the order it waits no longer than
`UNTAKEN_S`: it is down, and catches up before it serves. Should it have served all the same, cut off from the log, its
children may have filled from its old copies. So who goes without waiting says "done" before it goes, and who is late
looks for that when it has gone itself, and orders again for those behind it before it says "done".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Order = dict[str, Any]
"""What to purge: the body of a node's `POST /purge`."""

UNREAD = -1
"""In place of a count: a node could not read the order, or one of several, and took away all it had."""

ALL_BEFORE = -1
"""In place of a number: an order that repeats whatever stood in the log, for nobody knows what that was."""

UNTAKEN_S = 1.0
"""A node that follows the log reads an order within some 20 ms. One that has not after this is away."""

UNDONE_S = 120.0
"""One that has taken an order carries it out after its `purge_delay`, a minute at most, and what losses add."""

PATIENCE_S = 2.0
"""Fastly's clients, and who sends a `PURGE`, are answered by then: those who are away will be told."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Between two attempts at anything here: doubling."""


@dataclass(slots=True, frozen=True)
class Position:
    """How far a node has come: in which log, and the last number it has carried out."""

    log: str
    number: int


@dataclass(slots=True, frozen=True)
class Extent:
    """What a log holds: numbers without a gap."""

    log: str
    """Its identity: one that was lost and begun anew has another."""
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
    """For these nodes alone; none named: for all."""
    again: int = 0
    """The number of the order that this one repeats, or ALL_BEFORE; 0: none."""
    unread: str = ""
    """Why the entry could not be read: it may have named anything, so `order` names everything."""

    def concerns(self, node: str) -> bool:
        return not self.only or node in self.only


@dataclass(slots=True)
class Follower:
    """What the log knows of one node."""

    name: str
    url: str = ""
    """Where its viewers come."""
    parents: tuple[str, ...] = ()
    """Whom it asks: names of nodes, or URLs."""
    taken: int = 0
    done: int = 0


@dataclass(slots=True, frozen=True)
class Batch:
    """What a node reads at one time."""

    extent: Extent
    orders: tuple[LoggedOrder, ...] = field(default=())
    """Those after the number it asked from, by rising number; maybe not yet all of them."""


def resumes_after(known: Position | None, told: int | None, extent: Extent, *, empty: bool) -> int | None:
    """The number after which a node reads on; None: what it missed cannot be known, so everything must go.

    `known`: how far what it has stored had come, None if that never followed a log. `told`: how far the log says it
    has come, None if the log does not know it. `empty`: it has nothing stored.
    """
    told = None if told is None or not extent.holds_after(told) else told
    if empty:
        # It need not go after anything, but looks whether it was late with what it has not told.
        return extent.last if told is None else told
    if known is None:
        # A log that nobody has used yet has nothing that could have been missed.
        return 0 if extent.last == 0 else None
    if known.log != extent.log or not extent.holds_after(known.number):
        return None  # another log, one trimmed past it, or one put back to an earlier state
    return known.number if told is None else min(known.number, told)


def depths(followers: Iterable[Follower]) -> dict[str, int]:
    """How many nodes stand between each node and the origin, along its longest way; those nearest first."""
    nodes = list(followers)
    known = {one.url: one for one in nodes} | {one.name: one for one in nodes}

    def depth(one: Follower, passed: frozenset[str]) -> int:
        above = [known[parent] for parent in one.parents if parent in known and known[parent].name not in passed]
        return 1 + max((depth(parent, passed | {parent.name}) for parent in above), default=-1)

    found = {one.name: depth(one, frozenset({one.name})) for one in nodes}
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def _ahead(node: str, one: LoggedOrder, followers: Mapping[str, Follower]) -> list[str]:
    """Who goes before a node: those nearer to the origin, since an edge before its shield refills from old copies."""
    place = depths(followers.values())
    own = place.get(node, 0)
    return [name for name, at in place.items() if at < own and one.concerns(name)]


class Turn(Enum):
    """Whether a node may carry out an order now."""

    COME = "come"
    """All before it have gone."""
    WAITS = "waits"
    OUT_OF_TURN = "out-of-turn"
    """It has waited for long enough, and goes all the same."""


def turn(node: str, one: LoggedOrder, followers: Mapping[str, Follower], waited: float) -> Turn:
    """`followers`: all of them, as the log knows them now; `waited`: seconds since the node read the order."""
    late = [followers[name] for name in _ahead(node, one, followers) if followers[name].done < one.number]
    if not late:
        return Turn.COME
    patience = max(UNDONE_S if other.taken >= one.number else UNTAKEN_S for other in late)
    return Turn.WAITS if waited < patience else Turn.OUT_OF_TURN


def orders_to_repeat(node: str, gone: Iterable[LoggedOrder], followers: Mapping[str, Follower]) -> list[LoggedOrder]:
    """What a node that has carried out `gone` orders again: of those behind it, somebody went before it."""
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
    """Seconds that lost deliveries hold an order up: each is made good after a pause that doubles."""
    late, pause = 0.0, FIRST_PAUSE_S
    while dice() < loss:
        late += pause
        pause = min(2 * pause, LONGEST_PAUSE_S)
    return late
