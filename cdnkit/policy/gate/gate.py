"""The gate: all checks of a behavior, in their order. They come before the cache, and the first refusal wins.

A gate is compiled once: each rule has the tuple of its checks (`cdnkit/policy/rule.py`). Their order is in `ordered`
alone; a test compares it with the table in docs/gate.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cdnkit.policy.gate.admission import Admission
from cdnkit.policy.gate.check import Check
from cdnkit.policy.gate.checks import (
    AmbiguousPath,
    ContentOfGet,
    Loop,
    Malformed,
    MaxForwards,
    Methods,
    NeverForwarded,
    Preflight,
)
from cdnkit.policy.gate.geo import GeoCheck
from cdnkit.policy.gate.hosts import HostCheck
from cdnkit.policy.gate.https_only import HttpsOnly
from cdnkit.policy.gate.limits import UNLIMITED, QuotaCheck, RequestLimits
from cdnkit.policy.gate.rates import RateCheck, Rates
from cdnkit.policy.gate.tokens import TokenCheck
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.response_policy import CorsRules
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.token import scheme_of
from cdnkit.policy.token.scheme import Scheme, split_path


@dataclass(frozen=True, slots=True)
class Node:
    """What the checks of all behaviors of a node are made from."""

    service: Service
    profile: Profile
    limits: RequestLimits
    ambiguity: Callable[[str], str | None]
    """In which other way a path may be read (`Matcher.ambiguity`)."""


def ordered(
    behavior: Behavior,
    cors: CorsRules | None,
    node: Node,
    path_proper: Callable[[str], str],
    rates: Sequence[Rates],
    scheme: Scheme | None,
) -> tuple[Check, ...]:
    """The checks of one behavior, in the order in which they run. `cors`: its CORS fields, which depend on the request;
    `rates`: the limits that count its requests; `scheme`: that of its token."""
    profile, faces_viewers = node.profile, node.service.gate
    moved = behavior.viewer_protocol
    checks = (
        HostCheck(),
        None if profile.quotas is None else QuotaCheck(profile.quotas),
        None if node.limits == UNLIMITED else node.limits,
        Malformed(),
        AmbiguousPath(node.ambiguity, path_proper) if faces_viewers else None,
        Loop(node.service.name),
        NeverForwarded(),
        MaxForwards(),
        None if behavior.methods == "all" else Methods(behavior.methods),
        None if cors is None else Preflight(cors),
        ContentOfGet() if profile.get_body_refused else None,
        *(RateCheck(each, profile.too_many) for each in rates),
        HttpsOnly(moved, profile.redirect_others, node.service.https_port)
        if faces_viewers and moved != "allow-all"
        else None,
        GeoCheck(behavior.geo) if faces_viewers and behavior.geo is not None else None,
        None if scheme is None else TokenCheck(scheme),
    )
    return tuple(check for check in checks if check is not None)


class Gate(Protocol):
    """Makes the checks of behaviors. `cdnkit/replay/` has another gate, which repeats the refusals of a live one."""

    prefixes: tuple[str, ...]
    """Beginnings of paths after which a token comes, of all behaviors."""
    params: frozenset[str]
    """Query parameters that hold tokens anywhere in the service: no record shows their values."""
    headers: frozenset[str]
    """Request fields that hold tokens, likewise."""

    def path_proper(self, path: str) -> str:
        """The path without the token before it; the same object if there is none."""
        ...

    def checks_of(self, behavior: Behavior, cors: CorsRules | None, node: Node) -> tuple[Check, ...]:
        """The checks of one behavior, as `ordered` gives them; called once for each, since some count requests."""
        ...

    def admission_of(self, behavior: Behavior) -> Admission | None:
        """What removes the tokens from its requests; None: its requests do not change."""
        ...


class ServiceGate:
    """The gate that a service's settings describe."""

    def __init__(self, service: Service, keys: Mapping[str, Mapping[str, str]]) -> None:
        """`keys` by token name and key id, those that the settings keep in files. ValueError if one is no key."""
        self._open = not service.gate
        self._tokens = service.tokens
        self._rates = () if self._open or service.rate_limit is None else (Rates(service.rate_limit),)
        """The node's own limit, which counts the requests of all behaviors."""
        self.schemes = {
            name: scheme_of(token, {**token.inline_keys(), **keys.get(name, {})})
            for name, token in service.tokens.items()
        }
        carriers = [scheme.carriers for scheme in self.schemes.values()]
        self.prefixes = () if self._open else tuple(dict.fromkeys(one.prefix for one in carriers if one.prefix))
        self.params = frozenset(name for one in carriers for name in one.params)
        self.headers = frozenset(name for one in carriers for name in one.headers)

    def path_proper(self, path: str) -> str:
        for prefix in self.prefixes:
            if path.startswith(prefix):
                return split_path(path, prefix)[1]
        return path

    def checks_of(self, behavior: Behavior, cors: CorsRules | None, node: Node) -> tuple[Check, ...]:
        own = None if self._open else behavior.rate_limit
        rates = self._rates if own is None else (Rates(own), *self._rates)
        return ordered(behavior, cors, node, self.path_proper, rates, self._scheme_of(behavior))

    def admission_of(self, behavior: Behavior) -> Admission | None:
        scheme = self._scheme_of(behavior)
        if scheme is None and not self.prefixes:
            return None
        propagate = "none" if behavior.token is None else self._tokens[behavior.token].propagate
        return Admission(scheme, propagate, self.prefixes)

    def _scheme_of(self, behavior: Behavior) -> Scheme | None:
        return None if self._open or behavior.token is None else self.schemes[behavior.token]
