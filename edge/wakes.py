"""Those who wait without a task and whose turn has come: a few in each turn of the loop, in the order of their coming.

Ten thousand that a fill wakes at once would otherwise hold up everybody else's hits until all of them are served.
"""

import asyncio
import logging
from collections import deque
from typing import Protocol

WOKEN_PER_TURN = 32
"""About a millisecond's work. Between two turns the loop reads and answers what came from others."""

logger = logging.getLogger("cdnlab.edge")


class Sleeper(Protocol):
    """Who waits without a task."""

    def on_wake(self) -> None: ...


class Wakes:
    """The sleepers of one node that are to be woken."""

    __slots__ = ("_due", "_scheduled")

    def __init__(self) -> None:
        self._due: deque[Sleeper] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._due)

    def add(self, sleeper: Sleeper) -> None:
        """Wake it in a moment, once for each call."""
        self._due.append(sleeper)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        due = self._due
        for _ in range(min(WOKEN_PER_TURN, len(due))):
            sleeper = due.popleft()
            try:
                sleeper.on_wake()
            except Exception as error:
                # A bug of ours; the others are not to blame.
                logger.error("a waiting request: %r", error, exc_info=error)
        self._scheduled = bool(due)
        if due:
            asyncio.get_running_loop().call_soon(self._turn)
