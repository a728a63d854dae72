"""The gate: method, place, token. The first refusal wins, and it stands before the cache."""

from dataclasses import dataclass
from typing import Protocol

from policy.geo import Rule
from policy.messages import RequestHead
from policy.service import Behavior, Geo, Service
from policy.token import FastlyToken, Verdict


@dataclass(slots=True)
class Refusal:
    """Why not: a status, and a reason a person can act on."""

    status: int
    reason: str
    paged: bool = False
    """A page in place of errors may stand in for it."""

    @classmethod
    def recorded(cls, status: int, reason: str) -> "Refusal":
        """The refusal that a record tells of: the status there may be a page's."""
        paged = reason.startswith("geo: ")
        return cls(403 if paged else status, reason, paged)


class Gate(Protocol):
    """Decides who may ask. `replay/` puts a gate in its place that repeats what a live gate said."""

    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None: ...
    def secret_parameter(self, behavior: Behavior) -> str | None: ...


class ServiceGate:
    """The gate a service's settings describe."""

    def __init__(self, service: Service, secrets: dict[str, str]) -> None:
        """`secrets`: base64 keys by token name, for those the settings keep in files."""
        self._open = not service.gate
        self._rules: dict[int, Rule] = {}
        self._tokens = {
            name: FastlyToken(secrets.get(name) or token.key or "", hash=token.hash, param=token.param)
            for name, token in service.tokens.items()
        }
        self._expired_status = {name: token.expired_status for name, token in service.tokens.items()}

    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None:
        if self._open:
            return None
        if behavior.geo is not None:
            served, why = self._rule(behavior.geo).verdict(request.place, request.client_ip)
            if not served:
                # CloudFront, "Restrict the geographic distribution of your content": a custom error page applies.
                return Refusal(403, f"geo: {why}", paged=True)
        if behavior.token is not None:
            verdict = self._tokens[behavior.token].check(request.path, request.query, now)
            if verdict is Verdict.EXPIRED:
                return Refusal(self._expired_status[behavior.token], f"token: {verdict.value}")
            if verdict is not Verdict.GOOD:
                return Refusal(403, f"token: {verdict.value}")
        return None

    def _rule(self, geo: Geo) -> Rule:
        rule = self._rules.get(id(geo))
        if rule is None:
            rule = self._rules[id(geo)] = Rule(geo)
        return rule

    def secret_parameter(self, behavior: Behavior) -> str | None:
        """The query parameter that must reach neither key, origin nor record."""
        return None if behavior.token is None else self._tokens[behavior.token].param
