"""How orders to purge travel: one numbered log, which every node follows by itself.

Whoever orders appends to the log; nobody is sent anything. A node reads on from the last number it has carried out, so
a node that was away finds what it missed, and carries it out before it serves. What is decided here:

| what                                       | by                |
|--------------------------------------------|-------------------|
| from where a node reads on, or that it cannot know what it missed | `resumes_after` |
| which nodes go before which                | `tiers_of`        |
| whether those before have gone             | `may_go`          |
| whether others went ahead of a late node   | `went_ahead`      |
| how late a lossy way makes an order        | `lateness`        |

A node that reads an order says so at once ("taken"), and again when it has carried it out ("done"). An edge that is to
go after its shield waits for the shield's "done"; for one that has not even taken the order it waits no longer than
`UNTAKEN_S`: it is down, and catches up before it serves. Should it have served all the same, cut off from the log, its
children may have filled from its old copies. So who is late orders again for those behind it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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


@dataclass(slots=True, frozen=True)
class Logged:
    """One order in the log."""

    number: int
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
    """URLs of whom it asks."""
    taken: int = 0
    done: int = 0


@dataclass(slots=True, frozen=True)
class Batch:
    """What a node reads at one time."""

    extent: Extent
    orders: tuple[Logged, ...] = field(default=())
    """Those after the number it asked from, by rising number; maybe not yet all of them."""


def resumes_after(known: Position | None, extent: Extent, *, empty: bool) -> int | None:
    """The number after which a node reads on; None: what it missed cannot be known, so everything must go.

    `known`: how far it had come, None if it never followed a log. `empty`: it has nothing stored.
    """
    if empty:
        return extent.last
    if known is None:
        # A log that nobody has used yet has nothing that could have been missed.
        return 0 if extent.last == 0 else None
    if known.log != extent.log or not extent.first - 1 <= known.number <= extent.last:
        return None  # another log, one trimmed past it, or one put back to an earlier state
    return known.number


def tiers_of(followers: Iterable[Follower], order: TierOrder) -> Tiers:
    """The nodes in the order in which they go."""
    known = {one.url: one for one in followers}
    if order is TierOrder.TOGETHER:
        return ()

    def depth(one: Follower, passed: frozenset[str] = frozenset()) -> int:
        above = [known[url] for url in one.parents if url in known and url not in passed]
        return 1 + max((depth(parent, passed | {one.url}) for parent in above), default=-1)

    tiers: dict[int, list[str]] = {}
    for one in known.values():
        tiers.setdefault(depth(one), []).append(one.name)
    return tuple(tuple(sorted(tiers[at])) for at in sorted(tiers, reverse=order is TierOrder.EDGES_FIRST))


def may_go(ahead: Collection[str], followers: Mapping[str, Follower], number: int, waited: float) -> bool:
    """Whether a node need not wait any longer for those ahead of it; `waited`: seconds since it read the order."""
    for name in ahead:
        one = followers.get(name)
        if one is not None and one.done >= number:
            continue
        if waited < (UNTAKEN_S if one is None or one.taken < number else UNDONE_S):
            return False
    return True


def went_ahead(behind: Tiers, followers: Mapping[str, Follower], number: int) -> bool:
    """Whether somebody who was to go after a node has gone before it."""
    return any(name in followers and followers[name].done >= number for tier in behind for name in tier)


def lateness(loss: float, dice: Callable[[], float]) -> float:
    """Seconds that lost deliveries hold an order up: each is made good after a pause that doubles."""
    late, pause = 0.0, FIRST_PAUSE_S
    while dice() < loss:
        late += pause
        pause = min(2 * pause, LONGEST_PAUSE_S)
    return late


def alike(orders: Sequence[Logged]) -> list[list[Logged]]:
    """Neighbours that go to the same nodes in the same order, so that they can be carried out at one time."""
    runs: list[list[Logged]] = []
    for one in orders:
        if runs and (runs[-1][-1].tiers, runs[-1][-1].only) == (one.tiers, one.only):
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs
