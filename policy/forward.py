"""The request a node sends on, and what it adds on the way (RFC 9110 §7.6)."""

from dataclasses import replace

from policy.messages import Headers, RequestHead, end_to_end

CONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")


def visited(request: RequestHead, name: str) -> bool:
    """Whether Via says the request has been here before: a forwarding loop."""
    via = request.headers.joined("via")
    return via is not None and any(part.split()[1:2] == [name] for part in via.split(","))


def last_node(request: RequestHead) -> str:
    """The pseudonym of the proxy that sent this request; "" when none did."""
    via = request.headers.joined("via")
    words = via.rpartition(",")[2].split() if via else []
    return words[1] if len(words) > 1 else ""


def forwarded(request: RequestHead, name: str, *, whole: bool) -> RequestHead:
    """The request as it goes to the parent: end-to-end fields, our Via, the client's address.

    `whole`: ask for the complete representation, unconditionally; what the client asked of it is answered here.
    """
    headers = end_to_end(request.headers).without(("host", "via", "x-forwarded-for", "cdnlab-client-ip"))
    if whole:
        headers = headers.without((*CONDITIONS, "range"))
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
