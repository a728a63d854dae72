"""Origin groups, time-outs and attempts: what the vendors' pages say."""

import pytest

from policy.failover import OriginGroup, fails_over
from policy.plan import Failure
from policy.profile import Waits
from vendors import CLOUDFRONT, FASTLY

GROUP = OriginGroup("http://a", "http://b", frozenset({403, 404, 503}))

ROWS = [  # method, what came of the primary, is the secondary asked?
    ("GET", 503, True),
    ("HEAD", 404, True),
    ("OPTIONS", 403, True),
    ("GET", 500, False),  # not named by this group
    ("GET", 200, False),
    ("POST", 503, False),
    ("PUT", Failure.CONNECT, False),
    ("GET", Failure.CONNECT, True),
    ("GET", Failure.CONNECT_TIMEOUT, True),
    ("GET", Failure.FIRST_BYTE_TIMEOUT, True),
    ("GET", Failure.ABANDONED, False),  # nobody waits any more
]


@pytest.mark.parametrize(("method", "came", "expected"), ROWS)
def test_who_is_asked_next(method: str, came: int | Failure, expected: bool) -> None:
    assert fails_over(GROUP, method, came) is expected


@pytest.mark.parametrize("status", [400, 403, 404, 416, 500, 502, 503, 504])
def test_statuses_that_may_be_named(status: int) -> None:
    assert fails_over(OriginGroup("http://a", "http://b", frozenset({status})), "GET", status)


def test_others_are_refused() -> None:
    with pytest.raises(ValueError, match="418"):
        OriginGroup("http://a", "http://b", frozenset({418, 503}))


def test_waits() -> None:
    """CustomOriginConfig's defaults; the defaults of a Fastly backend."""
    assert CLOUDFRONT.waits == Waits(connect=10, first_byte=30, between_bytes=30, attempts=3, retry_reads=True)
    assert FASTLY.waits == Waits(connect=1, first_byte=15, between_bytes=10, attempts=1)
