"""A response on its way to its viewer, over ASGI."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.plan import Refuse
from cdnkit.policy.record.lines import RequestRecord
from edge.bodies import BodyBroken
from edge.response import Response
from edge.viewer import Viewer

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
FieldBytes = list[tuple[bytes, bytes]]


def field_bytes(lines: Lines) -> FieldBytes:
    """Field lines as ASGI has them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]


async def deliver(
    response: Response, viewer: Viewer, send: Send, record: RequestRecord, *, also: FieldBytes | None = None
) -> None:
    """Send head and body; the record learns how many bytes went out, and whether all did. `also`: more fields."""
    head = response.head
    headers = field_bytes(head.headers) + (also or [])
    body: bytes | None
    if isinstance(head, Refuse) and head.status != 204:
        body = head.body if record.method != "HEAD" else b""
        headers.append((b"content-length", b"%d" % len(head.body)))
    else:
        body = response.small_body()
    await send({"type": "http.response.start", "status": head.status, "headers": headers})
    if body is not None:
        await send({"type": "http.response.body", "body": body})
        record.bytes_sent = len(body)
        return
    try:
        async for piece in response.pieces():
            record.bytes_sent += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if viewer.gone:
                record.aborted = True
                return
    except BodyBroken as broken:
        # No end of body is sent, so the server closes the connection and the viewer sees that it is not whole.
        record.aborted = True
        record.reason = str(broken)
        return
    await send({"type": "http.response.body", "body": b""})


async def send_page(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    """A response of the node's own, beside the cache."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
