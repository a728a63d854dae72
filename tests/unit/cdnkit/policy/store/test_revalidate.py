"""Conditions against the store, If-Range, and what an update makes of stored fields: RFC 9111 §3.2, §4.3; RFC 9110 §13."""

import pytest

from cdnkit.policy.freshness.lifetime import lifetime_of
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Serve
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.revalidate import (
    freshened,
    is_not_modified,
    range_applies,
    same_representation,
    validators_differ,
)

NOW = 1_795_000_000.0  # Wed, 18 Nov 2026 11:06:40 GMT
MODIFIED, EARLIER, LATER = (format_date(NOW + seconds) for seconds in (-1000, -1001, -999))


def stored(**fields: str) -> Entry:
    lines = [("date", format_date(NOW)), *((name.replace("_", "-"), value) for name, value in fields.items())]
    head = ResponseHead(200, Headers(lines))
    life = lifetime_of(head, Behavior(path="*"), RFC9111, sent_at=NOW, now=NOW)
    entry = Entry(1, "/a", 200, head.headers, life)
    entry.etag, entry.last_modified = head.headers.first("etag"), head.headers.first("last-modified")
    return entry


def asking(method: str = "GET", **fields: str) -> RequestHead:
    lines = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return RequestHead(method, "http", "h", "/a", None, Headers(lines))


BOTH = {"etag": '"1"', "last_modified": MODIFIED}
CONDITIONS = [  # stored, the request's fields, is it a 304?
    (BOTH, {"if_none_match": '"1"'}, True),
    (BOTH, {"if_none_match": 'W/"1"'}, True),  # weak comparison
    ({"etag": 'W/"1"'}, {"if_none_match": '"1"'}, True),
    (BOTH, {"if_none_match": '"0", "1"'}, True),
    (BOTH, {"if_none_match": '"2"'}, False),
    (BOTH, {"if_none_match": "*"}, True),
    ({}, {"if_none_match": "*"}, True),  # any that is stored
    ({}, {"if_none_match": '"1"'}, False),
    ({"etag": '"a,b"'}, {"if_none_match": '"x", "a,b"'}, True),  # a comma within a tag
    ({"etag": "bare"}, {"if_none_match": "bare"}, True),  # malformed: only like itself
    ({"etag": "bare"}, {"if_none_match": '"bare"'}, False),
    (BOTH, {"if_none_match": '"2"', "if_modified_since": MODIFIED}, False),  # the date is not looked at
    (BOTH, {"if_none_match": '"1"', "if_modified_since": EARLIER}, True),
    (BOTH, {"if_modified_since": MODIFIED}, True),
    (BOTH, {"if_modified_since": LATER}, True),
    (BOTH, {"if_modified_since": EARLIER}, False),
    (BOTH, {"if_modified_since": "Wednesday, 18-Nov-26 11:06:40 GMT"}, True),  # obsolete forms count
    (BOTH, {"if_modified_since": "Wed Nov 18 11:06:40 2026"}, True),
    (BOTH, {"if_modified_since": "yesterday"}, False),
    ({}, {"if_modified_since": format_date(NOW)}, True),  # without Last-Modified: the stored Date
    ({}, {"if_modified_since": format_date(NOW - 1)}, False),
    (BOTH, {"if_match": '"2"'}, False),  # the origin's business: neither 304 nor 412
    (BOTH, {"if_unmodified_since": EARLIER}, False),
    (BOTH, {}, False),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("held", "fields", "expected"), CONDITIONS)
def test_conditions(held: dict[str, str], fields: dict[str, str], expected: bool, method: str) -> None:
    assert is_not_modified(asking(method, **fields), stored(**held), NOW) is expected


def test_a_condition_of_another_method_is_not_for_the_store() -> None:
    assert not is_not_modified(asking("PUT", if_none_match="*"), stored(**BOTH), NOW)


IF_RANGE = [  # stored, If-Range, does Range count?
    (BOTH, '"1"', True),
    (BOTH, '"2"', False),
    (BOTH, 'W/"1"', False),  # a weak tag never matches, not even
    ({"etag": 'W/"1"'}, 'W/"1"', False),  # its like
    (BOTH, MODIFIED, True),
    (BOTH, LATER, False),  # exactly, or not
    (BOTH, EARLIER, False),
    ({}, '"1"', False),
    ({}, MODIFIED, False),
    (BOTH, "bare", False),
    ({"last_modified": format_date(NOW - 1)}, format_date(NOW - 1), True),
    ({"last_modified": format_date(NOW)}, format_date(NOW), False),  # weak: it may have changed within that second
    ({"last_modified": format_date(NOW + 60)}, format_date(NOW + 60), False),
    ({"last_modified": "yesterday"}, "yesterday", False),
]


@pytest.mark.parametrize(("held", "condition", "expected"), IF_RANGE)
def test_if_range(held: dict[str, str], condition: str, expected: bool) -> None:
    assert range_applies(asking(range="bytes=0-1", if_range=condition), stored(**held), NOW) is expected


def test_without_if_range_a_range_counts() -> None:
    assert range_applies(asking(range="bytes=0-1"), stored(), NOW)


UPDATES = [  # stored lines, lines of the update, lines after it
    ([("a", "1")], [("a", "2")], [("a", "2")]),
    ([("a", "1"), ("a", "2")], [("a", "3")], [("a", "3")]),  # all lines of a name
    ([("a", "1")], [("a", "2"), ("a", "3")], [("a", "2"), ("a", "3")]),
    ([("a", "1"), ("b", "1")], [("b", "2")], [("a", "1"), ("b", "2")]),  # what it does not have stays
    ([("a", "1")], [("n", "1")], [("a", "1"), ("n", "1")]),
    ([("content-length", "10")], [("content-length", "0")], [("content-length", "10")]),
    ([("age", "9")], [("a", "1")], [("a", "1")]),  # an Age that it does not repeat is gone
    ([("age", "9")], [("age", "1")], [("age", "1")]),
    ([("content-type", "a/b"), ("content-encoding", "gzip")], [("content-type", "c/d")],
     [("content-encoding", "gzip"), ("content-type", "c/d")]),
    ([("content-encoding", "gzip")], [("content-encoding", "br")], [("content-encoding", "gzip")]),  # the bytes stay
    ([("x-a", "1")], [("content-encoding", "gzip"), ("content-range", "bytes 0-4/5")], [("x-a", "1")]),
    ([("cache-control", "max-age=1"), ("expires", "0")], [("cache-control", "max-age=9")],
     [("expires", "0"), ("cache-control", "max-age=9")]),
]  # fmt: skip


@pytest.mark.parametrize(("held", "update", "after"), UPDATES)
def test_an_update_of_stored_fields(
    held: list[tuple[str, str]], update: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    assert freshened(Headers(held), Headers(update)).lines == after


ANOTHER = [  # stored, what the 304 says, does it speak of another representation? (§4.3.4)
    (BOTH, {"etag": '"1"'}, False),
    (BOTH, {"etag": '"2"'}, True),
    (BOTH, {"etag": 'W/"2"'}, True),  # nor has a weak one anything to freshen that none stored has
    (BOTH, {"etag": 'W/"1"'}, False),
    (BOTH, {"etag": "bare"}, False),  # no validator
    (BOTH, {}, False),
    ({"last_modified": MODIFIED}, {"etag": '"1"'}, True),
    ({"last_modified": MODIFIED}, {"etag": '"1"', "last-modified": MODIFIED}, False),
    ({}, {"etag": '"1"'}, True),
    ({}, {}, False),
]


@pytest.mark.parametrize(("held", "told", "another"), ANOTHER)
def test_whose_304_it_is(held: dict[str, str], told: dict[str, str], another: bool) -> None:
    assert validators_differ(Headers(told.items()), stored(**held)) is another


ALIKE = [  # stored, what a HEAD's 200 says, the same representation? (§4.3.5)
    (BOTH, {"etag": '"1"', "last-modified": MODIFIED}, True),
    (BOTH, {"etag": '"2"'}, False),
    (BOTH, {"last-modified": LATER}, False),
    ({"content_length": "10"}, {"content-length": "10"}, True),
    ({"content_length": "10"}, {"content-length": "11"}, False),
    (BOTH, {}, True),
]


@pytest.mark.parametrize(("held", "told", "alike"), ALIKE)
def test_what_a_head_tells_of(held: dict[str, str], told: dict[str, str], alike: bool) -> None:
    assert same_representation(stored(**held), Headers(told.items())) is alike


FOR_WHOM = [  # trusted peer, Via, whether a 304 has the fields that only a cache of ours takes over
    (True, "1.1 fra", True),
    (True, "1.1 iad, 2 fra", True),
    (True, None, False),  # a viewer nearby
    (False, "1.1 fra", False),  # anybody can say so
]


@pytest.mark.parametrize(("trusted", "via", "all_fields"), FOR_WHOM)
def test_a_304_carries_all_that_may_have_changed_to_a_cache_of_ours(
    trusted: bool, via: str | None, all_fields: bool
) -> None:
    edge = EdgeMachine(Service(name="shield"))
    first = edge.on_request(asking(), NOW)
    assert isinstance(first, Fetch)
    fields = {"etag": '"1"', "cache-control": "max-age=60", "x-news": "1", "content-type": "text/plain"}
    framing = {"content-length": "5", "content-encoding": "gzip"}
    edge.on_response(first, ResponseHead(200, Headers((fields | framing).items())), NOW)
    edge.on_body_end(first, 5, NOW)
    request = asking(if_none_match='"1"', **({} if via is None else {"via": via}))
    request.trusted = trusted
    answer = edge.on_request(request, NOW)
    assert isinstance(answer, Serve) and answer.status == 304
    names = {name for name, _ in answer.headers}
    assert {"etag", "cache-control"} <= names and not framing.keys() & names
    assert ({"x-news", "content-type"} <= names) is all_fields
