"""The first piece of a request's body, looked at before anything is done for the request."""

import asyncio

from starlette.types import Message, Receive

from origin.errors import Refused


class Gone(Exception):
    """The encoder's connection broke: there is nobody to respond to."""


async def first_piece(where: str, receive: Receive, stopping: asyncio.Event, patience: float) -> Message | None:
    """The first message of a body that has bytes; None: it has none. `Refused`, `Gone`: it does not come.

    `patience`: seconds. The origin is shutting down where `stopping` is set.
    """
    stop = asyncio.create_task(stopping.wait())
    received: asyncio.Task[Message] | None = None
    try:
        async with asyncio.timeout(patience):
            while True:
                received = asyncio.create_task(receive_one(receive))
                await asyncio.wait((received, stop), return_when=asyncio.FIRST_COMPLETED)
                if not received.done():
                    raise Refused(503, f"{where}: the origin is shutting down.")
                message = received.result()
                if message["type"] == "http.disconnect":
                    raise Gone
                if message.get("body"):
                    return message
                if not message.get("more_body", False):
                    return None
    except TimeoutError:
        raise Refused(408, f"{where}: found no media for {patience:g} s.") from None
    finally:
        for task in (stop, received):
            if task is not None:
                task.cancel()


def continued(first: Message, rest: Receive) -> Receive:
    """What receives the first piece again, and then the rest."""
    waiting = [first]

    async def receive() -> Message:
        return waiting.pop() if waiting else await rest()

    return receive


async def receive_one(receive: Receive) -> Message:
    """A coroutine, of which a task can be made."""
    return await receive()
