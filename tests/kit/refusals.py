"""What checks refuse, for tests that ask them without a machine."""

from collections.abc import Iterable

from cdnkit.policy.gate.check import Check
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.token import TokenFault


def first_refusal(checks: Iterable[Check], request: RequestHead, now: float = 0.0) -> Refusal | None:
    """Of the first check that refuses."""
    return next((found for check in checks if (found := check.refusal(request, now)) is not None), None)


def fault_of(refusal: Refusal | None) -> TokenFault | None:
    """What a token check found wrong; None where the token is good."""
    if refusal is None:
        return None
    assert refusal.kind is RefusalKind.TOKEN
    return TokenFault(refusal.facts["check"])
