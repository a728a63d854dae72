"""How often the head of a hit is made anew: when its Age or its ttl ticks, and no oftener."""

import pytest

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Serve
from cdnkit.policy.rules.profile import RFC9111
from tests.kit.machine import NOW, filled, get, node
from tests.kit.machine import dated as says

LIVES = [  # the origin's fields                       heads in 8 s of hits: as many as there are seconds that tick
    ({"cache_control": "max-age=60"}, 8),  # Age and ttl tick at once
    ({"cache_control": "max-age=60", "age": "10"}, 8),
    ({"cache_control": "max-age=4"}, 4),  # then it is stale
]


def hits(edge: EdgeMachine, began: float) -> list[tuple[float, Serve]]:
    """Sixteen requests a second for eight seconds."""
    instants = [began + step / 16 for step in range(8 * 16)]
    plans = [(now, edge.on_request(get(), now)) for now in instants]
    return [(now, plan) for now, plan in plans if isinstance(plan, Serve)]


@pytest.mark.parametrize(("fields", "heads"), LIVES)
def test_a_hits_head_is_made_once_a_second(fields: dict[str, str], heads: int) -> None:
    edge = node(RFC9111)
    filled(edge, says(**fields), now=NOW + 0.25)
    served = hits(edge, NOW + 0.25)
    assert len({id(plan.headers) for _, plan in served}) == heads
    began = int(fields.get("age", 0))
    assert [int(dict(plan.headers)["age"]) for _, plan in served] == [
        began + int(now - NOW - 0.25) for now, _ in served
    ]


def test_twice_a_second_where_age_and_ttl_tick_apart() -> None:
    edge = node(RFC9111)
    filled(edge, says(cache_control="max-age=60"), now=NOW)
    (entry,) = edge.index
    entry.life.fresh_until += 0.5
    served = hits(edge, NOW)
    assert len({id(plan.headers) for _, plan in served}) == 16
