"""Responses to refused requests, prepared: in one second, all that are refused for one reason under one rule get the
same, but for what their own request adds (where to come instead, when to come again)."""

from collections.abc import Callable

from cdnkit.policy.http.memo import LONGEST
from cdnkit.policy.http.messages import Lines
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import PreparedRefusal
from cdnkit.policy.rule import Rule

MOST_REFUSALS = 256
"""A service has a few dozen reasons; some have a number in them, such as the size of a URL that is too long."""

_Key = tuple[Rule, int, str, str, tuple[str, str] | None]


class Refusals:
    """The prepared responses of one node."""

    __slots__ = ("_known", "_make")

    def __init__(self, make: Callable[[Refusal, Rule, float], tuple[Lines, bytes]]) -> None:
        """`make`: lines and body of the response at a time; they change with its second alone."""
        self._make = make
        self._known: dict[_Key, PreparedRefusal] = {}

    def __len__(self) -> int:
        return len(self._known)

    def response(self, refusal: Refusal, rule: Rule, now: float) -> PreparedRefusal:
        key = (rule, refusal.status, refusal.reason, refusal.words, refusal.page)
        known = self._known.get(key)
        if known is not None and known.kind is refusal.kind and known.second <= now < known.second + 1:
            return known
        made = PreparedRefusal(refusal.kind, int(now), *self._make(refusal, rule, now))
        if len(refusal.reason) <= LONGEST:
            if known is None and len(self._known) >= MOST_REFUSALS:
                self._known.clear()
            self._known[key] = made
        return made
