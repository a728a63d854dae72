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

    __slots__ = ("_gone", "_receive", "_watch", "interim")

    def __init__(self, receive: Receive, interim: Interim | None, gone: "asyncio.Future[None] | None" = None) -> None:
        """`interim`: None where the connection cannot carry interim responses. `gone`: done when the viewer has left;
        None: `receive` says so."""
        self.interim = interim
        self._receive = receive
        self._gone = gone
        self._watch: asyncio.Task[None] | None = None

    async def waits_for(self, future: "asyncio.Future[Any]") -> bool:
        """Whether `future` was done before the viewer left. Not while the request's content is still being read."""
        gone = self._gone
        if gone is None:
            gone = self._gone = self._watch = asyncio.create_task(self._until_gone())
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            if not first.done():
                first.set_result(None)

        future.add_done_callback(wake)
        gone.add_done_callback(wake)
        try:
            await first
        finally:
            future.remove_done_callback(wake)
            gone.remove_done_callback(wake)
        return future.done()

    @property
    def gone(self) -> bool:
        return self._gone is not None and self._gone.done()

    def leave(self) -> None:
        """Its response is sent: the connection is watched no longer."""
        if self._watch is not None:
            self._watch.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
