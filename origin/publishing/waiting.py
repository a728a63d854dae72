"""Requests that wait for a playlist to change: a bell each, rung for all of them at once. Mutable; one event loop's."""

import asyncio
from collections import defaultdict
from enum import Enum
from functools import partial

from starlette.types import Receive

MOST_WAITING = 20_000
"""Requests of one origin: twice the connections that its listener has by default. One more is refused with 503."""


class Waited(Enum):
    """How a wait ended."""

    RUNG = "rung"
    LATE = "late"
    LEFT = "left"  # whoever asked has gone
    STOPPED = "stopped"  # the origin is shutting down


class Bells:
    """By name. `count` is how many wait."""

    def __init__(self) -> None:
        self.count = 0
        self._stopped = False
        self._waiting: defaultdict[str, set[asyncio.Future[Waited]]] = defaultdict(set)

    def ring(self, name: str) -> None:
        """Ends every wait for this bell."""
        for one in self._waiting.pop(name, ()):
            _end(one, Waited.RUNG)

    def stop(self) -> None:
        """Ends every wait, and all that would follow."""
        self._stopped = True
        for name in list(self._waiting):
            for one in self._waiting.pop(name):
                _end(one, Waited.STOPPED)

    async def wait(self, name: str, left: "asyncio.Task[None]", deadline: float) -> Waited:
        """Until it rings, or until `deadline` of the loop's clock, or until `left` is done."""
        if self._stopped:
            return Waited.STOPPED
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Waited] = loop.create_future()
        # A future and a timer: thousands are woken at once, and `asyncio.wait` would take a further turn for each.
        timer = loop.call_at(deadline, _end, ended, Waited.LATE)
        gone = partial(_end, ended, Waited.LEFT)
        left.add_done_callback(gone)
        self._waiting[name].add(ended)
        self.count += 1
        try:
            return await ended
        finally:
            self.count -= 1
            timer.cancel()
            left.remove_done_callback(gone)
            if waiting := self._waiting.get(name):
                waiting.discard(ended)
                if not waiting:
                    del self._waiting[name]


def _end(wait: "asyncio.Future[Waited]", how: Waited, *_: object) -> None:
    if not wait.done():
        wait.set_result(how)


async def left(receive: Receive) -> None:
    """Returns when the client's connection, or its request, is over."""
    while (await receive())["type"] != "http.disconnect":
        pass
