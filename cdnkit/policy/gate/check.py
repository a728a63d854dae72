"""What all checks are: one reason for which a request may be refused, asked in one way.

The gate of a behavior is a tuple of checks (`cdnkit/policy/gate/gate.py`). The machine asks them in their order until
one refuses, and `explain` asks the same tuple.

Most requests are plain GETs for something stored (`cdnkit/policy/machine/fast_path.py`). So each check says which
requests it may refuse at all, and the others are not asked about it.
"""

from enum import Enum
from typing import ClassVar

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind


class Concerns(Enum):
    """Which requests a check may refuse."""

    ALL = "any request, also a plain one that a stored response answers"
    NOT_STORED = "any request, but no plain one that a stored response answers: nothing like it is ever stored"
    NOT_PLAIN = "no plain request: it looks at methods other than GET, or at a field that is decisive"


class Check:
    """One reason for which a request may be refused."""

    __slots__ = ()

    name: ClassVar[str]
    """Which check it is, for people: docs/gate.md lists them."""
    kind: ClassVar[RefusalKind]
    concerns: ClassVar[Concerns] = Concerns.ALL

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """Why the request is refused; None: this check lets it pass. `now` in Unix seconds."""
        raise NotImplementedError

    def preview(self, request: RequestHead, now: float) -> Refusal | None:
        """As `refusal`, but the request is not counted."""
        return self.refusal(request, now)
