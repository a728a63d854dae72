"""Viewer protocol policies: what one who comes over HTTP is told, by profile, method and version."""

import pytest

from cdnkit.policy.gate.gate import ServiceGate
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Refuse
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.vendors import CLOUDFRONT, FASTLY

NOW = 1_800_000_000.0
ONLY, SENT = "https-only", "redirect-to-https"


def machine(wanted: str, profile: Profile = CLOUDFRONT, port: int = 443, **service: object) -> EdgeMachine:
    rules = Service.model_validate(
        {"behaviors": [Behavior(path="*", viewer_protocol=wanted, geo=Geo(deny=("KP",), unknown="allow"))]}
        | {"https_port": port, **service}
    )
    return EdgeMachine(rules, profile, gate=ServiceGate(rules, {}))


def head(method: str = "GET", scheme: str = "http", host: str = "cdn.test", version: str = "1.1") -> RequestHead:
    headers = Headers((("host", host),) if host else ())
    return RequestHead(method, scheme, host, "/a%20b", "x=1&x", headers, "192.0.2.1", version=version)


LOCATION = "https://cdn.test/a%20b?x=1&x"

TOLD = [  # profile, policy, method, version, then: status, Location
    # CloudFront, CacheBehavior.ViewerProtocolPolicy; "Require HTTPS between viewers and CloudFront"
    (CLOUDFRONT, ONLY, "GET", "1.1", 403, None),
    (CLOUDFRONT, ONLY, "POST", "1.1", 403, None),
    (CLOUDFRONT, SENT, "GET", "1.1", 301, LOCATION),
    (CLOUDFRONT, SENT, "GET", "1.0", 301, LOCATION),
    (CLOUDFRONT, SENT, "HEAD", "1.1", 301, LOCATION),
    (CLOUDFRONT, SENT, "POST", "1.1", 307, LOCATION),
    (CLOUDFRONT, SENT, "OPTIONS", "2", 307, LOCATION),
    (CLOUDFRONT, SENT, "DELETE", "1.0", 403, None),  # "HTTP 1.0": 403 for methods beside GET and HEAD
    # Fastly, "force TLS": a synthetic 301; for any method: unverified
    (FASTLY, SENT, "GET", "1.1", 301, LOCATION),
    (FASTLY, SENT, "POST", "1.1", 301, LOCATION),
    (FASTLY, SENT, "POST", "1.0", 301, LOCATION),
    (RFC9111, SENT, "GET", "1.1", 301, LOCATION),
    (RFC9111, SENT, "PUT", "1.1", 307, LOCATION),  # RFC 9110 section 15.4.8: the method stays
]


@pytest.mark.parametrize(("profile", "wanted", "method", "version", "status", "location"), TOLD)
def test_who_comes_over_http(
    profile: Profile, wanted: str, method: str, version: str, status: int, location: str | None
) -> None:
    edge = machine(wanted, profile)
    plan = edge.on_request(head(method, version=version), NOW)
    assert isinstance(plan, Refuse)
    assert (plan.status, dict(plan.headers).get("location")) == (status, location)
    if profile is CLOUDFRONT:
        x_cache = "Error from cloudfront" if status == 403 else "Redirect from cloudfront"
        assert dict(plan.headers)["x-cache"] == x_cache
    assert isinstance(edge.on_request(head(method, scheme="https", version=version), NOW), Fetch)


HOSTS = [  # Host, port of HTTPS, then Location's beginning
    ("cdn.test:8081", 443, "https://cdn.test/"),
    ("cdn.test:8081", 8441, "https://cdn.test:8441/"),
    ("cdn.test:", 443, "https://cdn.test/"),
    ("127.0.0.1", 8441, "https://127.0.0.1:8441/"),
    ("[::1]:8081", 8441, "https://[::1]:8441/"),
    ("[::1]", 443, "https://[::1]/"),
]


@pytest.mark.parametrize(("host", "port", "begins"), HOSTS)
def test_where_he_is_sent(host: str, port: int, begins: str) -> None:
    plan = machine(SENT, port=port).on_request(head(host=host), NOW)
    assert isinstance(plan, Refuse)
    assert dict(plan.headers)["location"].startswith(begins + "a%20b")


def test_who_names_no_host_can_be_sent_nowhere() -> None:
    plan = machine(SENT).on_request(head(host="", version="1.0"), NOW)
    assert isinstance(plan, Refuse) and plan.status == 403


def test_a_shield_asks_its_edges_for_nothing() -> None:
    assert isinstance(machine(SENT, gate=False).on_request(head(), NOW), Fetch)


def test_a_stored_answer_does_not_open_the_way() -> None:
    rules = Service(behaviors=(Behavior(path="*", viewer_protocol="redirect-to-https"),))
    edge = EdgeMachine(rules, RFC9111)
    fetch = edge.on_request(head(scheme="https"), NOW)
    assert isinstance(fetch, Fetch)
    edge.on_response(fetch, ResponseHead(200, Headers([("cache-control", "max-age=60"), ("content-length", "0")])), NOW)
    edge.on_body_end(fetch, 0, NOW)
    assert edge.on_request(head(scheme="https"), NOW).outcome.value == "hit"
    assert edge.on_request(head(), NOW).outcome.value == "refused"


def test_it_stands_before_the_place_and_explain_tells_it() -> None:
    edge = machine(SENT)
    request = head()
    request.place = type(request.place)("KP")
    plan = edge.on_request(request, NOW)
    assert isinstance(plan, Refuse) and plan.reason == "protocol: sent to HTTPS"
    assert explain(edge, request, NOW)["next"] == "refused: 301 protocol: sent to HTTPS"
    request.scheme = "https"
    assert explain(edge, request, NOW)["next"].startswith("refused: 403 geo: ")
