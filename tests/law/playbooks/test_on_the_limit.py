"""Every window of a stored response on its last instant and on the first after it: each ends before the instant it names."""

import pytest

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.vendors import FASTLY
from tests.kit.machine import NOW, filled, get, node
from tests.kit.machine import dated as says

MOMENT = 2.0**-8
"""Shorter than any window, and exact in a float of today's seconds."""

Came = Failure | int | None


def given_now(edge: EdgeMachine, now: float, came: Came) -> str:
    """What one gets who asks now, where the parent then gives this status, or fails so (None: it need not be asked)."""
    plan = edge.on_request(get(), now)
    if isinstance(plan, Fetch):
        if came is None:
            return "fetch"
        landing = (
            edge.on_failure(plan, came, now) if isinstance(came, Failure) else edge.on_response(plan, says(came), now)
        )
        (answer,) = landing.answers.values()
        assert isinstance(answer, Serve | Relay | Refuse)
        return answer.outcome.value
    assert isinstance(plan, Serve)
    return f"{plan.outcome.value}, refreshed" if plan.refresh is not None else plan.outcome.value


WINDOWS: list[tuple[Profile, str, Came, float, str, str]] = [
    # profile, Cache-Control, what comes of the question; seconds until the window ends, before that, from then on
    (RFC9111, "max-age=10", None, 10.0, "hit", "fetch"),
    (RFC9111, "max-age=10, stale-while-revalidate=5", None, 10.0, "hit", "hit-stale, refreshed"),
    (RFC9111, "max-age=10, stale-while-revalidate=5", None, 15.0, "hit-stale, refreshed", "fetch"),
    (RFC9111, "max-age=10, stale-if-error=5", 503, 15.0, "hit-stale", "miss"),
    (RFC9111, "max-age=10, stale-while-revalidate=5", 503, 15.0, "hit-stale, refreshed", "miss"),
    (RFC9111, "max-age=10, stale-if-error=5", Failure.CONNECT, 15.0, "hit-stale", "failed"),
    (RFC9111, "max-age=10, stale-if-error=5", Failure.SICK, 15.0, "hit-stale", "failed"),
    (FASTLY, "max-age=10, stale-if-error=5", Failure.SICK, 15.0, "hit-stale", "failed"),
]


@pytest.mark.parametrize(("profile", "control", "came", "ends", "before", "then"), WINDOWS)
def test_a_window_ends_on_its_limit(
    profile: Profile, control: str, came: Came, ends: float, before: str, then: str
) -> None:
    told = []
    for after in (ends - MOMENT, ends):
        edge = node(profile)
        filled(edge, says(cache_control=control))
        told.append(given_now(edge, NOW + after, came))
    assert told == [before, then]
