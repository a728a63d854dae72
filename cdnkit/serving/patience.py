"""Waiting for a client to take what was written for him, and giving up when he takes nothing."""

import asyncio
from collections.abc import Awaitable, Callable


class Left(OSError):
    """The client is not there any more: nothing that is sent reaches him."""


class Stalled(Left):
    """He was there, but took nothing for so many seconds, and was dropped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"took nothing for {seconds:g} s")


async def patiently(wait: Callable[[], Awaitable[object]], taken: Callable[[], int], limit: float) -> None:
    """Wait until `wait()` is done; Stalled when `taken()` has not changed in `limit` seconds, looked at that often.

    One who takes little at a time is slow, not stalled: so his progress counts, and not how long the wait is.
    """
    while True:
        before = taken()
        try:
            async with asyncio.timeout(limit):
                await wait()
            return
        except TimeoutError:
            if taken() == before:
                raise Stalled(limit) from None
