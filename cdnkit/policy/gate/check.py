"""What all checks have in common: each is one reason for which a request may be refused.

The gate of a behavior is a tuple of checks (`cdnkit/policy/gate/gate.py`). The machine runs them in their order until
one refuses, and `explain` runs the same tuple.

Most requests are plain GETs for a stored response (`cdnkit/policy/gate/plain.py`). So each check says which
requests it may refuse at all, and does not run for the others.
"""

from enum import Enum
from typing import ClassVar

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind


class Concerns(Enum):
    """Which requests a check may refuse."""

    ALL = "any request, also a plain one that a stored response serves"
    NOT_STORED = "any request but a plain one that a stored response serves: nothing is ever stored for what it refuses"
    NOT_PLAIN = "no plain request: it looks at methods other than GET, or at a field that is decisive"


class Reads(Enum):
    """What the result of a check follows from. It is asked once for all requests that do not differ in that
    (`cdnkit/policy/machine/short_way.py`)."""

    ANYTHING = "anything: it is asked for each request"
    CLIENT = "method, scheme, host, fields and client, neither the target nor the time"
    FORM = "method, fields and target, each by itself, and not the time"
    SIZE = "the same, and the length of the target, of which it has a `longest_target`"
    TOKEN = "the token and the time (`cdnkit/policy/gate/tokens.py`)"
    COUNT = "how many requests there were: each is counted"


class Check:
    """One reason for which a request may be refused."""

    __slots__ = ()

    name: ClassVar[str]
    """For people; docs/gate.md lists all checks."""
    kind: ClassVar[RefusalKind]
    concerns: ClassVar[Concerns] = Concerns.ALL
    reads: ClassVar[Reads] = Reads.ANYTHING

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """The refusal of the request; None: it passes this check. `now` in Unix seconds."""
        raise NotImplementedError

    def longest_target(self, request: RequestHead) -> int:
        """Of requests that differ from this one in their target alone, and that it does not refuse: the most characters
        with which it passes them. `request` has the target "/", and is measured without one."""
        raise NotImplementedError

    def preview(self, request: RequestHead, now: float) -> Refusal | None:
        """As `refusal`, but the request is not counted."""
        return self.refusal(request, now)
