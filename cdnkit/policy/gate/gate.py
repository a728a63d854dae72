"""The gate: protocol, place, token. The first refusal wins, and it stands before the cache.

A gate is compiled once into a guard for each behavior; a request is then asked of its behavior's guard alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cdnkit.policy.gate.geo import GeoRule
from cdnkit.policy.gate.https_only import told
from cdnkit.policy.gate.rates import Rates
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.token import Carriers, scheme_of
from cdnkit.policy.token.playlist import Inherited
from cdnkit.policy.token.scheme import split_path


@dataclass(slots=True)
class Admitted:
    """A request that carried a token, as it goes on."""

    public: RequestHead
    """As cache, origin and record may see it: without its token, wherever that stood."""
    inherited: Inherited | None = None
    """The token, for the children of a playlist; None where the answer takes none on, which is nearly always."""


class Guard(Protocol):
    """Decides who may ask under one behavior."""

    @property
    def rates(self) -> Sequence[Rates]:
        """The limits that a request is counted by: the behavior's own, then the node's."""
        ...

    def hurried(self, request: RequestHead, now: float) -> Refusal | None:
        """Whether the client asks more often than it may. Each call counts as a request."""
        ...

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """Why the request is refused by protocol, place or token."""
        ...

    def admitted(self, request: RequestHead) -> Admitted | None:
        """The request without its token, good or not; None: it may go on as it came."""
        ...


class Gate(Protocol):
    """Decides who may ask. `cdnkit/replay/` puts a gate in its place that repeats what a live gate said."""

    prefixes: tuple[str, ...]
    """Beginnings of paths that go on with a token, whichever behavior rules the rest."""
    params: frozenset[str]
    """Query parameters that carry tokens anywhere in the service: no record shows their values."""
    headers: frozenset[str]
    """Request fields that do."""

    def path_proper(self, path: str) -> str:
        """The path without a token that stands before it; the same object where none does."""
        ...

    def guard_of(self, behavior: Behavior) -> Guard:
        """What this gate asks under one behavior; called once for each, since a guard counts requests."""
        ...


class ServiceGate:
    """The gate a service's settings describe."""

    def __init__(self, service: Service, keys: Mapping[str, Mapping[str, str]], *, redirect_others: int = 307) -> None:
        """`keys` by token name and key id, for those the settings keep in files. ValueError when one is no key.

        `redirect_others` as a profile has it.
        """
        self.https_port, self.redirect_others = service.https_port, redirect_others
        self.open = not service.gate
        self.tokens = service.tokens
        self.rates = () if self.open or service.rate_limit is None else (Rates(service.rate_limit),)
        """The node's own limit, which all guards share."""
        self.schemes = {
            name: scheme_of(token, {**token.inline_keys(), **keys.get(name, {})})
            for name, token in service.tokens.items()
        }
        carriers = [scheme.carriers for scheme in self.schemes.values()]
        self.prefixes = () if self.open else tuple(dict.fromkeys(one.prefix for one in carriers if one.prefix))
        self.params = frozenset(name for one in carriers for name in one.params)
        self.headers = frozenset(name for one in carriers for name in one.headers)

    def path_proper(self, path: str) -> str:
        for prefix in self.prefixes:
            if path.startswith(prefix):
                return split_path(path, prefix)[1]
        return path

    def guard_of(self, behavior: Behavior) -> "ServiceGuard":
        return ServiceGuard(self, behavior)


class ServiceGuard:
    """One behavior's part of a `ServiceGate`: its limit, its geo rule and its token scheme, ready to be asked."""

    __slots__ = (
        "_geo", "_https_port", "_open", "_prefixes", "_propagate", "_redirect_others", "_scheme", "_viewer_protocol",
        "rates",
    )  # fmt: skip

    def __init__(self, gate: ServiceGate, behavior: Behavior) -> None:
        self._open = gate.open
        own = None if gate.open else behavior.rate_limit
        self.rates: tuple[Rates, ...] = gate.rates if own is None else (Rates(own), *gate.rates)
        self._viewer_protocol = behavior.viewer_protocol
        self._https_port, self._redirect_others = gate.https_port, gate.redirect_others
        self._geo = None if behavior.geo is None else GeoRule(behavior.geo)
        self._scheme = None if behavior.token is None else gate.schemes[behavior.token]
        self._propagate = "none" if behavior.token is None or gate.open else gate.tokens[behavior.token].propagate
        own_prefix = "" if self._scheme is None else self._scheme.carriers.prefix
        self._prefixes = tuple(prefix for prefix in gate.prefixes if prefix != own_prefix)
        """Those of other behaviors' tokens: a prefix is the settings' own wherever it is asked for."""

    def hurried(self, request: RequestHead, now: float) -> Refusal | None:
        for rates in self.rates:
            wait = rates.take(request.client_ip, now)
            if wait:
                return Refusal(429, f"rate: more than {rates.settings.words}", retry_after=wait)
        return None

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if self._open:
            return None
        if self._viewer_protocol != "allow-all":
            moved = told(request, self._viewer_protocol, self._redirect_others, self._https_port)
            if moved is not None:
                status, location = moved
                reason = "HTTPS alone is served here" if location is None else "sent to HTTPS"
                return Refusal(status, f"protocol: {reason}", location=location)
        if self._geo is not None:
            objection = self._geo.objection(request.place, request.client_ip)
            if objection is not None:
                # CloudFront, "Restrict the geographic distribution of your content": a custom error page applies.
                return Refusal(403, f"geo: {objection}", paged=True)
        if self._scheme is not None:
            denial = self._scheme.check(request, now)
            if denial is not None:
                reason = f"token: {denial.verdict.value}"
                return Refusal(self._scheme.status(denial), reason, denial.facts(), self._scheme.body(denial))
        return None

    def admitted(self, request: RequestHead) -> Admitted | None:
        """A playlist that is rewritten on its way out is asked for whole, plain, and by its own entity tag."""
        if self._open:
            return None
        came = request
        for prefix in self._prefixes:
            if request.path.startswith(prefix):
                request = Carriers(prefix=prefix).stripped(request)
        scheme = self._scheme
        if scheme is None:
            return None if request is came else Admitted(request)
        bare = scheme.carriers.stripped(request)
        if self._propagate == "none":
            return None if bare is came else Admitted(bare)
        # Also with another token before its path: it is how the viewer asks for the children.
        inherited = Inherited(came, scheme, self._propagate)
        return Admitted(inherited.cache_request(bare), inherited)
