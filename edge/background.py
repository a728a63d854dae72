"""Work beside the requests, which nobody awaits: its failures are logged, counted as troubles, and tried again.

An exception in a task that nobody awaits ends the task in silence. So such work goes through here:

    keep(name, step)   done over and over; a step that fails is repeated after a pause that doubles
    start(name, work)  done once; the log says if it failed

A step does its own waiting: one that succeeds is begun again at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from cdnkit.policy.machine.purge_log import FIRST_PAUSE_S, LONGEST_PAUSE_S
from edge.errors import EdgeError

Step = Callable[[], Awaitable[None]]


class Background:
    """The work of one owner, until `close`."""

    def __init__(self, logger: logging.Logger, owner: str) -> None:
        """`owner`: as the log names it."""
        self._logger = logger
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()
        self.troubles: dict[str, str] = {}
        """By its name, the work whose last step failed, and why."""

    def keep(self, name: str, step: Step) -> "asyncio.Task[Any]":
        """Repeats `step` until it is cancelled, or all is closed."""
        return self.start(name, self._repeated(name, step))

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Does it once, and logs it if that fails."""
        task = asyncio.create_task(work, name=f"{self._owner}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    async def finished(self) -> None:
        """Waits for the end of all that has an end."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Ends all of it."""
        for task in self._tasks:
            task.cancel()
        await self.finished()

    async def _repeated(self, name: str, step: Step) -> None:
        pause, logged = FIRST_PAUSE_S, None
        while True:
            try:
                await step()
            except Exception as error:
                self.troubles[name] = _described(error)
                if type(error) is not logged:  # once, however often it fails so
                    logged = type(error)
                    # Anything but an `EdgeError` is a fault in the program, so its place matters.
                    trace = None if isinstance(error, EdgeError) else error
                    level = logging.WARNING if trace is None else logging.ERROR
                    self._logger.log(level, "%s: %s: %s", self._owner, name, _described(error), exc_info=trace)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                if logged is not None:
                    del self.troubles[name]
                    self._logger.warning("%s: %s: works again", self._owner, name)
                    pause, logged = FIRST_PAUSE_S, None

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.error("%s: %s", task.get_name(), _described(error), exc_info=error)


def _described(error: BaseException) -> str:
    """The error as text: an `EdgeError` says where it was, any other needs the name of its class."""
    return str(error) if isinstance(error, EdgeError) else f"{type(error).__name__}: {error}"
