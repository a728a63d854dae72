"""The body of an ingest request, piece by piece: however it ends, and whoever gives up waiting, is one exception."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Message, Receive

from origin.errors import Refused


class Gone(Exception):
    """The encoder's connection broke: there is nobody to respond to, and the body is not whole."""


async def messages(receive: Receive, stopping: asyncio.Event, patience: float) -> AsyncGenerator[Message, None]:
    """The request's messages up to the last one of a body that ends properly.

    `Gone`: it does not. `Refused`: nothing came for `patience` seconds, or the origin shuts down.
    """
    shutdown = asyncio.create_task(stopping.wait())
    received: asyncio.Task[Message] | None = None
    try:
        while True:
            received = asyncio.create_task(_one(receive))
            await asyncio.wait((received, shutdown), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
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
        shutdown.cancel()
        if received is not None:
            received.cancel()


async def _one(receive: Receive) -> Message:
    return await receive()


def replay(already: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives these messages first."""
    left = iter(already)

    async def next_message() -> Message:
        for message in left:
            return message
        return await receive()

    return next_message
