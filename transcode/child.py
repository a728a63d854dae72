"""One ffmpeg as a child process: started so that it cannot outlive us, read while it runs, stopped kindly.

A drain is `q` on its standard input (every output is ended properly), then SIGTERM, then SIGKILL. An ffmpeg
whose parent is killed is killed by the kernel (Linux): what it was posting breaks off, and the origin takes
that for the interruption that it is.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transcode.events import Event, LogLine, Started
from transcode.progress import Report, ReportReader, read_log_line


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a drain waits after each step; together under the 1.6 s that a cluster grants its transcoders."""

    after_q: float = 1.0
    after_sigterm: float = 0.3
    after_sigkill: float = 0.2


@dataclass(frozen=True, slots=True)
class Exit:
    """How an ffmpeg ended."""

    status: int
    """Exit status; negative: the number of the signal that killed it."""
    drained_by: str
    """What stopped it on request: `q`, `SIGTERM`, `SIGKILL`; "" when it ended on its own account."""
    errors: tuple[str, ...]
    """The last error lines it wrote, oldest first."""

    @property
    def why(self) -> str:
        """The first of the error lines: those that follow are mostly its echoes."""
        return self.errors[0] if self.errors else "without a word"


async def run(
    command: list[str],
    *,
    on_event: Callable[[Event], None],
    on_report: Callable[[Report], None],
    stop: asyncio.Event | None = None,
    patience: Patience | None = None,
    attempt: int = 1,
    hide: Callable[[str], str] = str,
    hand_over: Sequence[int] = (),
) -> Exit:
    """Runs one ffmpeg until it ends, or until `stop` is set and it is drained.

    `on_event` gets `Started` and every line that ffmpeg logs, each through `hide`; `on_report` gets every
    report of `-progress pipe:1`. `hand_over`: file descriptors that are ffmpeg's from now on. A cancelled call, or a
    callback that raises, leaves no process behind.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=hand_over,
            # A Ctrl-C in the terminal is for us: ffmpeg is drained in order, not hit at the same time.
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
    finally:
        for descriptor in hand_over:
            os.close(descriptor)
    errors: deque[str] = deque(maxlen=50)
    gone = asyncio.create_task(process.wait())
    stopping = asyncio.create_task((stop or asyncio.Event()).wait())
    reading = asyncio.gather(_read_reports(process, on_report), _read_log(process, on_event, errors, hide))
    try:
        on_event(Started(process.pid, tuple(map(hide, command)), attempt))
        # `reading` ends early only by an error of a callback, which must not leave us deaf to a full pipe.
        waited_for: set[asyncio.Future[Any]] = {stopping, gone, reading}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        how = await _drain(process, gone, patience or Patience()) if stopping.done() else ""
        await reading
        return Exit(await gone, how, tuple(errors))
    finally:
        stopping.cancel()
        reading.cancel()
        if not gone.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await gone


async def _read_reports(process: Process, on_report: Callable[[Report], None]) -> None:
    assert process.stdout is not None
    reader = ReportReader()
    async for line in process.stdout:
        if report := reader.line(line.decode(errors="replace")):
            on_report(report)


async def _read_log(
    process: Process, on_event: Callable[[Event], None], errors: deque[str], hide: Callable[[str], str]
) -> None:
    async for line in _log_lines(process):
        logged = LogLine(line.level, hide(line.text))
        if logged.level in ("error", "fatal", "panic"):
            errors.append(logged.text)
        on_event(logged)


async def _log_lines(process: Process) -> AsyncIterator[LogLine]:
    """Each line of the log; one longer than the reader's limit comes in pieces."""
    assert process.stderr is not None
    while True:
        try:
            line = await process.stderr.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            line = end.partial
            if not line:
                return
        except asyncio.LimitOverrunError as too_long:
            line = await process.stderr.readexactly(too_long.consumed)
        if text := line.decode(errors="replace").strip():
            yield read_log_line(text)


async def _drain(process: Process, gone: "asyncio.Task[int]", patience: Patience) -> str:
    """Stops it in the kindest way that works, and returns which it was."""
    stdin = process.stdin
    assert stdin is not None
    steps: list[tuple[str, Callable[[], None], float]] = [
        ("q", lambda: stdin.write(b"q"), patience.after_q),
        ("SIGTERM", process.terminate, patience.after_sigterm),
        ("SIGKILL", process.kill, patience.after_sigkill),
    ]
    for how, act, seconds in steps:
        with contextlib.suppress(ProcessLookupError, ConnectionError):
            act()
        if (await asyncio.wait({gone}, timeout=seconds))[0]:
            return how
    return "SIGKILL"


_PR_SET_PDEATHSIG = 1  # prctl(2)


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does between fork and exec so that it does not outlive us; None where the system cannot
    do that."""
    if sys.platform != "linux":
        return None
    # Looked up in the parent, and called with the GIL held: between fork and exec no lock may be waited for.
    prctl = ctypes.PyDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return in_child
