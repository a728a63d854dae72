"""Requests over HTTP to a behavior that requires HTTPS: they are refused or redirected.

Source: CloudFront, "Require HTTPS between viewers and CloudFront"; Fastly's "force TLS", a synthetic 301, here for any
method (unverified). That this check comes before place and token is ours (unverified): a token that came over HTTP is
not read.
"""

from typing import Literal

from cdnkit.policy.gate.check import Check, Reads
from cdnkit.policy.http.messages import RequestHead, without_port
from cdnkit.policy.outcomes import Refusal, RefusalKind

MOVED = 301
"""The status for a GET or HEAD (RFC 9110 §15.4.2): clients store the redirect."""


class HttpsOnly(Check):
    """A behavior's `viewer_protocol`, where it is not "allow-all"."""

    __slots__ = ("_port", "_redirects", "_status_of_others")
    name = "HTTPS"
    kind = RefusalKind.PROTOCOL
    reads = Reads.CLIENT

    def __init__(self, wanted: Literal["https-only", "redirect-to-https"], status_of_others: int, port: int) -> None:
        """`status_of_others`: the redirect for methods other than GET and HEAD; `port`: where the node listens with
        TLS."""
        self._redirects = wanted == "redirect-to-https"
        self._status_of_others, self._port = status_of_others, port

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if request.scheme == "https":
            return None
        status = MOVED if request.method in ("GET", "HEAD") else self._status_of_others
        # 307 keeps the method, but HTTP/1.0 does not have it (RFC 9110 section 15.4.8 came with HTTP/1.1). Without a
        # Host, which HTTP/1.0 may leave out, there is nowhere to redirect to.
        if not self._redirects or (status == 307 and request.version == "1.0") or not request.host:
            return Refusal(self.kind, 403, "protocol: HTTPS alone is served here")
        port = "" if self._port == 443 else f":{self._port}"
        location = f"https://{without_port(request.host)}{port}{request.target}"
        return Refusal(self.kind, status, "protocol: sent to HTTPS", location=location)
