"""How a request can end, and why: the closed sets that every room speaks of."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(slots=True)
class Refusal:
    """Why not: a status, and a reason a person can act on."""

    status: int
    reason: str
    facts: dict[str, object] | None = None
    """What exactly was checked, found and wanted: for operators, not for viewers."""
    page: tuple[str, str] | None = None
    """Content type and body that the token's vendor would send; None: the profile's page."""
    retry_after: float | None = None
    """Seconds after which asking again is of use."""
    location: str | None = None
    """Where to come instead."""
    paged: bool = False
    """A page in place of errors may stand in for it."""
    ends: bool = False
    """The connection ends with it."""

    @classmethod
    def recorded(cls, status: int, reason: str) -> "Refusal":
        """The refusal that a record tells of: the status there may be a page's, or 0, when its viewer had left."""
        paged = reason.startswith("geo: ")
        return cls(403 if paged else status or 403, reason, paged=paged)


class Outcome(StrEnum):
    """How a request was answered."""

    HIT = "hit"  # fresh, from the store
    HIT_STALE = "hit-stale"  # stale, as RFC 5861 or a failing origin allows
    MISS = "miss"  # a fill of its own
    REVALIDATED = "revalidated"  # the origin said 304 to this request's own question
    COLLAPSED = "collapsed"  # waited on another request's fill
    PASS = "pass"  # never the cache's business: method, behavior, uncacheable
    REFUSED = "refused"  # answered by the gate: 403, 405, 508 ...
    FAILED = "failed"  # the origin failed and nothing stored could stand in


HELD = frozenset({Outcome.HIT, Outcome.HIT_STALE})
"""Outcomes of which a node can say for how long it has had the object, and for how long it is good."""

NOT_ASKED = HELD | {Outcome.COLLAPSED, Outcome.REFUSED}
"""Outcomes for which the request itself went no further than its node."""


class Cause(StrEnum):
    """Why a request was not answered from the store; exactly one for each miss, revalidation and pass."""

    COLD = "cold"  # never stored, or stored so long ago that no trace is left
    EXPIRED = "expired"  # stored, no longer fresh
    EVICTED = "evicted"  # stored, then pushed out for room
    PURGED = "purged"  # stored, then purged
    LOST = "lost"  # stored, but what was on disk is damaged or gone
    VARY = "vary"  # stored, for other values of the fields in Vary
    UNCACHEABLE = "uncacheable"  # the origin's answer may not be stored
    BYPASS = "bypass"  # the behavior says: do not cache
    METHOD = "method"  # neither GET nor HEAD
    REQUEST = "request"  # the request's own directives forbade reuse
    PARTIAL = "partial"  # a range that the store cannot cut
    ABORTED = "aborted"  # the fill it waited on broke off


class Failure(StrEnum):
    """How an exchange with the parent can fail; facts of the upstream reader, not of HTTP."""

    NAME = "name-not-resolved"
    CONNECT = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    FIRST_BYTE_TIMEOUT = "first-byte-timeout"
    BETWEEN_BYTES_TIMEOUT = "between-bytes-timeout"
    RESET = "connection-reset"
    GARBAGE = "not-http"
    SICK = "parent-sick"  # not asked: it has failed too often, or its health checks have
    TRUNCATED = "body-shorter-than-promised"
    TOO_LARGE = "larger-than-a-stored-response-may-be"
    INTERNAL = "an-error-of-the-edge"
    ABANDONED = "nobody-waits-any-more"
    CONTENT_TOO_LARGE = "the-request's-content-is-too-large"
    CONTENT_LATE = "the-request's-content-did-not-come-in-time"

    @property
    def status(self) -> int:
        """What a viewer is told when nothing stored can stand in (RFC 9110 §15.5.9, §15.5.14, §15.6.3 to §15.6.5)."""
        if self.by_viewer:
            return 413 if self is Failure.CONTENT_TOO_LARGE else 408
        return 504 if self in _LATE else 503 if self is Failure.SICK else 502

    @property
    def by_viewer(self) -> bool:
        """The viewer's own doing: his content is beyond the limits. The parent is not to blame."""
        return self in (Failure.CONTENT_TOO_LARGE, Failure.CONTENT_LATE)

    @property
    def reason(self) -> str:
        return f"{'limit' if self.by_viewer else 'origin'}: {self.value}"


_LATE = frozenset({Failure.CONNECT_TIMEOUT, Failure.FIRST_BYTE_TIMEOUT, Failure.BETWEEN_BYTES_TIMEOUT})
