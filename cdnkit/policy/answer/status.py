"""What a response says of its own making: Cache-Status (RFC 9211), Via (RFC 9110 §7.6.3), and the vendors' fields."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

from cdnkit.policy.answer import debug
from cdnkit.policy.freshness.directives import ruling
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.rules.profile import Incident, Profile, ResponseFields
from cdnkit.policy.rules.response_policy import Decoration
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.index import Entry

FORWARD_REASON = {
    Cause.COLD: "uri-miss",
    Cause.EVICTED: "uri-miss",
    Cause.PURGED: "uri-miss",
    Cause.LOST: "uri-miss",
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
    """One member of the list: `fra; hit; ttl=12` or `fra; fwd=uri-miss; stored`.

    `detail` is an RFC 9651 token, or a `quoted` string.
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


class Signer:
    """Writes on an answer who made it and how, in the profile's words, after what nodes nearer the origin wrote."""

    def __init__(self, name: str, profile: Profile, *, faces_viewers: bool, fresh_id: Callable[[], str]) -> None:
        """`faces_viewers`: fields that only nodes may see end here. `fresh_id`: a new request id at every call."""
        self._name = name
        self._profile = profile
        self._fresh_id = fresh_id
        mark = sha256(name.encode()).hexdigest()
        self._via = profile.via.format(name=name, hex=mark[:32])
        self._hidden = profile.kept_from_viewers if faces_viewers else frozenset()
        self._pop = f"{name[:3].upper()}50-C1"
        self._faces_viewers = faces_viewers
        self.identity = server_identity(name)
        self._family = profile.response_fields
        self._date_is_now = profile.date_of_answers == "now"
        self.same_for_all = self._family is ResponseFields.STANDARD
        """Two hits of the same second have the same head."""

    def signed(
        self,
        headers: Headers,
        decoration: Decoration | None,
        status: int,
        outcome: Outcome,
        member: str,
        age: int | None,
        now: float,
    ) -> Lines:
        """The response's lines with our own; `by_request` adds those that no two requests share.

        `decoration`: what the behavior puts on answers beside. `member` is ours of Cache-Status, `age` whole seconds,
        None where Age is not said.
        """
        lines: Lines = []
        via: str | None = None
        cache_status: str | None = None
        for line in headers.lines:
            field = line[0]
            if field in _OURS or field in self._hidden:
                continue
            if field == "via":
                via = f"{via}, {line[1]}" if via else line[1]
            elif field == "cache-status":
                cache_status = f"{cache_status}, {line[1]}" if cache_status else line[1]
            else:
                lines.append(line)
        if self._date_is_now:
            lines = [("date", format_date(now)) if line[0] == "date" else line for line in lines]
        if decoration is not None:
            lines = decoration.applied(lines)
            if not self._date_is_now and not any(name == "date" for name, _ in lines):
                # Taken off: then the node's own stands there, as its `Server` does.
                lines.append(("date", format_date(now)))
        if age is not None:
            lines.append(("age", str(age)))
        elif self._family is ResponseFields.FASTLY:
            lines.append(("age", "0"))
        lines.append(("via", f"{via}, {self._via}" if via else self._via))
        x_cache = self._x_cache(status, outcome)
        if self._family is ResponseFields.FASTLY:
            lines.append(("x-served-by", _after(headers, "x-served-by", self.identity)))
            x_cache = _after(headers, "x-cache", x_cache)
        elif self._family is ResponseFields.CLOUDFRONT:
            lines.append(("x-amz-cf-pop", self._pop))
            if not any(name == "server" for name, _ in lines):
                lines.append(("server", "CloudFront"))
        lines.append(("x-cache", x_cache))
        lines.append(("cache-status", f"{cache_status}, {member}" if cache_status else member))
        return lines

    def by_request(
        self, headers: Headers, *, hits: int, started_at: float, now: float, asked: bool, request_id: str = ""
    ) -> Lines:
        """Lines of this one answer: the id, how often the object was hit here, how long it took.

        `headers` as they came from the parent; `asked`: the parent was, so that its times count too.
        """
        if self._family is ResponseFields.CLOUDFRONT:
            return [("x-amz-cf-id", request_id or self._fresh_id())]
        if self._family is ResponseFields.FASTLY:
            took = f"VS0,VE{max(0, round((now - started_at) * 1000))}"
            above = (headers.first("x-timer") or "").partition(",")[2] if asked else ""
            timer = f"S{started_at:.6f},{above},{took}" if above else f"S{started_at:.6f},{took}"
            return [("x-cache-hits", _after(headers, "x-cache-hits", str(hits))), ("x-timer", timer)]
        return []

    def debugged(
        self,
        lines: Lines,
        headers: Headers,
        request: RequestHead,
        behavior: Behavior,
        key: str,
        entry: Entry | None,
        outcome: Outcome,
        *,
        started_at: float,
        now: float,
    ) -> Lines:
        """A signed answer's lines with what this request asks to be told beside.

        `headers` as they came from the parent, `entry`: what is answered with, None where that is nobody else's.
        """
        if self._family is ResponseFields.FASTLY and debug.wants_fastly_debug(request):
            hidden = [line for line in headers.lines if line[0] in self._hidden]
            age = int(next((value for name, value in lines if name == "age"), "0"))
            said = ruling(headers, self._profile).control.stale_if_error
            window = float(said) if said is not None else behavior.stale_if_error or self._profile.stale_if_error
            return lines + hidden + debug.fastly_debug(headers, self.identity, key, entry, outcome, age, window, now)
        if self._family is ResponseFields.CLOUDFRONT and self._faces_viewers and behavior.server_timing != "off":
            request_id = next(value for name, value in lines if name == "x-amz-cf-id")
            if debug.wants_server_timing(request, behavior.server_timing, request_id):
                told = debug.server_timing(
                    headers, pop=self._pop, request_id=request_id, outcome=outcome, started_at=started_at, now=now
                )
                lines = [line for line in lines if line[0] != debug.SERVER_TIMING]
                lines.append((debug.SERVER_TIMING, told))
        return lines

    def own(
        self, status: int, reason: str, words: str, outcome: Outcome, now: float, decoration: Decoration | None = None,
        *, member: str | None = None,
    ) -> tuple[Lines, str]:  # fmt: skip
        """Lines and body of an answer that this node makes by itself; `words` as `FailureAnswer` has them.

        `member`: ours of Cache-Status, where there is more to say than the reason.
        """
        member = member or f"{self._name}; detail={quoted(reason)}"
        request_id = self._fresh_id()
        page = self._profile.page(Incident(status, reason, words, request_id, self.identity, now))
        lines: Lines = [("date", format_date(now)), ("content-type", page.content_type)]
        if self._family is ResponseFields.STANDARD:
            # Never stored by anyone, readable across origins.
            lines += [
                ("cache-control", "no-store"),
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "Cache-Status"),
                ("via", self._via),
                ("cache-status", member),
            ]
            return lines if decoration is None else decoration.applied(lines), page.body
        nothing = Headers.wrap(lines)
        lines = self.signed(nothing, decoration, status, outcome, member, None, now)
        return lines + self.by_request(
            nothing, hits=0, started_at=now, now=now, asked=False, request_id=request_id
        ), page.body

    def _x_cache(self, status: int, outcome: Outcome) -> str:
        if status >= 400 and self._profile.x_cache_error is not None:
            return self._profile.x_cache_error
        if outcome is Outcome.REFUSED and 300 <= status < 400 and self._profile.x_cache_redirect is not None:
            return self._profile.x_cache_redirect
        if outcome in _FROM_STORE:
            return self._profile.x_cache[0]
        return self._profile.x_cache_revalidated if outcome is Outcome.REVALIDATED else self._profile.x_cache[1]


def server_identity(name: str) -> str:
    """A node's name as a cache server of a data centre has one: `cache-fra1234-FRA`."""
    return f"cache-{name[:3]}{int(sha256(name.encode()).hexdigest()[:4], 16)}-{name[:3].upper()}"


def numbered(name: str) -> Callable[[], str]:
    """Request ids that look the part, the same in every run: 56 characters, the last two "=="."""
    counter = count(1)
    return lambda: sha256(f"{name} {next(counter)}".encode()).hexdigest()[:54] + "=="


def quoted(text: str) -> str:
    """An RFC 9651 string."""
    printable = "".join(c if 0x20 <= ord(c) < 0x7F else "?" for c in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _after(headers: Headers, name: str, own: str) -> str:
    """Ours at the end of the parent's list: the shield stands first (Fastly, "X-Cache")."""
    above = headers.joined(name)
    return own if above is None else f"{above}, {own}"


_OURS = debug.FASTLY_DEBUG | {
    "age", "x-cache", "x-served-by", "x-cache-hits", "x-timer", "x-amz-cf-pop", "x-amz-cf-id",
}  # fmt: skip
"""Fields that a node writes anew; those of nodes above are in the lists it writes, or are gone."""

_FROM_STORE = frozenset({Outcome.HIT, Outcome.HIT_STALE, Outcome.COLLAPSED, Outcome.REFUSED})
"""What X-Cache calls a hit; a refusal is synthetic, which Fastly counts so."""
