"""Fastly's header reference and what was observed of it (December 2025), a row each: answers, storing, selecting."""

from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.outcomes import Purpose
from cdnkit.policy.plan import Fetch, Landing, Relay, Serve
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.vendors import CLOUDFRONT, FASTLY, FASTLY_OBSERVED, RFC9111, profile_of
from cdnlab.errors import BadDocument
from cdnlab.settings.document import parse
from tests.kit.machine import NOW, at, fetched, filled, kept_for, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

HERE = Path(__file__).parent

READ = [  # Cache-Control, ttl by the documents, ttl as observed
    ('max-age="60"', 120, 0),  # not read: the platform's 2 min, since the boilerplate finds the word
    ('s-maxage="60"', 120, 0),
    ('max-age="60", s-maxage=10', 10, 10),
    ("max-age =60", 60, 60),
    ("max-age= 60", 60, 60),
    ("max-age = 60", 60, 60),
    ('x="max-age=60"', 60, 60),
    ('x="a, max-age=60, b"', 60, 60),
    ('max-age="1", x="max-age=60"', 60, 60),
    ("x-max-age=60", 120, 0),  # another directive, in which the boilerplate finds the word all the same
    ("max-age=60, max-age=5", 60, 60),
    ("max-age=x", 0, 0),
    ("public", 3600, 0),
    ("no-cache, max-age=60", 60, 60),
    ("no-store, max-age=60", "no-store", 60),
    ('no-cache="x", max-age=60', 60, 60),
    ("private, max-age=60", "private", "private"),
]


@pytest.mark.parametrize(("control", "documented", "observed"), READ)
def test_what_is_read_of_cache_control(control: str, documented: float | str, observed: float | str) -> None:
    assert kept_for(says(cache_control=control), FASTLY) == documented
    assert kept_for(says(cache_control=control), FASTLY_OBSERVED) == observed


def test_the_standard_reads_the_grammar() -> None:
    for control, expected in (('max-age="60"', 60), ("max-age =60", "no-lifetime"), ('x="max-age=60"', "no-lifetime")):
        assert kept_for(says(cache_control=control), RFC9111) == expected


def test_one_setting_gives_what_was_observed() -> None:
    for text, expected in (("", FASTLY), ("observed = true\n", FASTLY_OBSERVED)):
        document = parse(f'profile = "fastly"\n{text}[[node]]\nname = "a"', file="cdn.toml", folder=HERE, environ={})
        assert profile_of(document.document.service(document.document.nodes[0])) is expected
    with pytest.raises(BadDocument, match='observed: found true, wanted false, or profile = "fastly"'):
        parse('profile = "cloudfront"\nobserved = true', file="cdn.toml", folder=HERE, environ={})


def hit(edge: object, request: RequestHead, now: float) -> dict[str, str]:
    answer = edge.on_request(request, now)  # type: ignore[attr-defined]
    assert isinstance(answer, Serve), answer
    return dict(answer.headers)


def test_a_304_renews_lifetime_and_age_and_nothing_else() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=10", etag='"1"', x_kind="old", last_modified=at(-100)))
    plan = fetched(edge, edge.on_request(ask(), NOW + 20))
    update = says(304, cache_control="max-age=600", etag='"2"', x_kind="new", x_more="1", last_modified=at(-50))
    landing = edge.on_response(plan, update, NOW + 20)
    told = dict(landing.answers[plan.ticket].headers)  # type: ignore[union-attr]
    for fields in (told, hit(edge, ask(), NOW + 120)):
        assert (fields["cache-control"], fields["etag"], fields["x-kind"]) == ("max-age=10", '"1"', "old")
        assert fields["last-modified"] == at(-100) and "x-more" not in fields
    assert hit(edge, ask(), NOW + 619)["age"] == "599"
    assert fetched(edge, edge.on_request(ask(), NOW + 620)).request.headers.first("if-none-match") == '"1"'


def test_a_304_of_the_standard_renews_its_fields() -> None:
    edge = node(RFC9111)
    filled(edge, says(cache_control="max-age=10", etag='"1"', x_kind="old"))
    plan = fetched(edge, edge.on_request(ask(), NOW + 20))
    edge.on_response(plan, says(304, cache_control="max-age=600", etag='"1"', x_kind="new"), NOW + 20)
    assert hit(edge, ask(), NOW + 30)["x-kind"] == "new"


@pytest.mark.parametrize(("profile", "tickets"), [(RFC9111, 1), (CLOUDFRONT, 1), (FASTLY, 0)])
def test_interim_responses_end_at_fastly(profile: Profile, tickets: int) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    assert len(edge.on_interim(plan, ResponseHead(103, Headers([("link", "</a>")])))) == tickets


SELECTED = [  # the field that Vary names, as sent first, as sent then, the same by the standard?, by Fastly?
    ("accept-language", ["de, en;q=0.5"], ["en;q=0.5, de"], True, False),
    ("accept-language", ["de,en"], ["de, en"], True, False),
    ("x-kind", ["a,b"], ["a, b"], True, False),
    ("x-kind", ["a, b"], ["a", "b"], True, True),  # several lines are one list
    ("x-kind", ["a"], ["A"], False, False),
    ("x-kind", ["a"], ["a"], True, True),
    ("x-kind", [], [], True, True),
    ("x-kind", [], [""], False, False),
]


@pytest.mark.parametrize(("name", "first", "then", "standard", "fastly"), SELECTED)
def test_vary_is_compared_as_sent(name: str, first: list[str], then: list[str], standard: bool, fastly: bool) -> None:
    for profile, same in ((RFC9111, standard), (FASTLY, fastly)):
        edge = node(profile)
        one, other = ask(), ask()
        one.headers.lines += [(name, value) for value in first]
        other.headers.lines += [(name, value) for value in then]
        filled(edge, says(cache_control="max-age=60", vary=name, content_language="de"), request=one)
        assert isinstance(edge.on_request(other, NOW + 1), Serve) is same, profile.name


def test_variants_as_sent_do_not_wait_for_one_another() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=1", vary="x-kind"), request=ask(x_kind="a,b"))
    assert isinstance(edge.on_request(ask(x_kind="a,b"), NOW + 9), Fetch)
    assert isinstance(edge.on_request(ask(x_kind="a, b"), NOW + 9), Fetch)


def test_no_cache_of_a_field_removes_nothing_and_what_connection_names_is_kept() -> None:
    response = says(cache_control='no-cache="x-a", max-age=60', x_a="1", connection="x-b, close", x_b="2")
    for profile, kept in ((RFC9111, set[str]()), (FASTLY, {"x-a", "x-b"})):
        edge = node(profile)
        filled(edge, response)
        told = hit(edge, ask(), NOW + 1)
        assert {"x-a", "x-b"} & set(told) == kept and "connection" not in told


# ---- hit-for-pass --------------------------------------------------------------------------------------------------


def answered(edge: object, request: RequestHead, response: ResponseHead, now: float) -> Landing:
    plan = fetched(edge, edge.on_request(request, now))  # type: ignore[arg-type, attr-defined]
    return edge.on_response(plan, response, now)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(("profile", "stored"), [(FASTLY, False), (replace(FASTLY, hit_for_pass_sticks=False), True)])
@pytest.mark.parametrize("first", [says(cache_control="private"), says(set_cookie="a=b", cache_control="max-age=60")])
def test_hit_for_pass_sticks(profile: Profile, stored: bool, first: ResponseHead) -> None:
    """ "HTTP caching semantics": a fetch that is the result of a hit-for-pass is not cacheable."""
    edge = node(profile)
    answered(edge, ask(), first, NOW)
    landing = answered(edge, ask(), says(cache_control="max-age=600"), NOW + 60)
    assert (landing.store is not None) is stored
    again = edge.on_request(ask(), NOW + 119)
    assert isinstance(again, Serve) is stored
    if isinstance(again, Fetch):
        assert again.purpose is Purpose.PASS
        edge.on_response(again, says(cache_control="max-age=600"), NOW + 119)
        # The mark's time is up: what comes now is judged by itself.
        assert answered(edge, ask(), says(cache_control="max-age=600"), NOW + 120).store is not None


def test_what_is_passed_goes_on_as_it_was_asked() -> None:
    """Conditions and ranges are the viewer's own, and a HEAD stays one."""
    edge = node(FASTLY)
    answered(edge, ask(), says(cache_control="private"), NOW)
    plan = fetched(edge, edge.on_request(ask(if_none_match='"1"', range="bytes=0-1"), NOW + 1))
    assert (plan.request.headers.first("if-none-match"), plan.request.headers.first("range")) == ('"1"', "bytes=0-1")
    answer = edge.on_response(plan, says(206, content_range="bytes 0-1/9"), NOW + 1).answers[plan.ticket]
    assert isinstance(answer, Relay) and answer.status == 206
    assert fetched(edge, edge.on_request(ask(method="HEAD"), NOW + 1)).request.method == "HEAD"


def test_a_viewer_with_a_copy_is_told_304_by_the_first_answer_that_is_stored_again() -> None:
    """Reported of Varnish, where the first request after hit-for-pass always got the whole body."""
    edge = node(FASTLY)
    answered(edge, ask(), says(cache_control="private", etag='"1"'), NOW)
    landing = answered(edge, ask(if_none_match='"1"'), says(cache_control="max-age=60", etag='"1"'), NOW + 121)
    assert [one.status for one in landing.answers.values()] == [304] and landing.store is not None  # type: ignore[union-attr]
    assert isinstance(edge.on_request(ask(), NOW + 122), Serve)


def test_an_answer_that_is_stored_and_never_fresh_leaves_no_such_mark() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=0", etag='"1"'))
    assert answered(edge, ask(), says(cache_control="max-age=60"), NOW + 1).store is not None


# ---- what answers carry --------------------------------------------------------------------------------------------


def test_date_is_the_present_and_not_added_where_it_is_absent() -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=60", date=at(-3600)))
    for seconds in (0.2, 0.9, 1.1, 30.0):
        assert hit(edge, ask(), NOW + seconds)["date"] == at(int(seconds))
    passed = answered(edge, ask(path="/b"), says(cache_control="private", date=at(-3600)), NOW + 7)
    assert [dict(one.headers)["date"] for one in passed.answers.values()] == [at(7)]  # type: ignore[union-attr]
    dateless = ResponseHead(200, Headers([("cache-control", "max-age=60")]))
    landing = answered(edge, ask(path="/c"), dateless, NOW)
    assert ["date" in dict(one.headers) for one in landing.answers.values()] == [False]  # type: ignore[union-attr]
    assert "date" not in hit(edge, ask(path="/c"), NOW + 1)
    assert "date" in dict(node(RFC9111).on_request(ask(method="@"), NOW).headers)  # type: ignore[union-attr]


def test_the_standards_date_is_the_origins_and_ours_where_it_sent_none() -> None:
    edge = node(RFC9111)
    filled(edge, says(cache_control="max-age=60", date=at(-5)))
    assert hit(edge, ask(), NOW + 30)["date"] == at(-5)


@pytest.mark.parametrize("gate", [True, False])
def test_x_compress_hint_goes_no_further(gate: bool) -> None:
    edge = node(FASTLY, gate=gate)
    landing = answered(edge, ask(), says(cache_control="max-age=60", x_compress_hint="on"), NOW)
    assert ["x-compress-hint" in dict(one.headers) for one in landing.answers.values()] == [False]  # type: ignore[union-attr]
    assert "x-compress-hint" not in hit(edge, ask(), NOW + 1)
    debugging = replace(ask(fastly_debug="1"), trusted=True)
    assert "x-compress-hint" not in hit(edge, debugging, NOW + 1)  # of what is hidden, it brings back two others


WINDOWS = [  # what the origin says, the behavior's window, the third group
    ("max-age=60", None, "0.000"),
    ("max-age=60, stale-if-error=864000", None, "864000.000"),
    ("max-age=60, stale-while-revalidate=30", None, "0.000"),
    ("max-age=60, stale-while-revalidate=30, stale-if-error=20", None, "20.000"),
    ("max-age=60", 40.0, "40.000"),
    ("max-age=60, stale-if-error=20", 40.0, "20.000"),
]


@pytest.mark.parametrize(("control", "window", "told"), WINDOWS)
def test_the_third_group_of_fastly_debug_ttl_is_stale_if_error(control: str, window: float | None, told: str) -> None:
    """ "Fastly-Debug-TTL": how long it "will be served stale if no backends are available"."""
    edge = node(FASTLY, Behavior(path="*", stale_if_error=window))
    filled(edge, says(cache_control=control))
    groups = hit(edge, replace(ask(fastly_debug="1"), trusted=True), NOW + 1)["fastly-debug-ttl"].split()
    assert groups[2:4] == ["59.000", told]


LONG = "k" * 1024
KEYS = [  # Surrogate-Key, the keys that count
    ("a b", ["a", "b"]),
    (f"a {LONG} b", ["a", LONG, "b"]),
    (f"a {LONG}k b", ["a"]),  # 1,025 bytes: it ends the field
    (f"{LONG}k a b", []),
    (" ".join([LONG] * 15 + ["x" * 1009, "y"]), [LONG, "x" * 1009]),  # 16,384 bytes, and then one more key
    (" ".join([LONG] * 15 + ["x" * 1010, "y"]), [LONG]),
]


@pytest.mark.parametrize(("value", "counting"), KEYS, ids=range(len(KEYS)))
def test_a_surrogate_key_beyond_a_limit_ends_the_field(value: str, counting: list[str]) -> None:
    edge = node(FASTLY)
    filled(edge, says(cache_control="max-age=60", surrogate_key=value))
    (entry,) = edge.index
    assert list(entry.surrogate_keys) == counting
