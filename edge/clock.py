"""The one place where the edge learns what time it is."""

import time


class Clock:
    """Unix seconds that never step back: wall time at the start plus the monotonic clock since."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()
