"""A time-out that is moved far more often than it fires."""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """One instant on the loop's clock, and what to do when it passes.

    Moving it later costs an assignment: the timer already set looks again when it comes. A timer made and cancelled
    for every read of every body would cost more than the reading.
    """

    __slots__ = ("_at", "_due", "_expired", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at = inf
        self._due = inf
        """When the timer looks; never later than the deadline."""
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """It passes `seconds` from now."""
        self._at = self._loop.time() + seconds
        if self._at < self._due:
            self._look_at(self._at)

    def clear(self) -> None:
        """It does not pass until it is set again."""
        self._at = inf

    def stop(self) -> None:
        """For good: no timer stays behind."""
        self._at = self._due = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = at
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer, self._due = None, inf
        if self._at == inf:
            return
        # A loop may fire within its clock's resolution before the instant (uvloop: up to a millisecond).
        if self._loop.time() + 0.001 >= self._at:
            self._at = inf
            self._expired()
        else:
            self._look_at(self._at)
