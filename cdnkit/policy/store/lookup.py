"""What a request would get from what is stored, decided without touching anything (RFC 9111 §4).

`machine/requests.py` acts on it and `machine/explain.py` tells it: one judgement, so the two cannot disagree.
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
"""The mark on a key whose answer was stored, and every use of it asks the parent."""


class LookupAction(Enum):
    """Where the answer comes from. The value says it to a person."""

    HIT = "hit"
    REFRESH = "hit, stale, and a refresh behind it"
    STALE = "hit, stale, because the request accepts it"
    FETCH = "ask the parent"
    PASS = "pass: ask the parent for this request alone"
    ONLY_IF_CACHED = "504: only-if-cached, and nothing stored may answer"


@dataclass(slots=True)
class Lookup:
    """The way a request goes, with the facts that decided it."""

    action: LookupAction
    key: str
    entry: Entry | None
    """The stored response it selects, whatever its standing."""
    cause: Cause | None
    """Why the store alone does not answer; None where it does."""
    alone: bool = False
    """It waits for nobody and nobody for it."""
    ranged: bool = False
    """Its Range is passed on."""
    flight_key: str = ""
    """What a fill in flight must be for, to be waited on."""


def answered_from_store(method: str, behavior: Behavior) -> bool:
    """OPTIONS only where the behavior says so (CloudFront's cached methods)."""
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

    `varies`: the fields that the key's last answer varied on, as far as it is known.
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
                    asked_for = _flight_key(key, request, varies, profile)
                    return Lookup(LookupAction.REFRESH, key, entry, None, flight_key=asked_for)
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
    # "Validate first" is not answered by a question that was asked before this request came.
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
    """What those who wait for one fill have in common: the key, and the variant where it is known that there are some.

    By the key alone, ten variants would be asked for one after the other: each answer serves its own and lets the next
    one go.
    """
    if not varies:
        return key
    return f"{key}\nvary: {selecting_fields(varies, request.headers, as_sent=profile.vary_as_sent)}"
