"""Fields that the nodes of a CDN write on their responses beside Via, Age, X-Cache and Cache-Status.

A profile names a subclass of `Signature`, and each node makes one. A stored response's head is prepared once and sent
for up to a second, so a signature has three parts:

    sign          in the head, whenever it is prepared
    by_request    behind it, on every response: no two responses share these lines
    with_extras   behind both, for a request that wants more (`wants_extras`)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.rules.service import Behavior


@dataclass(frozen=True, slots=True)
class Node:
    """The node whose responses are signed."""

    name: str
    faces_viewers: bool
    """False at a shield."""
    fresh_id: Callable[[], str]
    """A new request id at every call."""


@dataclass(frozen=True, slots=True)
class SignedResponse:
    """A response whose request wants more fields, with all facts for them."""

    request: RequestHead
    behavior: Behavior
    outcome: Outcome
    headers: Headers
    """As they came from the parent."""
    lines: Lines
    """As they go out, signed."""
    key: str
    """The cache key."""
    fresh_until: float | None
    """Of what is stored; None where nothing is."""
    stale_if_error: Callable[[], float]
    """For how many seconds the answer may stand in for a failing origin; read when it is called."""
    started_at: float
    now: float


class Signature:
    """One node's signature; this one adds nothing."""

    names: ClassVar[frozenset[str]] = frozenset()
    """Fields that it writes: a parent's lines of these names do not go on, and a 304 carries them."""
    age_always: ClassVar[bool] = False
    """Age is 0 where it would be left out."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def mark_fetched(self, headers: Headers, now: float) -> None:
        """Mark in the parent's response that this node fetched it."""

    def sign(self, lines: Lines, headers: Headers, x_cache: str) -> str:
        """Add to `lines`, which end with Via; return the value of X-Cache. `headers`: as they came from the parent."""
        return x_cache

    def by_request(
        self, headers: Headers, *, hits: int, started_at: float, now: float, asked: bool, request_id: str = ""
    ) -> Lines:
        """Lines of this one response. `hits`: the hits of the object here; `asked`: whether the parent was asked."""
        return []

    def wants_extras(self, request: RequestHead, behavior: Behavior) -> bool:
        """Whether `told` may have something to add for this request."""
        return False

    def with_extras(self, answer: SignedResponse) -> Lines:
        """All lines of the response, with those that its request wants."""
        return answer.lines


def appended(headers: Headers, name: str, own: str) -> str:
    """The parent's list with our member at the end."""
    above = headers.joined(name)
    return own if above is None else f"{above}, {own}"
