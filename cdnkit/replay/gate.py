"""The gate in a replay: what the live gate refused is refused again, and no more.

A record holds no token, not all of the head whose size and form were checked, and nothing of the connection. So these
checks cannot be made again: the record says what came of them. The others are made anew, by the rules of the replay.
"""

from cdnkit.policy.gate.admission import Admission
from cdnkit.policy.gate.check import Check
from cdnkit.policy.gate.gate import Node, ordered
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Outcome, Refusal, RefusalKind
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.rules.response_policy import CorsRules
from cdnkit.policy.rules.service import Behavior

_NOT_AGAIN = frozenset({RefusalKind.RATE, RefusalKind.PROTOCOL, RefusalKind.GEO, RefusalKind.TOKEN})
"""What the live gate alone can say of a client."""

_EARLIER_WORDS = {kind.value: kind for kind in RefusalKind} | {
    "request": RefusalKind.MALFORMED,
    "body": RefusalKind.CONTENT,
}
"""How reasons began in records of earlier versions, which have no kind."""


class RecordedGate:
    """The gate of every behavior, and the one check that it has of its own."""

    prefixes: tuple[str, ...] = ()
    params: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.record: Requested | None = None
        """Of the request that the machine is asked about."""
        self._check = _Recorded(self)

    def path_proper(self, path: str) -> str:
        return path

    def checks_of(self, behavior: Behavior, cors: CorsRules | None, node: Node) -> tuple[Check, ...]:
        again = ordered(behavior, cors, node, self.path_proper, rates=(), scheme=None)
        return (self._check, *(check for check in again if check.kind not in _NOT_AGAIN))

    def admission_of(self, behavior: Behavior) -> Admission | None:
        return None


class _Recorded(Check):
    """Refuses what the record says was refused, for whatever it was."""

    __slots__ = ("_gate",)
    name = "recorded"
    kind = RefusalKind.TOKEN  # the usual one; a refusal has its record's

    def __init__(self, gate: RecordedGate) -> None:
        self._gate = gate

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        record = self._gate.record
        if record is None or record.outcome is not Outcome.REFUSED:
            return None
        kind = kind_of(record)
        # The status in the record may be a page's that stood in for it, or 0, when the viewer had left.
        status = 403 if kind is RefusalKind.GEO else record.status or 403
        return Refusal(kind, status, record.reason)


def kind_of(record: Requested) -> RefusalKind:
    """What of a refused request was refused."""
    if record.refusal is not None:
        return record.refusal
    return _EARLIER_WORDS.get(record.reason.partition(":")[0], RefusalKind.TOKEN)
