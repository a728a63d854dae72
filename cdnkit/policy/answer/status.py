"""Fields about how a response was made: Cache-Status (RFC 9211), Via (RFC 9110 §7.6.3), and the profile's."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

from cdnkit.policy.freshness.directives import response_directives
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.outcomes import NOT_FORWARDED, Cause, Outcome, RefusalKind
from cdnkit.policy.rules.profile import Incident, Profile
from cdnkit.policy.rules.response_headers import NODES_OWN
from cdnkit.policy.rules.response_policy import ResponsePolicy
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.signature import Node, Signature, SignedResponse
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
    `had_stale`: a stale response was stored for the key, so a `uri-miss` becomes `stale`.
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
        # A remaining lifetime of half a second is rounded up: 0 would mean stale.
        parts.append(f"ttl={int(ttl) if ttl < 0 else -int(-ttl // 1)}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if detail is not None:
        parts.append(f"detail={detail}")
    return "; ".join(parts)


class Signer:
    """Adds to a response which node made it and how, in the profile's words, behind the members of nodes nearer the
    origin."""

    def __init__(self, name: str, profile: Profile, *, faces_viewers: bool, fresh_id: Callable[[], str]) -> None:
        """`faces_viewers`: fields that only nodes may see are removed. `fresh_id`: a new request id at every call."""
        self._name = name
        self._profile = profile
        self._fresh_id = fresh_id
        mark = sha256(name.encode()).hexdigest()
        self._via = profile.via.format(name=name, hex=mark[:32])
        self.signature = signature = (profile.signature or Signature)(Node(name, faces_viewers, fresh_id))
        hidden = profile.kept_from_viewers if faces_viewers else frozenset[str]()
        self._ends_here = NODES_OWN | signature.names | hidden
        self._date_is_now = profile.date_of_responses == "now"
        self.same_for_all = profile.signature is None
        """Two hits in the same second have the same head."""

    def signed(
        self,
        headers: Headers,
        response_policy: ResponsePolicy | None,
        status: int,
        outcome: Outcome,
        member: str,
        age: int | None,
        now: float,
    ) -> Lines:
        """The response's lines with our own; `Signature.by_request` adds those that no two requests share.

        `response_policy`: what the behavior puts on answers beside. `member` is ours of Cache-Status, `age` whole
        seconds, None where Age is not said.
        """
        lines: Lines = []
        via: str | None = None
        cache_status: str | None = None
        for line in headers.lines:
            field = line[0]
            if field in self._ends_here:
                continue
            if field == "via":
                via = f"{via}, {line[1]}" if via else line[1]
            elif field == "cache-status":
                cache_status = f"{cache_status}, {line[1]}" if cache_status else line[1]
            else:
                lines.append(line)
        if self._date_is_now:
            lines = [("date", format_date(now)) if line[0] == "date" else line for line in lines]
        if response_policy is not None:
            lines = response_policy.applied(lines)
            if not self._date_is_now and not any(name == "date" for name, _ in lines):
                # The policy removed it: then the node's own Date is sent, as its `Server` is.
                lines.append(("date", format_date(now)))
        if age is not None:
            lines.append(("age", str(age)))
        elif self.signature.age_always:
            lines.append(("age", "0"))
        lines.append(("via", f"{via}, {self._via}" if via else self._via))
        x_cache = self._x_cache(status, outcome)
        if not self.same_for_all:
            x_cache = self.signature.sign(lines, headers, x_cache)
        lines.append(("x-cache", x_cache))
        lines.append(("cache-status", f"{cache_status}, {member}" if cache_status else member))
        return lines

    def with_extras(
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
        """A signed answer's lines with what this request asks for beside, where the signature `tells` it.

        `headers` as they came from the parent, `entry`: what is answered with, None where that is nobody else's.
        """

        def stale_if_error() -> float:
            said = response_directives(headers, self._profile).control.stale_if_error
            return float(said) if said is not None else behavior.stale_if_error or self._profile.stale_if_error

        fresh_until = None if entry is None else entry.life.fresh_until
        return self.signature.with_extras(
            SignedResponse(
                request, behavior, outcome, headers, lines, key, fresh_until, stale_if_error, started_at, now
            )
        )

    def generated(
        self, status: int, reason: str, words: str, outcome: Outcome, now: float,
        response_policy: ResponsePolicy | None = None, *, member: str | None = None, kind: RefusalKind | None = None,
    ) -> tuple[Lines, str]:  # fmt: skip
        """Lines and body of an answer that this node makes by itself; `words` as `FailureResponse` has them.

        `member`: ours of Cache-Status, where there is more to say than the reason; `kind`: of a refusal.
        """
        member = member or f"{self._name}; detail={quoted(reason)}"
        request_id = self._fresh_id()
        page = self._profile.page(Incident(status, reason, words, request_id, self._name, now, kind))
        lines: Lines = [("date", format_date(now)), ("content-type", page.content_type)]
        if self.same_for_all:
            # Never stored by anyone, readable across origins.
            lines += [
                ("cache-control", "no-store"),
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "Cache-Status"),
                ("via", self._via),
                ("cache-status", member),
            ]
            return lines if response_policy is None else response_policy.applied(lines), page.body
        nothing = Headers.wrap(lines)
        lines = self.signed(nothing, response_policy, status, outcome, member, None, now)
        return lines + self.signature.by_request(
            nothing, hits=0, started_at=now, now=now, asked=False, request_id=request_id
        ), page.body

    def _x_cache(self, status: int, outcome: Outcome) -> str:
        if status >= 400 and self._profile.x_cache_error is not None:
            return self._profile.x_cache_error
        if outcome is Outcome.REFUSED and 300 <= status < 400 and self._profile.x_cache_redirect is not None:
            return self._profile.x_cache_redirect
        if outcome in NOT_FORWARDED:
            # Refusals too: they are synthetic, and Fastly counts those as hits.
            return self._profile.x_cache[0]
        return self._profile.x_cache_revalidated if outcome is Outcome.REVALIDATED else self._profile.x_cache[1]


def numbered_ids(name: str) -> Callable[[], str]:
    """Request ids in CloudFront's form, the same in every run: 56 characters, the last two "=="."""
    counter = count(1)
    return lambda: sha256(f"{name} {next(counter)}".encode()).hexdigest()[:54] + "=="


@memoized(256)
def quoted(text: str) -> str:
    """An RFC 9651 string."""
    printable = "".join(c if 0x20 <= ord(c) < 0x7F else "?" for c in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
