"""How long a response stays good: headers in, instants out (RFC 9111 §4.2, RFC 5861).

    arrives     fresh_until     refreshable_until        fallback_until
      |---- FRESH ----|--- REFRESHABLE ---|------ FALLBACK ------|---- SPENT ----

Headers are read once, when a response arrives; from then on a request costs comparisons.
"""

from dataclasses import replace
from math import inf
from typing import NamedTuple

import msgspec

from cdnkit.policy.freshness.directives import ResponseDirectives, response_directives
from cdnkit.policy.http import cache_control, dates
from cdnkit.policy.http.cache_control import CacheControl
from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior

HEURISTIC_STATUSES = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses whose responses may be stored without explicit freshness (RFC 9110 §15.1)."""

NEGATIVE_STATUSES = frozenset({404, 410})

SETTING_RULES = frozenset({"ttl.min", "ttl.default", "ttl.max", "error_ttl"})
"""Rules that come from our settings, not from the origin."""


class Lifetime(msgspec.Struct, gc=False):
    """Instants in a stored response's life, Unix seconds. In no cycle of references."""

    born_at: float
    """When its age was 0, by RFC 9111 §4.2.3: the age at `now` is `now - born_at`."""
    fresh_until: float
    refreshable_until: float
    """It may be served stale while one request refreshes it."""
    fallback_until: float
    """It may stand in for an origin that answers with an error."""
    unreachable_until: float
    """It may stand in for an origin that does not answer at all."""
    sick_until: float
    """It may stand in for an origin that is known to be sick, and so is sent nothing."""
    rule: str
    """What set the freshness lifetime: "s-maxage", "max-age", "expires", "heuristic", "default", "min", ..."""
    revalidate_always: bool = False
    """`no-cache`: never reused without validation."""
    may_be_stale: bool = True
    """False: its own directives forbid serving it stale, whatever else allows that (RFC 9111 §4.2.4)."""

    def age(self, now: float) -> float:
        # An origin whose clock runs ahead of ours must not make us send a negative Age.
        return max(0.0, now - self.born_at)

    def made_stale(self, now: float) -> "Lifetime":
        """After a soft purge: no longer fresh, the stale windows begin now.

        Its age grows by the lifetime that it had left. With a smaller Age the next cache, or a browser, which knows
        nothing of the purge, would take the purged response for fresh.
        """
        if self.fresh_until <= now:
            return self
        left = self.fresh_until - now
        return Lifetime(
            born_at=self.born_at - left,
            fresh_until=now,
            refreshable_until=self.refreshable_until - left,
            fallback_until=self.fallback_until - left,
            unreachable_until=self.unreachable_until - left,
            sick_until=self.sick_until - left,
            rule="soft-purge",
            revalidate_always=self.revalidate_always,
            may_be_stale=self.may_be_stale,
        )


def initial_age(head: ResponseHead, sent_at: float, now: float, *, from_date: bool = True) -> float:
    """Age on arrival (RFC 9111 §4.2.3): the larger of what Date (if it counts) and what Age plus the wait say."""
    age_field = head.headers.first("age")
    age_value = cache_control.delta_seconds(age_field.partition(",")[0].strip(" \t")) if age_field else None
    corrected = (age_value or 0) + max(0.0, now - sent_at)
    if not from_date:
        return float(age_value or 0)
    date = dates.parse_date(head.headers.first("date"), now)
    # Date has whole seconds: an origin on our own clock would look up to a second old without the floor.
    apparent = 0.0 if date is None else max(0.0, float(int(now)) - date)
    return max(apparent, corrected)


def freshness_lifetime(
    head: ResponseHead, behavior: Behavior, profile: Profile, now: float
) -> tuple[float | None, str]:
    """(freshness lifetime in seconds, the rule that set it); None when nothing gives the answer a lifetime.

    Precedence: s-maxage, max-age, Expires - Date, then what stands in where the origin is silent. `ttl.min` and
    `ttl.max` of the behavior hold the result.
    """
    directives = response_directives(head.headers, profile)
    if profile.error_caching is not None and head.status >= 400:
        return _error_lifetime(head, directives, behavior, profile, now)
    if overridden_by_min_ttl(directives.control, behavior, profile):
        return behavior.ttl.min, "ttl.min"
    lifetime, rule = explicit_lifetime(head, directives, profile, now)
    if lifetime is None:
        return _implicit_lifetime(head, behavior, profile, directives.control.public, now)
    longest = behavior.ttl.max if behavior.ttl.max is not None else profile.max_ttl
    if longest is not None and lifetime > longest:
        lifetime, rule = longest, "ttl.max"
    if lifetime < behavior.ttl.min:
        lifetime, rule = behavior.ttl.min, "ttl.min"
    return lifetime, rule


def explicit_lifetime(
    head: ResponseHead, directives: ResponseDirectives, profile: Profile, now: float
) -> tuple[float | None, str]:
    """(seconds, field or directive) that the origin names, before any bound; (None, "") if it names none."""
    if directives.control.s_maxage is not None:
        return float(directives.control.s_maxage), "s-maxage"
    if directives.control.max_age is not None:
        return float(directives.control.max_age), "surrogate-control" if directives.surrogate else "max-age"
    if "expires" in head.headers and not directives.targeted:
        return _until_expiry(head, now, from_now=profile.expires_from_now), "expires"
    return None, ""


def overridden_by_min_ttl(directives: CacheControl, behavior: Behavior, profile: Profile) -> bool:
    """Whether a `ttl.min` above 0 stores the response in spite of no-store, no-cache or private (CloudFront)."""
    forbidden = directives.no_store or directives.no_cache or directives.private
    return profile.min_ttl_overrides and behavior.ttl.min > 0 and forbidden


def error_ttl_of(status: int, behavior: Behavior, profile: Profile) -> float | None:
    """How long an error of this status is kept; None: as long as other responses."""
    configured = behavior.error_ttls.get(status, behavior.error_ttl)
    return profile.error_ttl if configured is None else configured


def _error_lifetime(
    head: ResponseHead, directives: ResponseDirectives, behavior: Behavior, profile: Profile, now: float
) -> tuple[float | None, str]:
    """An error's lifetime: the larger of ErrorCachingMinTTL and the origin's lifetime; no other directive counts.

    Source: CloudFront, "How CloudFront processes HTTP 4xx and 5xx status codes from your origin".
    """
    least = error_ttl_of(head.status, behavior, profile) or 0.0
    stated, rule = explicit_lifetime(head, directives, profile, now)
    if stated is None:
        return least, "error_ttl"
    longest = behavior.ttl.max if behavior.ttl.max is not None else profile.max_ttl
    if longest is not None and stated > longest:
        stated, rule = longest, "ttl.max"
    return (stated, rule) if stated > least else (least, "error_ttl")


def _until_expiry(head: ResponseHead, now: float, *, from_now: bool) -> float:
    """Expires - Date (or - now), never negative; an unreadable or ambiguous Expires has passed already (§5.3)."""
    lines = set(head.headers.all("expires"))
    expires = dates.parse_date(lines.pop(), now) if len(lines) == 1 else None
    if expires is None:
        return 0.0
    date = None if from_now else dates.parse_date(head.headers.first("date"), now)
    return max(0.0, expires - (now if date is None else date))


def _implicit_lifetime(
    head: ResponseHead, behavior: Behavior, profile: Profile, public: bool, now: float
) -> tuple[float | None, str]:
    """The lifetime of a response whose origin names none."""
    error_ttl = error_ttl_of(head.status, behavior, profile)
    if head.status in NEGATIVE_STATUSES and error_ttl is not None:
        return error_ttl, "error_ttl"
    by_default = profile.error_caching is not None or head.status in (profile.storable_statuses or HEURISTIC_STATUSES)
    if not by_default and not public:
        return None, "none"
    text = head.headers.joined("cache-control") or ""
    if profile.unread_ttl is not None and ("max-age" in text or "s-maxage" in text):
        return max(profile.unread_ttl, behavior.ttl.min), "unread"
    default = behavior.ttl.default if behavior.ttl.default is not None else profile.default_ttl
    if default is not None:
        return max(default, behavior.ttl.min), "ttl.default"
    modified = dates.parse_date(head.headers.first("last-modified"), now)
    if modified is not None:
        date = dates.parse_date(head.headers.first("date"), now)
        since = max(0.0, (now if date is None else date) - modified)
        lifetime = min(since * profile.heuristic_share, profile.heuristic_limit)
        return max(lifetime, behavior.ttl.min), "heuristic"
    if behavior.ttl.min > 0:
        return behavior.ttl.min, "ttl.min"
    return (0.0 if "etag" in head.headers else None), "none"


def lifetime_of(head: ResponseHead, behavior: Behavior, profile: Profile, *, sent_at: float, now: float) -> Lifetime:
    """The instants of a response that arrived at `now` to a request sent at `sent_at`."""
    directives = effective_directives(head, behavior, profile)
    seconds, rule = freshness_lifetime(head, behavior, profile, now)
    born_at = now - initial_age(head, sent_at, now, from_date=profile.age_from_date)
    if rule == "expires" and profile.expires_restarts_age:
        born_at = now
    from_arrival = profile.bounds_from_arrival and rule in SETTING_RULES
    fresh_until = (now if from_arrival or (rule == "expires" and profile.expires_from_now) else born_at) + (
        seconds or 0.0
    )
    if profile.bounds_from_arrival and fresh_until < now + behavior.ttl.min:
        fresh_until, rule = now + behavior.ttl.min, "ttl.min"
    stale = stale_windows(directives, behavior, profile, fresh_for=fresh_until - now)
    return Lifetime(
        born_at=born_at,
        fresh_until=fresh_until,
        refreshable_until=_after(fresh_until, stale.refresh),
        fallback_until=_after(fresh_until, stale.fallback),
        unreachable_until=_after(fresh_until, stale.unreachable),
        sick_until=_after(fresh_until, stale.sick),
        rule=rule,
        revalidate_always=directives.no_cache,
        may_be_stale=stale.allowed,
    )


def _after(instant: float, seconds: float) -> float:
    """So many seconds later. Most windows are empty or without end: a stored response then has no number of its own."""
    return instant if seconds == 0 else inf if seconds == inf else instant + seconds


def effective_directives(head: ResponseHead, behavior: Behavior, profile: Profile) -> CacheControl:
    """The directives that count, without those that a `ttl.min`, or the rule for errors, overrides."""
    directives = response_directives(head.headers, profile).control
    error = profile.error_caching is not None and head.status >= 400
    if error or overridden_by_min_ttl(directives, behavior, profile):
        return replace(directives, no_cache=False, no_store=False, private=False)
    return directives


class StaleWindows(NamedTuple):
    """For how many seconds after its freshness a response may be served stale, each with the rule that says so."""

    refresh: float
    """While one request refreshes it."""
    refresh_rule: str
    error: float
    """When the origin answers with an error."""
    error_rule: str
    unreachable: float
    """When the origin does not answer at all."""
    unreachable_rule: str
    sick: float
    """When the origin is known to be sick, and so is sent nothing."""
    allowed: bool
    """False: its own directives forbid serving it stale, whatever else allows that."""

    def within(self, seconds: float) -> "StaleWindows":
        """The same windows, none longer than that; one that is cut has `ttl.max` as its rule."""
        seconds = max(0.0, seconds)
        return self._replace(
            refresh=min(self.refresh, seconds),
            refresh_rule=self.refresh_rule if self.refresh <= seconds else "ttl.max",
            error=min(self.error, seconds),
            error_rule=self.error_rule if self.error <= seconds else "ttl.max",
            unreachable=min(self.unreachable, seconds),
            unreachable_rule=self.unreachable_rule if self.unreachable <= seconds else "ttl.max",
            sick=min(self.sick, seconds),
        )

    @property
    def fallback(self) -> float:
        """What may be served while it is refreshed may also stand in for an error."""
        return max(self.refresh, self.error)

    @property
    def fallback_rule(self) -> str:
        return self.error_rule if self.error >= self.refresh else self.refresh_rule


def stale_windows(directives: CacheControl, behavior: Behavior, profile: Profile, *, fresh_for: float) -> StaleWindows:
    """The origin's directives come first, then the behavior, then the profile; `fresh_for`: from the arrival on."""
    allowed = _allowed(directives, behavior, profile, fresh_for)
    longest = behavior.ttl.max if profile.stale_within_max_ttl else None
    return allowed if longest is None else allowed.within(longest - fresh_for)


def _allowed(directives: CacheControl, behavior: Behavior, profile: Profile, fresh_for: float) -> StaleWindows:
    ban = (
        "must-revalidate" if directives.must_revalidate
        else "proxy-revalidate" if directives.proxy_revalidate
        else "no-cache" if directives.no_cache
        else ""
    )  # fmt: skip
    if ban:
        nothing = StaleWindows(0.0, ban, 0.0, ban, 0.0, ban, 0.0, False)
        if ban != "no-cache" or not profile.no_cache_stands_in:
            return nothing
        # It is stale from the beginning, so a window of its own counts from the arrival.
        window = directives.stale_if_error
        silence, rule = (inf, "disconnected operation") if window is None else (window - fresh_for, "stale-if-error")
        return nothing._replace(unreachable=silence, unreachable_rule=rule, sick=silence)
    # s-maxage carries proxy-revalidate with it (RFC 9111 §5.2.2.10): only what the origin allows beside it counts.
    banned = directives.s_maxage is not None and profile.s_maxage_forbids_stale
    refresh, refresh_rule = _window(
        "stale-while-revalidate", directives.stale_while_revalidate, behavior.stale_while_revalidate, 0.0, banned=banned
    )
    error, error_rule = _window(
        "stale-if-error", directives.stale_if_error if profile.origin_stale_if_error else None,
        behavior.stale_if_error, profile.stale_if_error, banned=banned,
    )  # fmt: skip
    if profile.stale_when_unreachable and not banned and directives.stale_if_error is None:
        return StaleWindows(refresh, refresh_rule, error, error_rule, inf, "disconnected operation", inf, True)
    rules = StaleWindows(refresh, refresh_rule, error, error_rule, 0.0, "", 0.0, not banned)
    when_sick = directives.stale_if_error if profile.origin_stale_if_error_when_sick and not banned else None
    sick = max(rules.fallback, float(when_sick or 0))
    return rules._replace(unreachable=rules.fallback, unreachable_rule=rules.fallback_rule, sick=sick)


def _window(
    directive: str, stated: int | None, configured: float | None, otherwise: float, *, banned: bool
) -> tuple[float, str]:
    """(seconds, rule) of one stale window: the origin's, the behavior's, the profile's."""
    if stated is not None:
        return float(stated), directive
    if banned:
        return 0.0, "s-maxage"
    if configured is not None:
        return configured, f"behavior.{directive.replace('-', '_')}"
    return otherwise, "profile" if otherwise else "nothing"
