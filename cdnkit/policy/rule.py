"""A rule: one behavior as a node runs it, with everything that requests under it need, compiled once.

What belongs to a behavior travels with it: its key, its checks, what it puts on responses. Nothing is looked up beside
it, so two behaviors that were given the same settings still have a bucket each.
"""

from dataclasses import dataclass, field
from itertools import takewhile

from cdnkit.policy.gate.admission import Admission
from cdnkit.policy.gate.check import Check, Concerns
from cdnkit.policy.gate.gate import Gate, Node
from cdnkit.policy.rules.response_policy import CorsRules, Decoration
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.policy.store.key import KeyOf, plain_key


@dataclass(slots=True, eq=False)
class Rule:
    """What rules a request."""

    behavior: Behavior
    """The settings, as the profile settles them."""
    checks: tuple[Check, ...]
    """Who may ask: all checks, in their order. The parts of it below leave out none that could refuse."""
    admission: Admission | None
    """Takes the tokens out of requests; None: they go on as they came."""
    plain_key: KeyOf | None
    """Makes the keys of plain requests (`cdnkit/policy/machine/fast_path.py`); None where there is no short way."""
    decoration: Decoration | None
    """What is put on answers; None at a node that faces no viewers."""
    cors: CorsRules | None
    """The part of it that depends on the request."""

    first_checks: tuple[Check, ...] = field(init=False)
    """The beginning of `checks`: all requests are asked, before the short way to the store."""
    other_checks: tuple[Check, ...] = field(init=False)
    """The rest."""
    plain_checks: tuple[Check, ...] = field(init=False)
    """What of the rest a plain request is asked."""
    guarded: bool = field(init=False)
    """The rest may refuse a request that a stored response answers: the short way comes behind it."""

    def __post_init__(self) -> None:
        self.first_checks = tuple(takewhile(lambda check: check.concerns is Concerns.ALL, self.checks))
        self.other_checks = self.checks[len(self.first_checks) :]
        self.plain_checks = tuple(one for one in self.other_checks if one.concerns is not Concerns.NOT_PLAIN)
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


def compiled(behavior: Behavior, node: Node, gate: Gate, decoration: Decoration | None) -> Rule:
    """The rule of a behavior that is settled (`cdnkit/policy/rules/resolve.py`)."""
    decoration = decoration if node.service.gate else None
    cors = None if decoration is None else decoration.cors
    return Rule(
        behavior=behavior,
        checks=gate.checks_of(behavior, cors, node),
        admission=gate.admission_of(behavior),
        plain_key=_plain_key(behavior, node.service),
        decoration=decoration,
        cors=cors,
    )


def _plain_key(behavior: Behavior, service: Service) -> KeyOf | None:
    # A page may stand in for an error that is stored; with Server-Timing for some, some hits carry it, others do not.
    if not behavior.cache or service.error_pages or behavior.server_timing not in ("off", 0):
        return None
    return plain_key(behavior)
