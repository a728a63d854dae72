"""Purges that name very many: decided in one step, and applied to an entry when somebody comes to it."""

from collections.abc import Callable

import pytest

from cdnkit.policy import EdgeMachine, Fetch, Join, PurgeKind, PurgeOrder, Serve
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.plan import Purged
from cdnkit.policy.store.index import PURGED_AT_ONCE
from tests.kit.machine import NOW, fill, get, machine, says

MANY = PURGED_AT_ONCE + 1
FIELDS = {"cache_control": "max-age=60, stale-while-revalidate=30", "surrogate_key": "live", "etag": '"1"'}

ORDERS = [  # all that name every response
    (PurgeKind.SURROGATE_KEYS, "live"),
    (PurgeKind.SURROGATE_KEYS, "none live"),
    (PurgeKind.PREFIX, "/live/"),
    (PurgeKind.EVERYTHING, ""),
]


def full() -> EdgeMachine:
    edge = machine()
    for n in range(MANY):
        fill(edge, get(f"/live/{n}"), says(**FIELDS))
    return edge


@pytest.fixture(params=ORDERS, ids=lambda row: f"{row[0].value} {row[1]}")
def purge(request: pytest.FixtureRequest) -> Callable[[EdgeMachine, bool, float], Purged]:
    kind, value = request.param
    return lambda edge, soft, now: edge.on_purge(PurgeOrder(kind, value, soft), now)


def test_a_soft_purge_makes_all_stale_as_of_its_instant(purge: Callable[[EdgeMachine, bool, float], Purged]) -> None:
    edge = full()
    assert purge(edge, True, NOW + 10).count == MANY
    fill(edge, get("/live/new"), says(**FIELDS), now=NOW + 11)
    for path, at, outcome in (
        ("/live/0", 20, Outcome.HIT_STALE),
        ("/live/1", 39, Outcome.HIT_STALE),
        ("/live/2", 40, None),  # 30 s after the purge, whenever it is looked at
        ("/live/new", 40, Outcome.HIT),
    ):
        plan = edge.on_request(get(path), NOW + at)
        assert (plan.outcome if isinstance(plan, Serve) else None) is outcome, path
        if outcome is Outcome.HIT_STALE:
            assert isinstance(plan, Serve) and plan.refresh is not None
            assert plan.entry.life.rule == "soft-purge"


def test_the_first_of_several_soft_purges_counts(purge: Callable[[EdgeMachine, bool, float], Purged]) -> None:
    edge = full()
    for at in (10, 20, 30):
        assert purge(edge, True, NOW + at).count == MANY
    assert isinstance(edge.on_request(get("/live/0"), NOW + 39), Serve)
    assert isinstance(edge.on_request(get("/live/1"), NOW + 40), Fetch)


def test_a_soft_purge_gives_what_is_stale_no_longer_life(
    purge: Callable[[EdgeMachine, bool, float], Purged],
) -> None:
    edge = full()
    purge(edge, True, NOW + 70)  # stale since 60, to be served so until 90
    assert isinstance(edge.on_request(get("/live/0"), NOW + 89), Serve)
    assert isinstance(edge.on_request(get("/live/1"), NOW + 90), Fetch)


def test_a_304_that_comes_between_two_soft_purges_is_made_stale_by_the_second(
    purge: Callable[[EdgeMachine, bool, float], Purged],
) -> None:
    edge = full()
    purge(edge, True, NOW + 10)
    plan = edge.on_request(get("/live/0"), NOW + 40)
    assert isinstance(plan, Fetch)
    edge.on_response(plan, says(304, **FIELDS), NOW + 40)
    served = edge.on_request(get("/live/0"), NOW + 41)
    assert isinstance(served, Serve) and served.outcome is Outcome.HIT
    purge(edge, True, NOW + 50)
    stale = edge.on_request(get("/live/0"), NOW + 79)
    assert isinstance(stale, Serve) and stale.outcome is Outcome.HIT_STALE
    assert isinstance(edge.on_request(get("/live/0"), NOW + 80), Join), "the refresh, which is still on its way"


def test_a_hard_purge_after_a_soft_one_takes_all_away(purge: Callable[[EdgeMachine, bool, float], Purged]) -> None:
    edge = full()
    purge(edge, True, NOW + 10)
    assert purge(edge, False, NOW + 11).count == MANY
    assert (len(edge.index), purge(edge, True, NOW + 12).count, purge(edge, False, NOW + 12).count) == (0, 0, 0)
    plan = edge.on_request(get("/live/0"), NOW + 13)
    assert isinstance(plan, Fetch) and plan.cause is Cause.PURGED


def test_what_a_soft_purge_changed_is_named_later_once_each(
    purge: Callable[[EdgeMachine, bool, float], Purged],
) -> None:
    edge = full()
    assert purge(edge, True, NOW + 10).changed == []
    assert isinstance(edge.on_request(get("/live/0"), NOW + 11), Serve)  # made stale meanwhile, and still to be named
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/live/1"), NOW + 11)
    named = []
    while (some := edge.settle(50, edge.soft_purges)) is not None:
        assert len(some) <= 50
        named += some
    assert {entry.key for entry in named} == {f"/live/{n}" for n in range(MANY) if n != 1}
    assert len(named) == MANY - 1
    assert {entry.life.fresh_until for entry in named} == {NOW + 10}
