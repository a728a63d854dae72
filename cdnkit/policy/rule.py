"""A rule: one behavior compiled for a node, with its key function, guard and response policy.

Nothing about a behavior is looked up elsewhere, so two behaviors with equal settings still have a bucket each.
"""

from dataclasses import dataclass

from cdnkit.policy.gate.gate import Gate, Guard
from cdnkit.policy.rules.response_policy import CorsRules, ResponsePolicy
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.policy.store.key import KeyFunction, plain_key


@dataclass(slots=True, eq=False)
class Rule:
    """The rule that a request is under."""

    behavior: Behavior
    """The settings, resolved with the profile."""
    guard: Guard
    """Who may ask: limit, protocol, geo rule, token scheme."""
    guarded: bool
    """The guard is to be asked about every request."""
    plain_key: KeyFunction | None
    """Makes the keys of plain requests (`cdnkit/policy/machine/fast_path.py`); None where there is no fast path."""
    response_policy: ResponsePolicy | None
    """Changes response headers; None at a node that faces no viewers."""
    cors: CorsRules | None
    """The part of the response policy that depends on the request."""

    @property
    def path(self) -> str:
        return self.behavior.path

    @property
    def token(self) -> str | None:
        return self.behavior.token

    @property
    def geo(self) -> Geo | None:
        return self.behavior.geo


def compile_rule(behavior: Behavior, service: Service, gate: Gate, response_policy: ResponsePolicy | None) -> Rule:
    """The rule of a resolved behavior (`cdnkit/policy/rules/resolve.py`)."""
    response_policy = response_policy if service.gate else None
    return Rule(
        behavior=behavior,
        guard=gate.guard_of(behavior),
        guarded=_is_guarded(behavior, service),
        plain_key=_plain_key(behavior, service),
        response_policy=response_policy,
        cors=None if response_policy is None else response_policy.cors,
    )


def _plain_key(behavior: Behavior, service: Service) -> KeyFunction | None:
    # An error page may replace a stored error; and with Server-Timing on a share of responses, hits are not all alike.
    if not behavior.cache or service.error_pages or behavior.server_timing not in ("off", 0):
        return None
    return plain_key(behavior)


def _is_guarded(behavior: Behavior, service: Service) -> bool:
    asked = (behavior.token, behavior.geo, behavior.rate_limit, service.rate_limit)
    bound = behavior.viewer_protocol != "allow-all" or any(one is not None for one in asked)
    return service.gate and bound
