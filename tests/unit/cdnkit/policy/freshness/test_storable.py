"""May it be stored? RFC 9111 §3, one row a rule."""

import pytest

from cdnkit.policy.freshness.storable import content_length, passed_on, stored_headers, why_not_store
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.vendors import FASTLY

NOW = 1_795_000_000.0


def verdict(
    status: int, fields: dict[str, str], asked: dict[str, str] | None = None, profile: Profile = RFC9111
) -> str | None:
    request = RequestHead("GET", "http", "h", "/a", None, Headers((asked or {}).items()))
    response = ResponseHead(status, Headers([("date", format_date(NOW)), *fields.items()]))
    return why_not_store(request, response, Behavior(path="*"), profile, largest=1000, now=NOW)


FRESH = {"cache-control": "max-age=60"}
ROWS = [  # status, response fields, request fields, why not (None: stored)
    (200, FRESH, {}, None),
    (200, {"cache-control": "no-store, max-age=60"}, {}, "no-store"),
    (200, {"cache-control": "private, max-age=60"}, {}, "private"),
    (200, {"cache-control": 'private="x", max-age=60'}, {}, None),
    (200, FRESH, {"cache-control": "no-store"}, "request-no-store"),
    (200, FRESH, {"authorization": "Basic x"}, "authorization"),
    (200, {"cache-control": "public, max-age=60"}, {"authorization": "Basic x"}, None),
    (200, {"cache-control": "s-maxage=60"}, {"authorization": "Basic x"}, None),
    (200, {"cache-control": "max-age=60, must-revalidate"}, {"authorization": "Basic x"}, None),
    (200, {**FRESH, "vary": "accept, *"}, {}, "vary-star"),
    (200, {**FRESH, "set-cookie": "a=b"}, {}, None),
    (200, {}, {}, "no-lifetime"),
    (200, {"etag": '"1"'}, {}, None),  # nothing but a validator: worth keeping
    (200, {"cache-control": "public"}, {}, "no-lifetime"),
    (404, {}, {}, None),
    (403, {}, {}, "no-lifetime"),
    (403, FRESH, {}, None),
    (599, FRESH, {}, None),  # an unknown status with explicit freshness
    (500, {}, {}, "no-lifetime"),
    (206, FRESH, {}, "status"),
    (304, FRESH, {}, "status"),
    (200, {"cache-control": "must-understand, no-store, max-age=60"}, {}, None),
    (599, {"cache-control": "must-understand, max-age=60"}, {}, "must-understand"),
    (200, {**FRESH, "content-length": "1001"}, {}, "too-large"),
    (200, {"cache-control": 'no-cache="x", max-age=60'}, {}, None),
    (200, {"cache-control": "private, s-maxage=60"}, {"authorization": "Basic x"}, "private"),
    (200, {"cache-control": "must-understand, private"}, {}, "private"),
    (200, {**FRESH, "vary": ", *"}, {}, "vary-star"),
    (200, {**FRESH, "vary": "*, accept"}, {}, "vary-star"),
    (200, {**FRESH, "vary": "accept,, origin,"}, {}, None),  # empty members are skipped
    (200, FRESH, {"cookie": "a=b"}, None),
    (200, {"expires": "0", "etag": '"1"'}, {}, None),
    (200, {"expires": "0"}, {}, None),  # explicit, though past: worth asking about while it is stale
    (302, FRESH, {}, None),
    (302, {}, {}, "no-lifetime"),
    (404, {"last-modified": format_date(NOW - 100)}, {}, None),
    (412, FRESH, {}, "status"),  # of one request's condition
    (416, FRESH, {}, "status"),  # of one request's range
    (100, FRESH, {}, "status"),
]


HEURISTIC = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]  # RFC 9110 §15.1


@pytest.mark.parametrize("status", HEURISTIC)
def test_statuses_that_need_no_lifetime_of_their_own(status: int) -> None:
    fields = {"last-modified": format_date(NOW - 100)}
    response = ResponseHead(status, Headers([("date", format_date(NOW)), *fields.items()]))
    request = RequestHead("GET", "http", "h", "/a", None, Headers())
    rules = Behavior(path="*")
    assert why_not_store(request, response, rules, RFC9111, largest=1000, now=NOW, part=status == 206) is None


@pytest.mark.parametrize("status", [299, 302, 303, 307, 400, 401, 403, 451, 499, 500, 502, 503, 504, 599, 999])
def test_any_other_final_status_needs_one(status: int) -> None:
    """An unknown code counts as its class's x00 (RFC 9110 §15)."""
    assert verdict(status, {"last-modified": format_date(NOW - 100)}) == "no-lifetime"
    assert verdict(status, FRESH) is None
    assert verdict(status, {"expires": format_date(NOW + 60)}) is None


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "M-SEARCH"])
def test_methods_whose_answers_are_not_stored(method: str) -> None:
    request = RequestHead(method, "http", "h", "/a", None, Headers())
    response = ResponseHead(200, Headers(FRESH.items()))
    assert why_not_store(request, response, Behavior(path="*"), RFC9111, largest=1000, now=NOW) == "method"


def test_directives_on_several_lines_are_one_list() -> None:
    lines = [("cache-control", "max-age=60"), ("cache-control", "no-store")]
    request, response = RequestHead("GET", "http", "h", "/a", None, Headers()), ResponseHead(200, Headers(lines))
    assert why_not_store(request, response, Behavior(path="*"), RFC9111, largest=1000, now=NOW) == "no-store"


@pytest.mark.parametrize(("status", "fields", "asked", "why"), ROWS)
def test_storing(status: int, fields: dict[str, str], asked: dict[str, str], why: str | None) -> None:
    assert verdict(status, fields, asked) == why


def test_fastly_stores_only_its_statuses_and_never_cookies() -> None:
    assert verdict(200, {**FRESH, "set-cookie": "a=b"}, profile=FASTLY) == "set-cookie"
    assert verdict(500, FRESH, profile=FASTLY) == "status"
    assert verdict(302, FRESH, profile=FASTLY) is None


def test_fastly_knows_no_must_understand() -> None:
    """It is no pass word of its VCL. Of the statuses that it stores, 206 alone would be none that is understood."""
    request = RequestHead("GET", "http", "h", "/a", None, Headers())
    for words, why in (("must-understand", "must-understand"), ("public", None)):
        response = ResponseHead(206, Headers({"cache-control": f"{words}, max-age=60"}.items()))
        for profile, expected in ((RFC9111, why), (FASTLY, None)):
            told = why_not_store(request, response, Behavior(path="*"), profile, largest=1000, now=NOW, part=True)
            assert told == expected, (profile.name, words)


def test_stored_fields_are_end_to_end_ones_without_those_it_may_not_keep() -> None:
    fields = [
        ("connection", "close, X-Hop"), ("x-hop", "1"), ("transfer-encoding", "chunked"), ("trailer", "x"),
        ("keep-alive", "timeout=5"), ("proxy-connection", "close"), ("te", "trailers"), ("upgrade", "h2c"),
        ("proxy-authenticate", "Basic"), ("proxy-authentication-info", "x"), ("proxy-authorization", "Basic x"),
        ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("cache-control", 'no-cache="x-secret"'), ("x-secret", "s"),
        ("x-kept", "k"),
    ]  # fmt: skip
    kept = stored_headers(ResponseHead(200, Headers(fields)), RFC9111)
    assert [name for name, _ in kept] == ["set-cookie", "set-cookie", "cache-control", "x-kept"]


def test_content_length_that_is_not_one_number_is_none() -> None:
    assert content_length(Headers([("content-length", "5"), ("content-length", "5")])) == 5
    for lines in ([("content-length", "5"), ("content-length", "6")], [("content-length", "-5")], []):
        assert content_length(Headers(lines)) is None


LENGTHS = [  # status, method, whether Content-Length goes on, and is kept (RFC 9110 §8.6)
    (204, "GET", False),
    (204, "POST", False),
    (204, "HEAD", False),
    (200, "GET", True),
    (200, "HEAD", True),
    (205, "GET", True),  # "0", as it has to be
]


@pytest.mark.parametrize(("status", "method", "told"), LENGTHS)
def test_no_length_is_told_where_there_is_no_content(status: int, method: str, told: bool) -> None:
    edge = EdgeMachine(Service(name="fra"))
    request = RequestHead(method, "http", "h", "/a", None, Headers())
    fetch = edge.on_request(request, NOW)
    assert isinstance(fetch, Fetch)
    head = ResponseHead(status, Headers([("content-length", "0"), ("cache-control", "max-age=60")]))
    answer = edge.on_response(fetch, head, NOW).answers[fetch.ticket]
    edge.on_body_end(fetch, 0, NOW)
    assert isinstance(answer, Serve | Relay) and answer.status == status
    assert ("content-length" in Headers(answer.headers)) is told
    if method == "GET" and status != 205:
        hit = edge.on_request(request, NOW + 1)
        assert isinstance(hit, Serve) and ("content-length" in Headers(hit.headers)) is told


def test_a_204_that_names_a_length_is_kept_all_the_same() -> None:
    """The content that it promises does not come, and is not missed."""
    edge = EdgeMachine(Service(name="fra"))
    request = RequestHead("GET", "http", "h", "/a", None, Headers())
    fetch = edge.on_request(request, NOW)
    assert isinstance(fetch, Fetch)
    edge.on_response(fetch, ResponseHead(204, Headers([("content-length", "5"), ("cache-control", "max-age=60")])), NOW)
    edge.on_body_end(fetch, 0, NOW)
    assert isinstance(edge.on_request(request, NOW + 1), Serve)


def test_an_interim_response_has_no_length() -> None:
    head = ResponseHead(103, Headers([("content-length", "5"), ("link", "</a>")]))
    assert passed_on(head, RFC9111).lines == [("link", "</a>")]
