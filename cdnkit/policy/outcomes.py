"""How a request can end, and why: the closed sets that every room speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RefusalKind(StrEnum):
    """What about a request was refused. Records keep it; the reason beside it is for people alone."""

    HOST = "host"  # it names no host, or one that is not served here: 400, 421
    LIMIT = "limit"  # it is larger than the CDN or the node takes: 413, 414, 431
    MALFORMED = "malformed"  # HTTP does not have it: 400
    PATH = "path"  # its path may be read as one under another behavior: 400
    LOOP = "loop"  # it has been here before: 508
    METHOD = "method"  # no cache forwards the method, or the behavior does not take it: 405, 403
    MAX_FORWARDS = "max-forwards"  # it may go no further: 204
    PREFLIGHT = "preflight"  # the node answers it by itself: 204
    CONTENT = "content"  # a GET or HEAD brings content: 403
    RATE = "rate"  # the client asks too often: 429
    PROTOCOL = "protocol"  # it came over HTTP where HTTPS is wanted: 301, 307, 403
    GEO = "geo"  # its place is not served: 403
    TOKEN = "token"  # its token is missing or not good: 403
    PURGE = "purge"  # it may not purge: 401


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered from store or parent, and what its client is sent instead."""

    kind: RefusalKind
    status: int
    reason: str
    """Rule and fact, for people: "geo: KP is denied". No program reads it."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What exactly was checked, found and wanted: for operators, not for viewers."""
    words: str = ""
    """The profile's words for it."""
    page: tuple[str, str] | None = None
    """Content type and body that the token's vendor would send; None: the profile's page."""
    retry_after: float | None = None
    """Seconds after which asking again is of use."""
    location: str | None = None
    """Where to come instead."""
    ends: bool = False
    """The connection ends with it."""

    @property
    def paged(self) -> bool:
        """Whether a page in place of errors may stand in for it.

        Source: CloudFront, "Restrict the geographic distribution of your content": a custom error page applies.
        """
        return self.kind is RefusalKind.GEO


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


class Purpose(StrEnum):
    """Why a fetch is made."""

    MISS = "miss"
    REVALIDATE = "revalidate"
    REFRESH = "refresh"  # behind a viewer's back: nobody waits for it
    PASS = "pass"


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
