"""Whether a request that failed before its final head came may be sent again to the same parent.

There are two reasons, and two budgets. A request that nobody has acted on is repeated because that harms nobody (RFC
9110 §9.2.2, RFC 9113 §8.7). Failures that a CDN retries on purpose (connection attempts, read time-outs) are retried as
often as its `Waits` say. Nothing is retried once a byte of a response has come, or a byte of the request's body has
gone out; except that, where the parent says it has done nothing, a body that can be sent again is.

Source of the second: CloudFront, "Origin connection attempts" and "Origin response timeout": GET and HEAD are tried
again, DELETE, OPTIONS, PATCH, PUT and POST are not.
"""

from collections.abc import Sequence
from enum import Enum

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 §9.2.1."""

RETRIED_METHODS = frozenset({"GET", "HEAD"})

HARMLESS_LIMIT = 2
"""Ours: how often an exchange is repeated because nobody had acted on it. A parent that refuses every stream, or closes
every connection, must not get it for ever. The last time it is the first on a new connection (`needs_own_connection`):
a parent that ends each connection after a few requests refuses those behind them, and has no reason to refuse the
first.
"""


class Reach(Enum):
    """How far an exchange had come when it failed; facts of the upstream reader."""

    QUEUED = "none of our connections came free"
    CONNECTING = "no connection was made"
    REFUSED = "sent, and the parent says that it has done nothing"  # RFC 9113 §8.7
    DROPPED = "sent on a kept connection, which died before a byte of an answer"
    SENT = "sent, no byte of an answer came"
    ANSWERED = "a byte of an answer has come"


FailedTry = tuple[Failure, Reach]


def may_retry(
    method: str, tries: Sequence[FailedTry], waits: Waits, *, body: bool = False, replayable: bool = False
) -> bool:
    """Whether to try once more after `tries`, all the failures of one request, the last one last.

    `body`: it has one. `kept`: what was sent of that can be sent again.
    """
    why, reach = tries[-1]
    if reach is Reach.CONNECTING:
        return _attempts(tries) < waits.attempts
    if body and not (replayable and reach is Reach.REFUSED):
        return False
    if reach is Reach.REFUSED or (reach is Reach.DROPPED and method in SAFE):
        return sum(_harmless(one) for one in tries) <= HARMLESS_LIMIT
    timed_out = reach is Reach.SENT and why is Failure.FIRST_BYTE_TIMEOUT
    return timed_out and waits.retry_reads and method in RETRIED_METHODS and _attempts(tries) < waits.attempts


def may_reuse_connection(method: str, waits: Waits, *, body: bool) -> bool:
    """Whether a request may be sent on a kept connection, which the parent may be closing at this very moment.

    If not, it is the first on its connection (RFC 9112 §9.3.1; HAProxy: `http-reuse safe`).
    """
    return may_retry(method, [(Failure.RESET, Reach.DROPPED)], waits, body=body)


def needs_own_connection(tries: Sequence[FailedTry]) -> bool:
    """Whether the next try is to be the first request on a connection of its own."""
    return sum(_harmless(one) for one in tries) >= HARMLESS_LIMIT


def _attempts(tries: Sequence[FailedTry]) -> int:
    """Attempts that count against the CDN's own limit."""
    return sum(not _harmless(one) for one in tries)


def _harmless(one: FailedTry) -> bool:
    return one[1] in (Reach.REFUSED, Reach.DROPPED)
