"""Waiting for a client to take what was written for it, and giving up when it takes nothing."""

import asyncio
from collections.abc import Awaitable, Callable

LEAST_BYTES = 1024
"""Who takes less than this in the time of a stall takes nothing: at 60 s, 17 bytes a second. Otherwise a client that
acknowledges one byte at a time would hold its response for weeks."""


class Left(OSError):
    """The client is gone: nothing that is sent reaches it."""


class Stalled(Left):
    """The client was there, but took nothing for `seconds`, and was dropped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"took nothing for {seconds:g} s")
        self.seconds = seconds


async def wait_for_client(wait: Callable[[], Awaitable[object]], taken: Callable[[], int], limit: float) -> None:
    """Wait until `wait()` is done; Stalled when `taken()` has changed by less than LEAST_BYTES in `limit` seconds.

    A client that takes little at a time is slow, not stalled: its progress counts, not the length of the wait. Progress
    is looked at once in `limit` seconds, so a stalled client may last for nearly twice as long.
    """
    while True:
        before = taken()
        try:
            async with asyncio.timeout(limit):
                await wait()
            return
        except TimeoutError:
            if abs(taken() - before) < LEAST_BYTES:
                raise Stalled(limit) from None
