"""Field values: text in, values out. Each row is a rule of RFC 9110/9111 or a bug that was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http import cache_control, dates, etags, ranges
from cdnkit.policy.http.cache_control import LONGEST
from cdnkit.policy.http.ranges import Span

CACHE_CONTROL = [  # given                                  directives
    ("max-age=60", {"max-age": "60"}),
    ('max-age="60"', {"max-age": "60"}),  # both forms of an argument
    ("MAX-AGE=60, Public", {"max-age": "60", "public": None}),  # names compare without case
    ("max-age=1, max-age=2", {"max-age": "1"}),  # the first wins
    ('a="x, max-age=9", s-maxage=5', {"a": "x, max-age=9", "s-maxage": "5"}),  # commas in quotes belong to the quotes
    ('"no-store", max-age=3', {"max-age": "3"}),  # a quoted string is no directive
    ("max-age= 6, public", {"public": None}),  # white space around "=" is a syntax error: dropped
    ("max-age =6, public", {"public": None}),
    ("foo=bar=baz, public", {"public": None}),
    (",, ,no-cache,,", {"no-cache": None}),  # empty members are skipped
    ('private="set-cookie, x"', {"private": "set-cookie, x"}),
    ('x="a\\"b", public', {"x": 'a"b', "public": None}),
    ('max-age=5, x="unterminated, public', {"max-age": "5"}),  # what follows is inside a quote that never ends
    ("", {}),
]


@pytest.mark.parametrize(("text", "expected"), CACHE_CONTROL)
def test_directives(text: str, expected: dict[str, str | None]) -> None:
    assert cache_control.directives(text) == expected


LIFETIMES = [("60", 60), ("007", 7), ("9" * 30, LONGEST), ("-1", 0), ("1.5", 0), ("x", 0), ("'60'", 0), ("²", 0)]


@pytest.mark.parametrize(("text", "seconds"), LIFETIMES)
def test_an_unreadable_lifetime_is_zero_not_absent(text: str, seconds: int) -> None:
    assert cache_control.parse(f'max-age="{text}"').max_age == seconds


def test_qualified_and_bare_forms_are_told_apart() -> None:
    parsed = cache_control.parse('private="set-cookie", no-cache')
    assert (parsed.private, parsed.private_fields, parsed.no_cache) == (False, ("set-cookie",), True)


@given(st.text(max_size=200))
def test_any_text_parses_without_an_error(text: str) -> None:
    cache_control.parse(text)
    ranges.specs(text)
    etags.tag_list(text)
    dates.parse_date(text, 1.8e9)


@given(st.dictionaries(st.sampled_from(["max-age", "s-maxage", "x", "public"]), st.integers(0, 10**6), min_size=1))
def test_what_is_written_is_read(values: dict[str, int]) -> None:
    text = ", ".join(f"{name}={value}" for name, value in values.items())
    assert cache_control.directives(text) == {name: str(value) for name, value in values.items()}


THE_DATE = 784111777.0
DATES = [
    ("Sun, 06 Nov 1994 08:49:37 GMT", THE_DATE),
    ("sun, 06 nov 1994 08:49:37 gmt", THE_DATE),  # letters without case
    ("Sunday, 06-Nov-94 08:49:37 GMT", THE_DATE),  # RFC 850
    ("Sun Nov  6 08:49:37 1994", THE_DATE),  # asctime, day padded with a space
    ("Sun, 06 Nov 2094 08:49:37 GMT", 3939871777.0 + 86400 * 0),
    ("Sun, 06 Nov 1994 08:49:37 UTC", None),
    ("Sun, 06 Nov 1994 08:49:37", None),
    ("Sun, 06 Nov 1994 08:49:37 +0000", None),
    ("Sun, 6 Nov 1994 08:49:37 GMT", None),
    ("Sun 06 Nov 1994 08:49:37 GMT", None),
    ("Sun, 06 Nov 1994 8:49:37 GMT", None),
    ("Sun, 06 Nov 1994 08.49.37 GMT", None),
    ("Sun, 32 Nov 1994 08:49:37 GMT", None),
    ("0", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "moment"), DATES)
def test_dates(text: str, moment: float | None) -> None:
    assert dates.parse_date(text, 1.8e9) == moment


def test_two_digit_years_more_than_fifty_ahead_are_of_the_past_century() -> None:
    now = 1_795_000_000.0  # 2026
    near, far = (
        dates.parse_date("Sunday, 06-Nov-70 08:49:37 GMT", now),
        dates.parse_date("Sunday, 06-Nov-94 08:49:37 GMT", now),
    )
    assert near is not None and near > now and far == THE_DATE


@given(st.integers(0, 4_000_000_000))
def test_a_written_date_is_read_back(second: int) -> None:
    assert dates.parse_date(dates.format_date(second), 1.8e9) == second


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


def test_entity_tags() -> None:
    assert etags.tag_list('"a,b", W/"c" , "d"') == ('"a,b"', 'W/"c"', '"d"')
    assert etags.tag_list(" * ") == ("*",)
    assert etags.tag_list("malformed") == ("malformed",)
    assert etags.weakly_equal('W/"a"', '"a"') and not etags.strongly_equal('W/"a"', '"a"')
    assert not etags.strongly_equal("malformed", "malformed") and etags.weakly_equal("malformed", "malformed")
    assert not etags.is_strong('w/"a"')  # the W is case-sensitive
