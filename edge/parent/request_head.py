"""A request's head as HTTP/1.1 writes it (RFC 9112 §3, §5)."""

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.retry import SAFE
from edge.errors import UpstreamFailed

_OURS = frozenset({"host", "content-length", "transfer-encoding"})
"""Request fields that are written here: `host` first, the others as the body requires."""


def request_head(
    request: RequestHead, authority: str, *, has_body: bool = False, body_length: int | None = None
) -> bytes:
    """Under the request's `host` field or, without one, `authority`; UpstreamFailed where HTTP cannot carry it.

    A body has its Content-Length if one is promised, else it is chunked.
    """
    host = request.headers.first("host") or authority
    lines = [f"{request.method} {request.target} HTTP/1.1", f"host: {host}"]
    for name, value in request.headers.lines:
        if name not in _OURS:
            lines.append(f"{name}: {value}")
    if has_body:
        lines.append("transfer-encoding: chunked" if body_length is None else f"content-length: {body_length}")
    elif request.method not in SAFE:
        lines.append("content-length: 0")
    text = "\r\n".join(lines)
    # A line break in a value would be a field, or a request, of the viewer's own making.
    one_each = text.count("\n") == text.count("\r") == len(lines) - 1 and lines[0].count(" ") == 2
    if one_each and "\0" not in text and (text.isascii() or max(text) <= "\xff"):
        return f"{text}\r\n\r\n".encode("latin-1")
    raise UpstreamFailed(Failure.GARBAGE, "the request holds characters HTTP cannot carry")
