"""What a request is refused for by itself: in which order, and that most checks can refuse no plain one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy import Behavior, EdgeMachine, Fetch, Headers, Refuse, RequestHead, ResponseHead, Serve, Service
from cdnkit.policy.gate.check import Concerns
from cdnkit.policy.gate.plain import DECISIVE, is_plain
from cdnkit.policy.rules.service import Geo, Key
from cdnkit.vendors import PROFILES
from tests.kit.refusals import first_refusal

TOKENS = {"viewer": {"key": "c2VjcmV0"}}
SERVICE = Service.model_validate(
    {
        "name": "fra", "tokens": TOKENS,
        "behaviors": [
            {"path": "/paid/*", "token": "viewer"},
            {"path": "/read/*", "methods": "GET, HEAD"},
        ],
    }
)  # fmt: skip
LOOP, BODY = ("via", "1.1 fra"), ("content-length", "3")
SPELLED = "/free/..%2Fpaid/a"

ORDER = [  # given method and path, field                       then
    ("GET", "/a", None,                                         None),
    ("G T", "/a", LOOP,                                         (400, "request: a method that is no token")),
    ("GET", SPELLED + " ", LOOP,                                (400, "request: a target that is no path")),
    ("GET", SPELLED, LOOP,                                      (400, "request: a path that may be read as one")),
    ("TRACE", SPELLED, LOOP,                                    (400, "request: a path that may be read as one")),
    ("GET", "/paid/x/../a", LOOP,                               (400, "request: a path with dot segments")),
    ("GET", "/free/x/../a", None,                               None),  # no token says what its paths begin with
    ("TRACE", "/a", LOOP,                                       (508, "loop: the request has passed fra before")),
    ("TRACE", "/read/a b", None,                                (405, "method: TRACE is not for a cache")),
    ("CONNECT", "edge:443", None,                               (405, "method: CONNECT is not for a cache")),
    ("OPTIONS", "/read/a", ("max-forwards", "0"),               (204, "max-forwards: 0")),
    ("OPTIONS", "/read/a", ("max-forwards", "1"),               (403, "method: OPTIONS is not let through here")),
    ("DELETE", "/read/a", None,                                 (403, "method: DELETE is not let through here")),
    ("HEAD", "/read/a", BODY,                                   (403, "body: a HEAD has none here")),
    ("GET", "/read/a", ("content-length", "0"),                 None),
    ("POST", "/a", BODY,                                        None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "field", "then"), ORDER)
def test_the_first_reason_is_told(
    method: str, path: str, field: tuple[str, str] | None, then: tuple[int, str] | None
) -> None:
    edge = EdgeMachine(SERVICE, PROFILES["cloudfront"])
    request = RequestHead(method, "http", "h", path, None, Headers([field] if field else []))
    rule = edge.view.rule_of(request)
    found = first_refusal(rule.checks, request)
    assert (found is None) == (then is None)
    if found is not None and then is not None:
        assert found.status == then[0] and found.reason.startswith(then[1])


def test_a_shield_has_no_gate_that_a_spelling_could_pass() -> None:
    edge = EdgeMachine(SERVICE.model_copy(update={"gate": False}))
    request = RequestHead("GET", "http", "h", SPELLED, None, Headers())
    rule = edge.view.rule_of(request)
    assert first_refusal(rule.checks, request) is None


BEHAVIORS = st.builds(
    Behavior, path=st.just("*"), methods=st.sampled_from(["all", "GET, HEAD", "GET, HEAD, OPTIONS"]),
    geo=st.sampled_from([None, Geo(allow=("DE",))]),
)  # fmt: skip
FIELDS = st.lists(st.sampled_from([*sorted(DECISIVE), "accept", "max-forwards", "origin"]), max_size=3, unique=True)


@given(
    BEHAVIORS, st.sampled_from(sorted(PROFILES)), st.sampled_from(["GET", "HEAD", "OPTIONS", "POST"]), FIELDS,
    st.sampled_from(["1.1 fra", "0", "chunked", "7"]),
)  # fmt: skip
def test_what_concerns_no_plain_request_refuses_none(
    behavior: Behavior, profile: str, method: str, names: list[str], value: str
) -> None:
    edge = EdgeMachine(Service(name="fra", behaviors=(behavior,)), PROFILES[profile])
    request = RequestHead(method, "http", "h", "/a", None, Headers([(name, value) for name in names]))
    rule = edge.view.rule_of(request)
    checks = [check for check in rule.checks if check.concerns is Concerns.NOT_PLAIN]
    assert [check.name for check in checks if check not in rule.plain_checks] == [check.name for check in checks]
    assert first_refusal(checks, request) is None or not is_plain(request)


WRITTEN = [  # query, field, status
    (None, ("cookie", "a=b\x01"), 400),
    (None, ("x-a", "b\x7f"), 400),
    (None, ("x a", "b"), 400),
    ("q=\x01", ("x-a", "b"), 400),
    ("q= ", ("x-a", "b"), 400),
    (None, ("cookie", "a=\xe9\tb"), 200),  # obs-text and a tab may stand there (RFC 9110 5.5)
    ("q=1", ("x-a", "b"), 200),
]


@pytest.mark.parametrize(("query", "field", "status"), WRITTEN)
def test_what_is_malformed_is_refused_whether_it_is_stored_or_not(
    query: str | None, field: tuple[str, str], status: int
) -> None:
    edge = EdgeMachine(Service(name="fra", behaviors=(Behavior(path="*", key=Key(query="none")),)))
    request = RequestHead("GET", "http", "h", "/a", query, Headers([field]))
    missed = edge.on_request(request, 0.0)
    assert (missed.status if isinstance(missed, Refuse) else 200) == status
    first = (
        missed
        if isinstance(missed, Fetch)
        else edge.on_request(RequestHead("GET", "http", "h", "/a", None, Headers()), 0.0)
    )
    assert isinstance(first, Fetch)
    edge.on_response(first, ResponseHead(200, Headers([("cache-control", "max-age=60")])), 0.0)
    edge.on_body_end(first, 10, 0.0)
    found = edge.on_request(request, 1.0)
    assert isinstance(found, Refuse | Serve) and found.status == status
