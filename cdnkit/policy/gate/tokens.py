"""Whether a request has a token that its behavior accepts."""

from cdnkit.policy.gate.check import Check
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.token.scheme import Scheme


class TokenCheck(Check):
    """A request without a token, or with one that its scheme refuses (`cdnkit/policy/token/`)."""

    __slots__ = ("_scheme",)
    name = "token"
    kind = RefusalKind.TOKEN

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        return self._scheme.refusal(request, now)
