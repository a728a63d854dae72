"""Virtual time over real sockets: a loop whose clock stands still, but jumps to the next timer when nothing happens.

For time-outs of seconds and minutes: what arrives on a socket arrives as ever and takes no time, however busy the machine
is; a wait for nothing is over at once. Not for what works in threads or other processes: nothing tells that they do.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

QUIET_S = 0.002
"""So long nothing must have come from any socket before the clock jumps: loopback takes a twentieth of it."""


class _Hurried(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        ready = super().select(min(timeout, QUIET_S))
        if not ready:
            self.now += max(0.0, timeout)
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hurried = _Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        return self._hurried.now


def hurry(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(main)
