"""Whatever happens to a machine is one event, numbered one after another: the records' numbers leave no gap."""

from collections.abc import Callable
from typing import TypeVar

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, PurgeKind, PurgeOrder, Serve
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.store.serialise import to_values
from tests.kit.machine import NOW, filled, get, node
from tests.kit.machine import dated as says

FRESH = says(cache_control="max-age=60")
T = TypeVar("T")


def counted(edge: EdgeMachine, events: int, happens: Callable[[], T]) -> T:
    before = edge.events
    came = happens()
    assert edge.events - before == events
    return came


def test_each_thing_that_happens_is_one_event() -> None:
    edge = node(RFC9111)
    miss = counted(edge, 1, lambda: edge.on_request(get(), NOW))
    assert isinstance(miss, Fetch)
    counted(edge, 1, lambda: edge.on_response(miss, FRESH, NOW))
    counted(edge, 1, lambda: edge.on_body_end(miss, 0, NOW))
    hit = counted(edge, 1, lambda: edge.on_request(get(), NOW))
    assert isinstance(hit, Serve)
    counted(edge, 1, lambda: edge.on_lost(hit.entry))
    counted(edge, 0, lambda: edge.on_lost(hit.entry))  # it is not stored any more: nothing happened
    counted(edge, 1, lambda: edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW))
    counted(edge, 0, lambda: edge.unreadable(400, "limit: x", NOW))


def test_a_failure_is_one_event_before_its_head_and_after() -> None:
    edge = node(RFC9111)
    for landed in (False, True):
        fetch = edge.on_request(get(), NOW)
        assert isinstance(fetch, Fetch)
        if landed:
            edge.on_response(fetch, FRESH, NOW)
        counted(edge, 1, lambda: edge.on_failure(fetch, Failure.RESET, NOW))  # noqa: B023  # at once
        counted(edge, 1, lambda: edge.on_failure(fetch, Failure.RESET, NOW))  # noqa: B023


def test_what_the_shared_tier_gives_is_one_event() -> None:
    other, edge = node(RFC9111), node(RFC9111)
    filled(other, FRESH)
    (entry,) = other.index
    fetch = edge.on_request(get(), NOW)
    assert isinstance(fetch, Fetch)
    assert counted(edge, 0, lambda: edge.on_found(fetch, to_values(entry), 2**60, NOW)) is None  # no room for it
    landing = counted(edge, 1, lambda: edge.on_found(fetch, to_values(entry), 0, NOW))
    assert landing is not None and landing.store is not None
    assert not landing.store.complete, "its body is still to come"
    counted(edge, 1, lambda: edge.on_body_end(fetch, 0, NOW))
    assert landing.store.complete
