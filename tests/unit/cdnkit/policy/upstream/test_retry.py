"""What may be asked again: every row a rule, with its source where the rule is not ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import RFC9111, Waits
from cdnkit.policy.upstream.retry import (
    HARMLESS_LIMIT,
    SAFE,
    Reach,
    may_retry,
    may_reuse_connection,
    needs_own_connection,
)
from cdnkit.vendors import CLOUDFRONT, FASTLY

REFUSED = (Failure.CONNECT, Reach.CONNECTING)
BLOCKED = (Failure.CONNECT_TIMEOUT, Reach.CONNECTING)
SILENT = (Failure.FIRST_BYTE_TIMEOUT, Reach.SENT)
HINTED = (Failure.FIRST_BYTE_TIMEOUT, Reach.ANSWERED)  # a 103 came, and then nothing
DIED = (Failure.RESET, Reach.DROPPED)
GOAWAY = (Failure.RESET, Reach.REFUSED)
HUNG_UP = (Failure.RESET, Reach.SENT)
BUSY = (Failure.CONNECT_TIMEOUT, Reach.QUEUED)
CF, FY, RFC = CLOUDFRONT.waits, FASTLY.waits, RFC9111.waits

ROWS = [  # waits, method, body, what has failed so far, once more?
    # CloudFront, "Origin connection attempts": 3, whatever the method, since nothing was sent
    (CF, "GET", False, [REFUSED], True),
    (CF, "GET", False, [REFUSED, BLOCKED], True),
    (CF, "GET", False, [REFUSED, BLOCKED, REFUSED], False),
    (CF, "POST", True, [BLOCKED, BLOCKED], True),
    # "Origin response timeout": GET and HEAD as often as there are attempts; the others never
    (CF, "GET", False, [SILENT, SILENT], True),
    (CF, "GET", False, [SILENT, SILENT, SILENT], False),
    (CF, "HEAD", False, [SILENT], True),
    (CF, "GET", False, [REFUSED, SILENT, REFUSED], False),  # three attempts in all
    (CF, "OPTIONS", False, [SILENT], False),
    (CF, "DELETE", False, [SILENT], False),
    (CF, "POST", True, [SILENT], False),
    (CF, "GET", False, [HINTED], False),
    (CF, "GET", True, [SILENT], False),  # a GET with a body: it has gone out
    (CF, "GET", False, [HUNG_UP], False),  # no time-out: the page says nothing of it
    (CF, "GET", False, [(Failure.GARBAGE, Reach.ANSWERED)], False),
    # Fastly: one attempt; health checks and restarts instead
    (FY, "GET", False, [REFUSED], False),
    (FY, "GET", False, [SILENT], False),
    (RFC, "GET", False, [REFUSED], False),
    # RFC 9110 §9.2.2: a kept connection that died in silence, safe methods; with every profile
    (FY, "GET", False, [DIED], True),
    (FY, "OPTIONS", False, [DIED], True),
    (FY, "PUT", False, [DIED], False),
    (FY, "POST", False, [DIED], False),
    (FY, "GET", True, [DIED], False),
    (FY, "GET", False, [DIED, DIED], True),
    (FY, "GET", False, [DIED, DIED, DIED], False),
    (FY, "GET", False, [DIED, REFUSED], False),
    (CF, "GET", False, [DIED, DIED, REFUSED, REFUSED], True),  # what was harmless is no attempt
    # RFC 9113 §8.7: the parent says that it did nothing; any method
    (FY, "POST", False, [GOAWAY], True),
    (FY, "POST", True, [GOAWAY], False),
    (FY, "GET", False, [GOAWAY, DIED, GOAWAY], False),
    # our own queue: waiting again would only make it longer
    (CF, "GET", False, [BUSY], False),
]


@pytest.mark.parametrize(("waits", "method", "body", "tries", "expected"), ROWS)
def test_once_more(waits: Waits, method: str, body: bool, tries: list[tuple[Failure, Reach]], expected: bool) -> None:
    assert may_retry(method, tries, waits, body=body) is expected


KEPT = [  # a body that can be sent once more: only where the parent itself says that it has done nothing
    ("POST", [GOAWAY], True),
    ("POST", [GOAWAY, GOAWAY], True),
    ("POST", [GOAWAY, GOAWAY, GOAWAY], False),
    ("POST", [DIED], False),
    ("GET", [DIED], False),
    ("POST", [HUNG_UP], False),
    ("GET", [SILENT], False),
]


@pytest.mark.parametrize(("method", "tries", "expected"), KEPT)
def test_once_more_with_a_body_that_is_kept(method: str, tries: list[tuple[Failure, Reach]], expected: bool) -> None:
    assert may_retry(method, tries, CF, body=True, replayable=True) is expected


APART = [([GOAWAY], False), ([GOAWAY, GOAWAY], True), ([DIED, GOAWAY], True), ([REFUSED, REFUSED], False)]


@pytest.mark.parametrize(("tries", "expected"), APART)
def test_the_last_time_it_is_the_first_on_a_connection(tries: list[tuple[Failure, Reach]], expected: bool) -> None:
    assert needs_own_connection(tries) is expected


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("GET", False, True),
        ("OPTIONS", False, True),
        ("GET", True, False),
        ("POST", False, False),
        ("PUT", True, False),
    ],
)
def test_what_may_be_sent_on_a_kept_connection(method: str, body: bool, expected: bool) -> None:
    assert may_reuse_connection(method, FY, body=body) is expected


BROKEN = st.tuples(st.sampled_from(Failure), st.sampled_from(Reach))
METHODS = st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "BREW"])


@given(
    METHODS, st.booleans(), st.booleans(), st.integers(1, 5), st.booleans(), st.lists(BROKEN, min_size=1, max_size=20)
)
def test_whatever_fails_it_ends_and_harms_nobody(
    method: str, body: bool, kept: bool, attempts: int, reads: bool, fate: list[tuple[Failure, Reach]]
) -> None:
    waits = Waits(1, 1, 1, attempts, reads)
    tries: list[tuple[Failure, Reach]] = []
    for one in fate:
        tries.append(one)
        if not may_retry(method, tries, waits, body=body, replayable=kept):
            break
    assert len(tries) <= attempts + HARMLESS_LIMIT + 1
    acted_on = [one for one in tries if one[1] in (Reach.SENT, Reach.ANSWERED, Reach.DROPPED)]
    if method not in SAFE or body:
        assert len(acted_on) <= 1  # it may have been acted on once, and was not asked again then
        assert not acted_on or tries[-1] == acted_on[0]
