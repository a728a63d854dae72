"""How an order travels, as tables: what was missed, who goes first, who may go, how late a lossy way is."""

import pytest

from cdnkit.policy.machine.purge_log import (
    UNDONE_S,
    UNTAKEN_S,
    Extent,
    Follower,
    LoggedOrder,
    Position,
    Turn,
    depths,
    lateness,
    orders_to_repeat,
    resumes_after,
    turn,
)

FULL, TRIMMED, UNUSED = Extent("a", 1, 9), Extent("a", 5, 9), Extent("a", 1, 0)

RESUMES = [  # how far it had come, what the log knows of it, the log, empty, reads on after
    (Position("a", 3), None, FULL, False, 3),
    (Position("a", 9), None, FULL, False, 9),
    (Position("a", 4), None, TRIMMED, False, 4),  # 5 is the next, and still there
    (Position("a", 3), None, TRIMMED, False, None),  # 4 is gone
    (Position("b", 3), None, FULL, False, None),  # another log
    (Position("a", 10), None, FULL, False, None),  # a server put back to an earlier state: 10 may be another order now
    (None, None, FULL, False, None),  # a store from before it followed
    (None, 3, FULL, False, None),
    (None, None, UNUSED, False, 0),  # nothing was ordered yet that it could have missed
    (Position("a", 6), 4, FULL, False, 4),  # it may not have looked yet whether others went before it with 5 and 6
    (Position("a", 4), 6, FULL, False, 4),  # it went out of turn with 5 and 6, or died before it had
    (Position("a", 6), 2, TRIMMED, False, 6),
    (Position("b", 3), None, FULL, True, 9),  # nothing stored, nothing to take away
    (None, None, FULL, True, 9),
    (None, 4, FULL, True, 4),  # but maybe it was late, and others have what it had
    (None, 3, TRIMMED, True, 9),
]


@pytest.mark.parametrize(("known", "told", "extent", "empty", "then"), RESUMES)
def test_where_a_node_reads_on(
    known: Position | None, told: int | None, extent: Extent, empty: bool, then: int | None
) -> None:
    assert resumes_after(known, told, extent, empty=empty) == then


NODES = [
    Follower("fra", "http://fra", ("http://shield",)),
    Follower("shield", "http://shield", ("http://origin",)),
    Follower("nyc", "http://0.0.0.0:80", ("region", "http://shield")),  # by name, or by URL
    Follower("region", "http://region", ("http://shield",)),
]


def test_a_node_stands_behind_the_furthest_of_its_parents() -> None:
    assert list(depths(NODES).items()) == [("shield", 0), ("fra", 1), ("region", 1), ("nyc", 2)]


def test_parents_in_a_circle_have_an_end() -> None:
    circle = [Follower("a", "http://a", ("http://b",)), Follower("b", "http://b", ("http://a",))]
    assert depths(circle).keys() == {"a", "b"}


TURNS = [  # the shield (taken, done), seconds since an edge read order 5, then
    ((5, 5), 0.0, Turn.COME),
    ((7, 6), 0.0, Turn.COME),  # further on
    ((5, 4), UNTAKEN_S, Turn.WAITS),  # it lives, and will: its purge_delay may be long
    ((5, 4), UNDONE_S, Turn.OUT_OF_TURN),  # taken, and died since
    ((4, 4), 0.0, Turn.WAITS),
    ((4, 4), UNTAKEN_S, Turn.OUT_OF_TURN),  # down: it catches up before it serves
]


def pair(shield: tuple[int, int], edge: tuple[int, int]) -> dict[str, Follower]:
    return {
        "shield": Follower("shield", "http://shield", (), *shield),
        "fra": Follower("fra", "http://fra", ("shield",), *edge),
    }


@pytest.mark.parametrize(("shield", "waited", "then"), TURNS)
def test_an_edge_waits_for_its_shield(shield: tuple[int, int], waited: float, then: Turn) -> None:
    assert turn("fra", LoggedOrder(5, {}), pair(shield, (5, 4)), waited) is then


WHO = [  # for whom the order is, who waits while nobody has it
    ((), {"fra"}),
    (("fra",), set()),
    (("fra", "shield"), {"fra"}),
]


@pytest.mark.parametrize(("only", "then"), WHO)
def test_who_waits(only: tuple[str, ...], then: set[str]) -> None:
    known, one = pair((4, 4), (4, 4)), LoggedOrder(5, {}, only)
    assert {name for name in known if turn(name, one, known, 0.0) is Turn.WAITS} == then


def test_who_is_late_orders_again_for_those_who_went_before_it() -> None:
    orders = [LoggedOrder(4, {"url": "/a"}), LoggedOrder(5, {"url": "/b"})]
    assert orders_to_repeat("shield", orders, pair((6, 3), (6, 3))) == []
    again = orders_to_repeat("shield", orders, pair((6, 3), (6, 4)))
    assert again == [LoggedOrder(0, {"url": "/a"}, only=("fra",), again=4)]
    assert len(orders_to_repeat("shield", orders, pair((6, 3), (6, 6)))) == 2
    assert orders_to_repeat("shield", [LoggedOrder(4, {"url": "/a"}, only=("fra",))], pair((6, 3), (6, 6))) == []
    assert orders_to_repeat("fra", orders, pair((6, 6), (6, 6))) == []  # nobody is behind it


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
