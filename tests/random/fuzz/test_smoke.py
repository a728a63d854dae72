"""The fuzz target for some seconds, at fixed seeds; and proof that it finds what is planted."""

from random import Random
from typing import Any

import pytest

from cdnkit.policy import EdgeMachine, Fetch, Headers, Landing, Purged, PurgeOrder, RequestHead, ResponseHead, Serve
from cdnkit.policy.machine.flights import Flight
from cdnkit.policy.plan import Plan
from cdnkit.vendors import PROFILES
from tests.random.fuzz.field_values import PARSERS, some_value, wrong_with
from tests.random.fuzz.minimise import kind_of, minimised, playbook
from tests.random.fuzz.open_findings import OPEN
from tests.random.fuzz.steps import SPELLINGS, Wait, some_case, spelled
from tests.random.fuzz.world import World

LIVES = range(2_000)


@pytest.mark.long
def test_no_wrong_answer_in_two_thousand_lives() -> None:
    for seed in LIVES:
        steps = some_case(Random(seed))

        def start() -> World:
            return World(room=6 * 1024 if seed % 5 == 0 else 2**20)  # noqa: B023

        kind = kind_of(steps, start)
        if kind is not None and kind not in OPEN:
            pytest.fail(f"{kind} at seed {seed}:\n{playbook(minimised(steps, start), start, 'fuzz')}")


OWED = frozenset({"asks", "endless", "waits-forever", "flight-left", "dead-flight", "for-nobody", "ticket-twice"})
"""What no profile may do; the rest of the oracle knows the standard's alone."""


@pytest.mark.long
@pytest.mark.parametrize("profile", ["cloudfront", "fastly"])
def test_every_request_is_answered_by_few_questions_whatever_the_profile(profile: str) -> None:
    for seed in range(1_000):
        steps = some_case(Random(seed))

        def start() -> World:
            return World(profile=PROFILES[profile])

        kind = kind_of(steps, start)
        if kind is not None and (kind in OWED or kind.startswith("crash-")):
            pytest.fail(f"{kind} at seed {seed}:\n{playbook(minimised(steps, start), start, 'fuzz')}")


@pytest.mark.parametrize("name", PARSERS)
def test_no_field_value_stops_a_parser(name: str) -> None:
    for seed in range(300):
        text = some_value(Random(seed))
        wrong = wrong_with(name, text)
        if wrong is not None and f"field {name}" not in OPEN:
            pytest.fail(f"{name}: {wrong} at seed {seed}: {text[:200]!r}")


class ForgetsPurges(EdgeMachine):
    def on_purge(self, order: PurgeOrder, now: float) -> Purged:
        return Purged(0, [])


class Deaf(EdgeMachine):
    """Does not hear one response field."""

    to = ""

    def on_response(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        lines = [(name, "max-age=60" if name == self.to == "cache-control" else value) for name, value in head.headers]
        kept = [line for line in lines if line[0] != self.to or self.to == "cache-control"]
        return super().on_response(fetch, ResponseHead(head.status, Headers(kept)), now)


class DeafToCacheControl(Deaf):
    to = "cache-control"


class DeafToVary(Deaf):
    to = "vary"


class DeafToAge(Deaf):
    to = "age"


class SlowClock(EdgeMachine):
    """Believes that requests came half a minute earlier than they did."""

    def on_request(self, request: RequestHead, now: float) -> Plan:
        return super().on_request(request, now - 30)


class AlwaysUnmodified(EdgeMachine):
    def on_request(self, request: RequestHead, now: float) -> Plan:
        plan = super().on_request(request, now)
        if isinstance(plan, Serve):
            plan.status, plan.body = 304, False
        return plan


class OneByteMore(EdgeMachine):
    def on_request(self, request: RequestHead, now: float) -> Plan:
        plan = super().on_request(request, now)
        if isinstance(plan, Serve):
            plan.headers = [(name, "1" + value if name == "content-length" else value) for name, value in plan.headers]
        return plan


class LosesTickets(EdgeMachine):
    def on_response(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        landing = super().on_response(fetch, head, now)
        if len(landing.answers) > 1:
            landing.answers.popitem()
        return landing


class AsksForEver(EdgeMachine):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._fallback.land_mismatch = self._asked_again  # type: ignore[method-assign]

    def _asked_again(self, flight: Flight, why: str, status: int, now: float) -> Landing:
        landing = Landing()
        for waiter in flight.waiters:
            waiter.upstream_count = 0
            self._fills.decide_again(waiter, landing, now)
        return landing


@pytest.mark.long
@pytest.mark.parametrize(
    ("machine", "kinds"),
    [
        (ForgetsPurges, {"after-purge"}),
        (DeafToCacheControl, {"no-store", "private", "no-cache", "stale", "age"}),
        (DeafToVary, {"vary"}),
        (DeafToAge, {"stale", "age"}),
        (SlowClock, {"stale", "age"}),
        (AlwaysUnmodified, {"unasked-304"}),
        (OneByteMore, {"content-length"}),
        (LosesTickets, {"waits-forever"}),
        (AsksForEver, {"asks"}),
    ],
)
def test_a_planted_fault_is_found(machine: type[EdgeMachine], kinds: set[str]) -> None:
    found = set()
    for seed in LIVES:
        kind = kind_of(some_case(Random(seed)), lambda: World(make=machine))
        if kind is not None:
            found.add(kind)
        if kinds <= found or (seed > 500 and kinds & found):
            return
    pytest.fail(f"planted {machine.__name__}, wanted {kinds}, found {found}")


def test_a_failing_case_is_made_small_and_printed() -> None:
    def start() -> World:
        return World(make=ForgetsPurges)

    seed = next(seed for seed in LIVES if kind_of(some_case(Random(seed)), start) == "after-purge")
    small = minimised(some_case(Random(seed)), start)
    assert 4 <= len(small) <= 6 and not any(isinstance(step, Wait) for step in small)
    printed = playbook(small, start, "it")
    assert printed.startswith("def test_it() -> None:\n    edge = machine()\n    ask1 = edge.on_request(get(")
    assert "edge.on_purge(PurgeOrder(" in printed and "# after-purge" in printed
    compile(printed, "printed", "exec")


def test_every_spelling_means_the_same() -> None:
    """The oracle reads values; if the parser did not read all their spellings alike, it would be held to the wrong ones."""
    from cdnkit.policy.http.cache_control import parse

    control = {"max-age": "60", "private": "x-secret", "no-store": None, "stale-if-error": "3"}
    texts = [spelled(control, noise) for noise in range(SPELLINGS)]
    assert len(set(texts)) == SPELLINGS
    assert len({parse(text or "") for text in texts}) == 1
