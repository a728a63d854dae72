"""What answers carry beside what the origin sent: response headers policies, CORS, OPTIONS from the cache.

Sources: CloudFront, "Use managed response headers policies", "Understand response headers policies" (the API's words for
it in botocore), "Cache behavior settings" (allowed and cached methods); Fastly's boilerplate VCL; Fetch, "CORS protocol".
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http.messages import Headers, Lines, RequestHead, ResponseHead
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import Fetch, Join, Plan, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.response_headers import Cors, Hsts, ResponseHeaders, Security
from cdnkit.policy.rules.response_policy import CorsRules, ResponsePolicy
from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo, Key
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

FRESH = {"cache_control": "max-age=60"}
ORIGIN = "https://www.example.org"
SITE = {"origin": ORIGIN}
ACAO, METHODS, EXPOSE = (f"access-control-{name}" for name in ("allow-origin", "allow-methods", "expose-headers"))
PREFLIGHT = ask(method="OPTIONS", origin=ORIGIN, access_control_request_method="PUT")


def told(answer: Plan | Relay) -> dict[str, str]:
    assert isinstance(answer, Serve | Relay | Refuse), answer
    names = [name for name, _ in answer.headers]
    assert len(set(names)) == len(names), names
    return dict(answer.headers)


def answer_of(edge: EdgeMachine, request: RequestHead, response: ResponseHead, now: float = NOW) -> dict[str, str]:
    plan = edge.on_request(request, now)
    if not isinstance(plan, Fetch):
        return told(plan)
    answer = edge.on_response(plan, response, now).answers[plan.ticket]
    edge.on_body_end(plan, 10, now)
    return told(answer)


def with_policy(
    profile: Profile, settings: ResponseHeaders, behavior: Behavior | None = None, **service: object
) -> EdgeMachine:
    named = (behavior or Behavior(path="*")).model_copy(update={"response_headers_policy": "own"})
    return node(profile, named, response_headers={"own": settings}, **service)


def managed(name: str, **behavior: object) -> EdgeMachine:
    return node(CLOUDFRONT, Behavior(path="*", response_headers_policy=name, **behavior))  # type: ignore[arg-type]


# ---- managed policies ----------------------------------------------------------------------------------------------

ALL = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
CARE = {
    "referrer-policy": "strict-origin-when-cross-origin",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "x-xss-protection": "1; mode=block",
}
MANAGED = [  # policy, on a GET from another origin, beside that on a preflight's
    ("SimpleCORS", {ACAO: "*"}, {}),
    ("CORS-With-Preflight", {ACAO: "*", EXPOSE: "*"}, {METHODS: ALL}),
    ("SecurityHeadersPolicy", CARE, {}),
    ("CORS-and-SecurityHeadersPolicy", {ACAO: "*", **CARE}, {}),
    ("CORS-with-preflight-and-SecurityHeadersPolicy", {ACAO: "*", EXPOSE: "*", **CARE}, {METHODS: ALL}),
]


@pytest.mark.parametrize(("name", "simple", "asked"), MANAGED, ids=[row[0] for row in MANAGED])
def test_managed_policies(name: str, simple: dict[str, str], asked: dict[str, str]) -> None:
    bare = {"age", "content-length", *answer_of(node(CLOUDFRONT), ask(**SITE), says(**FRESH))}
    edge = managed(name)
    for _ in range(2):  # a miss, a hit
        answer = answer_of(edge, ask(**SITE), says(**FRESH))
        assert {field: answer[field] for field in answer.keys() - bare} == simple
    answer = answer_of(edge, PREFLIGHT, says(**FRESH))
    assert {field: answer[field] for field in answer.keys() - bare} == simple | asked


OVERRIDES = [  # the origin's field, its value, what the viewer sees: only nosniff is the policy's own
    ("access-control-allow-origin", "https://a.example", "https://a.example"),
    ("x-frame-options", "DENY", "DENY"),
    ("referrer-policy", "no-referrer", "no-referrer"),
    ("x-content-type-options", "none", "nosniff"),
]


@pytest.mark.parametrize(("name", "sent", "seen"), OVERRIDES)
def test_the_origins_own_fields_win_over_managed_policies_but_for_one(name: str, sent: str, seen: str) -> None:
    edge = managed("CORS-and-SecurityHeadersPolicy")
    for _ in range(2):
        assert answer_of(edge, ask(**SITE), says(200, (name, sent), **FRESH))[name] == seen


def test_every_managed_policy_has_an_id_and_the_other_way_round() -> None:
    from cdnkit.vendors.cloudfront.distribution import RESPONSE_HEADERS_POLICY_IDS

    assert set(RESPONSE_HEADERS_POLICY_IDS.values()) == set(CLOUDFRONT.response_headers_policies)
    assert {row[0] for row in MANAGED} == set(CLOUDFRONT.response_headers_policies)


# ---- policies of one's own -----------------------------------------------------------------------------------------

OWN = [  # policy, what of the origin's answer, what the viewer sees (None: nothing)
    (ResponseHeaders(set={"X-A": "1"}), {"x_a": "0"}, {"x-a": "1"}),
    (ResponseHeaders(set={"X-A": ""}), {}, {"x-a": ""}),  # "specifying a value is optional"
    (ResponseHeaders(set_if_absent={"X-A": "1"}), {"x_a": "0"}, {"x-a": "0"}),
    (ResponseHeaders(set_if_absent={"X-A": "1"}), {}, {"x-a": "1"}),
    (ResponseHeaders(remove=("X-Powered-By", "Vary")), {"x_powered_by": "p", "vary": "accept-encoding"}, {"x-powered-by": None, "vary": None}),
    (ResponseHeaders(remove=("X-A",), set_if_absent={"X-A": "1"}), {"x_a": "0"}, {"x-a": "1"}),  # removed first, then added
    (ResponseHeaders(set={"Cache-Control": "no-store"}), FRESH, {"cache-control": "no-store"}),
    (ResponseHeaders(security=Security(frame_options="DENY", override=False)), {"x_frame_options": "SAMEORIGIN"}, {"x-frame-options": "SAMEORIGIN"}),
    (ResponseHeaders(security=Security(frame_options="DENY")), {"x_frame_options": "SAMEORIGIN"}, {"x-frame-options": "DENY"}),
    (ResponseHeaders(security=Security(strict_transport_security=Hsts(max_age=60, include_subdomains=True, preload=True))), {}, {"strict-transport-security": "max-age=60; includeSubDomains; preload"}),
    (ResponseHeaders(security=Security(content_security_policy="default-src 'self'")), {}, {"content-security-policy": "default-src 'self'"}),
]  # fmt: skip


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
@pytest.mark.parametrize(("settings", "sent", "seen"), OWN, ids=range(len(OWN)))
def test_a_policy_of_ones_own(
    profile: Profile, settings: ResponseHeaders, sent: dict[str, str], seen: dict[str, str | None]
) -> None:
    edge = with_policy(profile, settings)
    response = says(200, **({**FRESH, "etag": '"1"'} | sent))
    asked = ask(accept_encoding="br")
    for outcome in ("miss", "hit"):
        answer = answer_of(edge, asked, response)
        assert {name: answer.get(name) for name in seen} == seen, outcome
    assert isinstance(edge.on_request(asked, NOW + 1), Serve), "what a browser is told is not what the cache lives by"


def test_the_same_field_twice_is_fastlys_append() -> None:
    edge = with_policy(FASTLY, ResponseHeaders(append={"X-A": "1"}))
    fetch = fetched(edge, edge.on_request(ask(), NOW))
    answer = edge.on_response(fetch, says(x_a="0", **FRESH), NOW).answers[fetch.ticket]
    assert isinstance(answer, Serve) and [value for name, value in answer.headers if name == "x-a"] == ["0", "1"]


def test_server_and_date_that_are_taken_off_are_the_nodes_own_then() -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(remove=("Server", "Date")))
    answer = answer_of(edge, ask(), says(server="nginx", **FRESH))
    assert answer["server"] == "CloudFront"
    later = answer_of(edge, ask(), says(), NOW + 7)
    assert later["date"] != answer["date"] and later["x-cache"] == "Hit from cloudfront"


def test_what_is_stored_is_the_origins() -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors(), set={"X-A": "1"}, remove=("X-Powered-By",)))
    filled(edge, says(x_powered_by="p", **FRESH), request=ask(**SITE))
    (entry,) = edge.index
    names = {name for name, _ in entry.headers}
    assert "x-powered-by" in names and not names & {"x-a", ACAO}


def test_a_304_carries_them_too() -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors(), set={"X-A": "1"}))
    filled(edge, says(etag='"1"', **FRESH))
    answer = edge.on_request(ask(if_none_match='"1"', **SITE), NOW + 1)
    assert isinstance(answer, Serve) and answer.status == 304
    assert (told(answer)["x-a"], told(answer)[ACAO]) == ("1", "*")


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_errors_and_refusals_carry_them_so_that_a_player_can_read_the_status(profile: Profile) -> None:
    """S7: a 403 or 404 that a browser may not see is a riddle. (hls.js#354)"""
    edge = with_policy(
        profile, ResponseHeaders(cors=Cors(origins=(ORIGIN,)), set={"X-A": "1"}),
        Behavior(path="*", methods="GET, HEAD", geo=Geo(deny=("KP",))),
    )  # fmt: skip
    at_home = replace(ask(**SITE), place=Place("DE"))
    refused = edge.on_request(replace(at_home, place=Place("KP")), NOW)
    method = edge.on_request(replace(at_home, method="DELETE"), NOW)
    fetch = fetched(edge, edge.on_request(replace(at_home, path="/b"), NOW))
    failed = edge.on_failure(fetch, Failure.CONNECT, NOW).answers[fetch.ticket]
    assert not isinstance(failed, Fetch)
    missing = answer_of(edge, replace(at_home, path="/c"), says(404, **FRESH))
    for fields in (told(refused), told(method), told(failed), missing):
        assert (fields["x-a"], fields[ACAO], "Origin" in fields["vary"]) == ("1", ORIGIN, True)


def test_without_a_policy_cloudfronts_errors_lack_cors() -> None:
    """S7 as it is met."""
    edge = node(CLOUDFRONT, Behavior(path="*", geo=Geo(deny=("KP",))))
    assert ACAO not in told(edge.on_request(replace(ask(**SITE), place=Place("KP")), NOW))


def test_a_node_that_faces_no_viewers_adds_nothing() -> None:
    shield = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors(), set={"X-A": "1"}), gate=False)
    assert not answer_of(shield, ask(**SITE), says(**FRESH)).keys() & {"x-a", ACAO}


def test_a_page_in_place_of_an_error_carries_its_own_behaviors() -> None:
    edge = with_policy(
        CLOUDFRONT, ResponseHeaders(cors=Cors()), Behavior(path="*"),
        error_pages=(ErrorPage(status=404, page="/sorry", response_status=404),),
    )  # fmt: skip
    filled(edge, says(**FRESH), request=ask("/sorry"))
    fetch = fetched(edge, edge.on_request(ask(**SITE), NOW))
    answer = edge.on_response(fetch, says(404), NOW).answers[fetch.ticket]
    assert isinstance(answer, Serve) and answer.status == 404 and told(answer)[ACAO] == "*"


def test_server_timing_of_a_policy_counts_where_the_behavior_has_none() -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(server_timing=100.0))
    assert "cdn-cache-miss" in answer_of(edge, ask(), says(**FRESH))["server-timing"]
    none = with_policy(CLOUDFRONT, ResponseHeaders(server_timing=100.0), Behavior(path="*", server_timing=0.0))
    assert "server-timing" not in answer_of(none, ask(), says(**FRESH))


# ---- CORS ----------------------------------------------------------------------------------------------------------

ORIGINS = [  # the policy's, the request's, allowed?
    ("*", "https://a.example", True),
    ("https://www.example.org", "https://www.example.org", True),
    ("https://www.example.org", "HTTPS://WWW.EXAMPLE.ORG", True),
    ("https://www.example.org", "http://www.example.org", False),
    ("https://www.example.org", "https://www.example.org:8443", False),
    ("https://www.example.org:8443", "https://www.example.org:8443", True),
    ("www.example.org", "http://www.example.org", True),
    ("*.example.org", "https://a.example.org", True),
    ("https://*.example.org", "http://a.example.org", False),
    ("*.example.org", "https://example.org", False),
    ("*.example.org", "https://a.b.example.org", False),
    ("*.example.org", "https://a.example.org.evil.example", False),
    ("*.example.org", "https://evil.example/.example.org", False),
    ("www.example.org", "https://wwwxexample.org", False),
    ("www.example.org", "https://www.example.org\n", False),
    ("www.example.org", "null", False),
]


@pytest.mark.parametrize(("allowed", "origin", "is_told"), ORIGINS)
def test_who_is_allowed(allowed: str, origin: str, is_told: bool) -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors(origins=(allowed,), credentials=allowed != "*")))
    answer = answer_of(edge, ask(origin=origin), says(**FRESH))
    assert answer.get(ACAO) == (("*" if allowed == "*" else origin) if is_told else None)
    assert ("access-control-allow-credentials" in answer) is (is_told and allowed != "*")
    assert (answer.get("vary") == "Origin") is (allowed != "*"), "a browser's cache must not mix them up"


def test_of_several_the_matching_one_is_told_whoever_filled_the_cache() -> None:
    """S8: the first request has no Origin, and the key ignores it (video-on-demand-on-aws#127); S9: nothing is split."""
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors(origins=("https://a.example", "https://b.example"))))
    filled(edge, says(vary="Origin", **FRESH))  # nobody's
    for origin in ("https://a.example", "https://b.example", "https://a.example"):
        hit = edge.on_request(ask(origin=origin), NOW + 1)
        assert isinstance(hit, Serve) and hit.outcome is Outcome.HIT and told(hit)[ACAO] == origin
    assert ACAO not in told(edge.on_request(ask(origin="https://c.example"), NOW + 1))
    assert ACAO not in told(edge.on_request(ask(), NOW + 1))
    assert len(edge.index) == 1


def test_without_a_policy_s8_is_met_as_at_cloudfront() -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(vary="Origin", **FRESH))
    hit = edge.on_request(ask(**SITE), NOW + 1)
    assert isinstance(hit, Serve) and ACAO not in told(hit)


def test_those_who_wait_for_one_fill_are_each_told_their_own() -> None:
    edge = with_policy(RFC9111, ResponseHeaders(cors=Cors(origins=("https://a.example", "https://b.example"))))
    origins = ["https://a.example", "https://b.example", None, "https://a.example", "https://b.example"]
    plans = [edge.on_request(ask(**({"origin": origin} if origin else {})), NOW) for origin in origins]
    leader = fetched(edge, plans[0])
    landing = edge.on_response(leader, says(**FRESH), NOW)
    for plan, origin in zip(plans, origins, strict=True):
        assert isinstance(plan, Fetch | Join)
        answer = landing.answers[plan.ticket]
        assert not isinstance(answer, Fetch) and told(answer).get(ACAO) == origin


OVERRIDDEN = [  # override, the request's origin, what the origin says it allows, what the viewer sees
    (True, "https://a.example", "https://x.example", "https://a.example"),
    (True, "https://c.example", "https://x.example", None),  # what another was told is nobody else's
    (False, "https://a.example", "https://x.example", "https://x.example"),
    (False, "https://a.example", None, "https://a.example"),
]


@pytest.mark.parametrize(("override", "origin", "says_origin", "seen"), OVERRIDDEN)
def test_whose_word_counts(override: bool, origin: str, says_origin: str | None, seen: str | None) -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors(origins=("https://a.example",), override=override)))
    own = [(ACAO, says_origin)] if says_origin else []
    assert answer_of(edge, ask(origin=origin), says(200, *own, **FRESH)).get(ACAO) == seen


LABELS = st.sampled_from(["a", "b", "example", "evil", "org", "*"])


@given(st.lists(LABELS, min_size=1, max_size=4).map(".".join), st.booleans())
def test_no_host_but_those_below_is_let_in_by_a_wildcard(host: str, secure: bool) -> None:
    rules = CorsRules(Cors(origins=("https://*.example.org",), credentials=True))
    origin = f"{'https' if secure else 'http'}://{host}"
    lines: Lines = rules.applied([], ask(origin=origin))
    inside = secure and host.count(".") == 2 and host.endswith(".example.org")
    assert ((ACAO, origin) in lines) is inside


# ---- OPTIONS -------------------------------------------------------------------------------------------------------


def test_cloudfront_forwards_options_where_it_is_allowed_and_adds_the_policys_fields_to_the_origins_answer() -> None:
    cors = Cors(origins=(ORIGIN,), methods="ALL", headers=("Range",), max_age=600)
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=cors))
    for _ in range(2):
        fetch = fetched(edge, edge.on_request(PREFLIGHT, NOW))
        assert fetch.request.method == "OPTIONS"
        answer = edge.on_response(fetch, says(200, **FRESH), NOW).answers[fetch.ticket]
        assert isinstance(answer, Relay)
        assert told(answer)[METHODS] == "GET, DELETE, HEAD, OPTIONS, PATCH, POST, PUT"
        assert told(answer)["access-control-allow-headers"] == "Range"
        assert told(answer)["access-control-max-age"] == "600"
    # an OPTIONS that asks nothing of the kind
    plain = answer_of(edge, ask(method="OPTIONS", origin=ORIGIN), says(200))
    assert METHODS not in plain and plain[ACAO] == ORIGIN


def test_cloudfront_refuses_options_where_it_is_not_allowed() -> None:
    edge = with_policy(CLOUDFRONT, ResponseHeaders(cors=Cors()), Behavior(path="*", methods="GET, HEAD"))
    refused = edge.on_request(PREFLIGHT, NOW)
    assert isinstance(refused, Refuse) and refused.status == 403


CACHED = Behavior(
    path="*",
    methods="GET, HEAD, OPTIONS",
    cached_methods="GET, HEAD, OPTIONS",
    key=Key(headers=("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")),
)


def test_cached_options_have_an_entry_of_their_own_by_what_the_key_holds() -> None:
    edge = node(CLOUDFRONT, CACHED)
    filled(edge, says(200, (METHODS, "PUT"), **FRESH), request=PREFLIGHT)
    hit = edge.on_request(PREFLIGHT, NOW + 1)
    assert isinstance(hit, Serve) and hit.outcome is Outcome.HIT and told(hit)[METHODS] == "PUT" and hit.body
    get = fetched(edge, edge.on_request(ask(**SITE), NOW + 1))
    assert get.request.method == "GET", "GET and OPTIONS share nothing"
    edge.on_response(get, says(x_a="get", **FRESH), NOW + 1)
    edge.on_body_end(get, 10, NOW + 1)
    assert "x-a" not in told(edge.on_request(PREFLIGHT, NOW + 2))
    other = ask(method="OPTIONS", origin=ORIGIN, access_control_request_method="DELETE")
    assert isinstance(edge.on_request(other, NOW + 2), Fetch)
    assert isinstance(edge.on_request(PREFLIGHT, NOW + 61), Fetch)


def test_cached_options_collapse_and_are_revalidated_as_options() -> None:
    edge = node(CLOUDFRONT, CACHED)
    leader, follower = fetched(edge, edge.on_request(PREFLIGHT, NOW)), edge.on_request(PREFLIGHT, NOW)
    assert isinstance(follower, Join)
    edge.on_response(leader, says(200, etag='"1"', cache_control="max-age=5"), NOW)
    edge.on_body_end(leader, 0, NOW)
    again = fetched(edge, edge.on_request(PREFLIGHT, NOW + 6))
    assert (again.request.method, again.request.headers.first("if-none-match")) == ("OPTIONS", '"1"')


def test_options_that_are_not_cached_are_not_kept() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", methods="GET, HEAD, OPTIONS"))
    filled(edge, says(200, **FRESH), request=PREFLIGHT)
    assert isinstance(edge.on_request(PREFLIGHT, NOW + 1), Fetch) and len(edge.index) == 0


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_a_preflight_is_answered_here_where_the_policy_says_so(profile: Profile) -> None:
    """What a synthetic answer in Fastly's vcl_recv does; before the gate, since a preflight carries no credentials."""
    cors = Cors(origins=(ORIGIN,), methods=("GET", "PUT"), preflight="answer")
    edge = with_policy(profile, ResponseHeaders(cors=cors), Behavior(path="*", geo=Geo(deny=("KP",))))
    answer = edge.on_request(replace(PREFLIGHT, place=Place("KP")), NOW)
    assert isinstance(answer, Refuse) and (answer.status, answer.body) == (204, b"")
    assert (told(answer)[ACAO], told(answer)[METHODS]) == (ORIGIN, "GET, PUT")
    assert isinstance(edge.on_request(replace(ask(method="OPTIONS"), place=Place("DE")), NOW), Fetch)


def test_a_policys_two_steps_are_the_same_as_one() -> None:
    """A ready head has the first step in it; the second comes to each request."""
    settings = ResponseHeaders(cors=Cors(origins=(ORIGIN,)), set={"X-A": "1"}, remove=("X-B",))
    response_policy = ResponsePolicy(settings)
    lines: Lines = [("x-b", "1"), ("vary", "accept-encoding")]
    assert response_policy.cors is not None
    assert response_policy.cors.applied(response_policy.applied(lines), ask(**SITE)) == [
        ("x-a", "1"), (ACAO, ORIGIN), ("vary", "accept-encoding, Origin"),
    ]  # fmt: skip
    assert lines == [("x-b", "1"), ("vary", "accept-encoding")]
    assert Headers.wrap(lines).joined("vary") == "accept-encoding"
