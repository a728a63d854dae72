"""How orders to purge travel: one numbered log, which every node follows by itself.

Whoever orders appends to the log; nobody is sent anything. A node reads on from the last number it has carried out, so
a node that was away finds what it missed, and carries it out before it serves. What is decided here:

| what                                                              | by              |
|-------------------------------------------------------------------|-----------------|
| from where a node reads on, or that it cannot know what it missed | `resumes_after` |
| which nodes go before which                                       | `tiers_of`      |
| whether a node waits for those before it                          | `turn`          |
| what a late node must order again, for those who went without it  | `overtaken`     |
| how late a lossy way makes an order                               | `lateness`      |

A node that reads an order says so at once ("taken"), and again when it has carried it out ("done"). An edge that is to
go after its shield waits for the shield's "done"; for one that has not even taken the order it waits no longer than
`UNTAKEN_S`: it is down, and catches up before it serves. Should it have served all the same, cut off from the log, its
children may have filled from its old copies. So who goes without waiting says "done" before it goes, and who is late
looks for that when it has gone itself, and orders again for those behind it before it says "done".
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

Order = dict[str, Any]
"""What to purge: the body of a node's `POST /purge`."""

Tiers = tuple[tuple[str, ...], ...]
"""Names of nodes in groups; a group goes when all before it have."""

UNTAKEN_S = 1.0
"""A node that follows the log reads an order within some 20 ms. One that has not after this is away."""

UNDONE_S = 120.0
"""One that has taken an order carries it out after its `purge_delay`, a minute at most, and what losses add."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Between two attempts at anything here: doubling."""


class TierOrder(StrEnum):
    """Who carries a purge out first. Only the first is safe: an edge before its shield refills from old copies."""

    SHIELDS_FIRST = "shields-first"
    """From the origin outwards."""
    EDGES_FIRST = "edges-first"
    """The other way round."""
    TOGETHER = "together"
    """All at once, as a CDN's own purge goes: each after its `purge_delay`."""


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
class Logged:
    """One order in the log."""

    number: int
    """0: the log has yet to give it one."""
    order: Order
    tiers: Tiers = ()
    """Those who go in this order; a node that is not named goes after them."""
    only: bool = False
    """For the named nodes alone."""
    again: int = 0
    """The number of the order that this one repeats; 0: none."""

    def concerns(self, node: str) -> bool:
        return not self.only or any(node in tier for tier in self.tiers)

    def ahead_of(self, node: str) -> tuple[str, ...]:
        """Who goes before this node."""
        return tuple(name for tier in self.tiers[: self._tier(node)] for name in tier)

    def behind(self, node: str) -> Tiers:
        """Who goes after it."""
        return self.tiers[self._tier(node) + 1 :]

    def _tier(self, node: str) -> int:
        return next((at for at, tier in enumerate(self.tiers) if node in tier), len(self.tiers))


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
    orders: tuple[Logged, ...] = field(default=())
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


def tiers_of(followers: Iterable[Follower], order: TierOrder) -> Tiers:
    """The nodes in the order in which they go."""
    if order is TierOrder.TOGETHER:
        return ()
    nodes = list(followers)
    known = {one.url: one for one in nodes} | {one.name: one for one in nodes}

    def depth(one: Follower, passed: frozenset[str]) -> int:
        above = [known[parent] for parent in one.parents if parent in known and known[parent].name not in passed]
        return 1 + max((depth(parent, passed | {parent.name}) for parent in above), default=-1)

    tiers: dict[int, list[str]] = {}
    for one in nodes:
        tiers.setdefault(depth(one, frozenset({one.name})), []).append(one.name)
    return tuple(tuple(sorted(tiers[at])) for at in sorted(tiers, reverse=order is TierOrder.EDGES_FIRST))


class Turn(Enum):
    """Whether a node may carry out an order now."""

    COME = "come"
    """All before it have gone."""
    WAITS = "waits"
    OUT_OF_TURN = "out-of-turn"
    """It has waited for long enough, and goes all the same."""


def turn(ahead: Collection[str], followers: Mapping[str, Follower], number: int, waited: float) -> Turn:
    """`ahead`: who goes before the node; `waited`: seconds since it read the order."""
    late = [name for name in ahead if name not in followers or followers[name].done < number]
    if not late:
        return Turn.COME
    for name in late:
        taken = name in followers and followers[name].taken >= number
        if waited < (UNDONE_S if taken else UNTAKEN_S):
            return Turn.WAITS
    return Turn.OUT_OF_TURN


def overtaken(node: str, gone: Iterable[Logged], followers: Mapping[str, Follower]) -> list[Logged]:
    """What a node that has carried out `gone` orders again, for those behind it: somebody there went before it."""
    again = []
    for one in gone:
        behind = one.behind(node)
        names = {name for tier in behind for name in tier}
        if any(name in followers and followers[name].done >= one.number for name in names):
            again.append(Logged(0, one.order, behind, only=True, again=one.number))
    return again


def lateness(loss: float, dice: Callable[[], float]) -> float:
    """Seconds that lost deliveries hold an order up: each is made good after a pause that doubles."""
    late, pause = 0.0, FIRST_PAUSE_S
    while dice() < loss:
        late += pause
        pause = min(2 * pause, LONGEST_PAUSE_S)
    return late
