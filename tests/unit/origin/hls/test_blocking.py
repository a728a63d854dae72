"""RFC 8216, 2nd edition, draft -22, 6.2.5: delivery directives. A row a rule."""

import pytest

from origin.hls.blocking import Answer, BadDirectives, Directives, decide, read_directives
from origin.hls.low_latency import LowLatency
from origin.live.part_window import Shown

NOW, WAIT, BAD = Answer.NOW, Answer.WAIT, BadDirectives
HALF = LowLatency(0.5, 4)
LONG = LowLatency(1.5, 4)

QUERIES = [  # query, then
    ("", Directives()),
    ("a=b", Directives()),
    ("_HLS_msn=7", Directives(7)),
    ("_HLS_msn=0", Directives(0)),  # strangers': 0 is a number, and blocks
    ("_HLS_msn=7&_HLS_part=0", Directives(7, 0)),
    ("_HLS_part=2&_HLS_msn=7", Directives(7, 2)),  # the order is the client's to keep, for the sake of caches
    ("_HLS_msn=7&_HLS_part=2&_HLS_skip=YES", Directives(7, 2, True)),
    ("_HLS_skip=YES", Directives(skip=True)),
    ("_HLS_skip=v2", Directives(skip=True, skip_dates=True)),
    ("_HLS_skip=v3", Directives()),  # what is not understood: a whole playlist is always right
    ("CMCD=bl%3D1&_HLS_msn=7&token=x", Directives(7)),
    ("%5FHLS_msn=7", Directives(7)),
    ("_HLS_part=2", BAD),  # MUST
    ("_HLS_msn=7&_HLS_msn=7", BAD),
    ("_HLS_msn=7&_HLS_part=1&_HLS_part=2", BAD),
    ("_HLS_msn=", BAD),
    ("_HLS_msn=-1", BAD),
    ("_HLS_msn=7.5", BAD),
    ("_HLS_msn=%D9%A3", BAD),  # an Arabic three is a digit, and none of ours
    ("_HLS_msn=18446744073709551616", BAD),  # decimal-integer: below 2^64
    ("_HLS_msn=" + "9" * 5000, BAD),
    ("_HLS_msn=7&_HLS_part=x", BAD),
    ("_hls_msn=7", Directives()),  # another name
]  # fmt: skip


@pytest.mark.parametrize(("query", "then"), QUERIES)
def test_6_2_5_directives_are_read_from_the_query(query: str, then: Directives | type[BadDirectives]) -> None:
    found = read_directives(query)
    assert isinstance(found, then) if isinstance(then, type) else found == then


# Segment 40 is complete, with eight parts; of 41 three are listed.
SHOWN = Shown(hand=41, parts=3, before=8)
BETWEEN = Shown(hand=41, parts=0, before=8)
WHOLE = Shown(hand=41, parts=0, before=0)

DECISIONS = [  # given, asked for, then
    (SHOWN, Directives(), NOW),
    (SHOWN, Directives(40), NOW),
    (SHOWN, Directives(3), NOW),  # long gone from the window
    (SHOWN, Directives(0), NOW),
    (SHOWN, Directives(41), WAIT),  # a part of it is there, the segment is not
    (SHOWN, Directives(42), WAIT),
    (SHOWN, Directives(43), BAD),  # the last segment is 40: two ahead at most
    (SHOWN, Directives(2**64 - 1), BAD),
    (SHOWN, Directives(41, 2), NOW),
    (SHOWN, Directives(41, 3), WAIT),  # what a player asks for
    (SHOWN, Directives(41, 8), WAIT),  # six parts ahead: 3 / 0.5
    (SHOWN, Directives(41, 9), BAD),
    (SHOWN, Directives(42, 0), WAIT),
    (SHOWN, Directives(42, 6), BAD),
    (SHOWN, Directives(40, 7), NOW),
    (SHOWN, Directives(40, 8), NOW),  # past the last part: part 0 of the next segment, which is there
    (SHOWN, Directives(40, 99), NOW),
    (BETWEEN, Directives(40, 8), WAIT),  # the same, and it is not
    (BETWEEN, Directives(40, 7), NOW),
    (BETWEEN, Directives(39, 99), NOW),
    (BETWEEN, Directives(41, 0), WAIT),
    (BETWEEN, Directives(40, 14), BAD),  # seven behind the last one
    (WHOLE, Directives(40, 0), NOW),  # strangers': a segment without parts has come, and is all that will
    (WHOLE, Directives(41, 0), WAIT),
    (Shown(0, 0, 0), Directives(0), WAIT),
    (Shown(0, 0, 0), Directives(1, 0), WAIT),
    (Shown(0, 0, 0), Directives(2, 0), BAD),
]  # fmt: skip


@pytest.mark.parametrize(("shown", "asked", "then"), DECISIONS)
def test_6_2_5_2_what_is_answered_waits_or_is_too_far_ahead(
    shown: Shown, asked: Directives, then: Answer | type[BadDirectives]
) -> None:
    found = decide(asked, shown, HALF, ended=False)
    assert isinstance(found, then) if isinstance(then, type) else found is then


@pytest.mark.parametrize("asked", [Directives(41, 5), Directives(10**6), Directives(41)])
def test_6_2_5_2_with_endlist_the_directives_are_ignored(asked: Directives) -> None:
    assert decide(asked, SHOWN, HALF, ended=True) is NOW


def test_6_2_5_2_the_advance_part_limit_is_three_parts_of_a_second_or_more() -> None:
    assert decide(Directives(41, 5), SHOWN, LONG, ended=False) is WAIT
    assert isinstance(decide(Directives(41, 6), SHOWN, LONG, ended=False), BAD)


def test_refusals_say_what_was_found_and_wanted() -> None:
    assert str(decide(Directives(43), SHOWN, HALF, ended=False)) == "found _HLS_msn=43, wanted at most 42"
    assert str(read_directives("_HLS_part=2")) == "found _HLS_part alone, wanted _HLS_msn with it"
