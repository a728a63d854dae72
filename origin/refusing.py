"""A request that is refused before its content has been read to the end: the response comes first, and arrives."""

import asyncio
from collections.abc import Sequence

from starlette.types import Message, Receive, Send

SPEND_S = 1.0
"""How long a refused body is read on after the answer."""

Fields = Sequence[tuple[bytes, bytes]]


async def refuse(receive: Receive, send: Send, status: int, text: str, fields: Fields = ()) -> None:
    """Refuses, and reads on for a moment: a client that still sends loses the response if its connection closes."""
    body = f"{text}\n".encode()
    await send(head(status, body, fields))
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # The server hands a body on through a bounded queue: unless that is read until the response has ended, neither
    # this end nor the connection's gets past it.
    spending = asyncio.create_task(_spend(receive))
    try:
        await asyncio.wait((spending,), timeout=SPEND_S if status != 503 else 0)
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


def head(status: int, body: bytes, fields: Fields = ()) -> Message:
    """The head of a response with one line of text; after a refusal the connection ends."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *fields]
    headers += [(b"connection", b"close")] if status >= 400 else []
    return {"type": "http.response.start", "status": status, "headers": headers}
