"""A parent's health: tables of what is told and what it may be asked, and a machine that is told anything."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.health import Checks, Ejection, Health, Trial, assess
from cdnkit.policy.upstream.retry import Reach

VERDICTS = [
    (200, Reach.ANSWERED, True),
    (404, Reach.ANSWERED, True),
    (500, Reach.ANSWERED, True),  # often one URL's
    (502, Reach.ANSWERED, False),
    (503, Reach.ANSWERED, False),
    (504, Reach.ANSWERED, False),
    (Failure.CONNECT, Reach.CONNECTING, False),
    (Failure.FIRST_BYTE_TIMEOUT, Reach.SENT, False),
    (Failure.GARBAGE, Reach.ANSWERED, False),
    (Failure.CONNECT_TIMEOUT, Reach.QUEUED, None),  # our own queue
    (Failure.ABANDONED, Reach.SENT, None),
    (Failure.INTERNAL, Reach.SENT, None),
]


@pytest.mark.parametrize(("came", "reach", "expected"), VERDICTS)
def test_what_an_answer_says_of_a_parent(came: int | Failure, reach: Reach, expected: bool | None) -> None:
    assert assess(came, reach) is expected


G, B, N = True, False, None
EJECTION = Ejection(failures=3, within=10, rest=5)

ANSWERS = [  # (at, what came), ...                                then at    is it sick?
    ([(0, B), (1, B)], 1, False),
    ([(0, B), (1, B), (2, B)], 2, True),
    ([(0, B), (1, B), (2, G), (3, B), (4, B)], 4, False),  # in a row
    ([(0, B), (1, B), (2, N), (3, B)], 3, True),  # what says nothing interrupts nothing
    ([(0, B), (5, B), (10, B)], 10, True),
    ([(0, B), (5, B), (10.1, B)], 10.1, False),  # not within 10 s
    ([(0, B), (5, B), (10.1, B), (14, B)], 14, True),  # but the last three are
    ([(0, B), (1, B), (2, B)], 6.9, True),
    ([(0, B), (1, B), (2, B)], 7, False),  # rested
    ([(0, B), (1, B), (2, B), (7, G)], 7, False),  # the probe was good: well
    ([(0, B), (1, B), (2, B), (7, G), (8, B)], 8, False),  # and counts anew
    ([(0, B), (1, B), (2, B), (7, B)], 7, True),  # the probe was not
    ([(0, B), (1, B), (2, B), (7, B)], 11.9, True),
    ([(0, B), (1, B), (2, B), (7, B)], 12, False),
    ([(0, B), (1, B), (2, B), (7, N)], 7, False),  # no verdict: the next one is the probe
]


@pytest.mark.parametrize(("told", "at", "expected"), ANSWERS)
def test_ejection(told: list[tuple[float, bool | None]], at: float, expected: bool) -> None:
    health = Health(EJECTION)
    for now, good in told:
        trial = health.start_trial(now)
        assert trial is not None
        health.on_result(trial, good, now)
    assert health.sick(at) is expected


def test_one_probe_and_what_was_under_way_says_nothing() -> None:
    health = Health(Ejection(failures=1, within=1, rest=5))
    early, late = health.start_trial(0), health.start_trial(0)
    assert early and late and not early.probe
    health.on_result(early, False, 1)
    health.on_result(late, True, 2)  # asked before it was ejected
    assert health.start_trial(5.9) is None
    probe = health.start_trial(6)
    assert probe is not None and probe.probe
    assert health.start_trial(7) is None  # until the probe is back
    health.on_result(probe, True, 8)
    assert health.start_trial(8) is not None


FASTLY = Checks(window=5, threshold=3, initial=3)

CHECKS = [  # results                      sick?
    (FASTLY, [], False),  # initial 3 of 5
    (FASTLY, [B], False),
    (FASTLY, [B, B], False),  # the assumed ones are still in the window
    (FASTLY, [B, B, B], True),
    (FASTLY, [B, B, B, G, G], True),
    (FASTLY, [B, B, B, G, G, G], False),
    (FASTLY, [G, G, B, G, B], False),  # three of five
    (FASTLY, [G, B, G, B, B], True),
    (Checks(window=5, threshold=3, initial=2), [], True),  # one good result is wanted first
    (Checks(window=5, threshold=3, initial=2), [G], False),
]


@pytest.mark.parametrize(("checks", "results", "expected"), CHECKS)
def test_checks(checks: Checks, results: list[bool], expected: bool) -> None:
    health = Health(checks=checks)
    for good in results:
        health.on_check(good)
    assert health.sick(0) is expected
    assert (health.start_trial(0) is None) is expected


class Ejecting(RuleBasedStateMachine):
    """Asked and told in any order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health(EJECTION)
        self.now = 0.0
        self.out: list[Trial] = []
        self.period_failures: list[float] = []
        """Failures in a row of trials of the present period."""
        self.ejected_at: float | None = None

    @rule(seconds=st.floats(0, 12))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def start_trial(self) -> None:
        trial = self.health.start_trial(self.now)
        if self.ejected_at is None:
            assert trial is not None and not trial.probe
        elif self.now < self.ejected_at + EJECTION.rest:
            assert trial is None
        else:
            waiting = [one for one in self.out if one.probe]
            assert (trial is None) == bool(waiting)
            assert trial is None or trial.probe
        if trial is not None:
            self.out.append(trial)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), good=st.sampled_from([True, False, False, None]))
    def tell(self, data: st.DataObject, good: bool | None) -> None:
        trial = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        current = trial.probe or trial.period == self.health._period
        self.health.on_result(trial, good, self.now)
        if good is None or not current:
            return
        if trial.probe:
            self.ejected_at = None if good else self.now
            self.period_failures = []
        elif good:
            self.period_failures = []
        else:
            self.period_failures.append(self.now)
            last = self.period_failures[-EJECTION.failures :]
            if len(last) == EJECTION.failures and last[-1] - last[0] <= EJECTION.within:
                self.ejected_at, self.period_failures = self.now, []

    @invariant()
    def at_most_one_probe(self) -> None:
        assert sum(one.probe for one in self.out) <= 1

    @invariant()
    def sick_only_with_a_reason(self) -> None:
        assert not self.health.sick(self.now) or self.ejected_at is not None


TestEjecting = Ejecting.TestCase
TestEjecting.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
