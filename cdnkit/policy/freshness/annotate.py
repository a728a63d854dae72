"""What a stored response's fields say about its caching, and what became of each word: read, or ignored and why.

The annotations put into words what `lifetime.py`, `storable.py` and `directives.py` decided. Where a value or a winner
is in question, their own functions answer. Only stored responses are annotated, so nothing here speaks of what forbids
storing.
"""

from dataclasses import dataclass

from cdnkit.policy.freshness import surrogate
from cdnkit.policy.freshness.directives import ResponseDirectives, parse_targeted, response_directives
from cdnkit.policy.freshness.lifetime import (
    SETTING_RULES,
    StaleWindows,
    effective_directives,
    explicit_lifetime,
    freshness_lifetime,
    lifetime_of,
    overridden_by_min_ttl,
    stale_windows,
)
from cdnkit.policy.http import cache_control
from cdnkit.policy.http.dates import parse_date
from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior

TARGETED = "cdn-cache-control"
"""The targeted field of every CDN (RFC 9213); a profile may list others of its own."""

_LIFETIMES = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})

_FOR_OTHERS = {
    "only-if-cached": "speaks in requests",
    "max-stale": "speaks in requests",
    "min-fresh": "speaks in requests",
}


@dataclass(slots=True, frozen=True)
class Annotation:
    """One word of the response, and what became of it."""

    field: str
    """Lower-case field name."""
    word: str
    """The directive as it stands there, or the field's whole value."""
    used: bool
    why: str
    """What it does here, or why it does nothing."""


class Annotator:
    """Reads one stored response under the behavior and profile that keep it."""

    def __init__(self, head: ResponseHead, behavior: Behavior, profile: Profile, rule: str, now: float) -> None:
        """`rule`: what set its freshness lifetime (`Lifetime.rule`)."""
        self._head, self._behavior, self._profile, self._rule = head, behavior, profile, rule
        self._directives: ResponseDirectives = response_directives(head.headers, profile)
        self._errors = profile.error_caching is not None and head.status >= 400
        self._overridden = not self._errors and overridden_by_min_ttl(self._directives.control, behavior, profile)
        # An Expires counts from the arrival or from Date; of an answer kept since then Date is the better guess.
        date = parse_date(head.headers.first("date"), now)
        arrived = now if date is None else date
        fresh_for = lifetime_of(head, behavior, profile, sent_at=arrived, now=arrived).fresh_until - arrived
        self.windows: StaleWindows = stale_windows(
            effective_directives(head, behavior, profile), behavior, profile, fresh_for=fresh_for
        )
        self._explicit, self._source = explicit_lifetime(head, self._directives, profile, arrived)
        self._seconds, self._bound = freshness_lifetime(head, behavior, profile, arrived)

    def lifetime(self) -> str:
        """In words, how the freshness lifetime came to be."""
        rule, stated, seconds = self._rule, f"{self._explicit or 0:g} s", f"{self._seconds or 0:g} s"
        if rule == "soft-purge":
            return f"soft purge: it ended a lifetime of {seconds}"
        if rule == "none":
            return "none: nothing names a lifetime"
        if rule == "heuristic":
            return f"heuristic: {seconds}, a share of the time since Last-Modified"
        if rule not in SETTING_RULES:
            return f"{rule}: {seconds}"
        if self._overridden:
            return f"{rule}: {seconds}, against the origin's will"
        if self._explicit is None:
            return f"{rule}: {seconds}, as the origin names none"
        if rule != self._bound:
            return f"{rule}: {self._behavior.ttl.min:g} s from its arrival, as its age leaves less of {stated}"
        return f"{rule} {'cut' if rule == 'ttl.max' else 'raised'} {stated} to {seconds}"

    def annotations(self) -> list[Annotation]:
        """Every word of the response that speaks of caching, in the order in which the fields are looked at."""
        found = [note for name in self._targeted_names() for note in self._targeted(name)]
        found += self._surrogate()
        text = self._head.headers.joined("cache-control")
        for name, argument in self._words(text or "").items():
            word = name if argument is None else f"{name}={argument}"
            if self._directives.targeted:
                found.append(Annotation("cache-control", word, False, f"{self._ruler()} rules alone"))
            else:
                found.append(Annotation("cache-control", word, *self._directive(name, argument)))
        for name, explain in (
            ("expires", self._expires),
            ("age", self._age),
            ("pragma", self._pragma),
            ("vary", self._vary),
        ):
            value = self._head.headers.joined(name)
            if value is not None:
                found.append(Annotation(name, value, *explain()))
        modified = self._head.headers.first("last-modified")
        if modified is not None and self._rule == "heuristic":
            found.append(Annotation("last-modified", modified, True, "the lifetime is a share of the time since then"))
        return found

    def _words(self, text: str) -> dict[str, str | None]:
        """Cache-Control's directives, followed by those found inside other directives' quotes."""
        as_written = self._profile.directive_case
        words = cache_control.directives(text, as_written=as_written)
        return (
            words | cache_control.searched(text, as_written=as_written) if self._profile.directives_searched else words
        )

    # ---- fields that come before Cache-Control -----------------------------------------------------------------

    def _targeted_names(self) -> list[str]:
        return [*self._profile.targeted_fields, *({TARGETED} - set(self._profile.targeted_fields))]

    def _ruler(self) -> str:
        """The targeted field whose directives count."""
        if self._directives.surrogate:
            return "surrogate-control"
        headers = self._head.headers
        return next(n for n in self._profile.targeted_fields if parse_targeted(headers.joined(n) or "") is not None)

    def _targeted(self, name: str) -> list[Annotation]:
        text = self._head.headers.joined(name)
        if text is None:
            return []
        if name not in self._profile.targeted_fields:
            return [Annotation(name, text, False, f"{self._profile.name} does not read it")]
        if parse_targeted(text) is None:
            return [Annotation(name, text, False, "no valid dictionary, so as if it were not there (RFC 9213 §2.1)")]
        if name != self._ruler():
            return [Annotation(name, text, False, f"{self._ruler()} comes first")]
        return [
            Annotation(
                name,
                directive if argument is None else f"{directive}={argument}",
                *self._directive(directive, argument),
            )
            for directive, argument in cache_control.directives(text).items()
        ]

    def _surrogate(self) -> list[Annotation]:
        text = self._head.headers.joined("surrogate-control")
        if text is None:
            return []
        if self._profile.surrogate:
            return self._as_surrogate(text)
        if not self._profile.surrogate_control:
            return [Annotation("surrogate-control", text, False, f"{self._profile.name} does not read it")]
        found = []
        for name, argument in cache_control.directives(text).items():
            if name == "max-age":
                result = (True, self._sets())
            elif name in _LIFETIMES - {"s-maxage"}:
                result = self._window(name)
            else:
                result = (False, "not read in this field")
            found.append(Annotation("surrogate-control", name if argument is None else f"{name}={argument}", *result))
        return found

    def _as_surrogate(self, text: str) -> list[Annotation]:
        """Surrogate-Control by the W3C Note's rules."""
        if self._directives.targeted and not self._directives.surrogate:
            return [Annotation("surrogate-control", text, False, f"{self._ruler()} comes first")]
        if not self._directives.surrogate:
            return [Annotation("surrogate-control", text, False, "says nothing of caching to this node")]
        effective, found = surrogate.effective(text), []
        for name, argument, device in surrogate.members(text):
            word = f"{name}={argument}" if argument is not None else name
            if device not in (None, surrogate.DEVICE):
                result = (False, "meant for another")
            elif effective[name] != argument:
                result = (False, f"{name}={effective[name]} comes before it")
            elif name == "max-age":
                result = (True, self._sets())
            elif name in _LIFETIMES - {"s-maxage"}:
                result = self._window(name)
            else:
                result = (False, "not read in this field")
            found.append(Annotation("surrogate-control", word if device is None else f"{word};{device}", *result))
        return found

    # ---- directives --------------------------------------------------------------------------------------------

    def _directive(self, name: str, argument: str | None) -> tuple[bool, str]:
        if name in ("max-age", "s-maxage"):
            return self._lifetime_directive(name, argument)
        if name in ("stale-while-revalidate", "stale-if-error"):
            return self._window(name)
        if name in ("no-store", "no-cache", "private"):
            return self._ban(name, argument)
        if name in ("must-revalidate", "proxy-revalidate"):
            return True, "never served stale"
        if name == "immutable":
            honoured = self._profile.request_directives
            return (
                honoured,
                "no reload asks about it while it is fresh" if honoured else "no reload asks about anything here",
            )
        if name == "public":
            by_default = self._rule in SETTING_RULES | {"heuristic"}
            return by_default, "may be stored without a lifetime" if by_default else "it may be stored without it"
        if name == "no-transform":
            kept = self._behavior.compress
            return kept, "not compressed here" if kept else "nothing is transformed here"
        if name == "must-understand":
            both = self._directives.control.no_store
            return both, "the status is understood, so no-store does not count" if both else "stands without no-store"
        if name != name.lower():
            return False, f"{self._profile.name} hears directives in lower case alone"
        return False, _FOR_OTHERS.get(name, "not known here")

    def _lifetime_directive(self, name: str, argument: str | None) -> tuple[bool, str]:
        if self._overridden:
            return False, "ttl.min keeps it against the origin's will"
        control = self._directives.control
        if self._directives.surrogate:
            return False, "surrogate-control wins"
        if name == "max-age" and control.s_maxage is not None:
            return False, "s-maxage wins"
        if getattr(control, name.replace("-", "_")) is None:
            return False, f"{self._profile.name} reads no lifetime that is in quotes itself"
        unreadable = cache_control.delta_seconds(argument) is None
        return True, ("unreadable, so it counts as 0: " if unreadable else "") + self._sets()

    def _sets(self) -> str:
        if self._rule in SETTING_RULES | {"soft-purge"}:
            return f"names the lifetime; {self._rule} sets it"
        return "sets the lifetime"

    def _window(self, name: str) -> tuple[bool, str]:
        rule = self.windows.refresh_rule if name == "stale-while-revalidate" else self.windows.error_rule
        if rule == name:
            return True, "may be served stale for so long" + ("" if "while" in name else " when the origin fails")
        if name == "stale-if-error" and not self._profile.origin_stale_if_error:
            return False, f"{self._profile.name} heeds only the behavior's"
        return False, f"{rule} leaves no room for it" if rule == "ttl.max" else f"{rule} forbids it"

    def _ban(self, name: str, argument: str | None) -> tuple[bool, str]:
        if argument and self._profile.pass_words is None:
            return True, f"the field {argument} is not kept"
        if self._overridden:
            return False, "a ttl.min above 0 overrides it"
        if self._profile.pass_words is not None:
            return False, f"{self._profile.name} does not hear it"
        if self._errors:
            return False, "an error of this status is kept whatever it says"
        if name == "no-cache":
            return True, "asked again before every use"
        return False, "must-understand stands beside it"

    # ---- other fields ------------------------------------------------------------------------------------------

    def _expires(self) -> tuple[bool, str]:
        if self._directives.targeted:
            return False, f"{self._ruler()} rules alone"
        if self._overridden:
            return False, "ttl.min keeps it against the origin's will"
        return (True, self._sets()) if self._source == "expires" else (False, f"{self._source} wins")

    def _age(self) -> tuple[bool, str]:
        if self._rule == "expires" and self._profile.expires_restarts_age:
            return False, "a lifetime from Expires starts at age 0"
        if self._profile.bounds_from_arrival and self._rule in SETTING_RULES:
            return False, f"{self._rule} counts from the arrival"
        return True, "so old was it on arrival"

    def _pragma(self) -> tuple[bool, str]:
        return False, "means nothing in a response (RFC 9111 §5.4)"

    def _vary(self) -> tuple[bool, str]:
        if not self._profile.vary_selects:
            return False, "only the cache key makes variants here"
        if self._head.headers.joined("vary") == "*":
            return False, f"{self._profile.name} takes no account of it"
        return True, "a request must have the same of these fields"
