"""Which statuses a rule is about: each rule is tried with every status, so that its list is this one and no other."""

from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from cdnkit.policy.freshness.lifetime import freshness_lifetime
from cdnkit.policy.freshness.storable import why_not_store
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Fetch, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.upstream.health import assess

NOW = 1_795_000_000.0
ANY = Behavior(path="*")
GET = RequestHead("GET", "http", "h", "/a", None, Headers())
FINAL = range(200, 600)


def head(status: int, **fields: str) -> ResponseHead:
    named = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return ResponseHead(status, Headers([("date", format_date(NOW)), *named]))


def stored(response: ResponseHead) -> bool:
    return why_not_store(GET, response, ANY, RFC9111, largest=1000, now=NOW) is None


def lasts_by_a_guess(status: int) -> bool:
    no_time_for_errors = replace(RFC9111, error_ttl=None)
    response = head(status, last_modified=format_date(NOW - 1000))
    return freshness_lifetime(response, ANY, no_time_for_errors, NOW) == (100.0, "heuristic")


def lasts_as_an_error(status: int) -> bool:
    return freshness_lifetime(head(status), Behavior(path="*", error_ttl=7.0), RFC9111, NOW) == (7.0, "error_ttl")


def stored_when_told(status: int) -> bool:
    return stored(head(status, cache_control="max-age=60"))


def stored_when_it_must_be_understood(status: int) -> bool:
    """`no-store` is for caches that do not know the status (RFC 9111 §5.2.2.3)."""
    return stored(head(status, cache_control="must-understand, no-store, max-age=60"))


def stands_for_an_ill_parent(status: int) -> bool:
    return assess(status) is False


def calls_for_what_is_stale(status: int) -> bool:
    machine = EdgeMachine(Service(name="fra"))
    first = machine.on_request(GET, NOW)
    assert isinstance(first, Fetch)
    machine.on_response(first, head(200, cache_control="max-age=10, stale-if-error=60"), NOW)
    machine.on_body_end(first, 0, NOW)
    second = machine.on_request(GET, NOW + 20.0)
    assert isinstance(second, Fetch)
    (answer,) = machine.on_response(second, head(status), NOW + 20.0).answers.values()
    assert isinstance(answer, Serve | Relay)
    return answer.status == 200 and answer.outcome is Outcome.HIT_STALE


def passed_on(status: int) -> bool:
    machine = EdgeMachine(Service(name="fra"))
    fetch = machine.on_request(GET, NOW)
    assert isinstance(fetch, Fetch)
    return machine.on_interim(fetch, ResponseHead(status, Headers())) == [fetch.ticket]


NOT_STORED = {206, 304, 412, 416, 428, 429, 431, 511}
ROWS: list[tuple[Callable[[int], bool], Collection[int], Collection[int]]] = [  # rule, tried with, holds for
    (lasts_by_a_guess, FINAL, {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}),  # RFC 9110 §15.1
    (lasts_as_an_error, FINAL, {404, 410}),
    (stored_when_told, range(100, 600), set(FINAL) - NOT_STORED),
    (
        stored_when_it_must_be_understood,
        FINAL,
        {
            *(200, 203, 204),
            *(300, 301, 302, 303, 307, 308),
            *(400, 401, 403, 404, 405, 410, 414),
            *(500, 501, 502, 503, 504),
        },
    ),
    (stands_for_an_ill_parent, FINAL, {502, 503, 504}),
    (calls_for_what_is_stale, set(FINAL) - {200, 206, 304}, {500, 502, 503, 504}),  # RFC 5861 §4
    (passed_on, range(100, 200), {102, 103}),
]


@pytest.mark.parametrize(("rule", "tried", "holds_for"), ROWS, ids=[rule.__name__ for rule, *_ in ROWS])
def test_the_statuses_of_a_rule(
    rule: Callable[[int], bool], tried: Collection[int], holds_for: Collection[int]
) -> None:
    assert {status for status in tried if rule(status)} == set(holds_for)
