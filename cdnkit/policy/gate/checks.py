"""What turns a request away by itself, before a gate, a store or a parent is asked.

First what makes it none that this node could read for anybody (`outright`): its Host is none or another's, or it is too
large. Then what makes it none that the node answers from store or parent (`barred`), in this order:

    it is malformed                                    400   RFC 9110 §5, RFC 9112 §3.2 (cdnkit/policy/http/target.py)
    its path is written so that it would pass a gate   400   cdnkit/policy/http/path_forms.py
    it has been here before                            508   RFC 9110 §7.6.3
    it is a TRACE or a CONNECT                         405   RFC 9110 §9.3.6, §9.3.8
    an OPTIONS that may go no further                  204   RFC 9110 §7.6.2
    its method is not let through                      403   CloudFront's allowed methods
    a preflight that is answered here                  204   Fetch standard, CORS protocol
    a GET or HEAD with content                         403   CloudFront, "Request and response behavior"

The gate (cdnkit/policy/gate/gate.py) comes behind: it reads what it is shown, and is shown only what can be read in one
way.
"""

from collections.abc import Callable

from cdnkit.policy.gate.limits import request_over
from cdnkit.policy.http.content import has_body
from cdnkit.policy.http.hops import hops_left, visited
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.target import malformed, names_host
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.response_policy import CorsRules
from cdnkit.policy.rules.service import Behavior, Service

NEVER_FORWARDED = frozenset({"TRACE", "CONNECT"})
"""TRACE would show a client the fields that nodes add for one another (RFC 9110 §9.3.8); CONNECT is a tunnel's."""


class Screening:
    """The rules of one node."""

    __slots__ = ("_evasion", "_excess", "_profile", "_service")

    def __init__(
        self,
        service: Service,
        profile: Profile,
        evasion: Callable[[str], str | None],
        *,
        excess: Callable[[RequestHead], Refusal | None],
    ) -> None:
        """`evasion`: how a path would pass a gate (`Matcher.evasion`); `excess`: why a request is larger than this node
        takes."""
        self._service, self._profile = service, profile
        self._evasion, self._excess = evasion, excess

    def outright(self, request: RequestHead) -> tuple[Refusal, str] | None:
        """What the request is refused with whatever it asks for, and the profile's words for it: its Host is none or
        another's, or it is too large by the CDN's limits, then by the node's own. A request of our own for a block was
        judged as the viewer's that it is made of."""
        if request.block is not None:
            return None
        if not names_host(request.host):
            return Refusal(400, "request: Host names no host"), ""
        if request.astray is not None:
            return request.astray
        if self._profile.quotas is not None:
            over = request_over(request, self._profile.quotas)
            if over is not None:
                return Refusal(over[1].status, over[0], ends=over[1].ends), over[1].words
        excess = self._excess(request)
        return None if excess is None else (excess, "")

    def barred(
        self, request: RequestHead, path: str, behavior: Behavior, cors: CorsRules | None, *, plain: bool
    ) -> Refusal | None:
        """Why no gate need be asked about this request. `path`: its own, without a token that stands before it; `cors`:
        what the behavior's answers carry of it; `plain`: as `is_plain` has it."""
        method = request.method
        fault = None if method in NEVER_FORWARDED else malformed(request)
        if fault is None and self._service.gate:
            fault = self._evasion(path)
        if fault is not None:
            return Refusal(400, f"request: {fault}")
        return None if plain else self._unanswered(request, behavior, cors)

    def _unanswered(self, request: RequestHead, behavior: Behavior, cors: CorsRules | None) -> Refusal | None:
        """Why what can be read is not answered here. A plain request always is: all these look at another method than
        GET, or at a field that is decisive."""
        method = request.method
        if visited(request, self._service.name):
            return Refusal(508, f"loop: the request has passed {self._service.name} before")
        if method in NEVER_FORWARDED:
            return Refusal(405, f"method: {method} is not for a cache to forward")
        if method == "OPTIONS" and hops_left(request) == 0:
            return Refusal(204, "max-forwards: 0")
        if behavior.methods != "all" and method not in behavior.methods.split(", "):
            return Refusal(403, f"method: {method} is not let through here")
        if cors is not None and cors.answers_preflight(request):
            return Refusal(204, "preflight: answered here")
        if self._profile.get_body_refused and method in ("GET", "HEAD") and has_body(request):
            return Refusal(403, f"body: a {method} has none here")
        return None
