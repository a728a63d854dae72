"""Viewers who come over HTTP where HTTPS is wanted: refused, or told where to come instead.

Source: CloudFront, "Require HTTPS between viewers and CloudFront"; Fastly's "force TLS", a synthetic 301, here for any
method (unverified). That this stands before place and token is ours (unverified): a token that came over HTTP is not
looked at.
"""

from cdnkit.policy.http.messages import RequestHead, without_port

MOVED = 301
"""What a GET or HEAD is told (RFC 9110 §15.4.2): clients remember it."""


def told(request: RequestHead, wanted: str, others: int, https_port: int) -> tuple[int, str | None] | None:
    """Status and `Location` for a request that came as it should not; None: it is served.

    `wanted`: a behavior's `viewer_protocol`; `others`: what methods beside GET and HEAD are told; `https_port`: where
    the node listens with TLS.
    """
    if wanted == "allow-all" or request.scheme == "https":
        return None
    # 307 keeps the method, and is unknown to HTTP/1.0 (RFC 9110 section 15.4.8 came with HTTP/1.1).
    status = MOVED if request.method in ("GET", "HEAD") else others
    if wanted == "https-only" or (status == 307 and request.version == "1.0"):
        return 403, None
    if not request.host:
        return 403, None  # HTTP/1.0 without Host: nobody knows where to send it
    return (
        status,
        f"https://{without_port(request.host)}{'' if https_port == 443 else f':{https_port}'}{request.target}",
    )
