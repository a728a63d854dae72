"""A request as it comes over ASGI, read: its head at once, its content as it comes."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

from cdnkit.policy.gate.limits import measured
from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.place import NOWHERE
from cdnkit.policy.http.target import origin_form
from cdnkit.policy.outcomes import Failure
from cdnkit.serving import EMPTY_QUERY
from cdnkit.settings.edge import Limits
from edge.errors import UpstreamFailed
from edge.viewer import Receive
from edge.viewers import Viewers

Scope = MutableMapping[str, Any]

MISDIRECTED = "cdnlab.misdirected"
"""A member of a scope: the refusal of a request for a host that is not served here (`RequestHead.misdirected`)."""


def request_of(scope: Scope, viewers: Viewers, *, placed: bool) -> RequestHead:
    """The request, with what is known of its client. `placed`: where the client is, too."""
    headers = Headers.wrap([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    peer, port = scope.get("client") or ("", 0)
    client_ip = viewers.address(peer, headers)
    named = headers.first("host") or ""
    path, host = origin_form(raw_path.partition(b"?")[0].decode("latin-1"), named)
    if host != named:
        # What keys and Vary read must be what goes on (RFC 9112 §3.2.2).
        headers = headers.without(("host",)).plus(("host", host))
    query: bytes = scope["query_string"]
    request = RequestHead(
        method=scope["method"],
        scheme=scope["scheme"],
        host=host,
        path=path,
        query=query.decode("latin-1") if query or EMPTY_QUERY in scope.get("state", ()) else None,
        headers=headers,
        client_ip=client_ip,
        place=viewers.place_of(client_ip) if placed else NOWHERE,
        client_port=port or 0,
        trusted=viewers.is_trusted(peer),
        version=scope["http_version"],
        peer_ip=peer,
        misdirected=scope.get(MISDIRECTED),
    )
    return measured(request)


async def content_of(receive: Receive, limits: Limits) -> AsyncIterator[bytes]:
    """The content as it comes; UpstreamFailed if its client leaves in the middle, pauses too long or sends too much."""
    size = 0
    while True:
        try:
            async with asyncio.timeout(limits.content_pause):
                message = await receive()
        except TimeoutError:
            raise UpstreamFailed(Failure.CONTENT_LATE, f"nothing came for {limits.content_pause:g} s") from None
        if message["type"] == "http.disconnect":
            raise UpstreamFailed(Failure.ABANDONED, "the viewer left while sending")
        size += len(message.get("body", b""))
        if size > limits.content:
            raise UpstreamFailed(Failure.CONTENT_TOO_LARGE, f"more than {limits.content} bytes")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
