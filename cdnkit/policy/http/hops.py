"""The path of a request through proxies: Via and Max-Forwards (RFC 9110 §7.6)."""

from cdnkit.policy.http.cache_control import delta_seconds
from cdnkit.policy.http.messages import RequestHead


def visited(request: RequestHead, name: str) -> bool:
    """Whether Via has this node's name already: a forwarding loop."""
    via = request.headers.joined("via")
    return via is not None and any(part.split()[1:2] == [name] for part in via.split(","))


def last_node(request: RequestHead) -> str:
    """The pseudonym of the proxy that sent this request; "" when none did."""
    via = request.headers.joined("via")
    words = via.rpartition(",")[2].split() if via else []
    return words[1] if len(words) > 1 else ""


def hops_left(request: RequestHead) -> int | None:
    """Max-Forwards as a number; None when absent or unreadable (RFC 9110 §7.6.2)."""
    return delta_seconds(request.headers.first("max-forwards"))
