"""What a request finds in the store, decided without changing anything (RFC 9111 §4).

`machine/requests.py` acts on the look-up and `machine/explain.py` shows it, so the two cannot disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from cdnkit.policy.freshness.directives import response_directives
from cdnkit.policy.freshness.reuse import Standing, forbids_reuse, request_control, standing, takes_stale
from cdnkit.policy.freshness.storable import forwards_cookies
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.ranges import specs
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.index import Entry, EntryIndex, selecting_fields
from cdnkit.policy.store.parts import covers
from cdnkit.policy.store.revalidate import range_applies
from cdnkit.policy.store.slices import WHOLE, Versions

NOT_FRESH = "not-fresh"
"""Why requests for a key are not collapsed: its response is stored, but every use of it needs the parent."""


class LookupAction(Enum):
    """Where the response comes from. The values are for people."""

    HIT = "hit"
    REFRESH = "hit, stale, and a refresh behind it"
    STALE = "hit, stale, because the request accepts it"
    FETCH = "ask the parent"
    PASS = "pass: ask the parent for this request alone"
    ONLY_IF_CACHED = "504: only-if-cached, and nothing stored may answer"


@dataclass(slots=True)
class Lookup:
    """The action for a request, with the facts that decided it."""

    action: LookupAction
    key: str
    entry: Entry | None
    """The stored response it selects, whatever its standing."""
    cause: Cause | None
    """Why the store alone cannot answer; None where it can."""
    alone: bool = False
    """It is not collapsed: it joins no fill, and no request joins its own."""
    ranged: bool = False
    """Its Range is forwarded."""
    flight_key: str = ""
    """Identifies the fills in flight that it may join."""


def answered_from_store(method: str, behavior: Behavior) -> bool:
    """Whether the method may have stored responses: OPTIONS only where the behavior says so (CloudFront's cached
    methods)."""
    return method in ("GET", "HEAD") or (method == "OPTIONS" and "OPTIONS" in behavior.cached_methods)


def look_up(
    request: RequestHead,
    behavior: Behavior,
    *,
    index: EntryIndex,
    profile: Profile,
    key: str,
    versions: Versions,
    why_uncollapsed: Callable[[str], str],
    varies: tuple[str, ...] = (),
    now: float,
) -> Lookup:
    """`why_uncollapsed`: why requests for a key, or for a range of it, do not wait for one another now, its answers not
    being shared; "" where they do.

    `varies`: the names in Vary of the key's last response, as far as they are known.
    """
    if not answered_from_store(request.method, behavior):
        return Lookup(LookupAction.PASS, key, None, Cause.METHOD)
    if not behavior.cache:
        return Lookup(LookupAction.PASS, key, None, Cause.BYPASS)
    control = request_control(request) if profile.request_directives else None
    wanted = request.headers.first("range") if request.method == "GET" else None
    found = index.select(key, request.headers)
    block = request.block is not None and request.block != WHOLE
    if block and isinstance(found, Entry) and versions.outdated(found):
        found = Cause.EXPIRED
    cause: Cause
    if not isinstance(found, Entry):
        entry, cause = None, found
    else:
        entry = found
        if entry.part is not None and not (covers(entry, wanted) and range_applies(request, entry, now)):
            cause = Cause.PARTIAL
        elif control is not None and forbids_reuse(
            control, entry.life, now, immutable=response_directives(entry.headers, profile).control.immutable
        ):
            cause = Cause.REQUEST
        else:
            match standing(entry.life, now):
                case Standing.FRESH:
                    return Lookup(LookupAction.HIT, key, entry, None)
                case Standing.REFRESHABLE:
                    flight_key = _flight_key(key, request, varies, profile)
                    return Lookup(LookupAction.REFRESH, key, entry, None, flight_key=flight_key)
            if control is not None and takes_stale(control, entry.life, now):
                return Lookup(LookupAction.STALE, key, entry, None)
            cause = Cause.PURGED if entry.life.rule == "soft-purge" else Cause.EXPIRED
    if control is not None and control.only_if_cached:
        return Lookup(LookupAction.ONLY_IF_CACHED, key, entry, cause)
    if control is not None and control.no_store:
        return Lookup(LookupAction.PASS, key, entry, Cause.REQUEST)
    mark = why_uncollapsed(key)
    if mark and mark != NOT_FRESH and profile.hit_for_pass_sticks:
        return Lookup(LookupAction.PASS, key, entry, Cause.UNCACHEABLE)
    # A request that demands validation cannot join an upstream request from before it came.
    alone = cause is Cause.REQUEST or (control is not None and control.no_cache) or mark != ""
    alone = alone or (not profile.collapse_beside_cookies and forwards_cookies(behavior, profile))
    nothing_whole = entry is None or entry.part is not None
    forwards = profile.range_forwarded or block
    ranged = wanted is not None and nothing_whole and forwards and len(specs(wanted)) == 1
    flight_key = _flight_key(key, request, varies, profile)
    if ranged:
        flight_key += f"\nrange: {wanted}; {request.headers.first('if-range')}"
        alone = alone or why_uncollapsed(flight_key) != ""
    return Lookup(LookupAction.FETCH, key, entry, cause, alone, ranged, flight_key)


def _flight_key(key: str, request: RequestHead, varies: tuple[str, ...], profile: Profile) -> str:
    """What the requests that wait for one fill have in common: the key, and the variant where the key is known to have
    some.

    By the key alone, ten variants would be fetched one after the other: each response would answer its own requests and
    leave the others to the next.
    """
    if not varies:
        return key
    return f"{key}\nvary: {selecting_fields(varies, request.headers, as_sent=profile.vary_as_sent)}"
