"""Whether a request that failed before its final head came may be asked again, of the same parent.

Two reasons, and two budgets. What nobody has acted on is asked again because that harms nobody (RFC 9110 §9.2.2,
RFC 9113 §8.7); what a CDN repeats on purpose (connection attempts, read time-outs) is asked again as often as its
`Waits` say. Neither once a byte of an answer has come, nor once a byte of the request's body has gone out; only where
the parent itself says that it has done nothing, a body that can be sent once more is.

Source of the second: CloudFront, "Origin connection attempts" and "Origin response timeout": GET and HEAD are tried
again, DELETE, OPTIONS, PATCH, PUT and POST are not.
"""

from collections.abc import Sequence
from enum import Enum

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 §9.2.1."""

READ_AGAIN = frozenset({"GET", "HEAD"})

HARMLESS_LIMIT = 2
"""Ours: how often an exchange is repeated because nobody had acted on it. A parent that refuses every stream, or
closes every connection, must not be asked for ever. The last time it is the first on a new connection (`asked_apart`):
a parent that ends each connection after few requests refuses those behind them, and has no reason to refuse the first.
"""


class Reach(Enum):
    """How far an exchange had come when it failed; facts of the upstream reader."""

    QUEUED = "no place among our own connections came free"
    CONNECTING = "no connection was made"
    REFUSED = "sent, and the parent says that it has done nothing"  # RFC 9113 §8.7
    DROPPED = "sent on a kept connection, which died before a byte of an answer"
    SENT = "sent, no byte of an answer came"
    ANSWERED = "a byte of an answer has come"


Broken = tuple[Failure, Reach]


def asked_again(method: str, tries: Sequence[Broken], waits: Waits, *, body: bool = False, kept: bool = False) -> bool:
    """Whether to try once more after `tries`, all the failures of one request, the last one last.

    `body`: it has one. `kept`: what was sent of that can be sent again.
    """
    why, reach = tries[-1]
    if reach is Reach.CONNECTING:
        return _attempts(tries) < waits.attempts
    if body and not (kept and reach is Reach.REFUSED):
        return False
    if reach is Reach.REFUSED or (reach is Reach.DROPPED and method in SAFE):
        return sum(_harmless(one) for one in tries) <= HARMLESS_LIMIT
    timed_out = reach is Reach.SENT and why is Failure.FIRST_BYTE_TIMEOUT
    return timed_out and waits.retry_reads and method in READ_AGAIN and _attempts(tries) < waits.attempts


def crosses_harmlessly(method: str, waits: Waits, *, body: bool) -> bool:
    """Whether a request may be sent on a kept connection, which its parent may be closing at this very moment.

    Else it is the first on its connection (RFC 9112 §9.3.1; HAProxy: `http-reuse safe`).
    """
    return asked_again(method, [(Failure.RESET, Reach.DROPPED)], waits, body=body)


def asked_apart(tries: Sequence[Broken]) -> bool:
    """Whether the next try is to be the first request on a connection of its own."""
    return sum(_harmless(one) for one in tries) >= HARMLESS_LIMIT


def _attempts(tries: Sequence[Broken]) -> int:
    """Attempts that count against the CDN's own limit."""
    return sum(not _harmless(one) for one in tries)


def _harmless(one: Broken) -> bool:
    return one[1] in (Reach.REFUSED, Reach.DROPPED)
