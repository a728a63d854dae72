"""A purge names a URL; keys may hold more. And a parent that failed is left alone where the profile says so."""

import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.key_facts import MOST_MARKS
from cdnkit.policy.outcomes import Cause, Failure, Outcome
from cdnkit.policy.plan import Assemble, Fetch, Join, Plan, PurgeKind, PurgeOrder, Refuse, Serve
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, Key
from cdnkit.vendors import CLOUDFRONT, FASTLY, RFC9111
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

FRESH = {"cache_control": "max-age=60"}


@pytest.mark.parametrize("profile", [RFC9111, CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_a_url_takes_every_host_header_and_cookie_variant_with_it_and_no_other_url(profile: Profile) -> None:
    edge = node(profile, Behavior(path="*", key=Key(query="all", headers=("x-kind",), cookies="all")))
    asked = [ask(host=host, x_kind=kind, cookie=f"a={kind}") for host in ("a", "b") for kind in ("1", "2")]
    for request in asked:
        plan = edge.on_request(request, NOW)
        if isinstance(plan, Fetch):
            edge.on_response(plan, says(**FRESH), NOW)
            edge.on_body_end(plan, 10, NOW)
    other = ask("/a", query="b=1")
    filled(edge, says(**FRESH), request=other)
    count = len(edge.index) - 1
    assert edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 1).count == count >= 2
    assert all(isinstance(edge.on_request(request, NOW + 2), Fetch) for request in asked[:1])
    assert isinstance(edge.on_request(other, NOW + 2), Serve)


SPELLED = [  # kind, what an order says, path, query (None: no "?") of what it takes
    (PurgeKind.URL, "/a?to=http://b/c", "/a", "to=http://b/c"),  # a URL in the query is no URL to purge
    (PurgeKind.URL, "http://h/a?to=http://b/c", "/a", "to=http://b/c"),
    (PurgeKind.URL, "http://h?b=/c", "/", "b=/c"),
    (PurgeKind.URL, "http://h", "/", None),
    (PurgeKind.URL, "/a?", "/a", ""),  # another URL than /a (RFC 3986 §6.2.3)
    (PurgeKind.PREFIX, "/a?to=http://b", "/a", "to=http://b/c"),
    (PurgeKind.PREFIX, "http://h/a?to=http://b", "/a", "to=http://b/c"),
]


@pytest.mark.parametrize(("kind", "value", "path", "query"), SPELLED)
def test_what_an_order_says_is_read_as_a_request_is(kind: PurgeKind, value: str, path: str, query: str | None) -> None:
    edge = node(RFC9111)
    filled(edge, says(**FRESH), request=ask(path, query=query))
    filled(edge, says(**FRESH), request=ask("/c"))
    assert edge.on_purge(PurgeOrder(kind, value), NOW + 1).count == 1
    assert isinstance(edge.on_request(ask("/c"), NOW + 2), Serve)


HOSTS = [  # profile, key, the URL purged, the hosts whose objects go
    (FASTLY, Key(), "http://b.test/a", {"b.test"}),
    (FASTLY, Key(), "https://B.test/a", {"b.test"}),
    (FASTLY, Key(), "http://c.test/a", set()),
    (FASTLY, Key(), "http://b.test:8080/a", {"b.test:8080"}),
    (FASTLY, Key(), "/a", {"a.test", "b.test", "b.test:8080"}),  # no vendor's: a lab's way to all
    (FASTLY, Key(host=False), "http://c.test/a", {"a.test"}),
    (RFC9111, Key(host=True), "http://b.test/a", {"a.test", "b.test", "b.test:8080"}),
    (CLOUDFRONT, Key(headers=("Host",)), "http://b.test/a", {"a.test", "b.test", "b.test:8080"}),
]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("profile", "key", "url", "taken"), HOSTS)
def test_a_purge_of_a_url_takes_that_hosts_object(
    profile: Profile, key: Key, url: str, taken: set[str], soft: bool
) -> None:
    """Fastly, "Purging a URL" and vcl_hash: the object that such a request finds."""
    edge = node(profile, Behavior(path="*", key=key.model_copy(update={"headers": (*key.headers, "x-kind")})))
    for host in ("a.test", "b.test", "b.test:8080"):
        request = ask(host=host)
        request.headers.lines.append(("host", host))
        plan = edge.on_request(request, NOW)
        if isinstance(plan, Fetch):
            edge.on_response(plan, says(**FRESH), NOW)
            edge.on_body_end(plan, 10, NOW)
    stored = list(edge.index)
    assert edge.on_purge(PurgeOrder(PurgeKind.URL, url, soft=soft), NOW + 1).count == len(taken)
    gone = [entry for entry in stored if not entry.indexed or entry.life.fresh_until <= NOW + 1]
    assert len(gone) == len(taken)


@pytest.mark.parametrize(("url", "stored"), [("http://a.test/a", False), ("http://b.test/a", True), ("/a", False)])
def test_a_fill_or_a_mark_is_bound_by_the_purge_of_its_own_host(url: str, stored: bool) -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(host="a.test"), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.URL, url), NOW + 1)
    edge.on_response(plan, says(**FRESH), NOW + 2)
    edge.on_body_end(plan, 10, NOW + 2)
    assert isinstance(edge.on_request(ask(host="a.test"), NOW + 3), Serve) is stored
    passed = fetched(edge, edge.on_request(ask("/b", host="a.test"), NOW))
    edge.on_response(passed, says(cache_control="private"), NOW)
    edge.on_purge(PurgeOrder(PurgeKind.URL, f"{url.removesuffix('/a')}/b"), NOW + 1)
    assert (edge.view.uncollapsed("/b\nhost: a.test", NOW + 2) is not None) is stored


def test_a_fill_under_way_is_bound_by_a_purge_of_its_url_whatever_its_host() -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask(host="a.example"), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 1)
    edge.on_response(plan, says(**FRESH), NOW + 2)
    edge.on_body_end(plan, 10, NOW + 2)
    assert isinstance(edge.on_request(ask(host="a.example"), NOW + 3), Fetch)


def test_cloudfront_leaves_a_failing_origin_alone_and_serves_stale_meanwhile() -> None:
    """ "HTTP 4xx and 5xx": the expired copy is served; the origin is asked again after ErrorCachingMinTTL."""
    edge = node(CLOUDFRONT)
    filled(edge, says(cache_control="max-age=1"))
    plan = fetched(edge, edge.on_request(ask(), NOW + 30))
    edge.on_response(plan, says(503), NOW + 30)
    held = edge.on_request(ask(), NOW + 39)
    assert isinstance(held, Serve) and held.outcome is Outcome.HIT_STALE
    assert isinstance(edge.on_request(ask(), NOW + 40), Fetch)


def test_cloudfront_holds_an_error_of_its_own_as_long() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttl=3.0))
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_failure(plan, Failure.FIRST_BYTE_TIMEOUT, NOW)
    held = edge.on_request(ask(), NOW + 2)
    assert isinstance(held, Refuse) and held.status == 504
    assert isinstance(edge.on_request(ask("/b"), NOW + 2), Fetch)
    assert isinstance(edge.on_request(ask(), NOW + 3), Fetch)


@pytest.mark.parametrize(("why", "held"), [(Failure.FIRST_BYTE_TIMEOUT, 2), (Failure.CONNECT, 10)])
def test_cloudfront_holds_an_error_as_long_as_its_status_says(why: Failure, held: float) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttls={504: 2.0}))
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_failure(plan, why, NOW)
    assert isinstance(edge.on_request(ask(), NOW + held - 0.1), Refuse)
    assert isinstance(edge.on_request(ask(), NOW + held), Fetch)


@pytest.mark.parametrize("came", [503, Failure.CONNECT])
def test_cloudfront_holds_no_error_where_it_is_to_be_kept_for_no_time(came: int | Failure) -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttl=0.0))
    plan = fetched(edge, edge.on_request(ask(), NOW))
    if isinstance(came, Failure):
        edge.on_failure(plan, came, NOW)
    else:
        edge.on_response(plan, says(came), NOW)
        edge.on_body_end(plan, 0, NOW)
    assert isinstance(edge.on_request(ask(), NOW), Fetch)


def test_cloudfront_leaves_an_origin_alone_as_long_as_the_status_it_answered_says() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttls={503: 2.0}))
    filled(edge, says(cache_control="max-age=1"))
    plan = fetched(edge, edge.on_request(ask(), NOW + 30))
    edge.on_response(plan, says(503), NOW + 30)
    assert isinstance(edge.on_request(ask(), NOW + 31.9), Serve) and isinstance(edge.on_request(ask(), NOW + 32), Fetch)


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_the_others_keep_a_404_as_long_as_is_said_of_it(profile: Profile) -> None:
    edge = node(profile, Behavior(path="*", error_ttls={404: 7.0}))
    filled(edge, says(404))
    assert isinstance(edge.on_request(ask(), NOW + 6), Serve) and isinstance(edge.on_request(ask(), NOW + 7), Fetch)


def test_a_url_takes_every_variant_of_vary_with_it() -> None:
    """Fastly, "Vary": variants lie under one key, which is what a purge names."""
    edge = node(FASTLY)
    asked = [ask(x_kind=kind) for kind in ("1", "2", "3")]
    for request in asked:
        filled(edge, says(vary="X-Kind", **FRESH), request=request)
    assert len(edge.index) == 3
    assert edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 1).count == 3
    assert not any(isinstance(edge.on_request(request, NOW + 2), Serve) for request in asked)


@pytest.mark.parametrize("profile", [CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_what_was_asked_for_before_a_purge_is_not_stored_after_it(profile: Profile) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), NOW + 1)
    edge.on_response(plan, says(**FRESH), NOW + 2)
    assert isinstance(edge.on_request(ask(), NOW + 3), Fetch)


SOFT = [  # what is stored, what a request a second after the soft purge gets
    ({"etag": '"1"'}, "asks with the validator"),
    ({"cache_control": "max-age=60, stale-while-revalidate=30"}, "stale, and a refresh behind"),
    ({}, "asks anew"),
]


@pytest.mark.parametrize(("stored", "expected"), SOFT, ids=[row[1] for row in SOFT])
def test_a_soft_purge_makes_stale_what_a_hard_one_takes_away(stored: dict[str, str], expected: str) -> None:
    edge = node(FASTLY)
    filled(edge, says(surrogate_key="k", **({"cache_control": "max-age=60"} | stored)))
    assert edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, "k", soft=True), NOW + 1).count == 1
    plan = edge.on_request(ask(), NOW + 2)
    if isinstance(plan, Serve):
        assert expected == "stale, and a refresh behind" and plan.refresh is not None
    else:
        asked = "if-none-match" in fetched(edge, plan).request.headers
        assert expected == ("asks with the validator" if asked else "asks anew")


def test_surrogate_keys_are_separated_by_spaces_and_printable_others_are_ignored() -> None:
    """Fastly, "Surrogate-Key": printable ASCII, 0x21 to 0x7E."""
    edge = node(FASTLY)
    filled(edge, says(surrogate_key="live/480p  b b\xe4d \x7fx a~!", **FRESH))
    (entry,) = edge.index
    assert entry.surrogate_keys == ("live/480p", "b", "a~!")


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_several_keys_are_one_order_that_counts_each_response_once(soft: bool) -> None:
    """Fastly, "Purge multiple surrogate key tags": whatever has any of them."""
    edge = node(FASTLY)
    for path, keys in (("/a", "x y"), ("/b", "y z"), ("/c", "z"), ("/d", "xy")):
        filled(edge, says(surrogate_key=keys, **FRESH), request=ask(path))
    under_way = fetched(edge, edge.on_request(ask("/e"), NOW))
    other = fetched(edge, edge.on_request(ask("/f"), NOW))
    assert edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, "x none y", soft), NOW + 1).count == 2
    for plan, key in ((under_way, "y"), (other, "z")):
        edge.on_response(plan, says(surrogate_key=key, **FRESH), NOW + 2)
        edge.on_body_end(plan, 10, NOW + 2)
    served = {path for path in "abcdef" if isinstance(edge.on_request(ask(f"/{path}"), NOW + 3), Serve)}
    assert served == set("cdf")


@pytest.mark.parametrize("profile", [RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_the_others_ask_again_at_once(profile: Profile) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    edge.on_failure(plan, Failure.CONNECT, NOW)
    assert isinstance(edge.on_request(ask(), NOW), Fetch)


PREFIXES = [  # order                        taken away of the URLs below
    (
        "/live/",
        {"/live/", "/live/1.ts", "/live/1.ts?a=1", "/live/2/x.ts"},
    ),  # "/live/*": what lies in the folder, itself too
    ("/live", {"/live", "/live2", "/live/", "/live/1.ts", "/live/1.ts?a=1", "/live/2/x.ts"}),  # "/live*"
    ("/live/1.ts", {"/live/1.ts", "/live/1.ts?a=1"}),  # "/live/1.ts*": whatever the query
    ("/live/1.ts?a", {"/live/1.ts?a=1"}),
    ("http://edge.example/Live/", {"/Live/1.ts"}),  # a path is case-sensitive
    ("/", {"/live", "/live2", "/live/", "/live/1.ts", "/live/1.ts?a=1", "/live/2/x.ts", "/Live/1.ts"}),  # "/*"
    ("/none/", set()),
]
URLS = {"/live", "/live2", "/live/", "/live/1.ts", "/live/1.ts?a=1", "/live/2/x.ts", "/Live/1.ts"}


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(("prefix", "taken"), PREFIXES, ids=[row[0] for row in PREFIXES])
def test_a_prefix_takes_what_begins_so_with_all_its_variants(prefix: str, taken: set[str], soft: bool) -> None:
    """CloudFront, "Invalidate files": "*" as the last character; Fastly has none, so there it is the lab's own."""
    edge = node(CLOUDFRONT, Behavior(path="*", key=Key(query="all", host=True, headers=("x-kind",))))
    requests = {}
    for url in URLS:
        path, _, query = url.partition("?")
        requests[url] = [ask(path, query=query or None, host=host, x_kind=kind) for host in "ab" for kind in "12"]
        for request in requests[url]:
            filled(edge, says(**FRESH), request=request)
    assert len(edge.index) == 4 * len(URLS)
    assert edge.on_purge(PurgeOrder(PurgeKind.PREFIX, prefix, soft), NOW + 1).count == 4 * len(taken)
    assert len(edge.index) == 4 * (len(URLS) if soft else len(URLS - taken))
    for url, several in requests.items():
        for request in several:
            assert isinstance(edge.on_request(request, NOW + 2), Serve) == (url not in taken), url


@pytest.mark.parametrize(("prefix", "stored"), [("/a", False), ("/b", True)])
def test_a_fill_under_way_is_bound_by_a_purge_of_its_prefix(prefix: str, stored: bool) -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask("/a/b"), NOW))
    edge.on_purge(PurgeOrder(PurgeKind.PREFIX, prefix), NOW + 1)
    edge.on_response(plan, says(**FRESH), NOW + 2)
    edge.on_body_end(plan, 10, NOW + 2)
    assert isinstance(edge.on_request(ask("/a/b"), NOW + 3), Serve) == stored


ORDERS = [  # what is ordered of /live/a                  ends a held failure, a hit-for-pass mark
    (PurgeOrder(PurgeKind.URL, "/live/a"), True, True),
    (PurgeOrder(PurgeKind.URL, "/live/b"), False, False),
    (PurgeOrder(PurgeKind.PREFIX, "/live/"), True, True),
    (PurgeOrder(PurgeKind.PREFIX, "/liv"), True, True),
    (PurgeOrder(PurgeKind.PREFIX, "/live/b"), True, True),  # its folder: the parent is asked once more, never once less
    (PurgeOrder(PurgeKind.PREFIX, "/vod/"), False, False),
    (PurgeOrder(PurgeKind.EVERYTHING), True, True),
    (PurgeOrder(PurgeKind.SURROGATE_KEYS, "k"), False, False),  # neither has keys
    (PurgeOrder(PurgeKind.SURROGATE_KEYS, "j k"), False, False),
    (PurgeOrder(PurgeKind.URL, "/live/a", soft=True), True, False),  # a mark has nothing to validate
    (PurgeOrder(PurgeKind.EVERYTHING, soft=True), True, False),
]
EACH = pytest.mark.parametrize(
    ("order", "failure", "mark"), ORDERS, ids=[f"{row[0].kind.value} {row[0].value}" for row in ORDERS]
)


@EACH
@pytest.mark.parametrize("first", ["learnt", "ordered"])
def test_a_failure_that_cloudfront_holds_is_cleared_by_its_path(
    order: PurgeOrder, failure: bool, mark: bool, first: str
) -> None:
    """CloudFront, "Control how long errors are cached": to clear an error, invalidate the object's path."""
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttl=300.0))
    plan = fetched(edge, edge.on_request(ask("/live/a"), NOW))
    if first == "ordered":
        edge.on_purge(order, NOW + 1)  # it was asked before: what it tells is from before
    edge.on_failure(plan, Failure.FIRST_BYTE_TIMEOUT, NOW + 2)  # an error of its own: there is no answer to store
    if first == "learnt":
        assert not isinstance(edge.on_request(ask("/live/a"), NOW + 3), Fetch)
        edge.on_purge(order, NOW + 4)
    assert isinstance(edge.on_request(ask("/live/a"), NOW + 5), Fetch) == failure


@EACH
def test_a_hit_for_pass_mark_goes_by_a_hard_purge_of_its_url(order: PurgeOrder, failure: bool, mark: bool) -> None:
    """Fastly, "Request collapsing": the mark lies under the key, as an object does."""
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(ask("/live/a"), NOW))
    edge.on_response(plan, says(cache_control="private, max-age=60", surrogate_key="k"), NOW + 1)
    assert edge.view.uncollapsed("/live/a\nhost: h", NOW + 2) is not None
    edge.on_purge(order, NOW + 3)
    leader, next_one = (edge.on_request(ask("/live/a"), NOW + 4) for _ in range(2))
    assert isinstance(leader, Fetch) and isinstance(next_one, Join) == mark


def test_what_is_learnt_after_a_purge_holds_and_many_purges_end_all_that_was_learnt_before() -> None:
    edge = node(CLOUDFRONT, Behavior(path="*", error_ttl=300.0))
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), NOW)
    edge.on_failure(fetched(edge, edge.on_request(ask(), NOW)), Failure.CONNECT, NOW)
    assert not isinstance(edge.on_request(ask(), NOW + 1), Fetch)
    for number in range(MOST_MARKS):
        edge.on_purge(PurgeOrder(PurgeKind.URL, f"/{number}"), NOW + 2)
    assert isinstance(edge.on_request(ask(), NOW + 3), Fetch)


ETAG = {"etag": '"1"', "surrogate_key": "k", **FRESH}
PART, BLOCK = ("content-range", "bytes 0-9/30"), ("content-range", "bytes 0-4095/8192")
SLICED = Behavior(path="*", slice=4096)
KINDS = [  # what is stored, under which profile, how it is asked for and what came
    ("a 404", RFC9111, None, ask(), says(404, **ETAG)),  # RFC 9111 §4.2.2: stored like anything else
    ("a 404", CLOUDFRONT, None, ask(), says(404, **ETAG)),  # "Control how long errors are cached"
    ("a 404", FASTLY, None, ask(), says(404, **ETAG)),  # "Cache freshness": 404 and 410
    ("a part", RFC9111, None, ask(range="bytes=0-9"), says(206, PART, **ETAG)),  # RFC 9111 §3.3
    ("a part", CLOUDFRONT, None, ask(range="bytes=0-9"), says(206, PART, **ETAG)),  # "Range GETs"
    ("a block", FASTLY, SLICED, ask(range="bytes=0-9"), says(206, BLOCK, **ETAG)),  # "Segmented caching"
]
NAMING = [
    PurgeOrder(PurgeKind.URL, "/a"),
    PurgeOrder(PurgeKind.PREFIX, "/"),
    PurgeOrder(PurgeKind.SURROGATE_KEYS, "k"),
    PurgeOrder(PurgeKind.SURROGATE_KEYS, "j k"),
    PurgeOrder(PurgeKind.EVERYTHING),
]


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("order", NAMING, ids=[order.kind.value for order in NAMING])
@pytest.mark.parametrize(
    ("profile", "behavior", "request_", "response"),
    [row[1:] for row in KINDS],
    ids=[f"{r[0]}, {r[1].name}" for r in KINDS],
)
def test_negative_answers_parts_and_blocks_are_purged_like_anything_stored(
    profile: Profile,
    behavior: Behavior | None,
    request_: RequestHead,
    response: ResponseHead,
    order: PurgeOrder,
    soft: bool,
) -> None:
    def asked(now: float) -> Plan:
        plan = edge.on_request(request_, now)
        return edge.on_request(plan.assembly.opening_request(), now) if isinstance(plan, Assemble) else plan

    edge = node(profile, behavior)
    plan = fetched(edge, asked(NOW))
    edge.on_response(plan, response, NOW)
    edge.on_body_end(plan, 4096 if behavior is SLICED else 10, NOW)
    assert isinstance(asked(NOW + 1), Serve), "it is stored"
    purged = edge.on_purge(PurgeOrder(order.kind, order.value, soft), NOW + 2)
    assert (purged.count, len(edge.index)) == (1, 1 if soft else 0)
    again = fetched(edge, asked(NOW + 3))
    assert again.cause is Cause.PURGED
    assert ("if-none-match" in again.request.headers) == soft
