"""An application at the other end of a socket, in the same process."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cdnkit.serving.asgi_socket import Answerer, Caller

LOG = logging.getLogger("test")


@asynccontextmanager
async def passed_on(
    app: Any,
    *,
    on_note: Callable[[bytes], None] = lambda _: None,
    on_aside: Callable[[Any, bytes], None] = lambda scope, octets: None,
) -> AsyncIterator[tuple[Caller, Answerer]]:
    """Both ends, and neither has calls left when all is over. Notes to either end go to `on_note`."""
    lost: list[str] = []
    caller = Caller(on_note=on_note, on_lost=lost.append, on_aside=on_aside)
    answerer = Answerer(app, LOG, on_note=on_note, on_lost=lost.append)
    ours, theirs = socket.socketpair()
    await answerer.start(theirs)
    await caller.start(ours)
    try:
        yield caller, answerer
        async with asyncio.timeout(10):
            while len(caller) or len(answerer):  # noqa: ASYNC110  (tasks of theirs)
                await asyncio.sleep(0.01)
    finally:
        await caller.close()
        await answerer.close()
    async with asyncio.timeout(10):
        while len(lost) < 2:  # noqa: ASYNC110  (callbacks of the loop)
            await asyncio.sleep(0.01)
    assert lost == ["", ""]
