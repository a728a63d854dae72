"""How a request can end, and why: the closed sets that all rooms use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RefusalKind(StrEnum):
    """For what a request was refused. Records have it; the reason beside it is for people alone."""

    HOST = "host"  # it names no host, or one that is not served here: 400, 421
    LIMIT = "limit"  # it is larger than the CDN or the node accepts: 413, 414, 431
    MALFORMED = "malformed"  # HTTP does not allow it: 400
    PATH = "path"  # its path could be read as one under another behavior: 400
    LOOP = "loop"  # this node has already forwarded it: 508
    METHOD = "method"  # no cache forwards the method, or the behavior does not allow it: 405, 403
    MAX_FORWARDS = "max-forwards"  # it may not be forwarded: 204
    PREFLIGHT = "preflight"  # the node responds to it itself: 204
    CONTENT = "content"  # a GET or HEAD has content: 403
    RATE = "rate"  # the client sends too many requests: 429
    PROTOCOL = "protocol"  # it came over HTTP and the behavior requires HTTPS: 301, 307, 403
    GEO = "geo"  # its place is not served: 403
    TOKEN = "token"  # its token is missing or does not allow it: 403
    PURGE = "purge"  # it may not purge: 401


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served from store or parent, and the response to its client."""

    kind: RefusalKind
    status: int
    reason: str
    """Rule and fact, for people: "geo: KP is denied". No program reads it."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What exactly was checked, found and wanted: for operators, not for viewers."""
    words: str = ""
    """The profile's words for the refusal."""
    page: tuple[str, str] | None = None
    """Content type and body as the token's vendor sends them; None: the profile's page."""
    retry_after: float | None = None
    """Seconds after which the client may try again."""
    location: str | None = None
    """The URL that the client is redirected to."""
    ends: bool = False
    """The connection is closed after the response."""

    @property
    def paged(self) -> bool:
        """Whether a custom error page may replace the response.

        Source: CloudFront, "Restrict the geographic distribution of your content": a custom error page applies.
        """
        return self.kind is RefusalKind.GEO


class Outcome(StrEnum):
    """What a request got."""

    HIT = "hit"  # fresh, from the store
    HIT_STALE = "hit-stale"  # stale, as RFC 5861 or a failing origin allows
    MISS = "miss"  # a fill of its own
    REVALIDATED = "revalidated"  # the origin responded 304 to this request's upstream request
    COLLAPSED = "collapsed"  # waited for another request's fill
    PASS = "pass"  # forwarded, nothing stored: method, behavior, uncacheable
    REFUSED = "refused"  # refused by the gate: 403, 405, 508 ...
    FAILED = "failed"  # the origin failed and no stored response could be served


HELD = frozenset({Outcome.HIT, Outcome.HIT_STALE})
"""Outcomes with a stored response: its age and remaining freshness are known."""

NOT_FORWARDED = HELD | {Outcome.COLLAPSED, Outcome.REFUSED}
"""Outcomes of requests that were not themselves forwarded."""


class Cause(StrEnum):
    """Why a request was not served from the store; exactly one for each miss, revalidation and pass."""

    COLD = "cold"  # never stored, or so long ago that the node remembers nothing of it
    EXPIRED = "expired"  # stored, no longer fresh
    EVICTED = "evicted"  # stored, then evicted to make room
    PURGED = "purged"  # stored, then purged
    LOST = "lost"  # stored, but what was on disk is damaged or gone
    VARY = "vary"  # stored, for other values of the fields in Vary
    UNCACHEABLE = "uncacheable"  # the origin's response may not be stored
    BYPASS = "bypass"  # the behavior has `cache = false`
    METHOD = "method"  # neither GET nor HEAD
    REQUEST = "request"  # the request's own directives forbade reuse
    PARTIAL = "partial"  # a range that the stored response cannot serve
    ABORTED = "aborted"  # the fill that it waited for was cut off


class Purpose(StrEnum):
    """Why a fetch is made."""

    MISS = "miss"
    REVALIDATE = "revalidate"
    REFRESH = "refresh"  # in the background: no request waits for it
    PASS = "pass"


class Failure(StrEnum):
    """How an exchange with the parent can fail; found by the shell, not a part of HTTP."""

    NAME = "name-not-resolved"
    CONNECT = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    FIRST_BYTE_TIMEOUT = "first-byte-timeout"
    BETWEEN_BYTES_TIMEOUT = "between-bytes-timeout"
    RESET = "connection-reset"
    GARBAGE = "not-http"
    SICK = "parent-sick"  # nothing was sent: the parent or its health checks failed too often
    TRUNCATED = "body-shorter-than-promised"
    TOO_LARGE = "larger-than-a-stored-response-may-be"
    INTERNAL = "an-error-of-the-edge"
    ABANDONED = "nobody-waits-any-more"
    CONTENT_TOO_LARGE = "the-request's-content-is-too-large"
    CONTENT_LATE = "the-request's-content-did-not-come-in-time"

    @property
    def status(self) -> int:
        """The status if no stored response can be served (RFC 9110 §15.5.9, §15.5.14, §15.6.3 to §15.6.5)."""
        if self.by_viewer:
            return 413 if self is Failure.CONTENT_TOO_LARGE else 408
        return 504 if self in _LATE else 503 if self is Failure.SICK else 502

    @property
    def by_viewer(self) -> bool:
        """Whether the viewer caused it, with content beyond the limits; then the parent did not fail."""
        return self in (Failure.CONTENT_TOO_LARGE, Failure.CONTENT_LATE)

    @property
    def reason(self) -> str:
        return f"{'limit' if self.by_viewer else 'origin'}: {self.value}"


_LATE = frozenset({Failure.CONNECT_TIMEOUT, Failure.FIRST_BYTE_TIMEOUT, Failure.BETWEEN_BYTES_TIMEOUT})
