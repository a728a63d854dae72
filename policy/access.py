"""The gate: method, place, token. The first refusal wins, and it stands before the cache."""

from dataclasses import dataclass
from typing import Protocol

from policy.geo import why_refused
from policy.messages import RequestHead
from policy.service import Behavior, Service
from policy.token import FastlyToken, Verdict


@dataclass(slots=True)
class Refusal:
    """Why not: a status, and a reason a person can act on."""

    status: int
    reason: str


class Gate(Protocol):
    """Decides who may ask. `replay/` puts a gate in its place that repeats what a live gate said."""

    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None: ...
    def secret_parameter(self, behavior: Behavior) -> str | None: ...


class ServiceGate:
    """The gate a service's settings describe."""

    def __init__(self, service: Service, secrets: dict[str, str]) -> None:
        """`secrets`: base64 keys by token name, for those the settings keep in files."""
        self._open = not service.gate
        self._tokens = {
            name: FastlyToken(secrets.get(name) or token.key or "", hash=token.hash, param=token.param)
            for name, token in service.tokens.items()
        }
        self._expired_status = {name: token.expired_status for name, token in service.tokens.items()}

    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None:
        if self._open:
            return None
        if behavior.geo is not None:
            why = why_refused(behavior.geo, request.country)
            if why is not None:
                return Refusal(403, f"geo: {why}")
        if behavior.token is not None:
            verdict = self._tokens[behavior.token].check(request.path, request.query, now)
            if verdict is Verdict.EXPIRED:
                return Refusal(self._expired_status[behavior.token], f"token: {verdict.value}")
            if verdict is not Verdict.GOOD:
                return Refusal(403, f"token: {verdict.value}")
        return None

    def secret_parameter(self, behavior: Behavior) -> str | None:
        """The query parameter that must reach neither key, origin nor record."""
        return None if behavior.token is None else self._tokens[behavior.token].param
