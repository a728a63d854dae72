"""Dates in fields: text in, seconds out, and back. Each row is a rule of RFC 9110 §5.6.7 or a bug that was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http import dates

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


@given(st.text(max_size=200))
def test_any_text_parses_without_an_error(text: str) -> None:
    dates.parse_date(text, 1.8e9)
