"""Playbooks of reuse: what a stored response is served with, when it is asked about, and what comes of the answer."""

import pytest

from cdnkit.policy import EdgeMachine, Failure, Fetch, Headers, Join, Refuse, Relay, RequestHead, ResponseHead, Serve
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.rules.service import Behavior, Key
from cdnkit.policy.store.index import MOST_PARTS
from tests.kit.machine import NOW as START
from tests.kit.machine import dated as says
from tests.kit.machine import fill, get, machine
from tests.law.playbooks.test_law import only

Lines = list[tuple[str, str]]


def filled(answer: ResponseHead, request: RequestHead | None = None, size: int = 10) -> EdgeMachine:
    """A node that has this."""
    edge = machine()
    fill(edge, request or get(), answer, size)
    return edge


def lines(plan: object, name: str) -> list[str]:
    assert isinstance(plan, Serve | Relay | Refuse), plan
    return Headers(plan.headers).all(name)


# ---- what a hit carries (RFC 9111 §4, §3.1, §7.3) ----------------------------------------------------------------------


def test_a_hit_has_one_age_in_whole_seconds_and_the_stored_fields_as_they_are() -> None:
    kept = {
        "cache_control": "max-age=600", "expires": format_date(START + 60), "last_modified": format_date(START - 60),
        "etag": 'W/"1"', "warning": '199 - "old"', "x_unknown": "\xe4 b",
    }  # fmt: skip
    edge = filled(says(age="100", **kept))
    hit = edge.on_request(get(), START + 7.9)
    assert lines(hit, "age") == ["107"]
    assert lines(hit, "date") == [format_date(START)]
    assert {name: lines(hit, name.replace("_", "-")) for name in kept} == {
        name: [value] for name, value in kept.items()
    }


def test_what_was_just_fetched_has_the_age_that_came_or_none() -> None:
    assert lines(only(fill(machine(), get(), says(cache_control="max-age=60"))), "age") == []
    assert lines(only(fill(machine(), get(), says(cache_control="max-age=60", age="5"))), "age") == ["5"]


def test_a_date_that_is_missing_is_added() -> None:
    """RFC 9110 §6.6.1: a recipient with a clock."""
    edge = machine()
    first = only(fill(edge, get(), ResponseHead(200, Headers([("cache-control", "max-age=60")]))))
    assert lines(first, "date") == lines(edge.on_request(get(), START + 9), "date") == [format_date(START)]


def test_cookies_are_replayed_line_by_line() -> None:
    edge = filled(says(200, ("set-cookie", "a=1"), ("set-cookie", "b=2"), cache_control="max-age=60"))
    assert lines(edge.on_request(get(cookie="c=3"), START), "set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(("status", "size"), [(200, 0), (204, 0), (301, 10), (307, 10), (410, 10)])
def test_an_empty_answer_a_redirect_or_an_error_with_a_lifetime_is_a_hit(status: int, size: int) -> None:
    edge = filled(says(status, cache_control="max-age=60", location="/b"), size=size)
    hit = edge.on_request(get(), START + 1)
    assert isinstance(hit, Serve) and (hit.status, hit.outcome) == (status, Outcome.HIT)
    assert hit.body is (status != 204)


# ---- what a request may say (RFC 9111 §5.2.1, §5.4) --------------------------------------------------------------------

WISHES = [  # stored for 60 s; the request's fields; how long after; the outcome, or the cause of asking
    ({"cache_control": "max-age=10"}, 10, Outcome.HIT),
    ({"cache_control": "max-age=10"}, 11, Cause.REQUEST),
    ({"cache_control": "min-fresh=10"}, 50, Outcome.HIT),
    ({"cache_control": "min-fresh=10"}, 51, Cause.REQUEST),
    ({"cache_control": "max-stale"}, 1000, Outcome.HIT_STALE),
    ({"cache_control": "max-stale=10"}, 70, Outcome.HIT_STALE),
    ({"cache_control": "max-stale=10"}, 71, Cause.EXPIRED),
    ({"cache_control": "no-cache"}, 1, Cause.REQUEST),
    ({"cache_control": "no-cache, max-stale"}, 70, Cause.REQUEST),
    ({"cache_control": "no-store"}, 1, Cause.REQUEST),
    ({"cache_control": "only-if-cached"}, 1, Outcome.HIT),
    ({"cache_control": "only-if-cached"}, 61, 504),
    ({"cache_control": "max-age=x"}, 1, Cause.REQUEST),  # unreadable counts as 0
    ({"pragma": "no-cache"}, 1, Cause.REQUEST),
    ({"pragma": "no-cache", "cache_control": "max-age=60"}, 1, Outcome.HIT),  # Pragma counts alone
    ({"pragma": "x"}, 1, Outcome.HIT),
]


@pytest.mark.parametrize(("fields", "after", "expected"), WISHES)
def test_requests_own_directives(fields: dict[str, str], after: float, expected: Outcome | Cause | int) -> None:
    plan = filled(says(cache_control="max-age=60")).on_request(get(**fields), START + after)
    match expected:
        case int():
            assert isinstance(plan, Refuse) and plan.status == expected
        case Cause():
            assert isinstance(plan, Fetch) and plan.cause is expected
        case Outcome():
            assert isinstance(plan, Serve) and plan.outcome is expected


def test_an_exchange_that_says_no_store_goes_on_is_not_kept_and_leaves_what_is() -> None:
    edge = filled(says(cache_control="max-age=60", x_is="old"))
    landing = fill(edge, get(cache_control="no-store"), says(cache_control="max-age=60", x_is="new"))
    assert lines(only(landing), "x-is") == ["new"] and landing.store is None
    assert lines(edge.on_request(get(), START + 1), "x-is") == ["old"]


@pytest.mark.parametrize(("after", "expected"), [(59, Outcome.HIT), (60, Cause.REQUEST)])
def test_a_reload_of_what_is_immutable_is_satisfied_while_it_is_fresh(after: float, expected: Outcome | Cause) -> None:
    """RFC 8246 §2: no validation of it but for who asks for one, which is what no-cache says."""
    edge = filled(says(cache_control="max-age=60, immutable", etag='"1"'))
    reload = edge.on_request(get(cache_control="max-age=0", if_none_match='"1"'), START + after)
    assert expected in (reload.outcome, reload.cause)
    assert edge.on_request(get(cache_control="no-cache"), START + 1).cause is Cause.REQUEST
    assert edge.on_request(get(cache_control="max-age=1"), START + 2).cause is Cause.REQUEST


# ---- when the origin fails (RFC 9111 §4.2.4, §5.2.2.2; RFC 5861 §4) ----------------------------------------------------


@pytest.mark.parametrize(
    ("status", "stale"), [(500, True), (502, True), (503, True), (504, True), (501, False), (404, False), (429, False)]
)
def test_which_answers_stale_if_error_takes_for_an_error(status: int, stale: bool) -> None:
    edge = filled(says(cache_control="max-age=1, stale-if-error=60"))
    answer = only(fill(edge, get(), says(status, cache_control="no-store"), now=START + 30))
    assert (answer.outcome is Outcome.HIT_STALE) is stale


FORBIDDEN = [  # what came of the question, what the viewer is told where stale use is forbidden
    (Failure.NAME, 504),
    (Failure.CONNECT, 504),
    (Failure.CONNECT_TIMEOUT, 504),
    (Failure.FIRST_BYTE_TIMEOUT, 504),
    (Failure.RESET, 504),
    (Failure.GARBAGE, 502),  # it answered, but no HTTP
]


@pytest.mark.parametrize("ban", ["must-revalidate", "proxy-revalidate", "s-maxage=1", "no-cache"])
@pytest.mark.parametrize(("why", "status"), FORBIDDEN)
def test_an_origin_that_cannot_be_asked_about_what_must_be_asked_is_a_504(why: Failure, status: int, ban: str) -> None:
    edge = filled(says(cache_control=f"max-age=1, {ban}"))
    fetch = edge.on_request(get(), START + 30)
    assert isinstance(fetch, Fetch)
    answer = only(edge.on_failure(fetch, why, START + 30))
    assert isinstance(answer, Refuse) and answer.status == status


# ---- validation (RFC 9111 §4.3) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "1", '"a'])
def test_validators_go_as_they_came(tag: str) -> None:
    modified = "wed, 18 nov 2026 10:00:00 GMT"
    fetch = filled(says(cache_control="max-age=1", etag=tag, last_modified=modified)).on_request(get(), START + 2)
    assert isinstance(fetch, Fetch)
    assert fetch.request.headers.all("if-none-match") == [tag]
    assert fetch.request.headers.all("if-modified-since") == [modified]


CLIENTS = [  # the client's own condition; its status when the origin has said 304 to ours
    ({}, 200),
    ({"if_none_match": '"old"'}, 200),  # it holds another representation
    ({"if_none_match": '"1"'}, 304),
    ({"if_modified_since": format_date(START)}, 304),
    ({"if_modified_since": format_date(START - 9999)}, 200),
]


@pytest.mark.parametrize(("condition", "status"), CLIENTS)
def test_a_304_for_us_may_be_a_200_for_the_client(condition: dict[str, str], status: int) -> None:
    edge = filled(says(cache_control="max-age=1", etag='"1"', last_modified=format_date(START - 60)))
    fetch = edge.on_request(get(**condition), START + 2)
    assert isinstance(fetch, Fetch) and fetch.request.headers.all("if-none-match") == ['"1"']
    answer = only(edge.on_response(fetch, says(304, etag='"1"'), START + 2))
    assert isinstance(answer, Serve) and (answer.status, answer.body) == (status, status == 200)


def test_a_304_that_answers_a_condition_from_the_store_has_the_fields_of_the_200_but_those_of_its_body() -> None:
    fields = {
        "etag": '"1"', "cache_control": "max-age=60", "expires": format_date(START + 60), "vary": "x-a",
        "content_location": "/b",
    }  # fmt: skip
    answer = filled(says(content_length="10", content_type="a/b", **fields)).on_request(
        get(if_none_match='"1"'), START + 5
    )
    assert isinstance(answer, Serve) and answer.status == 304 and not answer.body
    assert all(lines(answer, name.replace("_", "-")) == [value] for name, value in fields.items())
    assert lines(answer, "age") == ["5"] and lines(answer, "date") == [format_date(START)]
    assert lines(answer, "content-length") == [] and lines(answer, "content-type") == []


def test_a_304_from_the_store_tells_the_next_cache_how_long_it_may_keep_it() -> None:
    """What rules a lifetime goes with it (RFC 9110 §15.4.5): else a child would count by the one it was told before."""
    edge = filled(says(cdn_cache_control="max-age=60", surrogate_control="max-age=50", etag='"1"'))
    answer = edge.on_request(get(if_none_match='"1"'), START + 1)
    assert lines(answer, "cdn-cache-control") == ["max-age=60"] and lines(answer, "surrogate-control") == ["max-age=50"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("cache_control", [None, "no-store"])
def test_an_error_to_a_question_leaves_what_it_was_about(status: int, cache_control: str | None) -> None:
    """RFC 9111 §4.3.3: a 5xx may be passed on. What is stored keeps its validator, and its leave to stand in."""
    edge = filled(says(cache_control="max-age=1", etag='"1"'))
    error = says(status) if cache_control is None else says(status, cache_control=cache_control)
    assert only(fill(edge, get(), error, now=START + 2)).status == status
    fetch = edge.on_request(get(), START + 3)
    assert isinstance(fetch, Fetch) and fetch.request.headers.first("if-none-match") == '"1"'
    stale = only(edge.on_failure(fetch, Failure.CONNECT, START + 3))
    assert isinstance(stale, Serve) and stale.outcome is Outcome.HIT_STALE


HEADS = [  # what is stored (range: of a part), what becomes of the HEAD's own exchange, its status
    ({"cache_control": "max-age=1"}, Failure.CONNECT, 200),  # RFC 9111 §4.2.4: disconnected
    ({"cache_control": "max-age=1"}, 503, 503),
    ({"cache_control": "max-age=1, stale-if-error=60"}, 503, 200),  # RFC 5861 §4
    ({"cache_control": "max-age=1, stale-if-error=60"}, 404, 404),
    ({"cache_control": "max-age=1, must-revalidate"}, Failure.CONNECT, 504),
    ({"cache_control": "max-age=1", "content_range": "bytes 0-4/10", "etag": '"1"'}, Failure.CONNECT, 502),
]


@pytest.mark.parametrize(("stored", "end", "status"), HEADS)
def test_a_head_is_answered_from_what_is_stale_where_a_get_is(
    stored: dict[str, str], end: int | Failure, status: int
) -> None:
    part = "content_range" in stored
    edge = filled(says(206 if part else 200, **stored), get(range="bytes=0-4") if part else None, 5)
    fetch = edge.on_request(get(method="HEAD", range="bytes=0-1"), START + 3)
    assert isinstance(fetch, Fetch) and fetch.request.method == "HEAD"
    landing = (
        edge.on_failure(fetch, end, START + 3)
        if isinstance(end, Failure)
        else edge.on_response(fetch, says(end), START + 3)
    )
    answer = only(landing)
    assert not isinstance(answer, Fetch) and answer.status == status
    assert not (isinstance(answer, Serve) and answer.body)


def test_an_error_with_a_lifetime_of_its_own_takes_the_place_of_what_was_stored() -> None:
    edge = filled(says(cache_control="max-age=1", etag='"1"'))
    fill(edge, get(), says(503, cache_control="max-age=9"), now=START + 2)
    assert [entry.status for entry in edge.index] == [503]


def test_an_age_that_no_number_holds_is_passed_on_as_the_longest() -> None:
    answer = only(fill(machine(), get(), says(cache_control="no-store", age="9" * 5000)))
    assert lines(answer, "age") == [str(2**31)]


def test_an_answer_that_has_ceased_to_be_cacheable_retires_the_stored_one() -> None:
    edge = filled(says(cache_control="max-age=1", etag='"1"'))
    fill(edge, get(), says(cache_control="no-store"), now=START + 2)
    assert len(edge.index) == 0


def test_a_304_that_nobody_asked_for_is_a_failure_for_all_and_is_not_kept() -> None:
    edge = machine()
    leader, other = edge.on_request(get(), START), edge.on_request(get(), START)
    assert isinstance(leader, Fetch)
    landing = edge.on_response(leader, says(304, etag='"1"', cache_control="max-age=60"), START)
    assert [landing.answers[plan.ticket].status for plan in (leader, other)] == [502, 502]  # type: ignore[union-attr]
    assert len(edge.index) == 0


# ---- targeted fields (RFC 9213) ----------------------------------------------------------------------------------------

TARGETED: list[tuple[Lines, float | None]] = [  # the fields, seconds fresh (None: not stored)
    ([("cdn-cache-control", "max-age=60"), ("age", "10")], 50),  # Age counts all the same
    ([("cdn-cache-control", "public"), ("cdn-cache-control", "max-age=60")], 60),  # lines are one dictionary
    ([("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "max age")], 5),  # an error on either line
    ([("cdn-cache-control", "s-maxage=9, max-age=60")], 9),
    ([("cdn-cache-control", "private, max-age=60")], None),
    ([("cdn-cache-control", "unknown=1, max-age=60")], 60),
    ([("cdn-cache-control", "max-age=-1")], 0),
]


@pytest.mark.parametrize(("fields", "seconds"), TARGETED)
def test_a_targeted_field_line_by_line(fields: Lines, seconds: float | None) -> None:
    edge = filled(says(200, *fields, cache_control="max-age=5", etag='"1"'))
    assert [entry.life.fresh_until - START for entry in edge.index] == ([] if seconds is None else [seconds])


@pytest.mark.parametrize(("word", "after"), [("no-cache, max-age=60", 1), ("must-revalidate, max-age=1", 2)])
def test_a_targeted_field_forbids_as_cache_control_does(word: str, after: float) -> None:
    edge = filled(says(cdn_cache_control=word, cache_control="max-age=600", etag='"1"'))
    fetch = edge.on_request(get(), START + after)
    assert isinstance(fetch, Fetch) and isinstance(only(edge.on_failure(fetch, Failure.CONNECT, START + after)), Refuse)


def test_a_targeted_field_is_passed_on() -> None:
    edge = filled(says(cdn_cache_control="max-age=60"))
    assert lines(edge.on_request(get(), START), "cdn-cache-control") == ["max-age=60"]


# ---- what is for surrogates alone (W3C, Edge Architecture Specification, §2) -------------------------------------------

FOR_SURROGATES: list[
    tuple[str, str, float | None]
] = [  # Surrogate-Control, Cache-Control, seconds fresh (None: not stored)
    ("max-age=60", "max-age=5", 60),
    ("max-age=60", "no-store", 60),  # §2.2: in the place of what other caches are told
    ("max-age=60", "private", 60),
    ("MaX-aGe=60", "max-age=5", 60),
    ("no-store", "max-age=5", None),
    ("no-store-remote, max-age=60", "max-age=5", None),
    ("max-age=0", "max-age=5", 0),
    ("max-age=x", "max-age=5", 0),  # RFC 9111 §4.2.1: stale, rather than another's lifetime
    ("max-age=99999999999", "max-age=5", 2**31),
    ("max-age=60;cdnlab", "max-age=5", 60),  # §2.3: aimed at us
    ("max-age=7, max-age=60;cdnlab", "max-age=5", 60),
    ("max-age=60;other", "max-age=5", 5),
    ("no-store;other, max-age=60", "max-age=5", 60),
    ('content="ESI/1.0, no-store, x"', "max-age=5", 5),  # says nothing of caching
    ("max-age = 60", "max-age=5", 5),
    ("", "max-age=5", 5),
]


@pytest.mark.parametrize(("said", "to_all", "seconds"), FOR_SURROGATES)
def test_what_an_origin_says_to_surrogates_alone(said: str, to_all: str, seconds: float | None) -> None:
    edge = filled(says(surrogate_control=said, cache_control=to_all, etag='"1"'))
    assert [entry.life.fresh_until - START for entry in edge.index] == ([] if seconds is None else [seconds])


def test_a_targeted_field_comes_before_surrogate_control_and_both_are_passed_on() -> None:
    edge = filled(says(cdn_cache_control="max-age=30", surrogate_control="max-age=60"))
    assert [entry.life.fresh_until - START for entry in edge.index] == [30]
    assert lines(edge.on_request(get(), START), "surrogate-control") == ["max-age=60"]


def test_a_freshness_extension_is_for_while_it_is_refreshed() -> None:
    edge = filled(says(surrogate_control="max-age=60+30"))
    assert [entry.life.refreshable_until - START for entry in edge.index] == [90]


def test_a_request_goes_on_with_the_version_that_it_came_by_in_its_via() -> None:
    old = get(via="1.1 nyc")
    old.version = "1.0"
    fetch = machine().on_request(old, START)
    assert isinstance(fetch, Fetch) and fetch.request.headers.all("via") == ["1.1 nyc, 1.0 fra"]  # RFC 9110 §7.6.3


@pytest.mark.parametrize(
    ("came", "goes"),
    [(None, 'cdnlab="Surrogate/1.0"'), ('a="Surrogate/1.0"', 'a="Surrogate/1.0", cdnlab="Surrogate/1.0"'),
     ('cdnlab="Surrogate/1.0"', 'cdnlab="Surrogate/1.0"')],
)  # fmt: skip
def test_a_surrogate_shows_itself_to_the_origin(came: str | None, goes: str) -> None:
    fetch = machine().on_request(get(surrogate_capability=came) if came else get(), START)
    assert isinstance(fetch, Fetch) and fetch.request.headers.all("surrogate-capability") == [goes]


# ---- invalidation and ranges (RFC 9111 §4.4; RFC 9110 §14) -------------------------------------------------------------


@pytest.mark.parametrize(("status", "gone"), [(200, True), (303, True), (404, False), (503, False)])
def test_an_unsafe_success_takes_every_variant_and_part_of_its_target(status: int, gone: bool) -> None:
    edge = machine()
    for value in ("1", "2"):
        fill(edge, get(x_a=value), says(cache_control="max-age=60", vary="x-a"))
    part = says(206, content_range="bytes 0-4/10", cache_control="max-age=60", vary="x-a", etag='"1"')
    fill(edge, get(x_a="3", range="bytes=0-4"), part, 5)
    assert len(edge.index) == 3
    fill(edge, get(method="PUT"), says(status))
    assert len(edge.index) == (0 if gone else 3)


RANGES = [  # method, the request's fields, status, Content-Range, Content-Length: of 10 bytes under '"1"'
    ("GET", {"range": "bytes=2-4"}, 206, ["bytes 2-4/10"], ["3"]),
    ("GET", {"range": "bytes=8-99"}, 206, ["bytes 8-9/10"], ["2"]),
    ("GET", {"range": "bytes=-99"}, 206, ["bytes 0-9/10"], ["10"]),
    ("GET", {"range": "bytes=10-"}, 416, ["bytes */10"], ["0"]),
    ("GET", {"range": "bytes=-0"}, 416, ["bytes */10"], ["0"]),
    ("GET", {"range": "lines=2-4"}, 200, [], ["10"]),  # an unknown unit
    ("GET", {"range": "bytes=4-2"}, 200, [], ["10"]),
    ("HEAD", {"range": "bytes=2-4"}, 200, [], ["10"]),  # Range is for GET alone
    ("GET", {"range": "bytes=2-4", "if_none_match": '"1"'}, 304, [], []),  # conditions come first,
    ("GET", {"range": "bytes=2-4", "if_none_match": '"2"'}, 206, ["bytes 2-4/10"], ["3"]),
    ("GET", {"range": "bytes=2-4", "if_range": '"2"'}, 200, [], ["10"]),  # then If-Range
    ("GET", {"if_range": '"2"'}, 200, [], ["10"]),
]


@pytest.mark.parametrize(("method", "fields", "status", "part", "length"), RANGES)
def test_ranges_of_what_is_stored(
    method: str, fields: dict[str, str], status: int, part: list[str], length: list[str]
) -> None:
    edge = filled(says(cache_control="max-age=60", etag='"1"', content_length="10"))
    answer = edge.on_request(get(method=method, **fields), START + 1)
    assert isinstance(answer, Serve) and answer.status == status
    assert (lines(answer, "content-range"), lines(answer, "content-length")) == (part, length)
    assert lines(answer, "etag") == ['"1"'] and lines(answer, "date") == [format_date(START)]


def test_a_suffix_is_answered_from_a_part_that_reaches_the_end_of_a_known_length() -> None:
    for total, answered in (("20", True), ("*", False)):
        part = says(206, content_range=f"bytes 10-19/{total}", cache_control="max-age=60", etag='"1"')
        edge = filled(part, get(range="bytes=10-19"))
        answer = edge.on_request(get(range="bytes=-3"), START + 1)
        assert isinstance(answer, Serve) is answered
        if answered:
            assert lines(answer, "content-range") == ["bytes 17-19/20"]


def part(first: int, last: int, etag: str = '"1"', **fields: str) -> ResponseHead:
    return says(206, content_range=f"bytes {first}-{last}/10", cache_control="max-age=60", etag=etag, **fields)


def test_parts_of_one_representation_stand_beside_one_another() -> None:
    """RFC 9111 §3.3: each answers what lies inside it. They are joined where they touch, under the strong tag (§3.4)."""
    edge = machine()
    for first, last in ((0, 1), (8, 9)):
        fill(edge, get(range=f"bytes={first}-{last}"), part(first, last), 2)
    for wanted in ("bytes=0-1", "bytes=8-9", "bytes=-1", "bytes=1-1"):
        assert isinstance(edge.on_request(get(range=wanted), START + 1), Serve)
    fill(edge, get(range="bytes=2-4"), part(2, 4), 5)  # with the two bytes it continues
    assert [entry.part for entry in edge.index] == [Span(0, 5), Span(8, 10)]
    fetch = edge.on_request(get(), START + 1)
    assert isinstance(fetch, Fetch) and fetch.request.headers.first("range") == "bytes=5-"
    edge.on_response(fetch, part(5, 9), START + 1)
    edge.on_body_end(fetch, 10, START + 1)
    assert [(entry.status, entry.part) for entry in edge.index] == [(200, None)]


@pytest.mark.parametrize("etag", ['"2"', 'W/"1"', ""])
def test_a_part_of_what_may_be_another_representation_takes_the_place_of_all(etag: str) -> None:
    edge = machine()
    for first in (0, 2, 4):
        fill(edge, get(range=f"bytes={first}-{first}"), part(first, first), 1)
    assert len(edge.index) == 3
    fill(edge, get(range="bytes=8-9"), part(8, 9, etag), 2)
    assert [entry.part for entry in edge.index] == [Span(8, 10)]


def test_only_so_many_parts_are_kept_and_all_go_with_what_may_not_be_kept() -> None:
    edge = machine()
    for first in range(0, 2 * MOST_PARTS + 2, 2):
        whole = f"bytes {first}-{first}/100"
        fill(
            edge,
            get(range=f"bytes={first}-{first}"),
            says(206, content_range=whole, cache_control="max-age=60", etag='"1"', vary="x-a"),
            1,
        )
    assert len(edge.index) == MOST_PARTS
    assert isinstance(edge.on_request(get(range="bytes=0-0"), START), Fetch)  # the oldest has gone
    fill(edge, get(), says(200, cache_control="no-store"))
    assert len(edge.index) == 0


def test_who_asks_beyond_the_end_takes_no_part_away() -> None:
    edge = filled(part(0, 4), get(range="bytes=0-4"), 5)
    beyond = only(fill(edge, get(range="bytes=50-"), says(416, content_range="bytes */10"), 0))
    assert isinstance(beyond, Relay) and beyond.status == 416
    assert isinstance(edge.on_request(get(range="bytes=0-1"), START), Serve)


def test_the_whole_in_place_of_the_rest_replaces_the_part() -> None:
    edge = filled(
        says(206, content_range="bytes 0-4/10", cache_control="max-age=60", etag='"1"'), get(range="bytes=0-4"), 5
    )
    whole = only(fill(edge, get(), says(cache_control="max-age=60", etag='"2"', content_length="12"), 12))
    assert isinstance(whole, Serve) and whole.status == 200 and lines(whole, "etag") == ['"2"']
    assert [entry.part for entry in edge.index] == [None]


# ---- codings in the key (RFC 9110 §12.5.3) -------------------------------------------------------------------------------


def test_what_varies_by_codings_that_are_in_the_key_is_found_however_a_viewer_writes_them() -> None:
    edge = machine(behaviors=(Behavior(path="*", key=Key(accept_encoding=("gzip", "br"))),))
    varies = says(cache_control="max-age=60", vary="Accept-Encoding", content_encoding="gzip")
    fill(edge, get(accept_encoding="gzip, deflate, br, zstd"), varies)
    for accepted in ("gzip, deflate, br, zstd", "br, gzip", "gzip;q=0.5, deflate, br"):
        assert isinstance(edge.on_request(get(accept_encoding=accepted), START + 1), Serve), accepted
    for accepted in ("gzip, deflate", "identity"):
        assert isinstance(edge.on_request(get(accept_encoding=accepted), START + 1), Fetch), accepted
    assert isinstance(edge.on_request(get(accept_encoding="gzip, br;q=0"), START + 1), Join)
    assert not isinstance(edge.on_request(get(), START + 1), Serve), "a client that says nothing gets no gzip"
