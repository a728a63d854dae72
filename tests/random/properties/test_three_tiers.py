"""Three tiers with faults: whatever happens in whatever order, no viewer is owed an answer or given a wrong one.

What is held: `tests/random/tiers/judge.py` for every answer a viewer sees, `VirtualNode.check` for every node after every
step. The same scripts run over real sockets in `tests/real/edge/test_tiers.py`.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cdnkit.policy.plan import PurgeKind
from tests.random.tiers.script import (
    CONTROLS,
    EDGES,
    LANGUAGES,
    PARENTS,
    RUDE,
    SIZE,
    TARGETS,
    Ask,
    Change,
    Leave,
    Link,
    Purge,
    Restart,
    Say,
    Says,
    Wait,
    purge_value,
    tag,
)
from tests.random.tiers.virtual import Lab

pytestmark = pytest.mark.long

NODES = st.sampled_from(list(PARENTS))
TARGET = st.sampled_from(TARGETS)
SAYS = st.builds(
    Says,
    control=st.sampled_from(CONTROLS),
    status=st.sampled_from([200, 200, 200, 200, 404, 503]),
    varies=st.sampled_from([False, False, True]),
    delay=st.sampled_from([0.0, 0.1, 0.1, 1.0]),
    dies=st.sampled_from(["", "", "", "", "head", "body"]),
    sized=st.booleans(),
    late=st.sampled_from([0.0, 0.0, 0.5, 2.0]),
    rude=st.sampled_from(RUDE),
)
ASK = st.builds(
    Ask,
    edge=st.sampled_from(EDGES),
    target=TARGET,
    method=st.sampled_from(["GET", "GET", "GET", "HEAD"]),
    language=st.sampled_from(LANGUAGES),
    range=st.sampled_from([None, None, None, (0, 99), (100, 199), (500, 10 * SIZE)]),
    known=st.sampled_from([0, 0, 0, 1, 2]),
)


class ThreeTiers(RuleBasedStateMachine):
    """Plays viewers, operators and misfortune."""

    @initialize(delays=st.fixed_dictionaries({name: st.sampled_from([0.0, 0.3, 2.0]) for name in PARENTS}))
    def start(self, delays: dict[str, float]) -> None:
        self.lab = Lab(purge_delays=delays)

    @rule(ask=ASK)
    def ask(self, ask: Ask) -> None:
        self.lab.take(ask)

    @rule(ask=ASK, number=st.integers(2, 4))
    def several_ask(self, ask: Ask, number: int) -> None:
        for _ in range(number):
            self.lab.take(ask)

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.15, 0.5, 1.0, 3.0, 8.0]))
    def wait(self, seconds: float) -> None:
        self.lab.take(Wait(seconds))

    @rule(path=TARGET, says=SAYS)
    def say(self, path: str, says: Says) -> None:
        self.lab.take(Say(path, says))

    @rule(path=TARGET)
    def change(self, path: str) -> None:
        self.lab.take(Change(path))

    @rule(which=st.integers(0, 5))
    def leave(self, which: int) -> None:
        self.lab.take(Leave(which))

    @rule(
        kind=st.sampled_from(list(PurgeKind)),
        path=TARGET,
        soft=st.booleans(),
        order=st.sampled_from(["shields-first", "shields-first", "together", "edges-first"]),
    )
    def purge(self, kind: PurgeKind, path: str, soft: bool, order: str) -> None:
        self.lab.take(Purge(kind, purge_value(kind, path), soft, order))

    @rule(
        kind=st.sampled_from(list(PurgeKind)),
        path=TARGET,
        edges=st.tuples(st.sampled_from(EDGES), st.sampled_from(EDGES)),
        after=st.sampled_from([0.1, 0.3, 0.9, 1.19, 1.21]),
        order=st.sampled_from(["shields-first", "together", "edges-first"]),
    )
    def purge_what_is_under_way(
        self, kind: PurgeKind, path: str, edges: tuple[str, str], after: float, order: str
    ) -> None:
        """By chance alone a purge seldom comes while just what it names is on a wire."""
        self.lab.take(Say(path, Says("max-age=600", late=1.0)))
        self.lab.take(Ask(edges[0], path))
        self.lab.take(Wait(after))
        self.lab.take(Purge(kind, purge_value(kind, path), soft=False, order=order))
        self.lab.take(Wait(10.0))
        self.lab.take(Ask(edges[1], path))

    @rule(node=NODES, up=st.booleans())
    def link(self, node: str, up: bool) -> None:
        self.lab.take(Link(node, up))

    @rule(node=NODES, ahead=st.sampled_from([0.0, 0.0, -20.0, 20.0]))
    def restart(self, node: str, ahead: float) -> None:
        """Its clock may be another when it is back; one that lives is never set back (edge/clock.py)."""
        self.lab.take(Restart(node, ahead))

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.finish()


@pytest.mark.parametrize("after", [0.1, 0.3, 0.9, 1.19, 1.21])
@pytest.mark.parametrize("kind", list(PurgeKind), ids=lambda kind: kind.value)
def test_what_was_under_way_when_it_was_purged_does_not_come_back(kind: PurgeKind, after: float) -> None:
    """`after` seconds the question is with the origin, or its answer is made, or on one of the three wires to the edge."""
    lab = Lab()
    lab.take(Say("/a", Says("max-age=600", late=1.0)))
    lab.take(Ask("fra"))
    lab.take(Wait(after))
    lab.take(Purge(kind, purge_value(kind, "/a")))
    lab.take(Change("/a"))
    lab.take(Wait(3.0))
    lab.take(Ask("fra"))
    lab.finish()
    assert lab.viewers[0].whole, "who waited has his answer"
    assert lab.viewers[1].fields["etag"] == tag("/a", "", 2)


@pytest.mark.parametrize(("rude", "status", "served"), [(206, 502, 1), (304, 502, 1), (416, 416, 10)])
def test_an_origin_of_bad_manners_is_asked_at_most_once_a_viewer_through_all_tiers(
    rude: int, status: int, served: int
) -> None:
    lab = Lab()
    lab.take(Say("/a", Says(rude=rude)))
    for edge in EDGES * 5:
        lab.take(Ask(edge))
    lab.finish()
    assert {seen.status for seen in lab.viewers} == {status}
    assert lab.contents.served == served


def test_what_a_304_of_the_origin_changes_reaches_the_edge_through_all_tiers() -> None:
    """Each tier validates with the one above, whose 304 has to say what is new there."""
    lab = Lab()
    lab.take(Say("/a", Says("max-age=3")))
    for _ in range(3):
        lab.take(Ask("fra"))
        lab.take(Wait(8.0))
    lab.finish()
    made = [seen.fields["x-made"] for seen in lab.viewers]
    assert [seen.status for seen in lab.viewers] == [200] * 3 and len(set(made)) == 3
    assert lab.contents.served == 3


TestThreeTiers = ThreeTiers.TestCase
TestThreeTiers.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
