"""What the fuzz target found: each the shortest life that shows it. A row of `open_findings.OPEN` is why one may fail."""

import time
from collections.abc import Callable

import pytest

from cdnkit.policy import EdgeMachine, Failure, Fetch, PurgeKind, PurgeOrder, Serve
from cdnkit.policy.http import cache_control
from tests.kit.machine import NOW as START
from tests.kit.machine import get, machine, says
from tests.random.fuzz.open_findings import OPEN


def still_open(*kinds: str) -> pytest.MarkDecorator:
    """Strict: once the machine does it right, the mark (and the rows) must go."""
    assert all(kind in OPEN for kind in kinds)
    return pytest.mark.xfail(strict=True, raises=AssertionError, reason="; ".join(OPEN[kind] for kind in kinds))


def fetch(edge: EdgeMachine, after: float = 0, *, method: str = "GET", fields: dict[str, str] | None = None) -> Fetch:
    """A request `after` so many seconds that goes to the origin."""
    plan = edge.on_request(get(method=method, **(fields or {})), START + after)
    assert isinstance(plan, Fetch)
    return plan


def test_who_comes_after_a_purge_is_not_given_what_was_asked_for_before_it() -> None:
    edge = machine()
    before = fetch(edge)
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), START)
    after = edge.on_request(get(), START)
    landing = edge.on_response(before, says(cache_control="max-age=60"), START)
    assert isinstance(after, Fetch) or not isinstance(landing.answers[after.ticket], Serve)  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_was_asked_before_a_soft_purge_does_not_freshen_what_it_made_stale(method: str) -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(etag='"1"', cache_control="max-age=0", surrogate_key="all"), START)
    asking = fetch(edge, 1, method=method)
    edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, "all", soft=True), START + 1)
    edge.on_response(asking, says(304 if method == "GET" else 200, cache_control="max-age=60"), START + 1)
    assert not isinstance(edge.on_request(get(), START + 2), Serve)


def test_a_fill_under_way_when_a_post_succeeds_does_not_bring_back_the_old_content() -> None:
    edge = machine()
    fill = fetch(edge)
    post = fetch(edge, method="POST")
    edge.on_response(post, says(200), START)
    edge.on_response(fill, says(cache_control="max-age=60"), START)
    assert not isinstance(edge.on_request(get(), START), Serve)


@pytest.mark.parametrize("how", ["500", "reset"])
def test_no_cache_does_not_stand_in_for_an_origin_that_fails(how: str) -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(cache_control="no-cache, max-age=60", etag='"1"'), START)
    asking = fetch(edge)
    failed = (
        edge.on_response(asking, says(500), START) if how == "500" else edge.on_failure(asking, Failure.RESET, START)
    )
    answer = failed.answers[asking.ticket]
    assert answer.status >= 500  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "said", [{"cache_control": "private, max-age=60"}, {"cache_control": "no-store, max-age=60"}, {"vary": "*"}]
)
def test_a_304_that_forbids_sharing_ends_it(said: dict[str, str]) -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(cache_control="max-age=1", etag='"1"'), START)
    asking = fetch(edge, 2)
    edge.on_response(asking, says(304, **{"cache_control": "max-age=60", **said}), START + 2)
    assert not isinstance(edge.on_request(get(), START + 3), Serve)


def test_a_304_that_takes_away_the_permission_to_share_an_answer_to_authorization() -> None:
    edge = machine()
    edge.on_response(
        fetch(edge, fields={"authorization": "Basic YTph"}), says(cache_control="s-maxage=1", etag='"1"'), START
    )
    asking = fetch(edge, 2)
    edge.on_response(asking, says(304, cache_control="max-age=60"), START + 2)
    assert not isinstance(edge.on_request(get(), START + 3), Serve)


def test_a_field_that_a_304_makes_private_is_no_longer_shared() -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(cache_control="max-age=1", etag='"1"', x_secret="s"), START)
    asking = fetch(edge, 2)
    edge.on_response(asking, says(304, cache_control='max-age=60, private="x-secret"'), START + 2)
    served = edge.on_request(get(), START + 3)
    assert isinstance(served, Serve) and "x-secret" not in dict(served.headers)


@pytest.mark.parametrize(
    ("request_says", "said"),
    [({}, {"cache_control": "private"}), ({"authorization": "Basic YTph"}, {}), ({}, {"vary": "*"})],
)
def test_an_error_meant_for_one_is_not_given_to_all_who_waited(
    request_says: dict[str, str], said: dict[str, str]
) -> None:
    edge = machine()
    leader = fetch(edge, fields=request_says)
    waiting = edge.on_request(get(), START)
    landing = edge.on_response(leader, says(503, **said), START)
    assert not isinstance(landing.answers[waiting.ticket], Serve)  # type: ignore[union-attr]


@pytest.mark.parametrize("control", ["no-cache, max-age=60", "max-age=0"])
def test_a_purge_on_the_way_makes_nothing_shareable_that_was_not(control: str) -> None:
    edge = machine()
    leader, waiting = fetch(edge), edge.on_request(get(), START)
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), START)
    landing = edge.on_response(leader, says(cache_control=control), START)
    assert not isinstance(landing.answers[waiting.ticket], Serve)  # type: ignore[union-attr]


def test_a_part_has_one_length() -> None:
    edge = machine()
    asking = fetch(edge, fields={"range": "bytes=4-7"})
    said = says(206, cache_control="max-age=60", etag='"1"', content_range="bytes 4-7/12")
    answer = edge.on_response(asking, said, START).answers[asking.ticket]
    assert [value for name, value in answer.headers if name == "content-length"] == ["4"]  # type: ignore[union-attr]


@pytest.mark.parametrize("wanted", [{}, {"range": "bytes=2-6"}])
def test_a_part_stands_in_for_nothing_but_itself_when_the_origin_fails(wanted: dict[str, str]) -> None:
    edge = machine()
    part = says(206, cache_control="max-age=60", etag='"1"', content_range="bytes 4-7/12", content_length="4")
    edge.on_response(fetch(edge, fields={"range": "bytes=4-7"}), part, START)
    asking = fetch(edge, fields=wanted)
    answer = edge.on_failure(asking, Failure.RESET, START).answers[asking.ticket]
    assert answer.status == 502  # type: ignore[union-attr]


def test_cache_control_is_read_in_linear_time() -> None:
    def cost(characters: int) -> float:
        text = '"' + '\\"' * (characters // 2)
        return min(_spent(lambda: cache_control.directives(text)) for _ in range(3))

    assert cost(16_384) < 8 * max(cost(4_096), 0.000_5)  # four times as long: 4 when linear, 16 when quadratic


def _spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def test_an_entry_that_became_another_variant_does_not_stand_in() -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(cache_control="max-age=1", etag='"1"'), START)
    one = fetch(edge, 2, fields={"x_device": "tv", "cache_control": "no-cache"})
    other = fetch(edge, 2, fields={"x_device": "phone"})
    edge.on_response(one, says(304, vary="x-device"), START + 2)
    answer = edge.on_failure(other, Failure.RESET, START + 2).answers[other.ticket]
    assert answer.status == 502  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "said", [{"cache_control": "private, max-age=60"}, {"cache_control": "no-store, max-age=60"}, {"vary": "*"}]
)
def test_a_head_that_forbids_sharing_ends_it(said: dict[str, str]) -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(cache_control="max-age=1", etag='"1"'), START)
    asking = fetch(edge, 2, method="HEAD")
    edge.on_response(asking, says(200, **{"cache_control": "max-age=60", "etag": '"1"', **said}), START + 2)
    assert not isinstance(edge.on_request(get(), START + 3), Serve)


@pytest.mark.parametrize(
    ("status", "asks"), [(416, {"range": "bytes=99-"}), (412, {"if_match": '"x"'})], ids=["416", "412"]
)
def test_what_only_answers_a_range_or_a_condition_is_not_stored_for_all(status: int, asks: dict[str, str]) -> None:
    edge = machine()
    edge.on_response(fetch(edge, fields=asks), says(status, cache_control="max-age=60"), START)
    assert not isinstance(edge.on_request(get(), START), Serve)


@pytest.mark.parametrize("if_range", ['"0"', 'W/"1"'])
def test_a_stored_part_heeds_if_range(if_range: str) -> None:
    edge = machine()
    part = says(206, cache_control="max-age=60", etag='"1"', content_range="bytes 4-7/12", content_length="4")
    edge.on_response(fetch(edge, fields={"range": "bytes=4-7"}), part, START)
    answer = edge.on_request(get(range="bytes=4-7", if_range=if_range), START)
    assert not isinstance(answer, Serve)


def test_who_waited_for_another_variant_is_not_given_the_stale_one_of_the_leader() -> None:
    edge = machine()
    edge.on_response(fetch(edge), says(cache_control="max-age=1", vary="x-device", etag='"1"'), START)
    leader = fetch(edge, 2)
    waiting = edge.on_request(get(x_device="tv"), START + 2)
    answers = edge.on_failure(leader, Failure.RESET, START + 2).answers
    assert answers[leader.ticket].status == 200  # type: ignore[union-attr]
    assert not isinstance(answers.get(waiting.ticket), Serve)  # type: ignore[union-attr]


def test_a_part_under_another_name_does_not_stand_in() -> None:
    edge = machine()
    whole = fetch(edge)
    part = fetch(edge, fields={"range": "bytes=4-"})
    edge.on_response(part, says(206, etag='"1"', content_range="bytes 4-11/12", content_length="8"), START)
    asking = fetch(edge, fields={"range": "bytes=-2", "if_range": '"0"'})
    edge.on_response(whole, says(200, content_length="12"), START)
    answer = edge.on_failure(asking, Failure.RESET, START).answers[asking.ticket]
    assert answer.status == 502  # type: ignore[union-attr]


def test_what_a_304_names_by_a_key_that_was_purged_meanwhile_is_not_fresh() -> None:
    for brought, purged, soft in (("all", "all", False), ("red", "all", True)):
        edge = machine()
        edge.on_response(fetch(edge), says(cache_control="max-age=1", etag='"1"', surrogate_key="all red"), START)
        if brought == "all":
            edge = machine()
            edge.on_response(fetch(edge), says(cache_control="max-age=1", etag='"1"'), START)
        asking = fetch(edge, 2)
        edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, purged, soft), START + 2)
        edge.on_response(asking, says(304, cache_control="max-age=9", etag='"1"', surrogate_key=brought), START + 2)
        assert not isinstance(edge.on_request(get(), START + 3), Serve)
