"""Whether a parent is well enough to be asked: what its answers say (ejection), and what health checks say.

Ejection, for each parent (a circuit breaker):

| state    | who asks it                     | then                                                        |
|----------|---------------------------------|-------------------------------------------------------------|
| well     | everyone                        | `failures` in a row within `within` seconds: resting        |
| resting  | nobody, for `rest` seconds      | time over: the next request is its probe                    |
| probing  | the probe alone                 | a good answer: well; a bad one: resting; no verdict: again  |

Only the requests of the present state count: an answer that was under way when the parent was ejected says nothing new.

Checks are Fastly's (and Varnish's): the last `window` results are kept, `initial` good ones stand in before the first,
and the parent is well while `threshold` of them are good. A parent must be well by both.
"""

from collections import deque
from dataclasses import dataclass
from math import inf

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.failover import ANSWERLESS
from cdnkit.policy.upstream.retry import Reach

ILL = frozenset({502, 503, 504})
"""Statuses that speak of the parent itself; 500 is often one URL's."""


@dataclass(frozen=True, slots=True)
class Ejection:
    """When a parent is left alone, and how long. Seconds."""

    failures: int
    within: float
    rest: float


@dataclass(frozen=True, slots=True)
class Checks:
    """How health checks are counted."""

    window: int = 5
    threshold: int = 3
    initial: int = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """Leave to ask a parent once: its outcome must be told."""

    period: int
    """Which state of the parent it belongs to."""
    probe: bool


def verdict(came: int | Failure, reach: Reach = Reach.ANSWERED) -> bool | None:
    """What a status, or a failure before any head came, says of a parent: good, bad, or (None) nothing."""
    if isinstance(came, Failure):
        return False if came in ANSWERLESS and reach is not Reach.QUEUED else None
    return came not in ILL


class Health:
    """What is known of one parent. Instants are seconds on any one clock."""

    def __init__(self, ejection: Ejection | None = None, checks: Checks | None = None) -> None:
        """`ejection` None: answers say nothing of it. `checks` None: none are made."""
        self._ejection = ejection
        self._checks = checks
        self._failed: deque[float] = deque(maxlen=ejection.failures if ejection else 0)
        """When it failed last, since its last good answer."""
        self._rests_until = -inf
        """-inf: it is well, as far as its answers go."""
        self._probed = False
        self._period = 0
        self._results: deque[bool] = deque(maxlen=checks.window if checks else 0)
        if checks is not None:
            self._results.extend([True] * checks.initial)

    def sick(self, now: float) -> bool:
        """Whether it may not be asked now."""
        if self._checks is not None and sum(self._results) < self._checks.threshold:
            return True
        return self._rests_until > -inf and (self._probed or now < self._rests_until)

    def ask(self, now: float) -> Trial | None:
        """Leave to ask it once; None: it is sick."""
        if self.sick(now):
            return None
        probe = self._rests_until > -inf
        if probe:
            self._probed = True
        return Trial(self._period, probe)

    def told(self, trial: Trial, good: bool | None, now: float) -> None:
        """What came of a trial, by `verdict`."""
        if trial.period != self._period or self._ejection is None:
            return
        if trial.probe:
            self._probed = False
            if good is not None:
                self._turn(-inf if good else now + self._ejection.rest)
        elif good:
            self._failed.clear()
        elif good is not None:
            self._failed.append(now)
            if len(self._failed) == self._ejection.failures and now - self._failed[0] <= self._ejection.within:
                self._turn(now + self._ejection.rest)

    def checked(self, good: bool) -> None:
        """The result of a health check."""
        self._results.append(good)

    def _turn(self, rests_until: float) -> None:
        self._rests_until = rests_until
        self._failed.clear()
        self._period += 1
