"""A viewer's connection, as a response needs it: is it still open, and can it carry interim responses."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cdnkit.policy.http.messages import Lines

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Interim = Callable[[int, Lines], None]
"""Sends an interim response: status and fields."""


class Viewer:
    """The viewer of one request."""

    __slots__ = ("_receive", "_watch", "interim")

    def __init__(self, receive: Receive, interim: Interim | None) -> None:
        """`interim`: None where the connection cannot carry interim responses."""
        self.interim = interim
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None

    async def waits_for(self, future: "asyncio.Future[Any]") -> bool:
        """Whether `future` was done before the viewer left. Not while the request's content is still being read."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._until_gone())
        await asyncio.wait({future, self._watch}, return_when=asyncio.FIRST_COMPLETED)
        return future.done()

    @property
    def gone(self) -> bool:
        return self._watch is not None and self._watch.done()

    def leave(self) -> None:
        """Its response is sent: the connection is watched no longer."""
        if self._watch is not None:
            self._watch.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
