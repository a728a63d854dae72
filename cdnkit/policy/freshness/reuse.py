"""What a stored response is good for, at one instant and for one request (RFC 9111 §4, §5.2.1, RFC 5861)."""

from enum import Enum

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.cache_control import CacheControl, of
from cdnkit.policy.http.messages import RequestHead


class Standing(Enum):
    """What a stored response is good for at one instant."""

    FRESH = "fresh"  # serve it
    REFRESHABLE = "refreshable"  # serve it, and refresh it behind the viewer's back
    FALLBACK = "fallback"  # send a request to the origin; serve this only if that fails
    SPENT = "spent"  # good for a conditional request, nothing more


def standing(life: Lifetime, now: float) -> Standing:
    """Equality is stale: fresh is strictly younger than the lifetime (RFC 9111 §4.2)."""
    if life.revalidate_always:
        return Standing.SPENT
    if now < life.fresh_until:
        return Standing.FRESH
    if now < life.refreshable_until:
        return Standing.REFRESHABLE
    if now < life.fallback_until:
        return Standing.FALLBACK
    return Standing.SPENT


def request_control(request: RequestHead) -> CacheControl | None:
    """The request's own directives; None when it has none, which is nearly always."""
    text = request.headers.joined("cache-control")
    if text is not None:
        return of(text)
    # Pragma counts only where Cache-Control is absent (RFC 9111 §5.4).
    pragma = request.headers.joined("pragma")
    if pragma is not None and "no-cache" in pragma.lower():
        return of("no-cache")
    return None


def forbids_reuse(control: CacheControl, life: Lifetime, now: float, *, immutable: bool = False) -> bool:
    """Whether the request's directives demand a response of the origin although the stored one is fresh.

    `immutable`: the stored response has this directive, so that a reload (`max-age=0`) is answered with it while it is
    fresh (RFC 8246 §2).
    """
    if control.no_cache or control.no_store:
        return True
    reload = immutable and control.max_age == 0 and now < life.fresh_until
    if control.max_age is not None and life.age(now) > control.max_age and not reload:
        return True
    return control.min_fresh is not None and life.fresh_until - now < control.min_fresh


def takes_stale(control: CacheControl, life: Lifetime, now: float) -> bool:
    """Whether `max-stale` accepts a response as stale as this; the origin can still forbid it."""
    if control.max_stale is None or control.no_cache or not life.may_be_stale:
        return False
    return now - life.fresh_until <= control.max_stale
