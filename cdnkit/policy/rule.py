"""A rule: one behavior compiled for a node, with its key function, checks and response policy.

Nothing about a behavior is looked up elsewhere, so two behaviors with equal settings still have a bucket each.
"""

from dataclasses import dataclass, field
from itertools import takewhile

from cdnkit.policy.gate.admission import Admission
from cdnkit.policy.gate.check import Check, Concerns, Reads
from cdnkit.policy.gate.gate import Gate, Node
from cdnkit.policy.rules.response_policy import CorsRules, ResponsePolicy
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.policy.store.key import KeyFunction, plain_key


@dataclass(slots=True, eq=False)
class Rule:
    """The rule that a request is under."""

    behavior: Behavior
    """The settings, resolved with the profile."""
    checks: tuple[Check, ...]
    """All checks, in their order. The parts of it below leave out none that could refuse."""
    admission: Admission | None
    """Takes the tokens out of requests; None: they go on as they came."""
    plain_key: KeyFunction | None
    """Makes the keys of plain requests (`cdnkit/policy/gate/plain.py`); None where there is no fast path."""
    response_policy: ResponsePolicy | None
    """Changes response headers; None at a node that faces no viewers."""
    cors: CorsRules | None
    """The part of the response policy that depends on the request."""

    first_checks: tuple[Check, ...] = field(init=False)
    """The beginning of `checks`: all requests are asked, before the short way to the store."""
    other_checks: tuple[Check, ...] = field(init=False)
    """The rest."""
    plain_checks: tuple[Check, ...] = field(init=False)
    """What of the rest a plain request is asked."""
    target_checks: tuple[Check, ...] = field(init=False)
    """Those of `checks` that read the target (`cdnkit/policy/machine/short_way.py`)."""
    guarded: bool = field(init=False)
    """The rest may refuse a request that a stored response answers: the short way comes behind it."""

    def __post_init__(self) -> None:
        self.first_checks = tuple(takewhile(lambda check: check.concerns is Concerns.ALL, self.checks))
        self.other_checks = self.checks[len(self.first_checks) :]
        self.plain_checks = tuple(one for one in self.other_checks if one.concerns is not Concerns.NOT_PLAIN)
        self.target_checks = tuple(one for one in self.checks if one.reads in (Reads.FORM, Reads.TOKEN))
        self.guarded = any(check.concerns is Concerns.ALL for check in self.other_checks)

    @property
    def path(self) -> str:
        return self.behavior.path

    @property
    def token(self) -> str | None:
        return self.behavior.token

    @property
    def geo(self) -> Geo | None:
        return self.behavior.geo


def compile_rule(behavior: Behavior, node: Node, gate: Gate, response_policy: ResponsePolicy | None) -> Rule:
    """The rule of a resolved behavior (`cdnkit/policy/rules/resolve.py`)."""
    response_policy = response_policy if node.service.gate else None
    cors = None if response_policy is None else response_policy.cors
    return Rule(
        behavior=behavior,
        checks=gate.checks_of(behavior, cors, node),
        admission=gate.admission_of(behavior),
        plain_key=_plain_key(behavior, node.service),
        response_policy=response_policy,
        cors=cors,
    )


def _plain_key(behavior: Behavior, service: Service) -> KeyFunction | None:
    # An error page may replace a stored error; and with Server-Timing on a share of responses, hits are not all alike.
    if not behavior.cache or service.error_pages or behavior.server_timing not in ("off", 0):
        return None
    return plain_key(behavior)
