"""The fields that a CloudFront node writes on its responses.

Source: "Request and response behavior, custom origins"; their forms as in recorded responses.
"""

from typing import ClassVar

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.signature import Node, Signature, SignedResponse
from cdnkit.vendors.cloudfront.server_timing import SERVER_TIMING, server_timing, wants_server_timing

ID, POP = "x-amz-cf-id", "x-amz-cf-pop"


class CloudFrontSignature(Signature):
    """The request's id and the point of presence that served it; `Server` where the origin sent none."""

    names: ClassVar = frozenset({ID, POP})

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._pop = f"{node.name[:3].upper()}50-C1"
        self._fresh_id = node.fresh_id

    def sign(self, lines: Lines, headers: Headers, x_cache: str) -> str:
        lines.append((POP, self._pop))
        if "server" not in [name for name, _ in lines]:
            lines.append(("server", "CloudFront"))
        return x_cache

    def by_request(
        self, headers: Headers, *, hits: int, started_at: float, now: float, asked: bool, request_id: str = ""
    ) -> Lines:
        return [(ID, request_id or self._fresh_id())]

    def wants_extras(self, request: RequestHead, behavior: Behavior) -> bool:
        return self.node.faces_viewers and behavior.server_timing != "off"

    def with_extras(self, answer: SignedResponse) -> Lines:
        request_id = next(value for name, value in answer.lines if name == ID)
        percent = answer.behavior.server_timing
        if percent == "off" or not wants_server_timing(answer.request, percent, request_id):
            return answer.lines
        timing = server_timing(answer, pop=self._pop, request_id=request_id)
        return [*(line for line in answer.lines if line[0] != SERVER_TIMING), (SERVER_TIMING, timing)]
