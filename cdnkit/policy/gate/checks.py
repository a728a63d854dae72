"""Checks of the request itself: is it malformed, in a loop, or has it a method that is not forwarded?

`cdnkit/policy/gate/gate.py` has their order. They come before the checks of place and token, which may then rely on a
request that can be read in one way only.
"""

from collections.abc import Callable

from cdnkit.policy.gate.check import Check, Concerns, Reads
from cdnkit.policy.http.content import has_body
from cdnkit.policy.http.hops import hops_left, visited
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.target import malformed
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.rules.response_policy import CorsRules

NEVER_FORWARDED = frozenset({"TRACE", "CONNECT"})
"""TRACE would show a client the fields that nodes add for one another (RFC 9110 §9.3.8); CONNECT is a tunnel's."""


class Malformed(Check):
    """What HTTP does not allow (RFC 9110 §5, RFC 9112 §3.2; `cdnkit/policy/http/target.py`)."""

    __slots__ = ()
    name = "malformed"
    kind = RefusalKind.MALFORMED
    concerns = Concerns.NOT_STORED
    reads = Reads.FORM

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        fault = None if request.method in NEVER_FORWARDED else malformed(request)
        return None if fault is None else Refusal(self.kind, 400, f"request: {fault}")


class AmbiguousPath(Check):
    """A path that could also be read as one under another behavior's gate (`cdnkit/policy/http/path_forms.py`)."""

    __slots__ = ("_ambiguity", "_path_proper")
    name = "path"
    kind = RefusalKind.PATH
    concerns = Concerns.NOT_STORED
    reads = Reads.FORM

    def __init__(self, ambiguity: Callable[[str], str | None], path_proper: Callable[[str], str]) -> None:
        """`ambiguity`: in which other way a path may be read (`Matcher.ambiguity`); `path_proper`: the path without
        the token before it."""
        self._ambiguity, self._path_proper = ambiguity, path_proper

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        fault = self._ambiguity(self._path_proper(request.path))
        return None if fault is None else Refusal(self.kind, 400, f"request: {fault}")


class Loop(Check):
    """A request that this node has already forwarded (RFC 9110 §7.6.3)."""

    __slots__ = ("_node",)
    name = "loop"
    kind = RefusalKind.LOOP
    concerns = Concerns.NOT_PLAIN
    reads = Reads.CLIENT

    def __init__(self, node: str) -> None:
        self._node = node

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if not visited(request, self._node):
            return None
        return Refusal(self.kind, 508, f"loop: the request has passed {self._node} before")


class NeverForwarded(Check):
    """A TRACE or a CONNECT (RFC 9110 §9.3.6, §9.3.8)."""

    __slots__ = ()
    name = "never forwarded"
    kind = RefusalKind.METHOD
    concerns = Concerns.NOT_PLAIN
    reads = Reads.CLIENT

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if request.method not in NEVER_FORWARDED:
            return None
        return Refusal(self.kind, 405, f"method: {request.method} is not for a cache to forward")


class MaxForwards(Check):
    """An OPTIONS that may not be forwarded (RFC 9110 §7.6.2)."""

    __slots__ = ()
    name = "max-forwards"
    kind = RefusalKind.MAX_FORWARDS
    concerns = Concerns.NOT_PLAIN
    reads = Reads.CLIENT

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if request.method != "OPTIONS" or hops_left(request) != 0:
            return None
        return Refusal(self.kind, 204, "max-forwards: 0")


class Methods(Check):
    """A method that the behavior does not allow (CloudFront's allowed methods)."""

    __slots__ = ("_methods",)
    name = "methods"
    kind = RefusalKind.METHOD
    concerns = Concerns.NOT_PLAIN
    reads = Reads.CLIENT

    def __init__(self, methods: str) -> None:
        """`methods`: as in the behavior's settings, but not "all"."""
        self._methods = frozenset(methods.split(", "))

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if request.method in self._methods:
            return None
        return Refusal(self.kind, 403, f"method: {request.method} is not let through here")


class Preflight(Check):
    """A preflight to which the node responds itself (Fetch standard, CORS protocol)."""

    __slots__ = ("_cors",)
    name = "preflight"
    kind = RefusalKind.PREFLIGHT
    concerns = Concerns.NOT_PLAIN
    reads = Reads.CLIENT

    def __init__(self, cors: CorsRules) -> None:
        self._cors = cors

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        return Refusal(self.kind, 204, "preflight: answered here") if self._cors.answers_preflight(request) else None


class ContentOfGet(Check):
    """A GET or HEAD with content (CloudFront, "Request and response behavior")."""

    __slots__ = ()
    name = "content"
    kind = RefusalKind.CONTENT
    concerns = Concerns.NOT_PLAIN
    reads = Reads.CLIENT

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if request.method not in ("GET", "HEAD") or not has_body(request):
            return None
        return Refusal(self.kind, 403, f"body: a {request.method} has none here")
