"""Freshness is granted once: however an answer wanders through three tiers, the time it spent on the way counts.

Also what a purge in the wrong order does, in virtual time; over sockets it is `tests/real/edge/test_tiers.py`.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random.tiers.script import EDGES, Ask, Change, Purge, Say, Says, Wait
from tests.random.tiers.virtual import Lab

pytestmark = pytest.mark.long

TIERS = 3


@settings(max_examples=200, deadline=None)
@given(
    ttl=st.integers(1, 60),
    age=st.integers(0, 30),
    delay=st.sampled_from([0.0, 0.5, 1.9]),
    visits=st.lists(st.tuples(st.sampled_from(EDGES), st.floats(0.0, 40.0)), min_size=1, max_size=12),
)
def test_age_is_never_less_than_the_time_since_the_origin_spoke(
    ttl: int, age: int, delay: float, visits: list[tuple[str, float]]
) -> None:
    age = min(age, ttl)  # an origin may say that its answer is as old as it may be, not older
    lab = Lab()
    lab.take(Say("/a", Says(f"max-age={ttl}", delay=delay, age=age)))
    spoken: list[float] = []  # when the origin answered
    for edge, pause in visits:
        before = lab.contents.served
        lab.take(Ask(edge))
        lab.take(Wait(pause + delay + 1.0))
        seen = lab.viewers[-1]
        if lab.contents.served > before:
            spoken.append(seen.asked_at + delay)
        told = int(seen.fields.get("age", "0"))
        true_age = max(0.0, seen.at - spoken[-1]) + age
        assert true_age - TIERS < told, f"Age {told}, and it is {true_age:.2f} s old"
        if lab.contents.served == before:
            # The origin was not asked: some tier took it for fresh, and a browser will for `ttl - told` seconds more.
            assert true_age < ttl + 1, f"{true_age:.2f} s old, with {ttl} s to live: {seen}"
            assert max(0, ttl - told) <= max(0.0, ttl - true_age) + TIERS
    lab.finish()


ORDERS = [  # order, purge delays, whether a viewer who comes when all is done may still get the old version
    ("shields-first", {}, False),
    ("shields-first", {"parent": 2.0, "shield": 1.0}, False),
    ("edges-first", {"shield": 1.0, "parent": 1.0}, True),
    ("together", {"fra": 1.0, "nyc": 1.0}, False),
    ("together", {"shield": 1.0}, True),
    ("together", {"parent": 1.0}, True),
]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("order", "delays", "wrong"), ORDERS)
def test_a_purge_goes_from_the_origin_outwards_or_the_old_comes_back(
    order: str, delays: dict[str, float], wrong: bool, soft: bool
) -> None:
    lab = Lab(purge_delays=delays)
    lab.take(Say("/a", Says("max-age=600")))
    lab.take(Ask("fra"))
    lab.take(Wait(5.0))
    lab.take(Change("/a"))
    lab.take(Purge(value="/a", soft=soft, order=order))
    for _ in range(20):  # a viewer who asks all the while
        lab.take(Wait(0.25))
        lab.take(Ask("fra"))
    lab.take(Wait(1.0))
    lab.take(Ask("fra"))
    lab.take(Wait(1.0))
    version = lab.viewers[-1].fields["etag"].strip('"').rpartition("-")[2]
    assert version == ("1" if wrong else "2")
    lab.finish()
