"""The gate in a replay: a request that the live gate refused is refused again.

A record holds no token, nothing of the connection, and only a part of the head whose size and form were checked. So
these checks cannot be repeated: their result is read from the record. The other checks are made by the replay's rules.
"""

from cdnkit.policy.gate.admission import Admission
from cdnkit.policy.gate.check import Check
from cdnkit.policy.gate.gate import Node, ordered
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Outcome, Refusal, RefusalKind
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.rules.response_policy import CorsRules
from cdnkit.policy.rules.service import Behavior

_NOT_REPEATED = frozenset({RefusalKind.RATE, RefusalKind.PROTOCOL, RefusalKind.GEO, RefusalKind.TOKEN})
"""Kinds of checks that only the live gate can make."""

_FIRST_WORDS = {kind.value: kind for kind in RefusalKind} | {
    "request": RefusalKind.MALFORMED,
    "body": RefusalKind.CONTENT,
}
"""Kinds by the first word of the reason, for records of earlier versions, which have no kind."""


class RecordedGate:
    """The gate of every behavior: one check that reads the record, and the checks that can be repeated."""

    prefixes: tuple[str, ...] = ()
    params: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.record: Requested | None = None
        """The record of the request that the machine gets next."""
        self._check = _Recorded(self)

    def path_proper(self, path: str) -> str:
        return path

    def checks_of(self, behavior: Behavior, cors: CorsRules | None, node: Node) -> tuple[Check, ...]:
        repeated = ordered(behavior, cors, node, self.path_proper, rates=(), scheme=None)
        return (self._check, *(check for check in repeated if check.kind not in _NOT_REPEATED))

    def admission_of(self, behavior: Behavior) -> Admission | None:
        return None


class _Recorded(Check):
    """Refuses a request that was refused live, with the recorded kind and reason."""

    __slots__ = ("_gate",)
    name = "recorded"
    kind = RefusalKind.TOKEN  # the most frequent one; each refusal has the kind of its record

    def __init__(self, gate: RecordedGate) -> None:
        self._gate = gate

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        record = self._gate.record
        if record is None or record.outcome is not Outcome.REFUSED:
            return None
        kind = kind_of(record)
        # The recorded status may be that of an error page, or 0 if the viewer had left.
        status = 403 if kind is RefusalKind.GEO else record.status or 403
        return Refusal(kind, status, record.reason)


def kind_of(record: Requested) -> RefusalKind:
    """The kind of refusal in the record of a refused request."""
    if record.refusal is not None:
        return record.refusal
    return _FIRST_WORDS.get(record.reason.partition(":")[0], RefusalKind.TOKEN)
