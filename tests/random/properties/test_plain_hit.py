"""The short way to a hit and the long way give the same answer, whatever was stored and whenever it is asked for."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.policy import (
    Behavior,
    EdgeMachine,
    Fetch,
    Headers,
    PurgeKind,
    PurgeOrder,
    RequestHead,
    ResponseHead,
    Serve,
    Service,
)
from cdnkit.policy.plan import Refuse
from cdnkit.policy.rules.service import Geo, Key
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.policy.token import FastlyToken
from cdnkit.vendors import PROFILES

START = 1_795_000_000.25
FIELDS = st.fixed_dictionaries(
    {"cache-control": st.sampled_from(["max-age=5", "max-age=3, stale-while-revalidate=4", "no-cache", "s-maxage=9"])},
    optional={
        "age": st.sampled_from(["0", "2"]),
        "vary": st.sampled_from(["accept", "accept-encoding"]),
        "etag": st.just('"1"'),
        "content-length": st.just("10"),
    },
)
WAITS = st.lists(st.one_of(st.floats(0, 2), st.sampled_from([0.0, 0.25, 0.75, 1.0])), min_size=1, max_size=12)
OPEN = Service(name="fra", behaviors=(Behavior(path="*", key=Key(query="none")),))
GUARDED = Service(name="fra", behaviors=(Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow")),))
TOKENED = Service(
    name="fra", behaviors=(Behavior(path="*", token="viewer"),), tokens={"viewer": Fastly(key="c2VjcmV0")}
)
TOKEN = f"token={FastlyToken('c2VjcmV0').sign('/a', int(START) + 4)}"
WRITTEN = {
    "range": [("range", "bytes=0-1")], "no-cache": [("cache-control", "no-cache")], "latin": [("cookie", "a=\xe9\tb")],
    "control": [("x-a", "b\x01")], "name": [("x a", "b")],
}  # fmt: skip
ASKED = st.lists(st.sampled_from(["", "", "", *WRITTEN, "query", "spaced", "soft", "304"]), min_size=12, max_size=12)


@given(
    st.sampled_from([OPEN, GUARDED, TOKENED]),
    st.sampled_from(sorted(PROFILES)),
    FIELDS,
    st.sampled_from([200, 404, 204]),
    WAITS,
    ASKED,
)
@settings(max_examples=300, deadline=None)
def test_both_ways_agree(
    service: Service, profile: str, fields: dict[str, str], status: int, waits: list[float], asked: list[str]
) -> None:
    short, long = EdgeMachine(service, PROFILES[profile]), EdgeMachine(service, PROFILES[profile])
    long.view.rule_of(RequestHead("GET", "http", "h", "/a", None, Headers())).plain_key = None
    now = START
    for wait, what in zip(waits, asked, strict=False):
        now += wait
        lines = WRITTEN.get(what, [])
        query = {"query": f"q=\x7f&{TOKEN}", "spaced": f"q= &{TOKEN}"}.get(what, f"q=1&{TOKEN}")
        plans = []
        for edge in (short, long):
            if what == "soft":
                edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING, soft=True), now)
            plan = edge.on_request(RequestHead("GET", "http", "h", "/a", query, Headers(lines)), now)
            fetch = plan if isinstance(plan, Fetch) else plan.refresh if isinstance(plan, Serve) else None
            if fetch is not None:
                answer = 304 if what == "304" and fetch.entry is not None else status
                edge.on_response(fetch, ResponseHead(answer, Headers(fields.items())), now + 0.1)
                edge.on_body_end(fetch, 10, now + 0.1)
            plans.append(plan)
        one, other = plans
        assert type(one) is type(other)
        if isinstance(one, Refuse) and isinstance(other, Refuse):
            assert (one.status, one.reason) == (other.status, other.reason)
        if isinstance(one, Serve) and isinstance(other, Serve):
            assert (one.status, sorted(one.headers), one.outcome, one.body, one.span) == (
                other.status, sorted(other.headers), other.outcome, other.body, other.span,
            )  # fmt: skip
