"""A request that is refused before its content has been read to the end: the response comes first, and arrives."""

import asyncio
from collections.abc import Iterable

from starlette.types import Message, Receive, Send

from origin.errors import Refused

SPEND_S = 1.0
"""How long a refused body is read on after the answer."""


async def refuse(receive: Receive, send: Send, refused: Refused) -> None:
    """Refuses, and reads on for a moment: a client that still sends loses the response if its connection closes."""
    body = f"{refused}\n".encode()
    await send(head(refused.status, body, [*refused.fields, ("connection", "close")]))
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # The server hands a body on through a bounded queue: unless that is read until the response has ended, neither
    # this end nor the connection's gets past it.
    spending = asyncio.create_task(_spend(receive))
    try:
        await asyncio.wait((spending,), timeout=SPEND_S if refused.status != 503 else 0)
        if not spending.done() or spending.result():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        spending.cancel()


async def _spend(receive: Receive) -> bool:
    """Reads a body to its end; False: the connection ended before it."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        if not message.get("more_body", False):
            return True


def head(status: int, body: bytes, fields: Iterable[tuple[str, str]] = ()) -> Message:
    """The head of a response to an encoder, whose content, if any, is a line of text."""
    headers = [(b"content-length", b"%d" % len(body))] if status != 204 else []
    headers += [(b"content-type", b"text/plain; charset=utf-8")] if body else []
    headers += [(name.encode(), value.encode()) for name, value in fields]
    return {"type": "http.response.start", "status": status, "headers": headers}
