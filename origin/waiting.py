"""Requests that wait for a playlist to change: a bell each, rung for all of them at once. Mutable; one event loop's."""

import asyncio
from collections import defaultdict
from enum import Enum

from starlette.types import Receive

MOST_WAITING = 20_000
"""Requests of one origin: twice the connections that its listener has by default. One more is refused with 503."""


class Waited(Enum):
    """How a wait ended."""

    RUNG = "rung"
    LATE = "late"
    LEFT = "left"  # whoever asked has gone


class Bells:
    """By name. `count` is how many wait."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def ring(self, name: str) -> None:
        """Ends every wait for this bell."""
        for one in self._waiting.pop(name, ()):
            if not one.done():
                one.set_result(None)

    async def wait(self, name: str, left: "asyncio.Task[None]", deadline: float) -> Waited:
        """Until it rings, or until `deadline` of the loop's clock, or until `left` is done."""
        loop = asyncio.get_running_loop()
        rung: asyncio.Future[None] = loop.create_future()
        self._waiting[name].add(rung)
        self.count += 1
        try:
            await asyncio.wait((rung, left), timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.count -= 1
            if waiting := self._waiting.get(name):
                waiting.discard(rung)
                if not waiting:
                    del self._waiting[name]
        return Waited.RUNG if rung.done() else Waited.LEFT if left.done() else Waited.LATE


async def left(receive: Receive) -> None:
    """Returns when the client's connection, or its request, is over."""
    while (await receive())["type"] != "http.disconnect":
        pass
