"""The date ranges of a stream over time (HLS draft -22, 6.2.1): what is listed, what may be removed, what is forgotten."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import Refused
from origin.hls.date_ranges import ends
from origin.hls.playlist import date_time
from origin.hls.schedule import MOST, MOST_BYTES, REMEMBERED, Schedule, Span

AT = 1_790_000_000.0
SPAN = Span(AT, AT + 60)


def put(schedule: Schedule, id: str, start: float, span: Span = SPAN, now: float = AT + 60, **more: Any) -> Schedule:
    values = {"START-DATE": date_time(AT + start), **{name.replace("_", "-"): value for name, value in more.items()}}
    return schedule.put(id, values, span, now)


def refusal(what: Any, *arguments: Any, **more: Any) -> int:
    with pytest.raises(Refused) as refused:
        what(*arguments, **more)
    assert "found" in str(refused.value)
    assert "wanted" in str(refused.value)
    return refused.value.status


def test_6_2_1_it_stays_while_a_date_of_it_maps_to_a_segment() -> None:
    schedule = put(put(put(Schedule(), "a", 10, DURATION=5), "b", 20), "c", 20, PLANNED_DURATION=1)
    assert schedule.slid(Span(AT + 15, AT + 75), AT + 75) is schedule, "its last instant is the first one listed"
    later = schedule.slid(Span(AT + 15.001, AT + 75), AT + 75)
    assert [one.id for one in later.ranges] == ["b", "c"], "whose end is not known stays"
    assert later.gone == (("a", AT + 75),)
    ended = later.put("c", {"DURATION": 2}, Span(AT + 15.001, AT + 75), AT + 75)
    assert [one.id for one in ended.slid(Span(AT + 23, AT + 83), AT + 83).ranges] == ["b"]


def test_6_2_1_what_is_under_way_is_not_removed_and_no_id_comes_twice() -> None:
    """Strangers': hls.js stood still when the date range of an interstitial that it played was removed."""
    schedule = put(put(put(Schedule(), "now", 30, DURATION=60), "soon", 60, DURATION=5), "open", 10)
    assert refusal(schedule.without, "now", SPAN, AT + 60) == 409
    assert refusal(schedule.without, "open", SPAN, AT + 60) == 409
    without = schedule.without("soon", SPAN, AT + 60)
    assert [one.id for one in without.ranges] == ["now", "open"]
    assert without.gone_since(AT + 60) == ["soon"]
    assert without.gone_since(AT + 60.001) == []
    assert refusal(put, without, "soon", 100, DURATION=5) == 409
    late = Span(AT + 20, AT + 80)
    assert [one.id for one in without.without("open", late, AT + 80).ranges] == ["now"], "only we can say it is over"


def test_what_is_over_is_not_taken() -> None:
    assert refusal(put, Schedule(), "a", -10, DURATION=9.9) == 409
    assert put(Schedule(), "a", -10, DURATION=10).ranges


def test_4_4_5_1_no_overlap_in_a_class_with_end_on_next() -> None:
    schedule = put(Schedule(), "a", 10, CLASS="x", END_ON_NEXT="YES")
    assert refusal(put, schedule, "b", 10, CLASS="x", END_ON_NEXT="YES") == 409
    assert refusal(put, schedule, "b", 5, CLASS="x", DURATION=6) == 409
    assert refusal(put, schedule, "b", 5, CLASS="x") == 409, "nobody knows that it ends before the other begins"
    assert put(schedule, "b", 5, CLASS="y", DURATION=6).ranges, "another class"
    both = put(schedule, "b", 20, CLASS="x", DURATION=6)
    assert ends(both.ranges)["a"] == AT + 20
    assert refusal(put, both, "c", 15, CLASS="x", DURATION=1) == 409, "6.2.1: what has ended does not end sooner"
    assert put(both, "c", 30, CLASS="x", DURATION=1).ranges


def test_bounds() -> None:
    schedule = Schedule()
    for number in range(MOST):
        schedule = put(schedule, f"r{number}", 10)
    assert refusal(put, schedule, "more", 10) == 429
    assert put(schedule, "r0", 10, DURATION=5).ranges[0].end == AT + 15, "those that are there can still be ended"
    large = Schedule()
    with pytest.raises(Refused) as refused:
        for number in range(MOST):
            large = put(large, f"r{number}", 10, X_A="a" * 3_000)
    assert refused.value.status == 429
    assert sum(len(line) for line in large.lines()) <= MOST_BYTES
    for number in range(REMEMBERED + 10):
        schedule = put(Schedule(gone=schedule.gone), f"s{number}", 60).without(f"s{number}", SPAN, AT + number)
    assert len(schedule.gone) == REMEMBERED


def test_6_2_5_1_what_a_client_of_delta_updates_missed() -> None:
    schedule = put(put(Schedule(), "a", 10, now=AT + 10), "b", 20, now=AT + 20)
    assert schedule.lines_since(AT + 10.001) == schedule.lines()[1:]
    more = schedule.put("a", {"DURATION": 60}, SPAN, AT + 50)
    assert more.lines_since(AT + 50) == more.lines()[:1], "its new attributes are new"


def test_it_survives_a_restart() -> None:
    schedule = put(put(Schedule(), "a", 10, DURATION=1), "b", 100).without("b", SPAN, AT)
    assert Schedule.from_json({"ranges": schedule.to_json()["ranges"], "gone": schedule.to_json()["gone"]}) == schedule
    for wrong in ({}, {"ranges": [["a", {}, 1.0, ""]], "gone": []}, {"ranges": [1], "gone": []}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Schedule.from_json(wrong)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "without", "slide"]),
        st.sampled_from("abcdef"),
        st.integers(0, 90),
        st.sampled_from([{}, {"DURATION": 5}, {"CLASS": "x", "END-ON-NEXT": "YES"}, {"CLASS": "x", "DURATION": 3}]),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_is_asked_the_playlists_keep_the_drafts_rules(
    steps: list[tuple[str, str, int, dict[str, Any]]],
) -> None:
    """6.2.1: nothing in the window is removed, no ID comes back, no attribute changes; 4.4.5.1: no overlaps."""
    schedule, now = Schedule(), AT + 60
    for what, id, at, more in steps:
        span = Span(now - 60, now)
        before = schedule
        try:
            if what == "put":
                schedule = schedule.put(id, {"START-DATE": date_time(now - 60 + at), **more}, span, now)
            elif what == "without" and schedule.get(id):
                schedule = schedule.without(id, span, now)
            else:
                now += at
                span = Span(now - 60, now)
                schedule = schedule.slid(span, now)
        except Refused:
            assert schedule is before
        left = {one.id for one in before.ranges} - {one.id for one in schedule.ranges}
        until = ends(before.ranges)
        for one in before.ranges:
            after = schedule.get(one.id)
            if after is not None:
                assert after.attributes.items() >= one.attributes.items()
            else:
                end = until[one.id]
                assert one.start >= span.end or (one.start < span.start and (end is None or end < span.start))
        assert left <= {id for id, _ in schedule.gone}
        assert {one.id for one in schedule.ranges}.isdisjoint(id for id, _ in schedule.gone)
        x = sorted((one for one in schedule.ranges if one.kind == '"x"'), key=lambda one: one.start)
        if any(one.ends_on_next for one in x):
            assert len({one.start for one in x}) == len(x)
