"""The body of an ingest request, piece by piece: however it ends, and whoever gives up waiting, is one exception."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Message, Receive

from origin.errors import Refused
from origin.ingest.memory import Share


class Gone(Exception):
    """The encoder's connection broke: there is nobody to respond to, and the body is not whole."""


async def messages(
    receive: Receive, stopping: asyncio.Event, patience: float, share: Share
) -> AsyncGenerator[Message, None]:
    """The request's messages up to the last one of a body that ends properly.

    `Gone`: it does not. `Refused`: nothing came for `patience` seconds, the origin shuts down, or what the request
    holds of the memory is needed.
    """
    interruptions = [asyncio.create_task(event.wait()) for event in (stopping, share.gone)]
    received: asyncio.Task[Message] | None = None
    try:
        while True:
            received = asyncio.create_task(_one(receive))
            await asyncio.wait((received, *interruptions), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            share.check()
            if not received.done():
                if stopping.is_set():
                    raise Refused(503, "The origin is shutting down.", retry_after="1")
                raise Refused(408, f"Found nothing of the body for {patience:g} s, wanted it to go on or to end.")
            message = received.result()
            if message["type"] == "http.disconnect":
                raise Gone
            yield message
            if not message.get("more_body", False):
                return
    finally:
        for task in (*interruptions, received):
            if task is not None:
                task.cancel()


async def _one(receive: Receive) -> Message:
    return await receive()


def replay(already: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives these messages first, and keeps none of them."""

    async def next_message() -> Message:
        return already.pop(0) if already else await receive()

    return next_message
