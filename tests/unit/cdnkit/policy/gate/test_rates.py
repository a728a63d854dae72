"""Rate limits: the bucket held against one that counts tokens, the table's bound, and what each profile answers.

Sources: RFC 6585 §4; Fastly, "ratelimit.check_rate", "ratelimit.penaltybox_has"; AWS WAF, rate-based rules.
"""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.gate.rates import Rates, client_of
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Fetch, Refuse, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

ONCE = RateLimit(requests=1, per=60, burst=2)


@given(
    requests=st.sampled_from([1, 2, 4, 64]),
    burst=st.integers(1, 8),
    steps=st.lists(st.integers(0, 4096), min_size=1, max_size=60),
)
def test_it_lets_in_what_a_bucket_that_counts_tokens_lets_in(requests: int, burst: int, steps: list[int]) -> None:
    """Against the textbook's bucket, in exact arithmetic; all instants are multiples of 1/1024 s."""
    rates = Rates(RateLimit(requests=requests, per=1.0, burst=burst))
    tokens, at = Fraction(burst), Fraction(0)
    now = Fraction(0)
    for step in steps:
        now += Fraction(step, 1024)
        tokens, at = min(Fraction(burst), tokens + (now - at) * requests), now
        left, wait = rates.left("a", float(now))
        assert left == int(tokens)
        took = rates.take("a", float(now))
        if tokens >= 1:
            tokens -= 1
            assert (took, wait) == (0.0, 0.0)
        else:
            assert took == wait == float((1 - tokens) / requests)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), max_size=200))
def test_the_table_never_grows_beyond_its_bound_and_forgets_who_asked_least_lately(asks: list[tuple[int, int]]) -> None:
    rates, now, order = Rates(ONCE, most=8), 0.0, []
    for client, step in asks:
        now += step
        rates.take(str(client), now)
        order = [one for one in order if one != client] + [client]
        assert len(rates) <= 8
        kept = {one for one in range(41) if rates.left(str(one), now)[0] < 2}
        assert kept <= set(order[-8:])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_in_the_penalty_box_nothing_is_let_in_and_asking_does_not_prolong_it(steps: list[int]) -> None:
    rates = Rates(RateLimit(requests=1, per=1.0, burst=1, penalty=30.0))
    assert rates.take("a", 0.0) == 0.0 and rates.take("a", 0.5) == 30.0
    now = 0.5
    for step in steps:
        now += step
        if now < 30.5:
            assert rates.take("a", now) == 30.5 - now
    assert rates.take("b", now) == 0.0 and rates.take("a", 30.5) == 0.0


CLIENTS = [  # two addresses, one client?
    ("192.0.2.1", "192.0.2.1", True),
    ("192.0.2.1", "192.0.2.2", False),
    ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
    ("2001:db8::1", "2001:db8:0:1::1", False),
    ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
]


@pytest.mark.parametrize(("one", "other", "same"), CLIENTS)
def test_who_is_one_client(one: str, other: str, same: bool) -> None:
    assert (client_of(one) == client_of(other)) is same


def limited(profile: Profile, limit: RateLimit = ONCE, **service: object) -> EdgeMachine:
    return node(profile, Behavior(path="*", rate_limit=limit), **service)


ANSWERS = [(RFC9111, 429, "60"), (FASTLY, 429, "60"), (CLOUDFRONT, 403, None)]


@pytest.mark.parametrize(("profile", "status", "retry_after"), ANSWERS, ids=[row[0].name for row in ANSWERS])
def test_what_is_answered(profile: Profile, status: int, retry_after: str | None) -> None:
    edge = limited(profile)
    filled(edge, says(cache_control="max-age=600"))
    assert isinstance(edge.on_request(ask(), NOW), Serve)
    told = edge.on_request(ask(), NOW)  # a hit lies ready
    assert isinstance(told, Refuse) and (told.status, told.outcome) == (status, Outcome.REFUSED)
    assert told.reason == "rate: more than 1 requests in 1m"
    assert dict(told.headers).get("retry-after") == retry_after
    if profile is CLOUDFRONT:
        assert b"Request blocked." in told.body and dict(told.headers)["x-cache"] == "Error from cloudfront"
    other = replace(ask(), client_ip="203.0.113.1")
    assert isinstance(edge.on_request(other, NOW), Serve)
    assert isinstance(edge.on_request(ask(), NOW + 60), Serve)


def test_what_is_refused_counts_too_and_the_rate_stands_before_the_gate() -> None:
    """Or tokens could be guessed at any speed."""
    edge = node(RFC9111, Behavior(path="*", rate_limit=ONCE, geo=Geo(deny=("KP",))))
    stranger = replace(ask(), place=Place("KP"))
    reasons = [plan.reason for plan in (edge.on_request(stranger, NOW) for _ in range(3)) if isinstance(plan, Refuse)]
    assert reasons == ["geo: KP is denied"] * 2 + ["rate: more than 1 requests in 1m"]


def test_the_nodes_limit_counts_over_all_behaviors_and_not_at_a_shield() -> None:
    service = {"behaviors": (Behavior(path="/a"), Behavior(path="*", rate_limit=RateLimit(requests=1, per=60)))}
    edge = node(RFC9111, **service, rate_limit=RateLimit(requests=3, per=60))  # type: ignore[arg-type]
    answers = [edge.on_request(ask(path), NOW) for path in ("/a", "/b", "/b", "/a", "/a")]
    assert [isinstance(one, Refuse) for one in answers] == [False, False, True, False, True]
    shield = node(RFC9111, **service, rate_limit=RateLimit(requests=1, per=60), gate=False)  # type: ignore[arg-type]
    assert all(isinstance(shield.on_request(ask(f"/{n}"), NOW), Fetch) for n in range(9))


def test_explain_tells_and_counts_nothing() -> None:
    edge = limited(RFC9111)
    for left in (2, 1, 0):
        for _ in range(3):
            told = explain(edge, ask(), NOW)["gate"]
            assert told["rates"] == [{"limit": "1 requests in 1m", "client": "198.51.100.7", "left": left}]
        edge.on_request(ask(), NOW)
    assert told["refused"] == 429 and told["reason"] == "rate: more than 1 requests in 1m"


def test_two_behaviors_given_the_same_limit_have_a_bucket_each() -> None:
    limited = tuple(Behavior(path=path, rate_limit=ONCE) for path in ("/a/*", "/b/*"))
    edge = node(RFC9111, behaviors=limited)
    for path in ("/a/1", "/a/2", "/b/1", "/b/2"):
        assert isinstance(edge.on_request(ask(path), NOW), Fetch), path
    for path in ("/a/3", "/b/3"):
        assert isinstance(edge.on_request(ask(path), NOW), Refuse), path
