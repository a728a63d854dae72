"""Whether a request has a token that its behavior accepts."""

from cdnkit.policy.gate.check import Check, Reads
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.token.scheme import Scheme


class TokenCheck(Check):
    """A request without a token, or with one that its scheme refuses (`cdnkit/policy/token/`)."""

    __slots__ = ("_scheme",)
    name = "token"
    kind = RefusalKind.TOKEN
    reads = Reads.TOKEN

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        return self._scheme.refusal(request, now)

    def good_until(self, request: RequestHead) -> float:
        """Until when a token that is good now stays good for this URL, whoever sends it; 0: that is not known."""
        return self._scheme.good_until(request)
