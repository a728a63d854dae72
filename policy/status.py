"""What a response says of its own making: Cache-Status (RFC 9211), Via (RFC 9110 §7.6.3), X-Cache."""

from policy.messages import Headers, Lines
from policy.profile import Profile
from policy.record import Cause, Outcome

FORWARD_REASON = {
    Cause.COLD: "uri-miss",
    Cause.EVICTED: "uri-miss",
    Cause.PURGED: "uri-miss",
    Cause.ABORTED: "uri-miss",
    Cause.UNCACHEABLE: "uri-miss",
    Cause.EXPIRED: "stale",
    Cause.VARY: "vary-miss",
    Cause.BYPASS: "bypass",
    Cause.METHOD: "method",
    Cause.REQUEST: "request",
    Cause.PARTIAL: "partial",
}
"""A miss's cause in RFC 9211's words (§2.2)."""


def cache_status(
    name: str,
    *,
    cause: Cause | None = None,
    hit: bool = False,
    had_stale: bool = False,
    ttl: float | None = None,
    forward_status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str | None = None,
) -> str:
    """One member of the list: `fra; hit; ttl=12` or `fra; fwd=uri-miss; stored`. `detail` is an RFC 9651 token.

    `had_stale`: something was stored for the key, so that a miss is not one of the URI.
    """
    parts = [name]
    if hit:
        parts.append("hit")
    elif cause is not None:
        reason = FORWARD_REASON[cause]
        parts.append("fwd=stale" if had_stale and reason == "uri-miss" else f"fwd={reason}")
    if forward_status is not None:
        parts.append(f"fwd-status={forward_status}")
    if ttl is not None:
        # A remaining lifetime of half a second is not yet 0: that would say stale.
        parts.append(f"ttl={int(ttl) if ttl < 0 else -int(-ttl // 1)}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if detail is not None:
        parts.append(f"detail={detail}")
    return "; ".join(parts)


def signed(headers: Headers, name: str, profile: Profile, outcome: Outcome, member: str, age: int | None) -> Lines:
    """The response's lines with our Age, Via, X-Cache and Cache-Status, after those of nodes nearer the origin."""
    lines: Lines = []
    via: str | None = None
    status: str | None = None
    for line in headers.lines:
        field = line[0]
        if field == "age" or field == "x-cache":
            continue
        if field == "via":
            via = f"{via}, {line[1]}" if via else line[1]
        elif field == "cache-status":
            status = f"{status}, {line[1]}" if status else line[1]
        else:
            lines.append(line)
    if age is not None:
        lines.append(("age", str(age)))
    lines.append(("via", f"{via}, 1.1 {name}" if via else f"1.1 {name}"))
    if outcome in _FROM_STORE:
        x_cache = profile.x_cache[0]
    elif outcome is Outcome.REVALIDATED:
        x_cache = profile.x_cache_revalidated
    else:
        x_cache = profile.x_cache[1]
    lines.append(("x-cache", x_cache))
    lines.append(("cache-status", f"{status}, {member}" if status else member))
    return lines


_FROM_STORE = frozenset({Outcome.HIT, Outcome.HIT_STALE, Outcome.COLLAPSED})
