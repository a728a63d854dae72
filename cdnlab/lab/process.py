"""The parent's side of a child process: started early, given its settings, watched, restarted, drained.

| state      | means                                                     | next                       |
|------------|-----------------------------------------------------------|----------------------------|
| STARTING   | the interpreter loads, or the server binds                | READY, FAILED              |
| READY      | it serves                                                 | RESTARTING, ENDED, STOPPED |
| RESTARTING | it died; a new process starts after the back-off          | READY, RESTARTING          |
| ENDED      | it exited by itself, its work done (a finite source)      |                            |
| FAILED     | its first start failed: wrong settings, or this machine   |                            |
| STOPPED    | the cluster ended it                                      |                            |
"""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from cdnlab.errors import FAILED, LabError


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    ENDED = "ended"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class ChildFailed(LabError):
    """A child could not start; `why` is the reason it reported, or how it ended."""

    name: str
    why: str
    log: Path
    exit_status: int = FAILED

    def __str__(self) -> str:
        return f"{self.name}: {self.why}\nIts log: {self.log}"


FIRST_PAUSE, LONGEST_PAUSE, STEADY = 0.2, 5.0, 10.0
"""Back-off in seconds: it doubles from the first to the longest, and starts afresh after STEADY seconds of running.

systemd waits 0.1 s and gives up after 5 starts in 10 s; a lab does not give up, because its user is watching.
"""

UNWRITTEN = "Unwritten"
"""The event that reports a file which a child could not write: `{"event": UNWRITTEN, "path": ..., "errno": ...}`."""

OnMessage = Callable[["Child", dict[str, Any]], None]
"""Called with every state change (`{"state": ...}`) and every event of a child."""


class Child:
    """One process of the cluster, in a session of its own so that the terminal's Ctrl-C reaches only `cdnlab up`."""

    def __init__(self, name: str, kind: str, log: Path, on_message: OnMessage) -> None:
        self.name = name
        self.kind = kind
        self.log = log
        self.state = State.STARTING
        self.ready: dict[str, Any] = {}
        self.restarts = 0
        self._on_message = on_message
        self._process: Process | None = None
        self._settings: dict[str, Any] = {}
        self._before_restart: Callable[[dict[str, Any], int], None] = lambda settings, restarts: None
        self._keeper: asyncio.Task[None] | None = None
        self._readiness: asyncio.Future[dict[str, Any]] | None = None
        self._failure: dict[str, Any] = {}
        self._renewing = False
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def spawn(self) -> None:
        """Starts the interpreter and its imports; it waits for `begin` before it opens anything."""
        if self._readiness is None:
            self._readiness = asyncio.get_running_loop().create_future()
        self._failure = {}
        with ExitStack() as closing:
            try:
                log: int | IO[bytes] = closing.enter_context(self.log.open("ab"))
            except OSError as error:
                log = DEVNULL
                self._on_message(self, {"text": f"runs without its log {self.log} ({error.strerror or error})"})
            self._process = await asyncio.create_subprocess_exec(
                # -P: a folder "edge" in the working directory must not be imported in place of our package.
                sys.executable, "-P", "-m", "cdnlab.lab.children", self.kind,
                stdin=PIPE, stdout=PIPE, stderr=log, start_new_session=True, limit=2**20,
            )  # fmt: skip

    async def begin(
        self,
        settings: dict[str, Any],
        pin: Callable[[dict[str, Any], dict[str, Any]], None],
        before_restart: Callable[[dict[str, Any], int], None] = lambda settings, restarts: None,
    ) -> None:
        """Sends the settings, waits until it serves, and keeps it alive from then on.

        `pin(settings, ready)` writes the addresses it got into the settings, so that a restarted child keeps them;
        `before_restart(settings, restarts)` changes what must differ from life to life. Raises `ChildFailed`.
        """
        self._settings = settings
        self._before_restart = before_restart
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        self._keeper.add_done_callback(self._keeper_ended)
        await self.serving()
        pin(self._settings, self.ready)

    async def renew(self, changed: dict[str, Any], within: float = 2.0) -> None:
        """Restarts the child with these settings replaced; returns when it serves again. Called after `begin`.

        A child that does not drain within `within` seconds is killed; one that is restarting anyway starts with them.
        """
        self._settings |= changed
        self._readiness = asyncio.get_running_loop().create_future()
        process = self._process
        if self.state is State.READY and process is not None and process.stdin is not None:
            self._renewing = True
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), within)
            except TimeoutError:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        await self.serving()

    async def serving(self) -> None:
        """Waits until it serves. Called after `spawn`. Raises `ChildFailed`."""
        assert self._readiness is not None
        await asyncio.shield(self._readiness)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            status = await self._one_life()
            first_life = self.state is State.STARTING
            if self._stopping.is_set():
                return self._enter(State.STOPPED)
            if first_life:
                why = str(self._failure.get("failed") or self._last_log_line() or _ending(status))
                self._enter(State.FAILED)
                error = ChildFailed(self.name, why, self.log, int(self._failure.get("status", FAILED)))
                assert self._readiness is not None
                self._readiness.set_exception(error)
                return None
            if status == 0 and self.kind == "transcode":
                return self._enter(State.ENDED)
            if time.monotonic() - started > STEADY:
                pause = FIRST_PAUSE
            why = str(self._failure.get("failed") or _ending(status))
            if self._renewing:
                self._renewing, why, pause = False, "new settings", 0.0
            back_off = await self._come_back(why, pause)
            if back_off is None:
                return self._enter(State.STOPPED)
            pause = back_off

    def _keeper_ended(self, keeper: "asyncio.Task[None]") -> None:
        """Nobody awaits the keeper: if a fault of ours ended it, reports that, and `serving` raises `ChildFailed`."""
        if keeper.cancelled() or (error := keeper.exception()) is None:
            return
        why = f"a fault in cdnlab itself: it is no longer kept alive: {type(error).__name__}: {error}"
        if self._readiness is not None and not self._readiness.done():
            self._readiness.set_exception(ChildFailed(self.name, why, self.log, FAILED))
        self._on_message(self, {"text": why})

    async def _come_back(self, why: str, pause: float) -> float | None:
        """Spawns it after the pause, however often that fails; returns the next pause, or None when it was to stop."""
        while True:
            self._enter(State.RESTARTING, why=why, pause=pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return None
            pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            self.restarts += 1
            self._before_restart(self._settings, self.restarts)
            try:
                await self.spawn()
            except OSError as error:  # no memory, process or file descriptor is left: that passes
                why = f"cannot be started ({error.strerror or error})"
            else:
                return pause

    async def _one_life(self) -> int:
        """Sends the settings and reads messages until the process ends; returns its exit status."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        with suppress(ConnectionError):
            process.stdin.write(json.dumps(self._settings).encode() + b"\n")
            await process.stdin.drain()
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit: no message of ours, and reading goes on after it
                continue
            if not line:
                return await process.wait()
            self._on_line(line)

    def _on_line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        if "ready" in message:
            self.ready = message
            self._enter(State.READY, **{name: value for name, value in message.items() if name != "ready"})
            if self._readiness is not None and not self._readiness.done():
                self._readiness.set_result(message)
        elif "failed" in message:
            self._failure = message
        else:
            self._on_message(self, message)

    def _enter(self, state: State, **more: Any) -> None:
        self.state = state
        self._on_message(self, {"state": state, **more})

    def _last_log_line(self) -> str:
        """The last line of its log, which is Python's message when an import failed."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def drain(self) -> None:
        """Closes its life line, so that it drains and exits."""
        self._stopping.set()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def gone(self, within: float) -> bool:
        """Waits for its end; returns False if it still runs after `within` seconds."""
        if self._process is None:
            return True
        waiting = self._keeper if self._keeper is not None else asyncio.ensure_future(self._process.wait())
        done, _ = await asyncio.wait({waiting}, timeout=within)
        return bool(done)

    def kill(self) -> None:
        """Ends it and everything it started, at once."""
        self._stopping.set()
        if self._process is not None:
            # Its session is its own, so its process group is too. Even after its end: what it started may live on.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    if status < 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
