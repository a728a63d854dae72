"""An event loop whose time passes only while everything waits: hours in milliseconds, and always the same."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """For what waits for time alone: sockets and threads would be waited for without any passing."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        if not ready and scheduled:
            # A timer that was cancelled may stand first: up to its instant nothing happens.
            first = scheduled[0] if not scheduled[0].cancelled() else None
            when = first._when if first else min((one._when for one in scheduled if not one.cancelled()), default=0.0)
            self._virtual = max(self._virtual, when)
        super()._run_once()  # type: ignore[misc]


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
