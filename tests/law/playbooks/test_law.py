"""Playbooks of the law: what sequences of requests and answers mean, each with its section."""

import pytest

from cdnkit.policy import (
    Failure,
    Fetch,
    Headers,
    Join,
    Refuse,
    Relay,
    Serve,
)
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.plan import Landing, Plan
from tests.kit.machine import NOW as START
from tests.kit.machine import fill, get, machine, says


def only(landing: Landing) -> Plan | Relay:
    (answer,) = landing.answers.values()
    return answer


def header(plan: object, name: str) -> str | None:
    assert isinstance(plan, Serve | Relay | Refuse)
    return Headers(plan.headers).joined(name)


TARGETED = [  # CDN-Cache-Control, Cache-Control, seconds fresh (None: not stored): RFC 9213
    ("max-age=60", "no-store", 60),
    ("max-age=10", "max-age=60", 10),
    ("no-store", "max-age=60", None),
    ('max-age="60"', "max-age=5", 0),  # a member of the wrong type is not used, the field still rules
    ("max-age=6.0", "max-age=5", 0),
    ("none", "max-age=60", None),
    ("", "max-age=5", 5),  # empty: as if it were not there
    ("MAX-AGE=60", "max-age=5", 5),  # an error anywhere: likewise
    ("max-age=60;a=b", "max-age=5", 60),  # parameters of a member are ignored
    ("max-age=9, max-age=60", "max-age=5", 60),  # the last of a key wins
    ("no-store=?0, max-age=60", "max-age=5", 60),
    ("private", "max-age=60", None),
]


@pytest.mark.parametrize(("targeted", "control", "seconds"), TARGETED)
def test_a_targeted_field_rules_alone(targeted: str, control: str, seconds: int | None) -> None:
    edge = machine()
    fill(edge, get(), says(cdn_cache_control=targeted, cache_control=control, etag='"1"'))
    entries = edge.index.variants("/a")
    if seconds is None and targeted != "none":
        assert not entries
    else:
        assert entries[0].life.fresh_until - START == (seconds or 0)


def test_expires_beside_a_targeted_field_is_not_looked_at() -> None:
    edge = machine()
    fill(edge, get(), says(cdn_cache_control="public", expires=format_date(START + 60), etag='"1"'))
    assert edge.on_request(get(), START + 1).cause is Cause.EXPIRED


STALE_BANS = ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1"]


@pytest.mark.parametrize("ban", STALE_BANS)
def test_an_unreachable_origin_is_covered_however_stale_unless_forbidden(ban: str) -> None:
    for control, covered in (("max-age=1", True), (f"max-age=1, {ban}", False)):
        edge = machine()
        fill(edge, get(), says(cache_control=control))
        fetch = edge.on_request(get(), START + 1000)
        assert isinstance(fetch, Fetch)
        answer = only(edge.on_failure(fetch, Failure.CONNECT, START + 1000))
        assert isinstance(answer, Serve if covered else Refuse), control
        # A 503 is an answer: it needs stale-if-error.
        fetch = edge.on_request(get(), START + 2000)
        assert isinstance(fetch, Fetch)
        answer = only(edge.on_response(fetch, says(503), START + 2000))
        assert isinstance(answer, Serve) and answer.status == 503


def test_a_request_may_allow_stale_on_error_too() -> None:
    edge = machine()
    fill(edge, get(), says(cache_control="max-age=1"))
    fetch = edge.on_request(get(cache_control="stale-if-error=100"), START + 50)
    assert isinstance(fetch, Fetch)
    assert only(edge.on_response(fetch, says(503), START + 50)).outcome is Outcome.HIT_STALE


def test_fields_that_no_cache_or_private_name_reach_the_asker_and_nobody_else() -> None:
    edge = machine()
    first = only(fill(edge, get(), says(cache_control='max-age=60, private="x-you"', x_you="1", x_all="2")))
    later = edge.on_request(get(), START)
    assert header(first, "x-you") == "1" and header(first, "x-all") == "2"
    assert header(later, "x-you") is None and header(later, "x-all") == "2"


def test_head_freshens_the_same_representation_and_retires_another() -> None:
    for fields, fresh in (({"etag": '"1"'}, True), ({"etag": '"2"'}, False), ({"content_length": "99"}, False)):
        edge = machine()
        fill(edge, get(), says(cache_control="max-age=1", etag='"1"', content_length="10", x_a="1"))
        asked = edge.on_request(get(method="HEAD"), START + 2)
        assert isinstance(asked, Fetch) and asked.request.method == "HEAD"
        edge.on_response(asked, says(cache_control="max-age=60", x_a="2", **fields), START + 2)
        edge.on_body_end(asked, 0, START + 2)
        again = edge.on_request(get(), START + 3)
        assert isinstance(again, Serve) is fresh, fields
        if fresh:
            assert header(again, "x-a") == "2" and header(again, "content-length") == "10"


@pytest.mark.parametrize(("fields", "fresh"), [({"etag": '"1"'}, True), ({"etag": '"2"'}, False)])
def test_a_head_retires_another_representation_also_while_that_is_fresh(fields: dict[str, str], fresh: bool) -> None:
    edge = machine()
    fill(edge, get(), says(cache_control="max-age=60", etag='"1"'))
    asked = edge.on_request(get(method="HEAD", cache_control="no-cache"), START + 2)
    assert isinstance(asked, Fetch)
    landing = edge.on_response(asked, says(cache_control="max-age=60", **fields), START + 2)
    assert [bool(landing.changed), bool(landing.marks)] == [True, not fresh]  # other nodes must not use it either
    again = edge.on_request(get(), START + 3)
    assert isinstance(again, Serve) is fresh
    if isinstance(again, Fetch):
        assert again.request.headers.first("if-none-match") == '"1"', "it is stale, not gone"


INVALIDATED = [  # method, status, Location, Content-Location, is /b gone?
    ("POST", 201, "/b", "", True),
    ("PUT", 200, "", "http://h/b", True),
    ("DELETE", 204, "", "b", True),  # relative to the target
    ("M-SEARCH", 200, "/b", "", True),  # unknown methods count as unsafe
    ("POST", 201, "http://other/b", "", False),  # another origin's are not ours to judge
    ("POST", 500, "/b", "", False),
    ("POST", 404, "/b", "", False),
    ("OPTIONS", 200, "/b", "", False),
]


@pytest.mark.parametrize(("method", "status", "location", "content_location", "gone"), INVALIDATED)
def test_an_unsafe_request_invalidates_what_it_names(
    method: str, status: int, location: str, content_location: str, gone: bool
) -> None:
    edge = machine()
    for path in ("/a", "/b"):
        fill(edge, get(path), says(cache_control="max-age=60"))
    fields = {name: v for name, v in (("location", location), ("content_location", content_location)) if v}
    fetch = edge.on_request(get(method=method), START)
    assert isinstance(fetch, Fetch)
    edge.on_response(fetch, says(status, **fields), START)
    assert isinstance(edge.on_request(get("/b"), START), Fetch) is gone
    assert isinstance(edge.on_request(get("/a"), START), Fetch) is (gone or (status < 400 and method != "OPTIONS"))


def test_a_post_that_says_what_a_get_would_give_is_kept_for_gets() -> None:
    for fields, kept in (
        ({"content_location": "/a", "cache_control": "max-age=60"}, True),
        ({"content_location": "/b", "cache_control": "max-age=60"}, False),
        ({"content_location": "/a"}, False),  # no explicit lifetime
        ({"cache_control": "max-age=60"}, False),
    ):
        edge = machine()
        edge.on_request(get("/another"), START)  # a fill under way once made the POST's own invalidation bind it
        fill(edge, get(), says(cache_control="max-age=60", x_old="1"))
        fill(edge, get(method="POST"), says(x_new="1", **fields))
        after = edge.on_request(get(), START)
        assert isinstance(after, Serve) is kept, fields
        if kept:
            assert header(after, "x-new") == "1"


def test_conditions_go_on_when_nothing_is_stored_and_their_304_is_the_askers_alone() -> None:
    edge = machine()
    leader = edge.on_request(get(if_none_match='"mine"'), START)
    other = edge.on_request(get(), START)
    assert isinstance(leader, Fetch) and isinstance(other, Join)
    assert leader.request.headers.first("if-none-match") == '"mine"'
    landing = edge.on_response(leader, says(304, etag='"mine"'), START)
    mine, others = landing.answers[leader.ticket], landing.answers[other.ticket]
    assert isinstance(mine, Relay) and mine.status == 304
    assert isinstance(others, Fetch) and "if-none-match" not in others.request.headers


LANGUAGES = [  # stored for, content-language, asked with, same?
    ("en, de", None, "de, en", True),  # order is of no account where weights are equal
    ("en-GB", None, "EN-gb", True),
    ("en;q=0.5, de", None, "de, en;q=0.5", True),
    ("en, de;q=0.5", None, "de, en;q=0.5", False),
    ("de", "de", "de, en;q=0.5", True),  # in the language wanted most
    ("de", "de", "en, de;q=0.5", False),
    ("de", "de", "de, en", False),  # two wanted alike: no telling
]


@pytest.mark.parametrize(("stored_for", "language", "asked", "same"), LANGUAGES)
def test_languages_select_as_their_field_defines(stored_for: str, language: str | None, asked: str, same: bool) -> None:
    edge = machine()
    fields = {"content_language": language} if language else {}
    fill(edge, get(accept_language=stored_for), says(cache_control="max-age=60", vary="Accept-Language", **fields))
    assert isinstance(edge.on_request(get(accept_language=asked), START), Serve) is same


def test_a_part_answers_what_lies_inside_it_and_nothing_else() -> None:
    edge = machine()
    part = says(206, cache_control="max-age=60", content_range="bytes 5-9/20", content_length="5", etag='"1"')
    first = only(fill(edge, get(range="bytes=5-9"), part, size_bytes=5))
    assert isinstance(first, Serve) and first.status == 206
    inside = edge.on_request(get(range="bytes=6-7"), START)
    assert isinstance(inside, Serve) and inside.status == 206
    assert (inside.span, header(inside, "content-range")) == (Span(1, 3), "bytes 6-7/20")
    for outside in ("bytes=0-3", "bytes=8-12", "bytes=-3", "bytes=6-"):
        plan = edge.on_request(get(range=outside), START)
        assert isinstance(plan, Fetch) and plan.cause is Cause.PARTIAL
        assert plan.request.headers.first("range") == outside
        edge.on_failure(plan, Failure.ABANDONED, START)
    whole = edge.on_request(get(), START)
    assert isinstance(whole, Fetch) and whole.cause is Cause.PARTIAL
    assert "range" not in whole.request.headers  # it does not begin at 0: the whole is asked for


def test_a_part_from_the_start_is_completed_under_the_same_strong_validator() -> None:
    edge = machine()
    part = says(206, cache_control="max-age=60", content_range="bytes 0-4/10", etag='"1"', x_kept="k")
    fill(edge, get(range="bytes=0-4"), part, size_bytes=5)
    old = edge.index.variants("/a")[0]
    whole = edge.on_request(get(), START)
    assert isinstance(whole, Fetch)
    assert (whole.request.headers.first("range"), whole.request.headers.first("if-range")) == ("bytes=5-", '"1"')
    rest = says(206, cache_control="max-age=60", content_range="bytes 5-9/10", etag='"1"')
    landing = edge.on_response(whole, rest, START)
    edge.on_body_end(whole, 10, START)
    answer = only(landing)
    assert landing.prefix == old.id and isinstance(answer, Serve) and answer.status == 200
    assert header(answer, "content-length") == "10" and header(answer, "content-range") is None
    assert header(answer, "x-kept") == "k"
    assert isinstance(edge.on_request(get(), START), Serve)


def test_the_rest_of_another_representation_completes_nothing() -> None:
    edge = machine()
    fill(
        edge, get(range="bytes=0-4"), says(206, cache_control="max-age=60", content_range="bytes 0-4/10", etag='"1"'), 5
    )
    whole = edge.on_request(get(), START)
    assert isinstance(whole, Fetch)
    landing = edge.on_response(
        whole, says(206, content_range="bytes 5-9/10", etag='"2"', cache_control="max-age=9"), START
    )
    anew = only(landing)
    assert isinstance(anew, Fetch) and "range" not in anew.request.headers and landing.prefix is None
    answer = only(edge.on_response(anew, says(cache_control="max-age=60"), START))
    assert isinstance(answer, Serve) and answer.status == 200


UNKEPT = [  # the 206 that comes for bytes=0-4: not kept, but passed on to the one who asked
    {"content_range": "bytes 3-7/10"},  # not what was asked
    {"content_range": "bytes 0-4/10", "content_length": "9"},  # not what it says
    {"content_range": "bytes 4-0/10"},
    {"content_range": "lines 0-4/10"},
    {},
    {"content_range": "bytes 0-4/10", "cache_control": "no-store"},
]


@pytest.mark.parametrize("fields", UNKEPT)
def test_a_206_that_disagrees_with_itself_or_the_question_is_not_kept(fields: dict[str, str]) -> None:
    edge = machine()
    answer = only(fill(edge, get(range="bytes=0-4"), says(206, **{"cache_control": "max-age=60", **fields}), 5))
    assert isinstance(answer, Relay) and answer.status == 206
    assert len(edge.index) == 0


def test_several_ranges_are_one_multipart_answer() -> None:
    edge = machine()
    fill(edge, get(), says(cache_control="max-age=60", content_type="video/mp4", content_length="1000"), 1000)
    served = edge.on_request(get(range="bytes=0-9, 500-509"), START)
    assert isinstance(served, Serve) and served.status == 206 and served.pieces is not None
    assert [piece for piece in served.pieces if isinstance(piece, Span)] == [Span(0, 10), Span(500, 510)]
    text = b"".join(piece for piece in served.pieces if isinstance(piece, bytes))
    assert b"content-range: bytes 500-509/1000" in text and text.count(b"content-type: video/mp4") == 2
    size = sum(len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in served.pieces)
    assert header(served, "content-length") == str(size)
    assert str(header(served, "content-type")).startswith("multipart/byteranges; boundary=")


def test_methods_that_are_not_for_a_cache() -> None:
    edge = machine()
    trace = edge.on_request(get(method="TRACE"), START)
    assert isinstance(trace, Refuse) and trace.status == 405
    here = edge.on_request(get(method="OPTIONS", max_forwards="0"), START)
    assert isinstance(here, Refuse) and here.status == 204
    on = edge.on_request(get(method="OPTIONS", max_forwards="3"), START)
    assert isinstance(on, Fetch) and on.request.headers.first("max-forwards") == "2"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", ["expect", "client_cert", "client_cert_chain"])
def test_fields_that_end_at_the_node(name: str, method: str) -> None:
    """RFC 9110 §10.1.1; RFC 9440 §2.4: what a client says of its own certificate counts for nothing."""
    fetch = machine().on_request(get(method=method, **{name: "x"}), START)
    assert isinstance(fetch, Fetch) and name.replace("_", "-") not in fetch.request.headers


def test_interim_responses_go_to_all_who_wait_and_change_nothing() -> None:
    edge = machine()
    leader, second = edge.on_request(get(), START), edge.on_request(get(), START)
    assert isinstance(leader, Fetch) and isinstance(second, Join)
    assert edge.on_interim(leader, says(103, link="</a.css>")) == [leader.ticket, second.ticket]
    assert edge.on_interim(leader, says(100)) == []
    landing = edge.on_response(leader, says(cache_control="max-age=60"), START)
    assert header(landing.answers[leader.ticket], "link") is None
    assert edge.on_interim(leader, says(103)) == []
