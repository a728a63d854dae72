"""A trace with gaps: what is compared comes out as it did live, whatever is missing; and what went wrong is seen."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cdnkit.policy import EdgeMachine, Service
from cdnkit.policy.record.lines import LostRecord, PartRecord, Requested
from cdnkit.replay.jump import replay_node
from cdnkit.replay.trace import Exchange, Line, Missing, Torn, events_of, trace_of
from cdnkit.vendors import PROFILES
from tests.random.properties.test_replay_jumps import PROFILE, SERVICES, STEPS, Ask, Live

pytestmark = pytest.mark.long


@dataclass
class Ticking(Live):
    """Its clock never shows the same instant twice, as a real one."""

    def step(self, step: Any) -> None:
        self.now += 1e-4
        super().step(step)

    def ask(self, ask: Ask) -> None:
        self.now += 1e-4
        super().ask(ask)


def last(line: Line) -> int:
    return max(line.landed_seq, line.ended_seq) if isinstance(line, Exchange) else line.seq  # type: ignore[union-attr]


def first(line: Line) -> int:
    return line.landed_seq if isinstance(line, Exchange) else line.seq  # type: ignore[union-attr]


def with_gaps(lines: list[Line], gaps: list[tuple[Missing, float, float]]) -> list[Line | Torn]:
    """The lines without those at that place, as the node would have told of it."""
    left: list[Line | Torn] = list(lines)
    for why, where, share in gaps:
        start = 0 if why is Missing.OLD else int(where * len(left))
        stop = start + (1 if why is Missing.TORN else max(1, int(share * len(left))))
        gone = [line for line in left[start:stop] if isinstance(line, Requested | Exchange)]
        if len(gone) != len(left[start:stop]) or not gone:
            continue  # a purge stays, and one gap beside another
        until = max(map(last, gone))
        stands: Line | Torn = Torn()
        if why is Missing.OLD:
            stands = PartRecord("fra", 2, len(gone), until)
        if why is Missing.LOST:
            stands = LostRecord("fra", len(gone), min(map(first, gone)), until)
        left[start:stop] = [stands]
    return left


GAPS = st.lists(
    st.tuples(st.sampled_from(Missing), st.floats(0, 0.99), st.floats(0, 0.6)), min_size=1, max_size=3
)  # fmt: skip
WRONG = st.none() | st.integers(0, 200)


@given(SERVICES, PROFILE, st.lists(STEPS, min_size=10, max_size=50), GAPS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_compared_comes_out_as_it_did_live(
    service: Service, profile: str, steps: list[Any], gaps: list[tuple[Missing, float, float]]
) -> None:
    live = Ticking(EdgeMachine(service, PROFILES[profile]))
    for step in steps:
        live.step(step)
    trace = trace_of(events_of(with_gaps(live.lines, gaps)))
    replayed = replay_node(trace, service, PROFILES[profile])
    assert replayed.differences == []
    compared = replayed.requests - replayed.not_compared
    if trace.gaps:
        event(f"compared {'none' if not compared else 'some' if replayed.not_compared else 'all'}")
