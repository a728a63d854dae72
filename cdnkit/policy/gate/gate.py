"""The gate: protocol, place, token. The first refusal wins, and it stands before the cache."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from cdnkit.policy.gate.geo import Rule
from cdnkit.policy.gate.https_only import told
from cdnkit.policy.gate.rates import Rates
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.record import secrets
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.policy.token import Carriers, scheme_of
from cdnkit.policy.token.playlist import Propagation, asked_unknown, propagation_of


class Gate(Protocol):
    """Decides who may ask. `cdnkit/replay/` puts a gate in its place that repeats what a live gate said."""

    prefixes: tuple[str, ...]
    """Beginnings of paths that go on with a token, whichever behavior rules the rest."""
    params: frozenset[str]
    """Query parameters that carry tokens anywhere in the service: no record shows their values."""
    headers: frozenset[str]
    """Request fields that do."""

    def hurried(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None: ...
    def paces(self, behavior: Behavior) -> Sequence[Rates]: ...
    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None: ...
    def stripped(self, request: RequestHead, behavior: Behavior) -> RequestHead: ...
    def propagation(
        self, request: RequestHead, behavior: Behavior, answer: tuple[int, str] | None = None
    ) -> Propagation | None: ...


class ServiceGate:
    """The gate a service's settings describe."""

    def __init__(self, service: Service, keys: Mapping[str, Mapping[str, str]], *, redirect_others: int = 307) -> None:
        """`keys` by token name and key id, for those the settings keep in files. ValueError when one is no key.

        `redirect_others` as a profile has it.
        """
        self._https_port, self._redirect_others = service.https_port, redirect_others
        self._open = not service.gate
        self._rates = {
            id(behavior.rate_limit): Rates(behavior.rate_limit)
            for behavior in service.behaviors
            if behavior.rate_limit is not None and service.gate
        }
        node = service.rate_limit if service.gate else None
        self._node_rates = () if node is None else (Rates(node),)
        self._paced = bool(self._rates or self._node_rates)
        self._rules: dict[int, Rule] = {}
        self._propagate = {
            name: token.propagate
            for name, token in service.tokens.items()
            if service.gate and token.propagate != "none"
        }
        self._schemes = {
            name: scheme_of(token, {**token.texts(), **keys.get(name, {})}) for name, token in service.tokens.items()
        }
        carriers = [scheme.carriers for scheme in self._schemes.values()]
        self.prefixes = tuple({one.prefix for one in carriers if one.prefix}) if service.gate else ()
        self.params = secrets.PARAMS | {name for one in carriers for name in one.params}
        self.headers = frozenset(name for one in carriers for name in one.headers)

    def hurried(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None:
        """Whether the client asks more often than it may. Each call counts as a request."""
        if not self._paced:
            return None
        for rates in self.paces(behavior):
            wait = rates.take(request.client_ip, now)
            if wait:
                return Refusal(429, f"rate: more than {rates.settings.words}", retry_after=wait)
        return None

    def paces(self, behavior: Behavior) -> Sequence[Rates]:
        """The limits that a request under this behavior is counted by: its own, then the node's."""
        own = self._rates.get(id(behavior.rate_limit))
        return self._node_rates if own is None else (own, *self._node_rates)

    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None:
        if self._open:
            return None
        if behavior.viewer_protocol != "allow-all":
            moved = told(request, behavior.viewer_protocol, self._redirect_others, self._https_port)
            if moved is not None:
                status, location = moved
                reason = "HTTPS alone is served here" if location is None else "sent to HTTPS"
                return Refusal(status, f"protocol: {reason}", location=location)
        if behavior.geo is not None:
            rule = self._rules.get(id(behavior.geo)) or self._compiled(behavior.geo)
            objection = rule.objection(request.place, request.client_ip)
            if objection is not None:
                # CloudFront, "Restrict the geographic distribution of your content": a custom error page applies.
                return Refusal(403, f"geo: {objection}", paged=True)
        if behavior.token is not None:
            scheme = self._schemes[behavior.token]
            denial = scheme.check(request, now)
            if denial is not None:
                reason = f"token: {denial.verdict.value}"
                return Refusal(scheme.status(denial), reason, denial.facts(), scheme.body(denial))
        return None

    def stripped(self, request: RequestHead, behavior: Behavior) -> RequestHead:
        """The request as cache, origin and record may see it: without its token, wherever that stood.

        A playlist that is rewritten on its way out is asked for whole, plain, and by its own entity tag.
        """
        if self._open:
            return request
        scheme = None if behavior.token is None else self._schemes[behavior.token]
        for prefix in self.prefixes:
            # Also where the behavior asks for no token, or for another: a prefix is the settings' own.
            if request.path.startswith(prefix) and (scheme is None or scheme.carriers.prefix != prefix):
                request = Carriers(prefix=prefix).stripped(request)
        if scheme is None:
            return request
        bare = scheme.carriers.stripped(request)
        how = self._propagate.get(behavior.token or "")
        if how is None:
            return bare
        carries = self.propagation(request, behavior)
        return asked_unknown(request, bare, scheme, how) if carries is None else carries.asked(bare)

    def propagation(
        self, request: RequestHead, behavior: Behavior, answer: tuple[int, str] | None = None
    ) -> Propagation | None:
        """How the answer to this (good) request takes its token on; None where it does not, which is nearly always.

        `answer`: its status and Content-Type; None: it has not come.
        """
        token = behavior.token
        if token is None or (how := self._propagate.get(token)) is None:
            return None
        return propagation_of(request, self._schemes[token], how, answer)

    def _compiled(self, geo: Geo) -> Rule:
        rule = self._rules[id(geo)] = Rule(geo)
        return rule
