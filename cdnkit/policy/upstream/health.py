"""Whether a parent is well enough for requests, by its responses (ejection) and by health checks.

Ejection, for each parent (a circuit breaker):

| state    | requests to it                  | then                                                        |
|----------|---------------------------------|-------------------------------------------------------------|
| well     | all                             | `failures` in a row within `within` seconds: resting        |
| resting  | none, for `rest` seconds        | time over: the next request is its probe                    |
| probing  | the probe alone                 | a good result: well; a bad one: resting; neither: again     |

Only requests of the present state count: one that was under way when the parent was ejected brings no news.

Health checks work as Fastly's (and Varnish's): of the last `window` results `threshold` must be good, and at the start
`initial` results count as good. A parent must be well by both measures.
"""

from collections import deque
from dataclasses import dataclass
from math import inf

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.failover import NO_RESPONSE
from cdnkit.policy.upstream.retry import Reach

SICK_STATUSES = frozenset({502, 503, 504})
"""Statuses that mean the parent itself is sick; a 500 is often about one URL."""


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
    """Permission for one request to a parent; its outcome is due in `Health.on_result`."""

    period: int
    """The period of the parent's state in which it was given."""
    probe: bool


def assess(result: int | Failure, reach: Reach = Reach.ANSWERED) -> bool | None:
    """Whether a status, or a failure before any head came, is a good result of a parent; None: it is neither."""
    if isinstance(result, Failure):
        return False if result in NO_RESPONSE and reach is not Reach.QUEUED else None
    return result not in SICK_STATUSES


class Health:
    """What is known of one parent. Instants are seconds on any one clock."""

    def __init__(self, ejection: Ejection | None = None, checks: Checks | None = None) -> None:
        """`ejection` None: responses do not count. `checks` None: no health checks are made."""
        self._ejection = ejection
        self._checks = checks
        self._failed: deque[float] = deque(maxlen=ejection.failures if ejection else 0)
        """When it failed last, since its last good answer."""
        self._rests_until = -inf
        """-inf: it is well, by its responses."""
        self._probed = False
        self._period = 0
        self._results: deque[bool] = deque(maxlen=checks.window if checks else 0)
        if checks is not None:
            self._results.extend([True] * checks.initial)

    def sick(self, now: float) -> bool:
        """Whether no request may be sent to it now."""
        if self._checks is not None and sum(self._results) < self._checks.threshold:
            return True
        return self._rests_until > -inf and (self._probed or now < self._rests_until)

    def start_trial(self, now: float) -> Trial | None:
        """Permission for one request; None: it is sick."""
        if self.sick(now):
            return None
        probe = self._rests_until > -inf
        if probe:
            self._probed = True
        return Trial(self._period, probe)

    def on_result(self, trial: Trial, good: bool | None, now: float) -> None:
        """The result of a trial, as `assess` has it."""
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

    def on_check(self, good: bool) -> None:
        """The result of a health check."""
        self._results.append(good)

    def _turn(self, rests_until: float) -> None:
        self._rests_until = rests_until
        self._failed.clear()
        self._period += 1
