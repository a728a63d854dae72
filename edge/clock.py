"""The one place where the edge reads the time."""

import time

_RUNNING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that nobody sets, and that goes on while a laptop sleeps: Linux's CLOCK_MONOTONIC does not, Darwin's does."""


class Clock:
    """Unix seconds that never step back: wall time at the start plus what has passed since."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(_RUNNING)

    def __call__(self) -> float:
        return self._offset + time.clock_gettime(_RUNNING)
