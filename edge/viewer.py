"""A viewer's connection, as far as his answer needs it: is he still there, and can he be sent interim responses."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cdnkit.policy.http.messages import Lines

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Hint = Callable[[int, Lines], None]
"""Sends an interim response: status and fields."""


class Viewer:
    """One viewer of one request."""

    __slots__ = ("_receive", "_watch", "hint")

    def __init__(self, receive: Receive, hint: Hint | None) -> None:
        """`hint`: None where his connection cannot carry interim responses."""
        self.hint = hint
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None

    async def waits_for(self, future: "asyncio.Future[Any]") -> bool:
        """Whether it was done before he left. Not for one whose request body is still being read."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._until_gone())
        await asyncio.wait({future, self._watch}, return_when=asyncio.FIRST_COMPLETED)
        return future.done()

    @property
    def gone(self) -> bool:
        return self._watch is not None and self._watch.done()

    def leave(self) -> None:
        """He is answered: nobody watches any more."""
        if self._watch is not None:
            self._watch.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
