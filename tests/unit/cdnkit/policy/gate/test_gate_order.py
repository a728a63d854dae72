"""The gate as a tuple of checks: their order, the page that tells it, and what the machine makes of the tuple."""

from pathlib import Path

import pytest

from cdnkit.policy import Behavior, EdgeMachine, Fetch, Headers, Refuse, RequestHead, ResponseHead, Serve, Service
from cdnkit.policy.gate.check import Check, Concerns
from cdnkit.policy.gate.limits import RequestLimits
from cdnkit.policy.gate.rates import RateCheck
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.outcomes import RefusalKind
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.response_headers import Cors, ResponseHeaders
from cdnkit.policy.rules.service import Geo
from cdnkit.vendors import CLOUDFRONT

NOW = 1_795_000_000.0
DOCS = Path(__file__).parents[5] / "docs/gate.md"
LIMIT = RateLimit(requests=2, per=60.0)
ALL = Behavior(
    path="*", methods="GET, HEAD, OPTIONS", geo=Geo(deny=("KP",)), token="viewer", viewer_protocol="https-only",
    rate_limit=LIMIT, response_headers_policy="open",
)  # fmt: skip
OPEN = ResponseHeaders(cors=Cors(preflight="answer"))
SERVICE = Service.model_validate(
    {
        "name": "fra", "tokens": {"viewer": {"key": "c2VjcmV0"}}, "behaviors": [ALL], "rate_limit": LIMIT,
        "response_headers": {"open": OPEN},
    }
)  # fmt: skip


def get(path: str = "/a", **fields: str) -> RequestHead:
    lines = Headers([(name.replace("_", "-"), value) for name, value in fields.items()])
    return RequestHead("GET", "https", "h", path, None, lines, client_ip="198.51.100.7", place=Place("DE"))


def checks_of(service: Service) -> tuple[Check, ...]:
    edge = EdgeMachine(service, CLOUDFRONT, limits=RequestLimits(url=8192))
    return edge.view.rule_of(get()).checks


def test_the_page_of_the_gate_has_the_order_and_the_kinds() -> None:
    _, _, table = DOCS.read_text().partition("| check | kind |")
    rows = [line.split("|") for line in table.partition("\n\n")[0].splitlines()[2:]]
    told = [(row[1].strip(), row[2].strip().strip("`")) for row in rows]
    checks = [(check.name, check.kind.value) for check in checks_of(SERVICE)]
    assert checks.count(("rate", "rate")) == 2  # the behavior's limit, then the node's
    assert told == list(dict.fromkeys(checks))


def test_every_kind_but_that_of_purges_has_a_check() -> None:
    assert {check.kind for check in checks_of(SERVICE)} == set(RefusalKind) - {RefusalKind.PURGE}


def test_what_nobody_asks_for_is_no_check() -> None:
    edge = EdgeMachine(Service())
    rule = edge.view.rule_of(get())
    assert [check.name for check in rule.checks] == [
        "host", "malformed", "path", "loop", "never forwarded", "max-forwards",
    ]  # fmt: skip
    assert [check.name for check in rule.first_checks] == ["host"]
    assert [check.name for check in rule.plain_checks] == ["malformed", "path"]
    assert (rule.guarded, rule.admission) == (False, None)


def test_a_shield_checks_what_a_request_is_and_not_who_asks() -> None:
    shield = SERVICE.model_copy(update={"gate": False})
    assert [check.name for check in checks_of(shield)] == [
        "host", "quotas", "node limits", "malformed", "loop", "never forwarded", "max-forwards", "methods",
        "content",
    ]  # fmt: skip


@pytest.mark.parametrize("service", [SERVICE, Service(), SERVICE.model_copy(update={"gate": False})])
def test_the_parts_of_the_tuple_leave_out_none_that_could_refuse(service: Service) -> None:
    rule = EdgeMachine(service, CLOUDFRONT).view.rule_of(get())
    assert rule.first_checks + rule.other_checks == rule.checks
    assert all(check.concerns is Concerns.ALL for check in rule.first_checks)
    assert set(rule.other_checks) - set(rule.plain_checks) == {
        check for check in rule.checks if check.concerns is Concerns.NOT_PLAIN
    }
    assert rule.guarded is any(check.concerns is Concerns.ALL for check in rule.other_checks)


def test_the_checks_of_a_node_are_asked_in_this_order_and_the_first_refusal_wins() -> None:
    """One fault after the other is taken away from a request that has them all."""
    edge = EdgeMachine(SERVICE, CLOUDFRONT, limits=RequestLimits(url=20))
    request = RequestHead(
        "TRACE", "http", "h h", "/a path of many octets", None,
        Headers([("via", "1.1 fra"), ("max-forwards", "0"), ("content-length", "3"), ("x", "y\x01")]),
        client_ip="198.51.100.7", place=Place("KP"),
    )  # fmt: skip
    found = []
    for change in (
        {}, {"host": "h"}, {"path": "/b b"}, {"headers": Headers([("content-length", "3"), ("x", "\x01")])},
        {"method": "GET"}, {"path": "/b"}, {"headers": Headers([("content-length", "3")])}, {"headers": Headers()},
        {"scheme": "https"}, {"place": Place("DE")},
    ):  # fmt: skip
        for name, value in change.items():
            setattr(request, name, value)
        edge = EdgeMachine(SERVICE, CLOUDFRONT, limits=RequestLimits(url=20))
        plan = edge.on_request(request, NOW)
        assert isinstance(plan, Refuse) and plan.refusal is not None
        last = explain(edge, request, NOW)["gate"]["checks"][-1]
        assert (last["kind"], last["refuses"]) == (plan.refusal.kind.value, plan.reason)
        found.append(plan.refusal.kind.value)
    assert found == [
        "host", "limit", "loop", "method", "malformed", "malformed", "content", "protocol", "geo", "token",
    ]  # fmt: skip


def test_explain_tells_what_each_check_says_and_counts_no_request() -> None:
    edge = EdgeMachine(SERVICE, RFC9111)
    for _ in range(5):
        gate = explain(edge, get(), NOW)["gate"]
        assert [(one["name"], one["refuses"]) for one in gate["checks"]] == [
            *((check.name, None) for check in edge.view.rule_of(get()).checks[:-1]), ("token", "token: missing"),
        ]  # fmt: skip
        assert (gate["refused"], gate["reason"], gate["rates"][0]["left"]) == (403, "token: missing", 2)
    for _ in range(3):
        edge.on_request(get(), NOW)
    gate = explain(edge, get(), NOW)["gate"]
    assert (gate["refused"], gate["checks"][-1]["kind"]) == (429, "rate")
    assert len([check for check in edge.view.rule_of(get()).checks if isinstance(check, RateCheck)]) == 2


def test_a_plain_hit_under_no_rules_is_asked_by_the_first_checks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = EdgeMachine(Service())
    fetch = edge.on_request(get(), NOW)
    assert isinstance(fetch, Fetch)
    edge.on_response(fetch, ResponseHead(200, Headers([("cache-control", "max-age=60")])), NOW)
    edge.on_body_end(fetch, 3, NOW)
    for check in edge.view.rule_of(get()).other_checks:
        monkeypatch.setattr(type(check), "refusal", lambda *_: pytest.fail("asked"))
    assert isinstance(edge.on_request(get(), NOW + 1), Serve)
