"""Every switch where CDNs differ. A switch without a source does not exist; `vendors/` sets them.

The defaults here are plain RFC 9111.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """One CDN's habits."""

    name: str
    default_ttl: float | None = None
    """Freshness lifetime of a storable answer that names none; None: heuristics (RFC 9111 §4.2.2)."""
    max_ttl: float | None = None
    """Upper bound of every freshness lifetime; None: none."""
    heuristic_share: float = 0.1
    """Share of Date - Last-Modified that counts as the lifetime where heuristics apply."""
    heuristic_limit: float = 86_400.0
    """A heuristic lifetime is cut to this; ours, the standard only asks for care."""
    targeted_fields: tuple[str, ...] = ("cdn-cache-control",)
    """Targeted fields that rule instead of Cache-Control, the first valid one wins (RFC 9213 §2.2)."""
    request_directives: bool = True
    """Honour Cache-Control and Pragma of requests (RFC 9111 §5.2.1: advisory)."""
    stale_if_error: float = 0.0
    """How long after its freshness a stored answer stands in for a failing origin, when nothing else says so."""
    stale_when_unreachable: bool = True
    """A stored answer stands in for an origin that gives no answer at all, however stale, unless its own directives
    forbid (RFC 9111 §4.2.4: a cache that is disconnected)."""
    forward_conditions: bool = True
    """Nothing stored for the request: its own conditions go to the origin (RFC 9111 §4.3.2)."""
    range_forwarded: bool = True
    """Nothing stored for a range request: it goes on as it is, and the part is kept. False: the whole is fetched."""
    head_as_get: bool = False
    """A HEAD that the store cannot answer is asked as a GET, whose answer is kept."""
    storable_statuses: frozenset[int] | None = None
    """Only these may be stored; None: the standard's rules."""
    error_ttls: dict[int, float] | None = None
    """Lifetime of error statuses without one of their own; None: the behavior's `error_ttl` for 404 and 410."""
    set_cookie_passes: bool = False
    """An answer with Set-Cookie is never stored."""
    hit_for_pass: float = 120.0
    """How long an uncacheable answer is remembered, so that requests for it do not queue behind one another."""
    x_cache: tuple[str, str] = ("HIT", "MISS")
    """What `X-Cache` says of an answer from the store, and of any other."""
    x_cache_revalidated: str = "HIT"
    """What `X-Cache` says after a 304."""


RFC9111 = Profile(name="rfc9111")
