"""Who may be given what: the caching law told a second time, from the origin's own words as values.

It shares nothing with `cdnkit/policy/`: no parser, no instants computed in advance. It is written to be fair rather than
complete (where the law leaves a choice it allows both), so what it calls wrong is wrong.
"""

from dataclasses import dataclass, field, replace
from math import inf

from tests.random.fuzz.steps import Ask, Directives

HEURISTIC = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""RFC 9110 §15.1."""
LONGEST = 2**31
ABOUT = 1e-6


@dataclass(slots=True, frozen=True)
class Rules:
    """What the settings of a path add to the origin's words."""

    cached: bool = True
    least: float = 0.0
    most: float = inf
    default: float | None = None
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    error_ttl: float = 1.0


@dataclass(slots=True)
class View:
    """What the origin last said of a body: at its arrival, or when it was validated."""

    control: Directives
    vary: str | None
    date: float
    """As sent: whole seconds."""
    expires: float | None
    modified: float | None
    age: float
    sent_at: float
    landed_at: float
    stale_from: float = inf
    """A soft purge: not fresh from here on."""

    def current_age(self, now: float) -> float:
        """RFC 9111 §4.2.3."""
        apparent = max(0.0, int(self.landed_at) - self.date)
        corrected = self.age + self.landed_at - self.sent_at
        return max(apparent, corrected) + now - self.landed_at

    def lifetime(self, status: int, rules: Rules) -> float:
        """RFC 9111 §4.2.1 for a shared cache, and the bounds of the settings."""
        if "s-maxage" in self.control:
            stated = seconds(self.control["s-maxage"])
        elif "max-age" in self.control:
            stated = seconds(self.control["max-age"])
        elif self.expires is not None:
            stated = max(0.0, self.expires - self.date)
        elif status in (404, 410):
            return rules.error_ttl
        elif status not in HEURISTIC and "public" not in self.control:
            return 0.0
        elif rules.default is not None:
            return max(rules.default, rules.least)
        else:
            stated = 0.0 if self.modified is None else min(86_400.0, 0.1 * max(0.0, self.date - self.modified))
        return max(min(stated, rules.most), rules.least)

    def fresh_until(self, status: int, rules: Rules) -> float:
        return min(self._fresh_unpurged(status, rules), self.stale_from)

    def told_age(self, status: int, rules: Rules, now: float) -> float:
        """What Age may say: a soft purge ages it by what it had left, so that no other cache takes it for fresh."""
        return self.current_age(now) + max(0.0, self._fresh_unpurged(status, rules) - self.stale_from)

    def _fresh_unpurged(self, status: int, rules: Rules) -> float:
        born = self.landed_at - self.current_age(self.landed_at)
        return born + self.lifetime(status, rules)


@dataclass(slots=True)
class Body:
    """One version of one URL, and how it came here."""

    target: str
    version: int
    content: bytes
    status: int
    fetch_id: int
    opened: int
    """The step at which its fetch began."""
    etag: str | None
    authorized: bool
    """Its request carried Authorization."""
    suits: list[dict[str, str]]
    """Fields of requests for which the origin sent, or confirmed, this very body."""
    views: list[View]
    """What the origin may have meant last; more than one where the law leaves the cache a choice."""
    surrogate_keys: frozenset[str]
    whole: bytes = b""
    """The representation that `content` is of: all of it, or the part that begins at byte `first`."""
    first: int = 0
    broken: int | None = None
    """The step at which its transfer broke off."""
    removed: list[tuple[int, str]] = field(default_factory=list)
    """Steps at which it was purged or invalidated, and why."""
    validated_by: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Asker:
    """A request and what it has under way."""

    ask: Ask
    step: int
    at: float
    name: str
    fetches: set[int] = field(default_factory=set)
    joined: bool = False


@dataclass(slots=True, frozen=True)
class Complaint:
    """What is wrong: a word for the kind, and a sentence."""

    kind: str
    sentence: str


class Wrong(Exception):
    """The node did what it may not do."""

    def __init__(self, complaint: Complaint, expression: str) -> None:
        super().__init__(f"{complaint.kind}: {complaint.sentence}")
        self.complaint = complaint
        self.expression = expression
        """Where in the playbook the wrong answer stands."""


def claim(holds: bool, kind: str, sentence: str, expression: str) -> None:
    """`Wrong` unless it holds."""
    if not holds:
        raise Wrong(Complaint(kind, sentence), expression)


def seconds(argument: str | None) -> float:
    """delta-seconds; what cannot be read is 0 (RFC 9111 §4.2.1, §1.2.2)."""
    return float(min(int(argument), LONGEST)) if argument and argument.isascii() and argument.isdigit() else 0.0


def same_field(name: str, one: str | None, other: str | None) -> bool:
    """Equal as Vary compares (RFC 9111 §4.1): for languages case and order may be looked over."""
    if one is None or other is None:
        return one is other

    def members(text: str) -> list[str]:
        found = [part.strip() for part in text.split(",")]
        return sorted(part.lower() for part in found) if name == "accept-language" else found

    return members(one) == members(other)


def range_of(text: str, length: int) -> tuple[int, int] | None:
    """(first, last) of a single byte range of `length` bytes; None where there is none such (RFC 9110 §14.1.2)."""
    unit, _, spec = text.partition("=")
    first, dash, last = spec.partition("-")
    if unit != "bytes" or not dash or "," in spec:
        return None
    begin = int(first) if first else max(0, length - int(last))
    end = min(int(last), length - 1) if first and last else length - 1
    return (begin, end) if begin <= end else None


def selects(view: View, body: Body, ask: Ask) -> bool:
    names = [name.strip().lower() for name in (view.vary or "").split(",") if name.strip()]
    if "*" in names:
        return False
    return any(all(same_field(n, suits.get(n), ask.fields.get(n)) for n in names) for suits in body.suits)


def sharing_complaint(body: Body, asker: Asker, rules: Rules, now: float, failed: str | None) -> Complaint | None:
    """Why this body, brought by somebody else's request, may not answer this one at `now`; None when it may.

    `failed`: how the origin failed this very request: "silent" (no answer), "error" (5xx), or None.
    """
    if body.target != asker.ask.target:
        return Complaint("other-url", f"asked {asker.ask.target}, given {body.target} v{body.version}")
    if asker.ask.method not in ("GET", "HEAD"):
        return Complaint("unsafe-from-store", f"a {asker.ask.method} was answered from the store")
    if body.broken is not None and body.broken < asker.step:
        return Complaint("half-a-body", f"v{body.version} broke off at step {body.broken}")
    for step, why in body.removed:
        if body.opened < step < asker.step:
            return Complaint(
                f"after-{why}",
                f"v{body.version}: asked of the origin at step {body.opened}, {why} at step {step}, "
                f"given to one who came at step {asker.step}",
            )
    if "no-cache" in asker.ask.control and failed is None:
        return Complaint("request-no-cache", "the request wanted the origin asked")
    complaints = [_view_complaint(view, body, asker, rules, now, failed) for view in body.views]
    return None if None in complaints else complaints[-1]


def _view_complaint(
    view: View, body: Body, asker: Asker, rules: Rules, now: float, failed: str | None
) -> Complaint | None:
    control, ask = view.control, asker.ask
    told = f"v{body.version} ({body.status}, {_text(control)})"
    understood = "must-understand" in control and body.status != 299
    # One error for all who waited for it is a choice of this cache, so what an error says of its lifetime is not asked.
    # Whom it was meant for is.
    shared_error = failed == "error" and body.status >= 500
    if "no-store" in control and not understood and not shared_error:
        return Complaint("no-store", f"{told} was given to another")
    if "private" in control and control["private"] is None:
        return Complaint("error-private" if shared_error else "private", f"{told} was given to another")
    if body.authorized and not {"public", "s-maxage", "must-revalidate"} & control.keys():
        return Complaint(
            "error-authorization" if shared_error else "authorization",
            f"{told}, answer to a request with Authorization, was given to another",
        )
    if shared_error and "*" in (view.vary or ""):
        return Complaint("error-vary", f"{told}, Vary: {view.vary}, was given to another")
    if not selects(view, body, ask):
        return Complaint("vary", f"{told}, Vary: {view.vary}, for {body.suits}, was given to {ask.fields}")
    if not rules.cached:
        return Complaint("bypass", f"{told}: the behavior does not cache")
    if shared_error:
        return None
    fresh_until = view.fresh_until(body.status, rules)
    if "no-cache" in control and control["no-cache"] is None:
        return Complaint("no-cache", f"{told} was given to another without asking")
    if not asker.joined and failed is None:
        age = view.current_age(now)
        if "max-age" in ask.control and age > seconds(ask.control["max-age"]) + ABOUT:
            return Complaint("request-max-age", f"{told} is {age:.2f} s old; wanted {_text(ask.control)}")
        wanted = seconds(ask.control.get("min-fresh"))
        if "min-fresh" in ask.control and fresh_until - now < wanted - ABOUT:
            return Complaint("request-min-fresh", f"{told}; wanted {_text(ask.control)}")
    if now < fresh_until + ABOUT:
        return None
    staleness = now - fresh_until
    if staleness <= _stale_allowance(control, ask, rules, failed) + ABOUT:
        return None
    return Complaint("stale", f"{told} is stale for {staleness:.2f} s, beyond its permission")


def _stale_allowance(control: Directives, ask: Ask, rules: Rules, failed: str | None) -> float:
    """For how long after its freshness it may be used (RFC 9111 §4.2.4, RFC 5861)."""
    if {"must-revalidate", "proxy-revalidate"} & control.keys():
        return 0.0
    shared = "s-maxage" in control  # implies proxy-revalidate but for what the origin says itself
    windows = [0.0]
    if "stale-while-revalidate" in control:
        windows.append(seconds(control["stale-while-revalidate"]))
    elif not shared:
        windows.append(rules.stale_while_revalidate)
    if "max-stale" in ask.control and not shared:
        windows.append(inf if ask.control["max-stale"] is None else seconds(ask.control["max-stale"]))
    if failed is not None:
        if "stale-if-error" in control:
            windows.append(seconds(control["stale-if-error"]))
        elif not shared:
            windows.append(inf if failed == "silent" else rules.stale_if_error)
    return max(windows)


def updated(
    old: View, *, control: Directives, vary: str | None, date: float, expires: float | None,
    modified: float | None, age: float, sent_at: float, landed_at: float, stale_from: float,
) -> View:  # fmt: skip
    """After a 304: what it says replaces what was said; what it does not mention stays (RFC 9111 §3.2).

    `stale_from`: a soft purge came between the question and the 304; infinite where none did.
    """
    return replace(
        old,
        control=control or old.control,
        vary=vary if vary is not None else old.vary,
        date=date,
        expires=expires if expires is not None else old.expires,
        modified=modified if modified is not None else old.modified,
        age=age,
        sent_at=sent_at,
        landed_at=landed_at,
        stale_from=stale_from,
    )


def _text(control: Directives) -> str:
    return ", ".join(name if value is None else f"{name}={value}" for name, value in control.items()) or "no directives"
