"""What makes the key, and what reaches the origin, a row each."""

import asyncio
import time
from pathlib import Path

import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Purpose
from cdnkit.policy.plan import Fetch, Join, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.service import Behavior, Key, Service
from cdnkit.policy.store.key import cache_key, plain_key
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors import CLOUDFRONT, FASTLY
from cdnlab.errors import BadDocument
from cdnlab.settings.document import parse
from tests.kit.http import ask as ask_over
from tests.kit.machine import NOW, bounds, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin


def same(profile: Profile, key: Key, one: RequestHead, other: RequestHead) -> bool:
    behavior = resolve(Behavior(path="*", key=key), profile)
    return cache_key(one, behavior) == cache_key(other, behavior)


def over_tls() -> RequestHead:
    request = ask()
    request.scheme = "https"
    return request


AE = Key(accept_encoding=("gzip", "br"))
KEYS = [  # case, profile, key as written, two requests, do they share?
    ("rfc-query", RFC9111, Key(), ask(query="a=1"), ask(query="a=2"), False),
    ("rfc-host", RFC9111, Key(), ask(host="a"), ask(host="b"), True),  # one node, one parent
    ("cf-path-only", CLOUDFRONT, Key(), ask(query="a=1", host="a"), ask(host="b"), True),
    ("cf-path", CLOUDFRONT, Key(), ask("/a"), ask("/b"), False),
    ("cf-scheme", CLOUDFRONT, Key(), ask(), over_tls(), True),
    (
        "cf-forwarded-proto", CLOUDFRONT, Key(headers=("CloudFront-Forwarded-Proto",)),
        ask(cloudfront_forwarded_proto="http"), ask(cloudfront_forwarded_proto="https"), False,
    ),
    ("cf-head", CLOUDFRONT, Key(query="all"), ask(query="a=1"), ask(query="a=1", method="HEAD"), True),
    ("cf-header-name-case", CLOUDFRONT, Key(headers=("x-KIND",)), ask(X_Kind="a"), ask(x_kind="a"), True),
    ("cf-cookie-name-case", CLOUDFRONT, Key(cookies=("a",)), ask(cookie="A=1"), ask(cookie="A=2"), True),
    ("cf-path-case", CLOUDFRONT, Key(), ask("/a"), ask("/A"), False),
    ("cf-query-order", CLOUDFRONT, Key(query="all"), ask(query="a=1&b=2"), ask(query="b=2&a=1"), False),
    ("cf-query-case", CLOUDFRONT, Key(query=("a",)), ask(query="a=x"), ask(query="a=X"), False),
    ("cf-query-whitelist", CLOUDFRONT, Key(query=("a",)), ask(query="a=1&u=1"), ask(query="u=2&a=1"), True),
    ("cf-query-name-case", CLOUDFRONT, Key(query=("a",)), ask(query="A=1"), ask(), True),
    ("cf-query-except", CLOUDFRONT, Key(query_except=("u",)), ask(query="a=1&u=1"), ask(query="a=1&u=2"), True),
    ("cf-query-except-others", CLOUDFRONT, Key(query_except=("u",)), ask(query="a=1"), ask(query="a=2"), False),
    ("cf-query-delimiter", CLOUDFRONT, Key(query=("a",)), ask(query="a=1;b=1"), ask(query="a=1;b=2"), False),
    ("cf-headers", CLOUDFRONT, Key(headers=("X-Kind",)), ask(x_kind="a"), ask(x_kind="A"), False),
    ("cf-headers-none", CLOUDFRONT, Key(), ask(x_kind="a"), ask(x_kind="b"), True),
    ("cf-cookies-none", CLOUDFRONT, Key(), ask(cookie="a=1"), ask(cookie="a=2"), True),
    ("cf-cookies-whitelist", CLOUDFRONT, Key(cookies=("a",)), ask(cookie="a=1; b=1"), ask(cookie="b=2; a=1"), True),
    ("cf-cookies-case", CLOUDFRONT, Key(cookies=("a",)), ask(cookie="a=x"), ask(cookie="a=X"), False),
    ("cf-cookies-order", CLOUDFRONT, Key(cookies="all"), ask(cookie="a=1; b=1"), ask(cookie="b=1; a=1"), True),
    ("cf-cookies-all", CLOUDFRONT, Key(cookies="all"), ask(cookie="a=1"), ask(cookie="a=1; c=1"), False),
    (
        "cf-cookies-except", CLOUDFRONT, Key(cookies="all", cookies_except=("c",)),
        ask(cookie="a=1; c=1"), ask(cookie="c=2; a=1"), True,
    ),
    # In names of cookies `*` stands for any characters and `?` for one: "Cache behavior settings", "Allowlist cookies".
    ("cf-cookie-pattern", CLOUDFRONT, Key(cookies=("userid_*",)), ask(cookie="userid_1=a"), ask(cookie="userid_1=b"), False),
    ("cf-cookie-pattern-signed-in", CLOUDFRONT, Key(cookies=("userid_*",)), ask(cookie="userid_1=a"), ask(), False),
    ("cf-cookie-pattern-names", CLOUDFRONT, Key(cookies=("userid_*",)), ask(cookie="userid_1=a"), ask(cookie="userid_2=a"), False),
    ("cf-cookie-pattern-others", CLOUDFRONT, Key(cookies=("userid_*",)), ask(cookie="userid_1=a; x=1"), ask(cookie="x=2; userid_1=a"), True),
    ("cf-cookie-pattern-empty", CLOUDFRONT, Key(cookies=("userid_*",)), ask(cookie="userid_=a"), ask(cookie="userid_=b"), False),
    ("cf-cookie-pattern-whole", CLOUDFRONT, Key(cookies=("userid_*",)), ask(cookie="my_userid_1=a"), ask(cookie="my_userid_1=b"), True),
    ("cf-cookie-one", CLOUDFRONT, Key(cookies=("s?",)), ask(cookie="s1=a"), ask(cookie="s1=b"), False),
    ("cf-cookie-one-is-one", CLOUDFRONT, Key(cookies=("s?",)), ask(cookie="s=a; s11=a"), ask(cookie="s=b; s11=b"), True),
    ("cf-cookie-brackets-are-letters", CLOUDFRONT, Key(cookies=("[ab]*",)), ask(cookie="a1=1"), ask(cookie="a1=2"), True),
    ("cf-cookie-brackets-are-letters-too", CLOUDFRONT, Key(cookies=("[ab]*",)), ask(cookie="[ab]1=1"), ask(cookie="[ab]1=2"), False),
    ("cf-cookie-pattern-case", CLOUDFRONT, Key(cookies=("a*",)), ask(cookie="A1=1"), ask(cookie="A1=2"), True),
    (
        "cf-cookies-except-pattern", CLOUDFRONT, Key(cookies="all", cookies_except=("_ga*",)),
        ask(cookie="a=1; _ga_X=1"), ask(cookie="_ga=2; a=1"), True,
    ),
    (
        "cf-cookies-except-pattern-others", CLOUDFRONT, Key(cookies="all", cookies_except=("_ga*",)),
        ask(cookie="a=1; _ga=1"), ask(cookie="a=2; _ga=1"), False,
    ),
    (
        "cf-cookies-except-of-an-editor", CLOUDFRONT, Key(cookies="all", cookies_except=("wp-settings-*",)),
        ask(cookie="wp-settings-7=a; wp-settings-time-7=1; lang=de"), ask(cookie="lang=de"), True,
    ),
    (
        "cf-cookies-two-patterns", CLOUDFRONT, Key(cookies=("dwf_*", "sessionid")),
        ask(cookie="_ga=1; dwf_section_edit=True; sessionid=a"), ask(cookie="_ga=2; sessionid=a"), False,
    ),
    ("rfc-query-pattern", RFC9111, Key(query=("_HLS_*",)), ask(query="_HLS_msn=1&x=1"), ask(query="x=2&_HLS_msn=1"), True),
    ("rfc-query-pattern-values", RFC9111, Key(query=("_HLS_*",)), ask(query="_HLS_msn=1"), ask(query="_HLS_msn=2"), False),
    ("rfc-query-except-pattern", RFC9111, Key(query_except=("utm_*",)), ask(query="a=1&utm_source=x"), ask(query="a=1"), True),
    # As its querystring.globfilter.
    ("fa-query-except-pattern", FASTLY, Key(query_except=("utm_*", "?")), ask(query="aa=1&utm_x=1&b=1"), ask(query="aa=1&c"), True),
    ("cf-ae-order", CLOUDFRONT, AE, ask(accept_encoding="gzip, br"), ask(accept_encoding="br;q=0.5,gzip,zstd"), True),
    ("cf-ae-one", CLOUDFRONT, AE, ask(accept_encoding="gzip"), ask(accept_encoding="br, gzip"), False),
    ("cf-ae-refused", CLOUDFRONT, AE, ask(accept_encoding="gzip, br;q=0"), ask(accept_encoding="gzip"), True),
    ("cf-ae-neither", CLOUDFRONT, AE, ask(accept_encoding="zstd"), ask(), True),
    ("cf-ae-header", CLOUDFRONT, Key(headers=("accept-encoding",)), ask(accept_encoding="br"), ask(), False),
    ("cf-ae-off", CLOUDFRONT, Key(), ask(accept_encoding="gzip"), ask(), True),
    ("fa-query", FASTLY, Key(), ask(query="a=1"), ask(query="a=2"), False),
    ("fa-host", FASTLY, Key(), ask(host="a"), ask(host="b"), False),
    ("fa-query-order", FASTLY, Key(), ask(query="a=1&b=2"), ask(query="b=2&a=1"), False),
    ("fa-scheme", FASTLY, Key(), ask(), over_tls(), True),
    ("fa-method", FASTLY, Key(), ask(), ask(method="HEAD"), True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "key", "one", "other", "expected"), [row[1:] for row in KEYS], ids=[row[0] for row in KEYS]
)
def test_who_shares_an_answer(profile: Profile, key: Key, one: RequestHead, other: RequestHead, expected: bool) -> None:
    assert same(profile, key, one, other) is expected


def test_a_name_with_many_stars_is_compared_in_no_time() -> None:
    """A viewer chooses the names of its cookies; an expression that tries every split would stand still for hours."""
    key = Key(cookies=("*a*a*a*a*a*a*a*a*a*a*b",))
    started = time.process_time()
    assert same(CLOUDFRONT, key, ask(cookie="a" * 8000 + "=1"), ask(cookie="a" * 8000 + "=2"))
    assert time.process_time() - started < 5


def test_cookies_that_a_pattern_names_reach_the_origin_and_no_others() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", key=Key(cookies=("userid_*", "s?"))))
    assert sent(edge, ask(cookie="x=1; userid_2=b; s=1; s1=c")).headers.all("cookie") == ["s1=c; userid_2=b"]


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
@pytest.mark.parametrize("key", [Key(), Key(query="all"), Key(query="none", host=True), Key(host=False)])
def test_the_short_way_to_a_key_is_the_same_key(profile: Profile, key: Key) -> None:
    behavior = resolve(Behavior(path="*", key=key), profile)
    short = plain_key(behavior)
    assert short is not None
    for request in (ask(), ask(query="a=1", host="B"), ask(query="")):
        assert short(request) == cache_key(request, behavior)


def sent(edge: EdgeMachine, request: RequestHead) -> RequestHead:
    return fetched(edge, edge.on_request(request, NOW)).request


CODINGS = [  # codings told apart, the viewer's Accept-Encoding, the origin's (None: none is sent)
    (("gzip", "br"), "gzip, br", "br,gzip"),
    (("gzip", "br"), "gzip", "gzip"),
    (("gzip",), "gzip, br", "gzip"),
    (("br",), "br;q=1, gzip", "br"),
    (("gzip", "br"), "zstd", "identity"),
    (("gzip", "br"), None, None),
    (("gzip",), None, None),
]


@pytest.mark.parametrize(("enabled", "accepted", "expected"), CODINGS)
def test_cloudfront_accept_encoding_at_the_origin(
    enabled: tuple[str, ...], accepted: str | None, expected: str | None
) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", key=Key(accept_encoding=enabled)))  # type: ignore[arg-type]
    request = ask() if accepted is None else ask(accept_encoding=accepted)
    assert sent(edge, request).headers.first("accept-encoding") == expected


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_codings_in_the_key_are_all_that_the_origin_is_told_of(profile: Profile) -> None:
    edge = node(profile, Behavior(path="*", key=Key(accept_encoding=("gzip",))))
    assert sent(edge, ask("/a", accept_encoding="gzip, deflate")).headers.all("accept-encoding") == ["gzip"]
    assert sent(edge, ask("/b", accept_encoding="br")).headers.all("accept-encoding") == ["identity"]
    assert "accept-encoding" not in sent(edge, ask("/c")).headers


VIEWER = {
    "accept": "*/*", "accept_language": "de", "cookie": "a=1", "referer": "x", "user_agent": "player/1",
    "x_forwarded_proto": "https", "x_real_ip": "192.0.2.9", "authorization": "Basic x", "x_http_method_override": "PUT",
    "x_edge_secret": "1", "cache_control": "no-cache", "origin": "https://a.example", "if_none_match": '"1"',
    "x_custom": "1", "accept_charset": "utf-8", "range": "bytes=0-1", "x_forwarded_for": "192.0.2.1",
    "access_control_request_headers": "range", "access_control_request_method": "GET",
}  # fmt: skip


def test_cloudfront_legacy_table() -> None:
    told = sent(node(CLOUDFRONT), ask(query="a=1", **VIEWER))
    names = {name for name, _ in told.headers}
    assert not names & {
        "accept", "accept-charset", "accept-language", "cookie", "referer", "x-forwarded-proto", "x-real-ip",
        "authorization", "x-http-method-override", "x-edge-secret",
    }  # fmt: skip
    assert names >= {"cache-control", "origin", "if-none-match", "x-custom", "range", "x-amz-cf-id", "via"}
    assert told.headers.all("user-agent") == ["Amazon CloudFront"]
    assert told.headers.all("x-forwarded-for") == ["192.0.2.1, 198.51.100.7"]  # the TCP peer last
    assert told.query is None


PASSED = [  # "HTTP request headers and CloudFront behavior" (2023): forwarded without being told to
    "cache-control", "pragma", "content-md5", "content-type", "date", "from", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "max-forwards", "origin", "range", "request-range", "warning",
    "access-control-request-method", "x-anything",
]  # fmt: skip


@pytest.mark.parametrize("name", PASSED)
def test_cloudfront_legacy_passes(name: str) -> None:
    fields = {"range": "bytes=0-1", name.replace("-", "_"): "bytes=0-1"}
    assert sent(node(CLOUDFRONT), ask(**fields)).headers.all(name) == ["bytes=0-1"]


def test_cloudfront_does_not_look_at_the_query_for_a_path_pattern() -> None:
    rules = (Behavior(path="*.m3u8"), Behavior(path="/live/*"))
    plan = node(CLOUDFRONT, behaviors=rules).on_request(ask("/live/a", query="b=.m3u8"), NOW)
    assert isinstance(plan, Fetch) and plan.rule.path == "/live/*"


@pytest.mark.parametrize("profile", [CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_no_answer_to_another_method_is_kept(profile: Profile, method: str) -> None:
    """CloudFront, "HTTP methods" (2023); Fastly's vcl_recv. The standard keeps a POST's that names itself as a GET's."""
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(method=method), NOW))
    landing = edge.on_response(plan, says(cache_control="max-age=60", content_location="/a"), NOW)
    assert landing.store is None and isinstance(edge.on_request(ask(), NOW), Fetch)


def test_fields_of_one_connection_and_expect_end_here() -> None:
    hops = {
        "connection": "x-hop", "x_hop": "1", "te": "trailers", "trailer": "x", "upgrade": "h2c", "expect": "100-continue",
        "proxy_authorization": "Basic x", "proxy_authenticate": "Basic", "proxy_connection": "keep-alive",
    }  # fmt: skip
    for profile in (CLOUDFRONT, FASTLY):
        told = sent(node(profile), ask(method="POST", **hops))
        assert not {name for name, _ in told.headers} & {name.replace("_", "-") for name in hops}


def test_cloudfront_legacy_forwards_what_is_in_the_key_and_authorization_of_a_post() -> None:
    edge = node(
        CLOUDFRONT, Behavior(path="*", key=Key(query=("a",), headers=("Authorization", "User-Agent"), cookies=("a",)))
    )
    told = sent(edge, ask(query="b=2&a=1", **VIEWER))
    assert told.query == "a=1"
    assert [told.headers.first(name) for name in ("authorization", "user-agent", "cookie")] == [
        "Basic x",
        "player/1",
        "a=1",
    ]
    post = sent(node(CLOUDFRONT), ask(method="POST", authorization="Basic x"))
    assert post.headers.first("authorization") == "Basic x"


AUTHORIZED = [  # method, methods whose answers are kept, does Authorization reach the origin? (the table's row)
    ("GET", "GET, HEAD", False),
    ("HEAD", "GET, HEAD", False),
    ("OPTIONS", "GET, HEAD", True),
    ("OPTIONS", "GET, HEAD, OPTIONS", False),
    ("DELETE", "GET, HEAD, OPTIONS", True),
    ("PATCH", "GET, HEAD", True),
    ("POST", "GET, HEAD", True),
    ("PUT", "GET, HEAD", True),
]


@pytest.mark.parametrize(("method", "kept", "sent_on"), AUTHORIZED)
def test_cloudfront_legacy_authorization_by_method(method: str, kept: str, sent_on: bool) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", cached_methods=kept))  # type: ignore[arg-type]
    assert ("authorization" in sent(edge, ask(method=method, authorization="Basic x")).headers) is sent_on


def test_cloudfronts_request_id_is_its_own() -> None:
    for policy in ("none", "AllViewer"):
        edge = node(CLOUDFRONT, Behavior(path="*", origin_request_policy=policy))  # type: ignore[arg-type]
        (told,) = sent(edge, ask(x_amz_cf_id="forged")).headers.all("x-amz-cf-id")
        assert told != "forged"


COOKIES = [  # the viewer's Cookie, the origin's: "Standard name-value pair format is required"
    ("a=1; b=2", "a=1; b=2"),
    ("b=2;a=1", "a=1; b=2"),  # sorted by name
    ("a=1; junk", None),
    ("junk", None),
    ("=1", None),
    ("a=", "a="),
    ("a=1;", "a=1"),
]


@pytest.mark.parametrize(("cookie", "expected"), COOKIES)
def test_cloudfront_forwards_cookies_in_their_standard_form_alone(cookie: str, expected: str | None) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", key=Key(cookies="all")))
    assert sent(edge, ask(cookie=cookie)).headers.first("cookie") == expected
    without = sent(node(CLOUDFRONT, Behavior(path="*", origin_request_policy="AllViewer")), ask(cookie=cookie)).headers
    assert ("cookie" in without) is (expected is not None)


OWN = {"user-agent", "x-amz-cf-id", "via", "x-forwarded-for"}
CARRIED = {"range", "if-none-match"}
POLICIES = [  # origin request policy, what of VIEWER and the node's own fields arrives, the query
    ("none", OWN | CARRIED, None),
    ("CORS-CustomOrigin", OWN | CARRIED | {"origin"}, None),
    (
        "CORS-S3Origin",
        OWN | CARRIED | {"origin", "access-control-request-headers", "access-control-request-method"},
        None,
    ),
    ("UserAgentRefererHeaders", OWN | CARRIED | {"referer"}, None),
    # Cookies go on with this one, and where they do, a miss's conditions do not.
    ("AllViewer", OWN | {"host"} | {name.replace("_", "-") for name in VIEWER} - {"if-none-match"}, "a=1"),
    ("HostHeaderOnly", OWN | CARRIED | {"host"}, None),
    ("AllViewerExceptHostHeader", OWN | {name.replace("_", "-") for name in VIEWER} - {"if-none-match"}, "a=1"),
]


@pytest.mark.parametrize(("policy", "names", "query"), POLICIES, ids=[row[0] for row in POLICIES])
def test_cloudfront_with_policies_sends_what_they_list(policy: str, names: set[str], query: str | None) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", cache_policy="CachingOptimized", origin_request_policy=policy))  # type: ignore[arg-type]
    told = sent(edge, ask(query="a=1", **VIEWER))
    assert {name for name, _ in told.headers} == names and told.query == query
    own_agent = policy == "UserAgentRefererHeaders" or policy.startswith("AllViewer")
    assert told.headers.first("user-agent") == ("player/1" if own_agent else "Amazon CloudFront")


def test_the_standards_profile_forwards_every_end_to_end_field() -> None:
    told = sent(node(RFC9111), ask(query="a=1", connection="x-hop", x_hop="1", **VIEWER))
    names = {name for name, _ in told.headers}
    assert names == {name.replace("_", "-") for name in VIEWER} | {"via", "surrogate-capability"}
    assert told.query == "a=1" and told.headers.first("user-agent") == "player/1"


FF = "6N761hlXiIPGYwu2G4cQj263Ot5ae3RfBCayZF6Bw50="
ORD, JFK = "cache-ord21983-ORD", "cache-jfk3138-JFK"
HOPS = [  # TLS at the edge, at the shield (None: there is none), the viewer's own; For, Host, Server at the origin
    # Fastly, "X-Forwarded-Host" and "X-Forwarded-Server": the rows of their tables; "X-Forwarded-For": its example
    (True, None, {}, "198.51.100.7", "www.test", ORD),
    (False, None, {}, None, None, None),
    (True, None, {"x_forwarded_host": "h1", "x_forwarded_server": "s1", "x_forwarded_for": "1.1.1.1"},
     "1.1.1.1, 198.51.100.7", "h1, www.test", f"s1, {ORD}"),
    (False, None, {"x_forwarded_host": "h1", "x_forwarded_server": "s1", "x_forwarded_for": "1.1.1.1"},
     "1.1.1.1", "h1", "s1"),
    (True, True, {}, "198.51.100.7, 203.0.113.3", "www.test, www.test", f"{ORD}, {JFK}"),
    (False, True, {}, "203.0.113.3", "www.test", JFK),
    (True, True, {"x_forwarded_host": "h1", "x_forwarded_server": "s1", "x_forwarded_for": "1.1.1.1"},
     "1.1.1.1, 198.51.100.7, 203.0.113.3", "h1, www.test, www.test", f"s1, {ORD}, {JFK}"),
    (True, False, {}, "198.51.100.7", "www.test", ORD),
    (False, False, {"x_forwarded_host": "h1"}, None, "h1", None),
]  # fmt: skip


@pytest.mark.parametrize(("at_edge", "at_shield", "own", "for_", "host", "server"), HOPS)
def test_fastly_adds_to_x_forwarded_fields_over_tls_alone(
    at_edge: bool, at_shield: bool | None, own: dict[str, str], for_: str | None, host: str | None, server: str | None
) -> None:
    request = ask(host="WWW.test", **own)
    request.scheme = "https" if at_edge else "http"
    told = sent(node(FASTLY, name="ord"), request)
    if at_shield is not None:
        told.scheme, told.host = "https" if at_shield else "http", told.headers.first("host") or ""
        told.peer_ip = "203.0.113.3"
        told = sent(node(FASTLY, name="jfk", gate=False), told)
    found = [told.headers.all(f"x-forwarded-{name}") for name in ("for", "host", "server")]
    assert found == [[] if value is None else [value] for value in (for_, host, server)]


def test_fastly_tells_the_origin_of_every_hop() -> None:
    """Fastly, "CDN-Loop", "Fastly-FF", "Fastly-Client", "X-Varnish": a list, or a line, that each hop adds to."""
    at_edge = sent(node(FASTLY, name="ord"), ask(cdn_loop="other"))
    told = sent(node(FASTLY, name="jfk", gate=False), at_edge)
    assert told.headers.all("cdn-loop") == ["other, Fastly, Fastly"]
    assert told.headers.all("fastly-ff") == [f"{FF}!ORD!{ORD}, {FF}!JFK!{JFK}"]
    assert told.headers.all("fastly-client") == ["1"]
    assert told.headers.all("fastly-client-ip") == ["198.51.100.7"]
    lines = told.headers.all("x-varnish")
    assert len(lines) == 2 and lines[:1] == at_edge.headers.all("x-varnish") and all(line.isdecimal() for line in lines)


@pytest.mark.parametrize(
    ("scheme", "own", "told"), [("https", None, "1"), ("http", None, None), ("http", "1", "1"), ("https", "0", "0")]
)
def test_fastly_ssl_is_set_over_tls_and_what_the_viewer_set_stands(
    scheme: str, own: str | None, told: str | None
) -> None:
    request = ask(**({} if own is None else {"fastly_ssl": own}))
    request.scheme = scheme
    assert sent(node(FASTLY), request).headers.first("fastly-ssl") == told


def test_fastly_forwards_everything_and_keeps_a_client_ip_that_was_sent() -> None:
    told = sent(node(FASTLY), ask(query="a=1", **VIEWER))
    assert {name.replace("_", "-") for name in VIEWER} - {"range", "if-none-match"} <= {
        name for name, _ in told.headers
    }
    assert told.headers.first("fastly-client-ip") == "198.51.100.7"
    forged = sent(node(FASTLY), ask(fastly_client_ip="192.0.2.66"))
    assert forged.headers.first("fastly-client-ip") == "192.0.2.66"  # set only if absent


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_settings_put_on_requests_stands_in_the_place_of_the_viewers(profile: Profile, method: str) -> None:
    """CloudFront, "Add custom headers to origin requests"; a VCL snippet `set bereq.http.X` does the same."""
    edge = node(profile, parent_headers={"X-Origin-Verify": "s3cret", "Authorization": "Bearer lab"})
    told = sent(edge, ask(method=method, x_origin_verify="guess", authorization="Basic viewer"))
    assert told.headers.all("x-origin-verify") == ["s3cret"]
    assert told.headers.all("authorization") == ["Bearer lab"]


HOSTS = [  # profile, behavior, settings of the service, the Host that the parent is asked under (None: its own)
    (RFC9111, Behavior(path="*", key=Key(headers=("Host",), host=True)), {}, None),
    (CLOUDFRONT, Behavior(path="*"), {}, None),
    (CLOUDFRONT, Behavior(path="*", key=Key(headers=("Host",))), {}, "WWW.test:8080"),
    (CLOUDFRONT, Behavior(path="*", cache_policy="Amplify"), {}, "WWW.test:8080"),
    (CLOUDFRONT, Behavior(path="*", origin_request_policy="AllViewer"), {}, "WWW.test:8080"),
    (CLOUDFRONT, Behavior(path="*", origin_request_policy="HostHeaderOnly"), {}, "WWW.test:8080"),
    (CLOUDFRONT, Behavior(path="*", origin_request_policy="AllViewerExceptHostHeader"), {}, None),
    (FASTLY, Behavior(path="*"), {}, "www.test:8080"),
    (FASTLY, Behavior(path="*", key=Key(host=False)), {}, "www.test:8080"),
    (RFC9111, Behavior(path="*"), {"parent_headers": {"Host": "origin.test"}}, "origin.test"),
    (FASTLY, Behavior(path="*"), {"parent_headers": {"HOST": "origin.test"}}, "origin.test"),
]


@pytest.mark.parametrize(("profile", "behavior", "service", "host"), HOSTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_host_that_the_parent_is_asked_under(
    profile: Profile, behavior: Behavior, service: dict[str, object], host: str | None, method: str
) -> None:
    told = sent(node(profile, behavior, **service), ask(host="WWW.test:8080", method=method))
    assert told.headers.all("host") == ([] if host is None else [host])


@pytest.mark.parametrize(("key", "shared"), [(Key(), True), (Key(headers=("Host",)), False)])
def test_a_host_that_is_forwarded_and_not_keyed_is_answered_with_another_hosts(key: Key, shared: bool) -> None:
    """As at CloudFront, where a 404 for the distribution's own name was then told to its real visitors."""
    edge = node(CLOUDFRONT, Behavior(path="*", key=key, origin_request_policy="AllViewer"))

    def named(host: str) -> RequestHead:
        request = ask(host=host)
        request.headers.lines.append(("host", host))
        return request

    filled(edge, says(404, cache_control="max-age=60"), request=named("d111.cloudfront.test"))
    assert isinstance(edge.on_request(named("www.test"), NOW + 1), Serve) is shared


def test_a_viewer_who_names_no_host_has_the_parent_asked_under_its_own() -> None:
    assert "host" not in sent(node(FASTLY), ask(host="")).headers


REDUCED = [("gzip, deflate, br", "br"), ("gzip, deflate", "gzip"), ("deflate", None), ("br;q=0, gzip", "gzip")]


@pytest.mark.parametrize(("accepted", "expected"), REDUCED)
def test_fastly_reduces_accept_encoding(accepted: str, expected: str | None) -> None:
    told = sent(node(FASTLY), ask(accept_encoding=accepted))
    assert told.headers.first("accept-encoding") == expected
    assert told.headers.first("fastly-orig-accept-encoding") == accepted


def test_fastly_makes_up_no_accept_encoding() -> None:
    told = sent(node(FASTLY), ask()).headers
    assert "accept-encoding" not in told and "fastly-orig-accept-encoding" not in told


def test_fastly_varies_on_the_reduced_accept_encoding() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=60", vary="accept-encoding"), request=ask(accept_encoding="gzip, br"))
    assert isinstance(edge.on_request(ask(accept_encoding="br, zstd"), NOW + 1), Serve)
    assert isinstance(edge.on_request(ask(accept_encoding="gzip"), NOW + 1), Fetch)


def test_cloudfront_vary_makes_no_variants_and_is_cut_to_what_is_forwarded() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", key=Key(headers=("origin",))))
    response = says(cache_control="max-age=60", vary="Origin, X-Kind, Accept-Encoding, User-Agent")
    filled(edge, response, request=ask(origin="https://a", x_kind="1"))
    hit = edge.on_request(ask(origin="https://a", x_kind="2"), NOW + 1)
    assert isinstance(hit, Serve) and dict(hit.headers)["vary"] == "Origin, Accept-Encoding"
    assert isinstance(edge.on_request(ask(origin="https://b"), NOW + 1), Fetch)


LEFT_IN_VARY = [  # behavior, what is left of the origin's Vary: "HTTP response headers that CloudFront removes" (2023)
    (Behavior(path="*"), "Accept-Encoding, Cookie"),
    (Behavior(path="*", key=Key(headers=("Origin",))), "Origin, Accept-Encoding, Cookie"),
    (Behavior(path="*", cache_policy="Elemental-MediaPackage"), "Origin, Accept-Encoding, Cookie"),
    (Behavior(path="*", origin_request_policy="CORS-CustomOrigin"), "Origin, Accept-Encoding, Cookie"),
    (Behavior(path="*", origin_request_policy="UserAgentRefererHeaders"), "Accept-Encoding, Cookie, User-Agent"),
    (Behavior(path="*", origin_request_policy="AllViewer"), "Origin, X-Kind, Accept-Encoding, Cookie, User-Agent"),
    (Behavior(path="*", viewer_headers=("X-Kind",)), "X-Kind, Accept-Encoding, Cookie"),
]


@pytest.mark.parametrize(("behavior", "left"), LEFT_IN_VARY)
def test_cloudfront_leaves_in_vary_what_is_forwarded(behavior: Behavior, left: str) -> None:
    edge = node(CLOUDFRONT, behavior)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    response = says(vary="Origin, X-Kind, Accept-Encoding, Cookie, User-Agent")
    answer = edge.on_response(plan, response, NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and dict(answer.headers)["vary"] == left


@pytest.mark.parametrize(("least", "hit"), [(0.0, False), (5.0, True)])
def test_cloudfront_vary_star(least: float, hit: bool) -> None:
    from cdnkit.policy.rules.service import Ttl

    edge = node(CLOUDFRONT, Behavior(path="*", ttl=Ttl(min=least)))
    filled(edge, says(cache_control="max-age=60", vary="*", etag='"1"'))
    again = edge.on_request(ask(), NOW + 1)
    assert isinstance(again, Serve) is hit
    if isinstance(again, Fetch):  # every request goes to the origin, with no condition
        assert "if-none-match" not in again.request.headers


@pytest.mark.parametrize(("query", "hit"), [("none", True), (("_HLS_msn", "_HLS_part", "_HLS_skip"), False)])
def test_blocking_requests_share_one_object_unless_their_parameters_are_in_the_key(query: object, hit: bool) -> None:
    """CloudFront, live streaming: CachingOptimized, which keys no query, is wrong for LL-HLS."""
    key = Key(query=query)  # type: ignore[arg-type]
    edge = node(CLOUDFRONT, Behavior(path="*.m3u8", key=key))
    filled(edge, says(cache_control="max-age=60"), request=ask("/media.m3u8", query="_HLS_msn=7&_HLS_part=0"))
    next_part = edge.on_request(ask("/media.m3u8", query="_HLS_msn=7&_HLS_part=1"), NOW + 1)
    assert isinstance(next_part, Serve) is hit


MANAGED = [  # name, min, default, max, query, headers, cookies, codings
    ("Amplify", 2, 2, 600, "all", ("authorization", "cloudfront-viewer-country", "host"), "all", ("gzip", "br")),
    ("CachingDisabled", 0, 0, 0, "none", (), "none", ()),
    ("CachingOptimized", 1, 86_400, 31_536_000, "none", (), "none", ("gzip", "br")),
    ("CachingOptimizedForUncompressedObjects", 1, 86_400, 31_536_000, "none", (), "none", ()),
    (
        "Elemental-MediaPackage", 0, 86_400, 31_536_000, ("aws.manifestfilter", "start", "end", "m"), ("origin",),
        "none", ("gzip",),
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", MANAGED, ids=[row[0] for row in MANAGED])
def test_managed_cache_policies(row: tuple[object, ...]) -> None:
    behavior = resolve(Behavior(path="*", cache_policy=row[0]), CLOUDFRONT)  # type: ignore[arg-type]
    ttl, key = behavior.ttl, behavior.key
    assert (ttl.min, ttl.default, ttl.max, key.query, key.headers, key.cookies, key.accept_encoding) == row[1:]
    assert behavior.cache is (row[0] != "CachingDisabled")


def test_every_policy_that_can_be_written_has_a_meaning_and_the_other_way_round() -> None:
    from typing import get_args

    from cdnkit.policy.rules.service import CachePolicy, OriginRequestPolicy

    assert set(get_args(CachePolicy)) == {"none", *CLOUDFRONT.cache_policies}
    assert set(get_args(OriginRequestPolicy)) == {"none", *CLOUDFRONT.origin_request_policies}


def test_a_policy_and_what_it_sets_are_not_both_written() -> None:
    with pytest.raises(ValueError, match="cache_policy or key, not both"):
        Behavior(path="*", cache_policy="CachingOptimized", key=Key(query="all"))


def test_a_policy_wants_the_profile_that_has_it() -> None:
    service = Service(behaviors=(Behavior(path="*", cache_policy="CachingOptimized"),))
    with pytest.raises(ValueError, match="the profile fastly has none"):
        EdgeMachine(service, FASTLY)


def test_methods_heads_and_ranges() -> None:
    """HEAD: as itself at CloudFront, as a GET at Fastly; a range goes on at CloudFront and not at Fastly."""
    assert sent(node(CLOUDFRONT), ask(method="HEAD")).method == "HEAD"
    assert "range" in sent(node(CLOUDFRONT), ask(range="bytes=0-1")).headers
    assert sent(node(CLOUDFRONT), ask(if_none_match='"1"')).headers.first("if-none-match") == '"1"'
    for profile in (CLOUDFRONT, FASTLY):
        edge = node(profile)
        filled(edge, says(cache_control="max-age=60", etag='"1"', content_length="10"))
        head = edge.on_request(ask(method="HEAD"), NOW + 1)
        assert isinstance(head, Serve) and not head.body
        part = edge.on_request(ask(range="bytes=0-1"), NOW + 1)
        assert isinstance(part, Serve) and part.status == 206
        unchanged = edge.on_request(ask(if_none_match='"1"'), NOW + 1)
        assert isinstance(unchanged, Serve) and unchanged.status == 304
        for method in ("PUT", "POST", "PATCH", "DELETE", "OPTIONS"):
            assert isinstance(edge.on_request(ask(method=method), NOW + 1), Fetch)


METHODS = [  # let through, asked, refused?
    ("GET, HEAD", "GET", False),
    ("GET, HEAD", "HEAD", False),
    ("GET, HEAD", "OPTIONS", True),
    ("GET, HEAD", "POST", True),
    ("GET, HEAD", "PURGE", True),
    ("GET, HEAD, OPTIONS", "OPTIONS", False),
    ("GET, HEAD, OPTIONS", "DELETE", True),
    ("all", "DELETE", False),
]


@pytest.mark.parametrize(("methods", "method", "refused"), METHODS)
def test_a_method_that_is_not_allowed_is_a_403_with_a_page(methods: str, method: str, refused: bool) -> None:
    plan = node(CLOUDFRONT, Behavior(path="*", methods=methods)).on_request(ask(method=method), NOW)  # type: ignore[arg-type]
    assert isinstance(plan, Refuse) is refused
    if isinstance(plan, Refuse):
        assert plan.status == 403 and b"the HTTP request method" in plan.body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("field", [{"content_length": "3"}, {"transfer_encoding": "chunked"}])
def test_cloudfront_refuses_a_get_with_a_body_also_where_a_hit_lies_ready(method: str, field: dict[str, str]) -> None:
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=60"))
    plan = edge.on_request(ask(method=method, **field), NOW + 1)
    assert isinstance(plan, Refuse) and plan.status == 403
    assert isinstance(edge.on_request(ask(method=method, content_length="0"), NOW + 1), Serve)


def test_fastly_lets_every_method_through_and_stores_none_but_get_and_head() -> None:
    """Boilerplate vcl_recv: any method but GET, HEAD and FASTLYPURGE is passed."""
    edge = node(FASTLY)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"):
        plan = fetched(edge, edge.on_request(ask(method=method), NOW))
        assert plan.purpose is Purpose.PASS and plan.request.method == method
        assert edge.on_response(plan, says(cache_control="max-age=60"), NOW).store is None


BAD = [  # what a settings file says, what the complaint must say
    ('profile = "fastly"\n[[behavior]]\npath = "*"\ncache_policy = "CachingOptimized"', ["cache_policy", "cloudfront", "4:"]),
    ('profile = "cloudfront"\n[[behavior]]\npath = "*"\ncache_policy = "CachingOptimised"', ["CachingOptimised", "4:"]),
    (
        'profile = "cloudfront"\n[[behavior]]\npath = "*"\ncache_policy = "UseOriginCacheControlHeaders"',
        ["UseOriginCacheControlHeaders"],
    ),
    (
        'profile = "cloudfront"\n[[node]]\nname = "a"\nparent_headers = { "host" = "x.test" }',
        ["node[0].parent_headers.host: found a value that is not shown, wanted other fields", "HostHeaderOnly", "4:"],
    ),
    (
        '[[node]]\nname = "a"\nparent_headers = { "Host" = "a/b" }',
        ["node[0].parent_headers: wanted as Host a host, with or without a port", "3:"],
    ),
    (
        '[[node]]\nname = "a"\nparent_headers = { "Via" = "1.1 a" }',
        ["node[0].parent_headers: wanted other fields. Via frames a request, sets a condition", "3:"],
    ),
    (
        'profile = "cloudfront"\n[[behavior]]\npath = "*"\nresponse_headers_policy = "SecurityHeaders"',
        ["SecurityHeaders", "Did you mean 'SecurityHeadersPolicy'?", "4:"],
    ),
    ('profile = "fastly"\n[[behavior]]\npath = "*"\nresponse_headers_policy = "SimpleCORS"', ["SimpleCORS", "fastly"]),
    ('profile = "cloudfront"\n[response_headers.SimpleCORS]\nremove = ["X-A"]', ["that no managed policy has", "2:"]),
    ('[response_headers.a]\nremove = ["Content-Length"]', ["Content-Length frames the message", "1:"]),
    ('[response_headers.a]\ncors = { origins = ["*"], credentials = true }', ['wanted names instead of "*"', "2:"]),
    (
        'profile = "cloudfront"\n[response_headers.a]\ncors = { preflight = "answer" }',
        ["cors.preflight", "never responds to them itself", "3:"],
    ),
    ('[response_headers.a]\ncors = { origins = ["exa*mple.org"] }', ["exa*mple.org", "2:"]),
    ('[response_headers.a]\nset = { "X-A" = "a\\r\\nX-B: b" }', ["set.X-A", "2:"]),
    ('[[behavior]]\npath = "*"\nmethods = "GET, HEAD"\ncached_methods = "GET, HEAD, OPTIONS"', ["methods with OPTIONS"]),
    ('[[behavior]]\npath = "*"\nkey = { query = "none", query_except = ["u"] }', ['query = "all"']),
    ('[[behavior]]\npath = "*"\nkey = { cookies_except = ["u"] }', ['cookies = "all"']),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_is_refused_when_the_file_is_read(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadDocument) as refused:
        parse(text, file="cdn.toml", folder=tmp_path, environ={})
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_cloudfront_keeps_the_answer_to_a_head_for_other_heads() -> None:
    """ "HTTP methods": it forwards HEAD and always caches responses to GET and HEAD."""
    edge = node(CLOUDFRONT)
    first = fetched(edge, edge.on_request(ask(method="HEAD"), NOW))
    assert first.request.method == "HEAD"
    waiter = edge.on_request(ask(method="HEAD"), NOW)
    assert isinstance(waiter, Join)
    landing = edge.on_response(first, says(content_length="5000", etag='"1"', cache_control="max-age=60"), NOW)
    edge.on_body_end(first, 0, NOW)
    for answer in (*landing.answers.values(), edge.on_request(ask(method="HEAD"), NOW + 59)):
        assert isinstance(answer, Serve) and not answer.body
        assert dict(answer.headers)["content-length"] == "5000"
    # A GET wants a body, and once its answer is there it answers HEADs too.
    get = fetched(edge, edge.on_request(ask(), NOW + 1))
    assert isinstance(edge.on_request(ask(method="HEAD", x="1"), NOW + 1), Serve | Join)
    edge.on_response(get, says(content_length="7", cache_control="max-age=90"), NOW + 1)
    edge.on_body_end(get, 7, NOW + 1)
    told = edge.on_request(ask(method="HEAD"), NOW + 2)
    assert isinstance(told, Serve) and dict(told.headers)["content-length"] == "7"


def test_the_kept_answer_to_a_head_is_revalidated_with_a_head() -> None:
    edge = node(CLOUDFRONT, bounds(60, 60, 600))
    for now, status in ((NOW, 200), (NOW + 61, 304)):
        plan = fetched(edge, edge.on_request(ask(method="HEAD"), now))
        assert plan.request.method == "HEAD"
        edge.on_response(plan, says(status, etag='"1"', cache_control="max-age=60"), now)
        edge.on_body_end(plan, 0, now)
    assert plan.request.headers.first("if-none-match") == '"1"'
    answer = edge.on_request(ask(method="HEAD"), NOW + 62)
    assert isinstance(answer, Serve) and answer.status == 200 and "content-length" not in dict(answer.headers)


HEADS = [  # the origin's answer to a HEAD, seconds later, is the next HEAD answered from the cache?
    (
        says(content_length=str(10**15), cache_control="max-age=60"),
        1,
        True,
    ),  # of a body that is not here, no size counts
    (says(404), 9, True),
    (says(404), 10, False),
    (says(cache_control="no-store"), 1, False),
    (says(cache_control="private"), 1, False),
    (says(307, location="/b"), 1, False),
]


@pytest.mark.parametrize(("response", "after", "kept"), HEADS)
def test_which_answers_to_heads_cloudfront_keeps(response: ResponseHead, after: float, kept: bool) -> None:
    edge = node(CLOUDFRONT)
    filled(edge, response, request=ask(method="HEAD"))
    assert isinstance(edge.on_request(ask(method="HEAD"), NOW + after), Serve) is kept


@pytest.mark.parametrize("status", [206, 304, 412, 416])
def test_an_answer_to_a_head_that_is_none_for_others_is_passed_on_and_not_kept(status: int) -> None:
    edge = node(CLOUDFRONT)
    plan = fetched(edge, edge.on_request(ask(method="HEAD"), NOW))
    landing = edge.on_response(plan, says(status, content_range="bytes 0-1/4"), NOW)
    answer = landing.answers[plan.ticket]
    assert isinstance(answer, Relay) and answer.status == status and not answer.body and len(edge.index) == 0


def test_a_purge_of_the_url_takes_the_kept_answer_to_a_head() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", key=Key(query="all", headers=("X-Kind",))))
    filled(edge, says(), request=ask(method="HEAD", query="a=1", x_kind="b"))
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a?a=1"), NOW + 1)
    assert isinstance(edge.on_request(ask(method="HEAD", query="a=1", x_kind="b"), NOW + 2), Fetch)


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_elsewhere_no_answer_to_a_head_is_kept_for_heads_alone(profile: Profile) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(method="HEAD"), NOW))
    edge.on_response(plan, says(cache_control="max-age=60"), NOW)
    edge.on_body_end(plan, 0, NOW)
    assert isinstance(edge.on_request(ask(method="HEAD"), NOW + 1), Serve) is profile.head_as_get


def test_a_head_that_comes_after_a_purge_does_not_wait_for_what_was_asked_before_it() -> None:
    edge = node(CLOUDFRONT)
    old = fetched(edge, edge.on_request(ask(method="HEAD"), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW)
    assert isinstance(edge.on_request(ask(method="HEAD"), NOW), Fetch)
    edge.on_response(old, says(), NOW)
    assert len(edge.index) == 0


def test_heads_on_the_wire_and_replayed(tmp_path: Path) -> None:
    """Two HEADs, the second from the cache, also after a restart; the replay says the same."""
    records = tmp_path / "fra.jsonl"
    disk = {"path": tmp_path / "disk", "size": "1GiB"}

    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/a", b"x" * 5000, cache_control="max-age=60", etag='"1"')
            for asked, log in ((1, records), (2, None)):
                async with running_node(origin.url, profile=CLOUDFRONT, records=log, disk=disk) as edge:
                    for _ in range(2):
                        head = await ask_over(edge.url, "/a", method="HEAD")
                        assert (head.status, head.body, head["content-length"]) == (200, b"", "5000")
                    assert head["x-cache"] == "Hit from cloudfront" and origin.count["/a"] == 1
                    same = await ask_over(edge.url, "/a", method="HEAD", if_none_match='"1"')
                    assert (same.status, origin.count["/a"]) == (304, 1)
                    if asked == 2:
                        assert (await edge.get("/a")).body == b"x" * 5000 and origin.count["/a"] == 2

    asyncio.run(run())
    service = Service(name="fra", profile="cloudfront", behaviors=(Behavior(path="*"),))
    assert replay_node(read_trace(records), service, CLOUDFRONT).differences == []
