"""Range: text in, spans of bytes out. Each row is a rule of RFC 9110 §14 or a bug that was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http import ranges
from cdnkit.policy.http.ranges import Span

RANGES = [  # field                  of 10 bytes
    ("bytes=0-4", (Span(0, 5),)),
    ("bytes=5-", (Span(5, 10),)),
    ("bytes=5-999", (Span(5, 10),)),
    ("bytes=-3", (Span(7, 10),)),
    ("bytes=-30", (Span(0, 10),)),
    ("bytes=-0", ()),  # nothing it asks for exists
    ("bytes=10-", ()),
    ("bytes=10-, 0-0", (Span(0, 1),)),
    ("bytes=5-2", None),  # invalid: ignored
    ("bytes=-", None),
    ("bytes=a-b", None),
    ("bytes=0-1,3-4", (Span(0, 2), Span(3, 5))),
    ("bytes=3-4,0-1,2-2", (Span(0, 5),)),  # they touch: one
    ("bytes=0-6,5-8", (Span(0, 9),)),  # they overlap
    ("bytes=" + ",".join(["0-0"] * 17), None),  # a silly set
    ("lines=0-4", None),
    ("BYTES = 0-4", (Span(0, 5),)),
]


@pytest.mark.parametrize(("text", "expected"), RANGES)
def test_ranges(text: str, expected: tuple[Span, ...] | None) -> None:
    assert ranges.spans(text, 10) == expected


@given(st.text(max_size=200))
def test_any_text_parses_without_an_error(text: str) -> None:
    ranges.specs(text)
