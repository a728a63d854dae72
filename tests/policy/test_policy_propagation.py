"""How an order travels, as tables: what was missed, who goes first, who may go, how late a lossy way is."""

import pytest

from policy.propagation import (
    UNDONE_S,
    UNTAKEN_S,
    Extent,
    Follower,
    Logged,
    Position,
    TierOrder,
    alike,
    lateness,
    may_go,
    resumes_after,
    tiers_of,
    went_ahead,
)

FULL, TRIMMED, UNUSED = Extent("a", 1, 9), Extent("a", 5, 9), Extent("a", 1, 0)

RESUMES = [  # how far it had come, the log, empty, reads on after
    (Position("a", 3), FULL, False, 3),
    (Position("a", 9), FULL, False, 9),
    (Position("a", 4), TRIMMED, False, 4),  # 5 is the next, and still there
    (Position("a", 3), TRIMMED, False, None),  # 4 is gone
    (Position("b", 3), FULL, False, None),  # another log
    (Position("a", 10), FULL, False, None),  # a server put back to an earlier state: 10 may be another order now
    (None, FULL, False, None),  # a store from before it followed
    (None, UNUSED, False, 0),  # nothing was ordered yet that it could have missed
    (Position("b", 3), FULL, True, 9),  # nothing stored, nothing to take away
    (None, FULL, True, 9),
]


@pytest.mark.parametrize(("known", "extent", "empty", "then"), RESUMES)
def test_where_a_node_reads_on(known: Position | None, extent: Extent, empty: bool, then: int | None) -> None:
    assert resumes_after(known, extent, empty=empty) == then


NODES = [
    Follower("fra", "http://fra", ("http://shield",)),
    Follower("shield", "http://shield", ("http://origin",)),
    Follower("nyc", "http://nyc", ("http://region", "http://shield")),
    Follower("region", "http://region", ("http://shield",)),
]

TIERS = [
    (TierOrder.SHIELDS_FIRST, (("shield",), ("fra", "region"), ("nyc",))),  # behind the furthest of its parents
    (TierOrder.EDGES_FIRST, (("nyc",), ("fra", "region"), ("shield",))),
    (TierOrder.TOGETHER, ()),
]


@pytest.mark.parametrize(("order", "then"), TIERS)
def test_who_goes_first(order: TierOrder, then: tuple[tuple[str, ...], ...]) -> None:
    assert tiers_of(NODES, order) == then


def test_parents_in_a_circle_have_an_end() -> None:
    circle = [Follower("a", "http://a", ("http://b",)), Follower("b", "http://b", ("http://a",))]
    assert {name for tier in tiers_of(circle, TierOrder.SHIELDS_FIRST) for name in tier} == {"a", "b"}


MAY_GO = [  # the shield (taken, done), seconds since an edge read order 5, whether it goes
    ((5, 5), 0.0, True),
    ((7, 6), 0.0, True),  # further on
    ((5, 4), UNTAKEN_S, False),  # it lives, and will: its purge_delay may be long
    ((5, 4), UNDONE_S, True),  # taken, and died since
    ((4, 4), 0.0, False),
    ((4, 4), UNTAKEN_S, True),  # down: it catches up before it serves
    (None, 0.0, False),
    (None, UNTAKEN_S, True),
]


@pytest.mark.parametrize(("shield", "waited", "then"), MAY_GO)
def test_an_edge_waits_for_its_shield(shield: tuple[int, int] | None, waited: float, then: bool) -> None:
    known = {} if shield is None else {"shield": Follower("shield", taken=shield[0], done=shield[1])}
    assert may_go(("shield",), known, 5, waited) is then


PLACES = [  # node, only, whether it is concerned, who goes before it, who after
    ("shield", False, True, (), (("fra", "nyc"),)),
    ("fra", False, True, ("shield",), ()),
    ("new", False, True, ("shield", "fra", "nyc"), ()),  # not named: after all that are
    ("new", True, False, ("shield", "fra", "nyc"), ()),
]


@pytest.mark.parametrize(("node", "only", "concerned", "before", "after"), PLACES)
def test_a_nodes_place_in_an_order(
    node: str, only: bool, concerned: bool, before: tuple[str, ...], after: tuple[tuple[str, ...], ...]
) -> None:
    order = Logged(5, {"everything": True}, (("shield",), ("fra", "nyc")), only)
    assert (order.concerns(node), order.ahead_of(node), order.behind(node)) == (concerned, before, after)


def test_who_is_late_learns_that_others_went_ahead() -> None:
    behind = (("fra", "nyc"),)
    known = {"fra": Follower("fra", done=4), "nyc": Follower("nyc", done=4)}
    assert not went_ahead(behind, known, 5)
    known["nyc"].done = 5
    assert went_ahead(behind, known, 5) and not went_ahead((), known, 5)


LATE = [  # deliveries lost in a row, seconds
    (0, 0.0),
    (1, 0.05),
    (3, 0.05 + 0.1 + 0.2),
    (8, 0.05 + 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 2.0 + 2.0),  # pauses grow to two seconds, no further
]


@pytest.mark.parametrize(("lost", "then"), LATE)
def test_what_is_lost_is_late(lost: int, then: float) -> None:
    throws = iter([0.0] * lost + [1.0])
    assert lateness(0.5, lambda: next(throws)) == pytest.approx(then)


def test_neighbours_that_go_alike_go_at_one_time() -> None:
    def one(number: int, *tiers: tuple[str, ...], only: bool = False) -> Logged:
        return Logged(number, {"url": "/"}, tiers, only)

    orders = [one(1), one(2), one(3, ("a",)), one(4, ("a",), only=True), one(5)]
    assert [[order.number for order in run] for run in alike(orders)] == [[1, 2], [3], [4], [5]]
