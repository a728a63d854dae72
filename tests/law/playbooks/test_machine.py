"""Playbooks: events in, plans out, no sockets and no clock but the one we hold."""

import gc
from collections import Counter
from dataclasses import replace

import pytest

from cdnkit.policy import (
    Behavior,
    EdgeMachine,
    Failure,
    Fetch,
    Join,
    PurgeKind,
    PurgeOrder,
    Refuse,
    Relay,
    Serve,
)
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.store.eviction import HEAD_COST_BYTES
from cdnkit.policy.store.index import Entry
from tests.kit.machine import NOW as START
from tests.kit.machine import get, machine, says


def test_the_first_fetches_the_others_join_and_all_share_one_landing() -> None:
    edge = machine()
    leader, second, third = (edge.on_request(get(), START) for _ in range(3))
    assert isinstance(leader, Fetch) and isinstance(second, Join) and isinstance(third, Join)
    landing = edge.on_response(leader, says(cache_control="max-age=60"), START + 1)
    assert [landing.answers[plan.ticket].outcome for plan in (leader, second, third)] == [
        Outcome.MISS, Outcome.COLLAPSED, Outcome.COLLAPSED,
    ]  # fmt: skip
    while_filling = edge.on_request(get(), START + 1)
    assert isinstance(while_filling, Serve) and while_filling.outcome is Outcome.HIT
    edge.on_body_end(leader, 10, START + 2)
    assert edge.on_request(get(), START + 60.5).cause is Cause.EXPIRED


def test_those_who_may_not_share_are_asked_for_alone_and_later_ones_do_not_wait() -> None:
    edge = machine()
    leader, second = edge.on_request(get(), START), edge.on_request(get(), START)
    assert isinstance(leader, Fetch)
    landing = edge.on_response(leader, says(cache_control="private"), START)
    assert isinstance(landing.answers[leader.ticket], Relay) and landing.store is None
    own = landing.answers[second.ticket]  # type: ignore[union-attr]
    assert isinstance(own, Fetch) and own.cause is Cause.UNCACHEABLE and not own.collapsible
    assert isinstance(edge.on_request(get(), START + 1), Fetch)
    assert isinstance(edge.on_request(get(), START + 1), Fetch)  # hit-for-pass: side by side
    later = edge.on_request(get(), START + 500)
    assert isinstance(later, Fetch) and later.collapsible


def test_an_error_is_one_answer_for_all_who_waited() -> None:
    edge = machine()
    plans = [edge.on_request(get(), START) for _ in range(3)]
    landing = edge.on_response(plans[0], says(503), START)  # type: ignore[arg-type]
    assert [answer.status for answer in landing.answers.values()] == [503] * 3  # type: ignore[union-attr]
    assert landing.store is not None and not landing.store.indexed
    again = edge.on_request(get(), START)
    assert isinstance(again, Fetch)
    landing = edge.on_failure(again, Failure.FIRST_BYTE_TIMEOUT, START)
    refused = landing.answers[again.ticket]
    assert isinstance(refused, Refuse) and (refused.status, refused.outcome) == (504, Outcome.FAILED)


def test_a_304_freshens_and_a_304_for_another_tag_does_not() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    edge.on_response(first, says(cache_control="max-age=1", etag='"1"', x_kept="k"), START)  # type: ignore[arg-type]
    edge.on_body_end(first, 5, START)  # type: ignore[arg-type]
    asking = edge.on_request(get(), START + 2)
    assert isinstance(asking, Fetch) and asking.request.headers.first("if-none-match") == '"1"'
    landing = edge.on_response(asking, says(304, cache_control="max-age=60", etag='"1"', x_new="n"), START + 2)
    answer = landing.answers[asking.ticket]
    assert isinstance(answer, Serve) and answer.outcome is Outcome.REVALIDATED
    assert dict(answer.headers) | {"x-kept": "k", "x-new": "n", "cache-control": "max-age=60"} == dict(answer.headers)
    assert edge.on_request(get(), START + 30).outcome is Outcome.HIT
    asking = edge.on_request(get(), START + 90)
    landing = edge.on_response(asking, says(304, etag='"2"'), START + 90)  # type: ignore[arg-type]
    anew = landing.answers[asking.ticket]  # type: ignore[union-attr]
    assert isinstance(anew, Fetch) and "if-none-match" not in anew.request.headers


def test_a_304_for_a_body_purged_meanwhile_asks_anew() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    edge.on_response(first, says(cache_control="max-age=1", etag='"1"'), START)  # type: ignore[arg-type]
    edge.on_body_end(first, 5, START)  # type: ignore[arg-type]
    asking, waiting = edge.on_request(get(), START + 2), edge.on_request(get(), START + 2)
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), START + 3)
    landing = edge.on_response(asking, says(304, etag='"1"'), START + 4)  # type: ignore[arg-type]
    assert list(landing.answers) == [asking.ticket]  # type: ignore[union-attr]  # the other waits on, under its ticket
    anew = landing.answers[asking.ticket]  # type: ignore[union-attr]
    assert isinstance(anew, Fetch)
    landing = edge.on_response(anew, says(cache_control="max-age=60"), START + 5)
    assert set(landing.answers) == {asking.ticket, waiting.ticket}  # type: ignore[union-attr]


def test_a_fill_that_breaks_off_is_forgotten() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    landing = edge.on_response(first, says(cache_control="max-age=60", content_length="9"), START)  # type: ignore[arg-type]
    assert landing.store is not None
    gone = edge.on_failure(first, Failure.TRUNCATED, START)  # type: ignore[arg-type]
    assert gone.dropped == [landing.store.id] and len(edge.index) == 0
    assert edge.on_request(get(), START).cause is Cause.ABORTED


def test_a_fetch_is_settled_once() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    edge.on_failure(first, Failure.RESET, START)  # type: ignore[arg-type]
    assert not edge.on_response(first, says(cache_control="max-age=60"), START).answers  # type: ignore[arg-type]
    assert len(edge.index) == 0


def test_only_if_cached_and_no_cache_requests() -> None:
    edge = machine()
    refused = edge.on_request(get(cache_control="only-if-cached"), START)
    assert isinstance(refused, Refuse) and refused.status == 504
    first = edge.on_request(get(), START)
    edge.on_response(first, says(cache_control="max-age=60"), START)  # type: ignore[arg-type]
    edge.on_body_end(first, 1, START)  # type: ignore[arg-type]
    assert isinstance(edge.on_request(get(cache_control="only-if-cached"), START), Serve)
    assert edge.on_request(get(cache_control="no-cache"), START).cause is Cause.REQUEST
    assert edge.on_request(get(pragma="no-cache"), START).cause is Cause.REQUEST
    assert edge.on_request(get(cache_control="max-age=5"), START + 6).cause is Cause.REQUEST
    assert edge.on_request(get(cache_control="min-fresh=58"), START + 6).cause is Cause.REQUEST
    assert edge.on_request(get(cache_control="max-stale"), START + 600).outcome is Outcome.HIT_STALE


def test_a_refresh_that_fails_leaves_the_stale_copy_and_one_that_may_not_be_stored_retires_it() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    edge.on_response(first, says(cache_control="max-age=1, stale-while-revalidate=60"), START)  # type: ignore[arg-type]
    edge.on_body_end(first, 1, START)  # type: ignore[arg-type]
    stale = edge.on_request(get(), START + 2)
    assert isinstance(stale, Serve) and stale.refresh is not None and stale.outcome is Outcome.HIT_STALE
    assert edge.on_request(get(), START + 2).refresh is None  # type: ignore[union-attr]  # one at a time
    edge.on_failure(stale.refresh, Failure.RESET, START + 2)
    again = edge.on_request(get(), START + 3)
    assert isinstance(again, Serve) and again.refresh is not None
    edge.on_response(again.refresh, says(cache_control="no-store"), START + 3)
    assert edge.on_request(get(), START + 3).cause is Cause.UNCACHEABLE


def test_every_cause_of_a_miss_can_be_told() -> None:
    edge = machine(room=4096, largest=4096, behaviors=(Behavior(path="/no", cache=False), Behavior(path="*")))

    def fill(path: str, size: int = 0, **fields: str) -> Cause | None:
        plan = edge.on_request(get(path), START)
        assert isinstance(plan, Fetch)
        edge.on_response(plan, says(**{"cache_control": "max-age=60", **fields}), START)
        edge.on_body_end(plan, size, START)
        return plan.cause

    assert fill("/a") is Cause.COLD
    assert edge.on_request(get("/a"), START + 90).cause is Cause.EXPIRED
    edge = machine(room=4096, largest=4096, behaviors=(Behavior(path="/no", cache=False), Behavior(path="*")))
    fill("/a")
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), START)
    assert fill("/a") is Cause.PURGED
    fill("/b", 2000)
    fill("/c", 1000)
    assert fill("/a") is Cause.EVICTED
    fill("/v", vary="accept")
    assert edge.on_request(get("/v", accept="x"), START).cause is Cause.VARY
    assert edge.on_request(get("/no"), START).cause is Cause.BYPASS
    assert edge.on_request(get("/a", method="POST"), START).cause is Cause.METHOD


def test_one_who_waited_for_another_variant_may_get_a_stale_one_and_its_refresh_is_owed() -> None:
    # Once forgotten by the shell: the refresh stayed in flight for ever, and everyone after waited for it.
    edge = machine()
    first = edge.on_request(get(accept="a"), START)
    waiting = edge.on_request(get(accept="b"), START)
    reload = edge.on_request(get(accept="b", cache_control="no-cache"), START)  # nothing may be shared with it
    assert isinstance(first, Fetch) and isinstance(waiting, Join) and isinstance(reload, Fetch)
    edge.on_response(reload, says(cache_control="max-age=0, stale-while-revalidate=60", vary="accept"), START)
    landing = edge.on_response(first, says(cache_control="max-age=60", vary="accept"), START)
    served = landing.answers[waiting.ticket]
    assert isinstance(served, Serve) and served.refresh is not None
    assert not edge.on_failure(served.refresh, Failure.RESET, START).answers and len(edge.flights) == 0


def kept(edge: EdgeMachine, path: str, size: int = 0, **fields: str) -> Entry:
    plan = edge.on_request(get(path), START)
    assert isinstance(plan, Fetch)
    landing = edge.on_response(plan, says(**{"cache_control": "max-age=60", **fields}), START)
    edge.on_body_end(plan, size, START)
    assert landing.store is not None
    return landing.store


def test_what_an_earlier_run_left_is_found_again_and_its_ids_are_not_given_twice() -> None:
    before = machine()
    left = [kept(before, "/a"), kept(before, "/v", vary="accept", surrogate_key="all")]
    edge = machine()
    assert edge.restore([replace(entry, generation=None) for entry in left]) == []
    assert isinstance(edge.on_request(get("/a"), START), Serve) and edge.vary_fields == {"accept"}
    assert edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, "all"), START).dropped == [left[1].id]
    assert kept(edge, "/new").id > left[1].id


def test_what_an_earlier_run_left_obeys_todays_room_and_of_one_key_the_latest_stays() -> None:
    before = machine()
    first, second = kept(before, "/a", 1000), kept(before, "/b", 1000)
    third = replace(second, id=second.id + 1, generation=None)
    left = [replace(entry, generation=None) for entry in (first, second)]
    one = 1000 + HEAD_COST_BYTES
    assert machine(room=2 * one, largest=4096).restore([*left, third]) == [second.id]
    assert machine(room=one, largest=4096).restore(left) == [first.id]
    assert machine(room=one - 1, largest=4096).restore(left) == [first.id, second.id]


def test_a_body_the_shell_has_lost_is_a_miss_and_the_cause_says_so() -> None:
    edge = machine()
    entry = kept(edge, "/a")
    assert edge.on_lost(entry) == [entry.id] and edge.on_lost(entry) == []
    assert edge.on_request(get("/a"), START).cause is Cause.LOST


def test_the_shell_is_told_whose_heads_changed() -> None:
    edge = machine()
    entry = kept(edge, "/a", etag='"1"', surrogate_key="all")
    assert edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, "all", soft=True), START + 1).changed == [entry]
    question = edge.on_request(get("/a"), START + 2)
    assert isinstance(question, Fetch)
    assert edge.on_response(question, says(304, etag='"1"', cache_control="max-age=60"), START + 2).changed == [entry]
    head = edge.on_request(get("/a", method="HEAD", cache_control="no-cache"), START + 3)
    assert isinstance(head, Fetch)
    assert edge.on_response(head, says(200, etag='"2"', cache_control="max-age=60"), START + 3).changed == [entry]


# ---- nobody waits behind those who waited with him -----------------------------------------------------------------------


def test_variants_are_asked_for_side_by_side_once_it_is_known_that_there_are_some() -> None:
    edge = machine()
    leader, *others = (edge.on_request(get(accept_language=tag), START) for tag in ("de", "en", "fr", "en"))
    assert isinstance(leader, Fetch) and all(isinstance(other, Join) for other in others)
    landing = edge.on_response(leader, says(cache_control="max-age=60", vary="accept-language"), START)
    english, french, again = (landing.answers.get(other.ticket) for other in others)  # type: ignore[union-attr]
    assert isinstance(english, Fetch) and isinstance(french, Fetch) and again is None
    landing = edge.on_response(english, says(cache_control="max-age=60", vary="accept-language"), START)
    assert landing.answers[others[2].ticket].outcome is Outcome.COLLAPSED  # type: ignore[union-attr]
    # It is remembered for longer than what was stored.
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), START)
    plans = [edge.on_request(get(accept_language=tag), START) for tag in ("de", "en", "en")]
    assert [type(plan) for plan in plans] == [Fetch, Fetch, Join]


@pytest.mark.parametrize("eviction", ["lru", "lfu", "fifo", "sieve", "s3-fifo"])
def test_a_purge_of_everything_is_done_at_once_and_its_remains_leave_later(eviction: str) -> None:
    edge = machine(eviction=eviction, room=2**20)
    old = [kept(edge, f"/{eviction}/{n}", 100, surrogate_key=f"all k{n}", vary="accept") for n in range(200)]
    filling = edge.on_request(get("/filling"), START)
    assert isinstance(filling, Fetch)
    coming = edge.on_response(filling, says(cache_control="max-age=60"), START).store
    purged = edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), START)
    assert (purged.count, purged.dropped, purged.everything) == (201, [], True)
    assert coming is not None and not any(entry.indexed for entry in (*old, coming))
    assert (len(edge.index), list(edge.index), len(edge.room), edge.room.currsize) == (0, [], 0, 0)
    assert edge.on_body_end(filling, 100, START).dropped == [coming.id]
    assert [edge.on_purge(order, START).count for order in ALL_OF_IT] == [0] * 4
    assert edge.on_lost(old[0]) == []
    # Whatever is still to leave: what is asked for again has one cause, and what comes is counted alone.
    causes = Counter(edge.on_request(get(f"/{eviction}/{n}"), START).cause for n in range(0, 200, 2))
    new = [kept(edge, f"/new/{n:02}", 100, surrogate_key="all") for n in range(80)]
    causes += Counter(edge.on_request(get(f"/{eviction}/{n}"), START).cause for n in range(1, 200, 2))
    assert causes == {Cause.PURGED: 200}
    assert len(edge.index) == len(edge.room) == 80 and edge.room.currsize == 80 * (100 + HEAD_COST_BYTES)
    assert edge.on_purge(PurgeOrder(PurgeKind.PREFIX, "/new"), START).dropped == [entry.id for entry in new]

    def old_ones() -> int:
        return sum(isinstance(one, Entry) and one.key.startswith(f"/{eviction}/") for one in gc.get_objects())

    old.clear()
    gc.collect()
    assert old_ones() == 0


ALL_OF_IT = [
    PurgeOrder(PurgeKind.SURROGATE_KEYS, "all"),
    PurgeOrder(PurgeKind.PREFIX, "/"),
    PurgeOrder(PurgeKind.URL, "/1"),
    PurgeOrder(PurgeKind.EVERYTHING),
]


def test_what_is_stale_after_its_304_is_validated_by_each_for_himself() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    assert isinstance(first, Fetch)
    edge.on_response(first, says(cache_control="no-cache", etag='"1"'), START)
    edge.on_body_end(first, 10, START)
    later = START + edge.profile.hit_for_pass + 1
    leader, second, third = (edge.on_request(get(), later) for _ in range(3))
    assert isinstance(leader, Fetch) and isinstance(second, Join) and isinstance(third, Join)
    landing = edge.on_response(leader, says(304, cache_control="no-cache", etag='"1"'), later)
    assert isinstance(landing.answers[second.ticket], Fetch) and isinstance(landing.answers[third.ticket], Fetch)


def test_a_304_to_the_leaders_own_condition_lets_the_others_ask_for_the_object_once() -> None:
    edge = machine()
    leader, second, third = (edge.on_request(get(if_none_match='"1"'), START) for _ in range(3))
    assert isinstance(leader, Fetch) and "if-none-match" in leader.request.headers
    landing = edge.on_response(leader, says(304, etag='"1"'), START)
    own = landing.answers[second.ticket]  # type: ignore[union-attr]
    assert isinstance(own, Fetch) and "if-none-match" not in own.request.headers
    assert third.ticket not in landing.answers  # type: ignore[union-attr]
    landing = edge.on_response(own, says(cache_control="max-age=60", etag='"1"'), START)
    assert [answer.status for answer in landing.answers.values() if isinstance(answer, Serve)] == [304, 304]


def test_a_range_beyond_the_end_keeps_only_those_apart_who_ask_for_it() -> None:
    edge = machine()
    leader, second = (edge.on_request(get(range="bytes=900-"), START) for _ in range(2))
    assert isinstance(leader, Fetch) and isinstance(second, Join)
    landing = edge.on_response(leader, says(416, content_range="bytes */10"), START)
    assert isinstance(landing.answers[second.ticket], Fetch)
    assert [type(edge.on_request(get(range="bytes=900-"), START)) for _ in range(2)] == [Fetch, Fetch]
    assert [type(edge.on_request(get(), START)) for _ in range(2)] == [Fetch, Join]


def test_an_error_that_may_not_be_shared_is_told_to_the_others_in_our_own_words() -> None:
    edge = machine()
    leader, second = edge.on_request(get(), START), edge.on_request(get(), START)
    assert isinstance(leader, Fetch)
    landing = edge.on_response(leader, says(503, cache_control="no-store", set_cookie="a=1"), START)
    assert isinstance(landing.answers[leader.ticket], Relay)
    told = landing.answers[second.ticket]  # type: ignore[union-attr]
    assert isinstance(told, Refuse) and (told.status, told.outcome) == (503, Outcome.FAILED)
    assert "set-cookie" not in dict(told.headers)
    assert [type(edge.on_request(get(), START)) for _ in range(2)] == [Fetch, Join]


# ---- soft purges ---------------------------------------------------------------------------------------------------------


def test_what_was_purged_softly_is_not_passed_for_fresh_to_those_who_know_nothing_of_the_purge() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    assert isinstance(first, Fetch)
    edge.on_response(first, says(cache_control="max-age=60, stale-while-revalidate=30", etag='"1"'), START)
    edge.on_body_end(first, 10, START)
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING, soft=True), START + 2)
    stale = edge.on_request(get(), START + 5)
    assert isinstance(stale, Serve) and stale.outcome is Outcome.HIT_STALE
    assert dict(stale.headers)["age"] == "63"  # a browser would else keep it for 55 s more


def test_a_304_to_a_question_from_before_a_soft_purge_does_not_undo_it() -> None:
    edge = machine()
    first = edge.on_request(get(), START)
    assert isinstance(first, Fetch)
    edge.on_response(first, says(cache_control="max-age=10", etag='"1"'), START)
    edge.on_body_end(first, 10, START)
    question = edge.on_request(get(), START + 20)
    assert isinstance(question, Fetch)
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a", soft=True), START + 21)
    edge.on_response(question, says(304, cache_control="max-age=10", etag='"1"'), START + 22)
    assert edge.on_request(get(), START + 23).cause is Cause.PURGED
