"""What the short way serves, the long way would serve, too; and whatever the long way refuses, the short way leaves to
it: for generated requests under all rules, in any order, at any time."""

from dataclasses import replace
from typing import Any

import pytest
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
from cdnkit.policy.gate.limits import RequestLimits
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine import short_way
from cdnkit.policy.machine.short_way import LONGEST_CONDITION, REMEMBERED_REFUSED, Alike, Target, Turned
from cdnkit.policy.outcomes import Outcome, Refusal, RefusalKind
from cdnkit.policy.plan import Plan, Refuse
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.response_headers import Cors, ResponseHeaders
from cdnkit.policy.rules.service import Geo, Key
from cdnkit.policy.rules.tokens import Akamai, Fastly
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.token import FastlyToken
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.vendors import PROFILES

START = 1_795_000_000.25
HEX = "a1b2c3d4"
FASTLY, AKAMAI = FastlyToken("c2VjcmV0"), AkamaiToken(HEX)
TOKENS = {
    "/live/a": FASTLY.sign("/live/a", int(START) + 4),
    "/a": FASTLY.sign("/a", int(START) + 9),
}
GRANTS = (
    AKAMAI.sign(expires_at=int(START) + 5, acls=("/*",)),
    AKAMAI.sign(expires_at=int(START) + 9, starts_at=int(START) + 3, acls=("/live/*",)),
    AKAMAI.sign(expires_at=int(START) + 9, acls=("/*",), ip="198.51.100.7"),
)
TARGETS = [
    "/a", "/a?", "/a?q=1", "/a?q=1#2", "/b//c?q=1", "/b/%2e%2e/live/a", "/t/TOKEN/live/a", "/b/;x/a", "/b/c?x=" + "y" * 300,
    *(f"{path}?token={token}{more}" for path, token in TOKENS.items() for more in ("", "", "&q=1", "&token=x")),
    *(f"{path}?__token__={grant}" for path in ("/live/a", "/a") for grant in GRANTS),
    f"/live/a?token={TOKENS['/a']}", "/live/a",
]  # fmt: skip
LINES = st.lists(
    st.sampled_from([
        ("if-none-match", '"1"'), ("if-none-match", '"2", W/"1"'), ("if-none-match", "*"), ("range", "bytes=0-3"),
        ("range", "bytes=2-"), ("range", "bytes=40-"), ("range", "bytes=0-1,4-5"), ("range", "lines=1"),
        ("if-range", '"1"'), ("if-range", '"2"'), ("if-modified-since", "Thu, 19 Nov 2026 12:00:00 GMT"),
        ("cache-control", "no-cache"), ("cache-control", "only-if-cached"), ("pragma", "no-cache"),
        ("via", "1.1 fra"), ("via", "1.1 proxy"), ("authorization", "Bearer x"), ("cookie", "token=x"),
        ("origin", "https://a.example"), ("accept", "text/html"), ("accept-encoding", "gzip"), ("x-a", "b\x01"), ("x a", "b"),
    ]),
    max_size=2,
)  # fmt: skip
BEHAVIORS = [
    Behavior(path="/live/*", token="fastly", geo=Geo(deny=("KP",), unknown="allow")),
    Behavior(path="/live/*", token="akamai", methods="GET, HEAD"),
    Behavior(path="/live/*", token="cookies", viewer_protocol="https-only"),
    Behavior(path="/b/*", key=Key(query="none", host=True), geo=Geo(allow=("DE",))),
    Behavior(path="/b/*", rate_limit=RateLimit(requests=3, per=5.0)),
    Behavior(path="/a", token="fastly", response_headers_policy="open"),
    Behavior(path="*", viewer_protocol="redirect-to-https"),
    Behavior(path="*"),
    Behavior(path="*", token="path"),
    Behavior(path="*", cache=False),
]  # fmt: skip
TOKEN_SETTINGS = {
    "fastly": Fastly(key="c2VjcmV0"),
    "cookies": Fastly(key="c2VjcmV0", cookie="token"),
    "path": Fastly(key="c2VjcmV0", path_prefix="/t/"),
    "akamai": Akamai(scheme="akamai", key=HEX),
}
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "GET", "GET", "HEAD"]),
        LINES,
        st.sampled_from([("198.51.100.7", "DE"), ("198.51.100.7", "DE"), ("192.0.2.1", "KP"), ("192.0.2.9", "")]),
        st.sampled_from(["https", "https", "http"]),
    ),
    min_size=1,
    max_size=4,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.25, 0.75, 1.0, 2.5]),
        st.integers(0, 3),
        st.integers(0, 1),
        st.sampled_from([*[""] * 12, "soft", "hard"]),
    ),
    min_size=6,
    max_size=30,
)
STORED = st.fixed_dictionaries(
    {
        "cache-control": st.sampled_from(
            ["max-age=60", "max-age=60", "max-age=5", "max-age=3, stale-while-revalidate=4", "no-cache"]
        )
    },
    optional={
        "age": st.sampled_from(["0", "2"]),
        "vary": st.just("accept"),
        "etag": st.just('"1"'),
        "last-modified": st.just("Thu, 19 Nov 2026 11:00:00 GMT"),
        "date": st.just("Thu, 19 Nov 2026 12:00:00 GMT"),
        "content-length": st.just("10"),
        "content-type": st.just("video/mp2t"),
    },
)


def stored(found: tuple[Target, Entry | None] | None) -> bool:
    return found is not None and found[1] is not None


def public_of(plan: Plan, request: RequestHead) -> RequestHead:
    return request if plan.admitted is None else plan.admitted.public


def asked(fetch: Fetch) -> tuple[object, ...]:
    """All that a parent, a flight and a record see of it."""
    return (
        fetch.id, fetch.ticket, fetch.purpose, fetch.request, fetch.key, fetch.rule.path, fetch.cause,
        fetch.entry is None, fetch.collapsible, fetch.sent_at, fetch.flight_key,
    )  # fmt: skip


@given(
    st.lists(st.sampled_from(BEHAVIORS), min_size=1, max_size=4),
    st.sampled_from(sorted(PROFILES)),
    STORED,
    st.sampled_from([200, 200, 200, 200, 200, 404, 204]),
    st.lists(st.sampled_from(TARGETS), min_size=1, max_size=2),
    REQUESTS,
    STEPS,
    st.sampled_from([RequestLimits(), RequestLimits(url=200, head=400, fields=2)]),
)
@settings(max_examples=500, deadline=None)
def test_the_short_way_serves_what_the_long_way_would(
    behaviors: list[Behavior],
    profile: str,
    fields: dict[str, str],
    status: int,
    targets: list[str],
    requests: list[tuple[str, list[tuple[str, str]], tuple[str, str], str]],
    steps: list[tuple[float, int, int, str]],
    limits: RequestLimits,
) -> None:
    service = Service.model_validate(
        {
            "name": "fra", "behaviors": behaviors, "tokens": TOKEN_SETTINGS,
            "response_headers": {"open": ResponseHeaders(cors=Cors(preflight="answer"))},
        }
    )  # fmt: skip
    short, long = (EdgeMachine(service, PROFILES[profile], limits=limits) for _ in range(2))
    known: dict[object, Alike] = {}
    now = START
    for wait, number, other_number, purge in steps:
        now += wait
        for edge in (short, long) if purge else ():
            edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING, soft=purge == "soft"), now)
        method, fields_sent, (ip, country), scheme = requests[number % len(requests)]
        text = targets[other_number % len(targets)]
        lines = [("host", "h"), *fields_sent]
        path, mark, query = text.partition("?")
        size = len(method) + 14 + sum(len(name) + len(value) + 4 for name, value in lines)
        one = RequestHead(
            method, scheme, "h", "/", None, Headers(lines), ip, Place(country), head_bytes=size, head_fields=len(lines)
        )
        alike = known.setdefault((method, scheme, ip, tuple(lines)), short.short_way.alike(one))
        request = replace(one, path=path, query=query if mark else None, head_bytes=size + len(text))
        plan = long.on_request(request, now)
        found = short.short_way.find(alike, text, now)
        if isinstance(found, Turned):
            turned = short.short_way.turn(found, now)
            public, other_public = (
                whole if one.admitted is None else one.admitted.public
                for one, whole in ((turned, found.request), (plan, request))
            )
            assert (public.path, public.query) == (other_public.path, other_public.query)
            if found.request.headers.lines:  # it is no former one
                assert public.headers == other_public.headers
            assert isinstance(plan, Refuse)
            assert told(turned) == told(plan)
            assert (short.events, short.state.ids) == (long.events, long.state.ids)
            continue
        entry = None if found is None else found[1]
        form = None if entry is None else (entry.status, None)
        if entry is not None and alike.conditional:
            form = short.short_way.form(alike.request, entry, now)
        if found is None or entry is None or form is None:
            other = None
            if found is not None and entry is None:
                other = short.short_way.on_missing(alike, found[0], text, now)
            if other is None:
                other = short.on_request(replace(request), now)
            else:
                assert plan.outcome is not Outcome.REFUSED
                assert public_of(other, request) == public_of(plan, request)
            assert type(other) is type(plan)
            if isinstance(plan, Fetch) and isinstance(other, Fetch):
                assert asked(other) == asked(plan)
            if isinstance(plan, Refuse) and isinstance(other, Refuse):
                assert told(other) == told(plan)
            for edge, what in ((short, other), (long, plan)):
                fetch = what if isinstance(what, Fetch) else what.refresh if isinstance(what, Serve) else None
                if fetch is not None:
                    edge.on_response(fetch, ResponseHead(status, Headers(fields.items())), now)
                    edge.on_body_end(fetch, 10, now)
        else:
            target = found[0]
            assert isinstance(plan, Serve)
            short.short_way.hit(entry, conditional=alike.conditional)
            if now >= entry.prepared_until:
                short.state.responder.prepared.prepare(entry, target.rule, now)
            assert (plan.outcome, plan.refresh, plan.pieces) == (Outcome.HIT, None, None)
            assert (plan.status, plan.span) == form
            assert plan.entry.key == entry.key == target.key
            assert plan.rule.path == target.rule.path
            responder = short.state.responder
            sent = list(entry.prepared)
            if form[0] == 304:
                sent = responder.lines_of_304(sent, target.rule)
            elif form[1] is not None:
                sent = [line for line in sent if line[0] not in ("content-length", "content-range")]
                size = form[1].stop - form[1].start
                sent += [
                    ("content-range", f"bytes {form[1].start}-{form[1].stop - 1}/10"),
                    ("content-length", f"{size}"),
                ]
            sent += responder.own_lines(entry, now)
            assert sent == plan.headers
            public = request if plan.admitted is None else plan.admitted.public
            assert (public.path, public.query) == (target.path, target.query)
            assert plan.admitted is None or plan.admitted.inherited is None
        assert (short.events, short.state.ids) == (long.events, long.state.ids)
        assert [entry.hits for entry in short.index] == [entry.hits for entry in long.index]


def told(refuse: Refuse) -> tuple[object, ...]:
    """All that client and record are told of a refusal."""
    kind = None if refuse.refusal is None else refuse.refusal.kind
    return refuse.status, refuse.reason, refuse.headers, refuse.body, refuse.outcome, kind, refuse.rule.path


REFUSED = [  # what the other client's request has that differs, and for what it is refused
    ({"place": Place("KP"), "client_ip": "192.0.2.1"}, "geo"),
    ({"scheme": "http"}, "protocol"),
    ({"headers": Headers([("host", "h"), ("x-a", "b"), ("x-b", "c")])}, "limit"),
    ({"head_bytes": 390}, "limit"),
    ({"headers": Headers([("x a", "b")])}, "malformed"),
    ({"misdirected": Refusal(RefusalKind.HOST, 421, "host: another")}, "host"),
]


@pytest.mark.parametrize("differs, kind", REFUSED)
def test_what_one_client_gets_the_short_way_refuses_nobody_else_nor_serves_it(
    differs: dict[str, Any], kind: str
) -> None:
    behavior = Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow"), viewer_protocol="https-only", token="fastly")
    service = Service(name="fra", behaviors=(behavior,), tokens={"fastly": TOKEN_SETTINGS["fastly"]})
    edge = EdgeMachine(service, limits=RequestLimits(head=400, fields=2))
    text = f"/a?token={TOKENS['/a']}"
    good = RequestHead(
        "GET", "https", "h", "/", None, Headers([("host", "h")]), "198.51.100.7", Place("DE"), head_bytes=20
    )
    path, _, query = text.partition("?")
    fetch = edge.on_request(replace(good, path=path, query=query), START)
    assert isinstance(fetch, Fetch)
    edge.on_response(fetch, ResponseHead(200, Headers([("cache-control", "max-age=60")])), START)
    edge.on_body_end(fetch, 10, START)
    other = replace(good, **differs)
    way = edge.short_way
    for now in (START + 1, START + 2):
        assert stored(way.find(way.alike(good), text, now))
        assert way.find(way.alike(other), text, now) is None
        whole = replace(other, path=path, query=query, head_bytes=other.head_bytes + len(text))
        refused = edge.on_request(whole, now)
        assert isinstance(refused, Refuse) and refused.refusal is not None and refused.refusal.kind.value == kind
    for tick in range(8):  # a token that is used all the time is not good for longer
        assert stored(way.find(way.alike(good), text, START + 8 + tick / 10))
    ended = way.find(way.alike(good), text, START + 8.8)
    assert isinstance(ended, Turned) and ended.refusal.reason == "token: expired"


def test_a_flood_of_refused_targets_fills_no_table_and_displaces_nothing() -> None:
    behavior = Behavior(path="*", token="fastly")
    edge = EdgeMachine(Service(name="fra", behaviors=(behavior,), tokens={"fastly": TOKEN_SETTINGS["fastly"]}))
    way, one = edge.short_way, RequestHead("GET", "https", "h", "/", None, Headers([("host", "h")]))
    alike = way.alike(one)
    good = f"/a?token={TOKENS['/a']}"
    assert isinstance(way.find(alike, good, START), tuple) and len(way) == 1  # its token is good, and nothing is stored
    for number in range(3 * REMEMBERED_REFUSED):
        forged = way.find(alike, f"/a?token={int(START) + 9}_{number:064x}", START)
        assert isinstance(forged, Turned) and forged.refusal.reason == "token: signature does not match"
    assert way.remembered_refused == 0
    for number in range(3 * REMEMBERED_REFUSED):
        for _ in range(2):
            bare = way.find(alike, f"/a?q={number}", START)
            assert isinstance(bare, Turned) and bare.refusal.reason == "token: missing"
        assert way.remembered_refused <= REMEMBERED_REFUSED
    way.find(alike, "/a?q=" + "x" * 2_000, START)
    assert way.remembered_refused <= REMEMBERED_REFUSED
    assert len(way) == 1


CONDITIONS = [  # request fields, and what is remembered with a stored response of the last request that had the like
    ([], ()),
    ([("accept", "a")], ()),
    ([("if-none-match", '"1"')], ("GET", "if-none-match", '"1"')),
    ([("range", "bytes=0-1"), ("accept", "a")], ("GET", "range", "bytes=0-1")),
    ([("if-none-match", f'"{"1" * LONGEST_CONDITION}"')], None),  # thousands of them would fill the memory
    ([("if-none-match", '"1"'), ("range", "bytes=0-1")], None),
    ([("if-modified-since", "Thu, 19 Nov 2026 12:00:00 GMT")], None),  # the century of two digits follows from the time
    ([("range", "bytes=0-1"), ("if-range", '"1"')], None),
]


@pytest.mark.parametrize("fields, condition", CONDITIONS)
def test_what_is_remembered_of_a_condition(fields: list[tuple[str, str]], condition: tuple[str, ...] | None) -> None:
    edge = EdgeMachine(Service(name="fra"))
    assert edge.short_way.alike(RequestHead("GET", "https", "h", "/", None, Headers(fields))).condition == condition


def test_targets_of_all_that_is_stored_are_remembered_and_of_what_is_not_no_more_than_a_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(short_way, "REMEMBERED_TARGETS", 20)
    edge = EdgeMachine(Service(name="fra"))
    way, alike = (
        edge.short_way,
        edge.short_way.alike(RequestHead("GET", "https", "h", "/", None, Headers([("host", "h")]))),
    )
    for number in range(500):
        way.find(alike, f"/none/{number}", START)
        assert len(way) <= 20
    for number in range(100):
        plan = edge.on_request(RequestHead("GET", "https", "h", f"/{number}", None, Headers([("host", "h")])), START)
        assert isinstance(plan, Fetch)
        edge.on_response(plan, ResponseHead(200, Headers([("cache-control", "max-age=60")])), START)
        edge.on_body_end(plan, 9, START)
    found = [way.find(alike, f"/{number}", START) for _ in range(3) for number in range(100)]
    assert all(stored(one) for one in found)
    targets = [one[0] for one in found if isinstance(one, tuple)]
    assert [id(one) for one in targets[100:]] == 2 * [id(one) for one in targets[:100]]
    assert len(way) <= 200
