"""The request a node sends on, and what it adds on the way (RFC 9110 §7.6)."""

from dataclasses import replace

from policy.fields.cache_control import delta_seconds
from policy.messages import Headers, RequestHead, end_to_end

CONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")

OURS = ("host", "via", "x-forwarded-for", "cdnlab-client-ip", "cdnlab-debug", "expect")
"""Fields a node writes itself, or that end here: `Expect` is settled with the client (RFC 9110 §10.1.1)."""


def visited(request: RequestHead, name: str) -> bool:
    """Whether Via says the request has been here before: a forwarding loop."""
    via = request.headers.joined("via")
    return via is not None and any(part.split()[1:2] == [name] for part in via.split(","))


def last_node(request: RequestHead) -> str:
    """The pseudonym of the proxy that sent this request; "" when none did."""
    via = request.headers.joined("via")
    words = via.rpartition(",")[2].split() if via else []
    return words[1] if len(words) > 1 else ""


def has_conditions(request: RequestHead) -> bool:
    return any(name in CONDITIONS for name, _ in request.headers.lines)


def hops_left(request: RequestHead) -> int | None:
    """Max-Forwards as a number; None when absent or unreadable (RFC 9110 §7.6.2)."""
    return delta_seconds(request.headers.first("max-forwards"))


def forwarded(request: RequestHead, name: str, *, conditions: bool = True, ranges: bool = True) -> RequestHead:
    """The request as it goes to the parent: end-to-end fields, our Via, the client's address, one hop less.

    Without `conditions` and `ranges` it asks for the complete representation, unconditionally.
    """
    headers = end_to_end(request.headers).without(OURS)
    if not conditions:
        headers = headers.without(CONDITIONS)
    if not ranges:
        headers = headers.without(("range", "if-range"))
    hops = hops_left(request)
    if hops is not None and request.method == "OPTIONS":
        headers = headers.without(("max-forwards",)).plus(("max-forwards", str(max(0, hops - 1))))
    via, forwarded_for = request.headers.joined("via"), request.headers.joined("x-forwarded-for")
    headers.lines.append(("via", f"{via}, 1.1 {name}" if via else f"1.1 {name}"))
    if request.client_ip:
        ip = request.client_ip
        headers.lines.append(("x-forwarded-for", f"{forwarded_for}, {ip}" if forwarded_for else ip))
    return replace(request, headers=headers)


def conditional(request: RequestHead, etag: str | None, last_modified: str | None) -> RequestHead:
    """A forwarded request that asks whether a stored response still holds; validators go exactly as they came.

    Source: RFC 9111 §4.3.1.
    """
    lines = list(request.headers.lines)
    if etag is not None:
        lines.append(("if-none-match", etag))
    if last_modified is not None:
        lines.append(("if-modified-since", last_modified))
    return replace(request, headers=Headers.wrap(lines))


def for_the_rest(request: RequestHead, start: int, etag: str) -> RequestHead:
    """A forwarded request for the bytes from `start` on, if the representation is still the one `etag` names.

    Source: RFC 9111 §3.4.
    """
    return replace(request, headers=request.headers.plus(("range", f"bytes={start}-"), ("if-range", etag)))
