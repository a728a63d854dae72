"""Cache-Control: text in, directives out. Each row is a rule of RFC 9111 or a bug that was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http import cache_control
from cdnkit.policy.http.cache_control import LONGEST

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


@given(st.dictionaries(st.sampled_from(["max-age", "s-maxage", "x", "public"]), st.integers(0, 10**6), min_size=1))
def test_what_is_written_is_read(values: dict[str, int]) -> None:
    text = ", ".join(f"{name}={value}" for name, value in values.items())
    assert cache_control.directives(text) == {name: str(value) for name, value in values.items()}
