"""Whether a request carries content (RFC 9110 §6.4, §9.3.1)."""

from cdnkit.policy.http.messages import RequestHead


def has_body(request: RequestHead) -> bool:
    """Whether the head announces one (RFC 9110 §6.4.1); `Content-Length: 0` announces none."""
    return "transfer-encoding" in request.headers or request.headers.first("content-length") not in (None, "0")


def has_content(request: RequestHead) -> bool:
    """Whether the request carries content that goes on with it.

    Content in a GET or HEAD has no defined meaning (RFC 9110 §9.3.1) and is not forwarded: a cache answers such
    requests without reading it.
    """
    return request.method not in ("GET", "HEAD") and has_body(request)
