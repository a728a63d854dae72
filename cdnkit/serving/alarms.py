"""Alarms of many connections by few timers: those that ring at nearly the same time share one.

A timer of the loop takes 700 bytes, which is a third of an idle connection.
"""

import asyncio
from math import ceil
from typing import Protocol

GRAIN_S = 0.05
"""An alarm may ring this much late. The shortest patience that anybody sets is some tenths of a second."""


class Sleeper(Protocol):
    """What an alarm wakes."""

    def on_alarm(self) -> None: ...


class Alarms:
    """One alarm at most for each sleeper. A *moment* is a time in grains; 0 is none."""

    __slots__ = ("_loop", "_moments")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._moments: dict[int, dict[Sleeper, None]] = {}

    def set(self, sleeper: Sleeper, when: float) -> int:
        """Ring at that time of the loop's clock, or a grain later; the moment when it does."""
        moment = ceil(when / GRAIN_S)
        sleepers = self._moments.get(moment)
        if sleepers is None:
            sleepers = self._moments[moment] = {}
            self._loop.call_at(moment * GRAIN_S, self._ring, moment)
        sleepers[sleeper] = None
        return moment

    def cancel(self, sleeper: Sleeper, moment: int) -> None:
        """`moment`: that of its alarm, or 0."""
        sleepers = self._moments.get(moment)
        if sleepers is not None:
            sleepers.pop(sleeper, None)

    def _ring(self, moment: int) -> None:
        sleepers = self._moments.pop(moment)
        while sleepers:
            sleepers.popitem()[0].on_alarm()
