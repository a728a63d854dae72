"""The fields that a Fastly node writes on its responses.

Source: "Header reference", the pages X-Served-By, X-Cache, X-Cache-Hits, X-Timer and Age (2026).
"""

from typing import ClassVar

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.signature import Node, Signature, SignedResponse, appended
from cdnkit.vendors.fastly.debug import DEBUG, debug, fetched_by
from cdnkit.vendors.fastly.names import server_identity

KEPT_FROM_VIEWERS = frozenset({"surrogate-control", "surrogate-key"})
"""Nodes pass these to one another; a viewer sees them with `Fastly-Debug` alone."""


class FastlySignature(Signature):
    """Lists to which each node adds at the end: the shield's entry stands first ("X-Cache")."""

    names: ClassVar = DEBUG | {"x-served-by", "x-cache-hits", "x-timer"}
    age_always: ClassVar = True

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._identity = server_identity(node.name)
        self._hidden = KEPT_FROM_VIEWERS if node.faces_viewers else frozenset[str]()

    def mark_fetched(self, headers: Headers, now: float) -> None:
        fetched_by(headers, self._identity, now)

    def sign(self, lines: Lines, headers: Headers, x_cache: str) -> str:
        lines.append(("x-served-by", appended(headers, "x-served-by", self._identity)))
        return appended(headers, "x-cache", x_cache)

    def by_request(
        self, headers: Headers, *, hits: int, started_at: float, now: float, asked: bool, request_id: str = ""
    ) -> Lines:
        took = f"VS0,VE{max(0, round((now - started_at) * 1000))}"
        above = (headers.first("x-timer") or "").partition(",")[2] if asked else ""
        timer = f"S{started_at:.6f},{above},{took}" if above else f"S{started_at:.6f},{took}"
        return [("x-cache-hits", appended(headers, "x-cache-hits", str(hits))), ("x-timer", timer)]

    def wants_extras(self, request: RequestHead, behavior: Behavior) -> bool:
        return request.trusted and ("fastly-debug" in request.headers or "fastly-ff" in request.headers)

    def with_extras(self, answer: SignedResponse) -> Lines:
        hidden = [line for line in answer.headers.lines if line[0] in self._hidden]
        return answer.lines + hidden + debug(answer, self._identity)
