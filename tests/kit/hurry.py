"""Virtual time over real sockets: a loop whose clock jumps to the next timer whenever nothing else happens.

For time-outs of seconds and minutes: what arrives on a socket arrives as ever; a wait for nothing takes no time.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

QUIET_S = 0.002
"""So long nothing must have come from any socket before the clock jumps: loopback takes a twentieth of it."""


class _Hurried(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= QUIET_S:
            return super().select(timeout)
        ready = super().select(QUIET_S)
        if not ready:
            self.skipped += timeout - QUIET_S
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hurried = _Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        return super().time() + self._hurried.skipped


def hurry(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(main)
