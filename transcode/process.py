"""Keeping a live ffmpeg running: start it, read it, start it again when it dies, drain it when asked to stop.

| it was          | and then                          | it is            | told          |
|-----------------|-----------------------------------|------------------|---------------|
| running         | shutdown is set                   | draining         |               |
| draining        | it left, or 2.2 s went by         | gone (killed)    | Drained       |
| running         | it left with status 0             | gone             | Ended         |
| running         | it left otherwise                 | waiting          | Died          |
| waiting         | the back-off is over              | running          | Started       |
| waiting         | shutdown is set                   | gone             | Drained       |

A drain is `q` on its standard input (every chunked body gets its last chunk, so the origin ends the stream),
then SIGTERM, then SIGKILL. An ffmpeg whose supervisor is killed is killed by the kernel (Linux): its posts
break off, which the origin takes for the interruption that it is.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from transcode.command import live_command
from transcode.events import Died, Drained, Ended, Event, Note, Progress, Said, Started
from transcode.plan import Plan, prepare
from transcode.progress import Pace, ReportReader, read_log_line
from transcode.settings import Stream

OnEvent = Callable[[Event], None]
Clock = Callable[[], float]


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start: doubling from `first` to `longest`, without jitter.

    An ffmpeg that ran for `well` seconds was no part of a series: the next wait is `first` again.
    """

    first: float = 0.5
    longest: float = 15.0
    well: float = 20.0
    _next: float = field(default=0.0, init=False)

    def after(self, ran_for: float) -> float:
        """The wait after a run of `ran_for` seconds."""
        wait = self.first if ran_for >= self.well or not self._next else self._next
        self._next = min(self.longest, wait * 2)
        return wait


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a drain waits after each step; together under the 2.5 s that a Ctrl-C may take."""

    after_q: float = 1.5
    after_sigterm: float = 0.5
    after_sigkill: float = 0.2


async def serve(stream: Stream, ingest_url: str, *, on_event: OnEvent, shutdown: asyncio.Event | None = None) -> None:
    """`run_live` as a process of its own: SIGINT and SIGTERM set `shutdown`, and nothing is printed."""
    stop = asyncio.Event() if shutdown is None else shutdown
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await run_live(stream, ingest_url, shutdown=stop, on_event=on_event)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def run_live(
    stream: Stream,
    ingest_url: str,
    *,
    shutdown: asyncio.Event,
    on_event: OnEvent,
    plan: Plan | None = None,
    backoff: Backoff | None = None,
    patience: Patience | None = None,
    clock: Clock = time.monotonic,
) -> None:
    """Encodes `stream` and posts it to `ingest_url` until its source ends or `shutdown` is set.

    `plan` spares the probes if they were made already. Raises `FfmpegMissing`, `SourceError` or
    `EncoderRefused` before anything is started; later failures are told as `Died` and tried again. A
    cancelled call leaves no ffmpeg.
    """
    if plan is None:
        plan = await asyncio.to_thread(prepare, stream)
    for note in plan.notes:
        on_event(Note(note))
    command = live_command(plan, ingest_url)
    backoff = backoff or Backoff()
    attempt = 0
    while not shutdown.is_set():
        attempt += 1
        run = _Run(plan, on_event, clock)
        started_at = clock()
        status, drained_by = await run.until_gone(command, attempt, shutdown, patience or Patience())
        if drained_by:
            on_event(Drained(drained_by))
            return
        if status == 0:
            on_event(Ended(run.media_time))
            return
        wait = backoff.after(clock() - started_at)
        on_event(Died(status, run.why(), wait))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(shutdown.wait(), wait)
    on_event(Drained("q"))


class _Run:
    """One life of one ffmpeg."""

    def __init__(self, plan: Plan, on_event: OnEvent, clock: Clock) -> None:
        self._plan = plan
        self._tell = on_event
        self._clock = clock
        self._errors: deque[str] = deque(maxlen=50)
        self.media_time = 0.0

    async def until_gone(
        self, command: list[str], attempt: int, shutdown: asyncio.Event, patience: Patience
    ) -> tuple[int, str]:
        """(exit status, how it was drained or "" if it left by itself)."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            # A Ctrl-C in the terminal is for us: ffmpeg is drained in order, not hit at the same time.
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        readers: list[asyncio.Task[None]] = []
        stop = asyncio.create_task(shutdown.wait())
        gone = asyncio.create_task(process.wait())
        try:
            self._tell(Started(process.pid, tuple(command), attempt))
            readers = [
                asyncio.create_task(self._read_progress(process)),
                asyncio.create_task(self._read_log(process)),
            ]
            await asyncio.wait({stop, gone}, return_when=asyncio.FIRST_COMPLETED)
            how = "" if gone.done() else await drain(process, gone, patience)
            status = await gone
            await asyncio.gather(*readers)
            return status, how
        finally:
            stop.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(gone)
            for task in readers:
                task.cancel()

    def why(self) -> str:
        """The first error line of the end: what follows it is mostly its echo."""
        return self._errors[0] if self._errors else "without a word"

    async def _read_progress(self, process: Process) -> None:
        assert process.stdout is not None
        reports, pace, advice = ReportReader(), Pace(), _advice(self._plan)
        async for line in process.stdout:
            report = reports.line(line.decode(errors="replace"))
            if report is None:
                continue
            now = self._clock()
            self.media_time = report.media_time
            speed = pace.speed(now, report.media_time)
            self._tell(Progress(report.frame, report.fps, speed, report.media_time))
            if not report.last and (behind := pace.complaint(now, speed, advice)):
                self._tell(behind)

    async def _read_log(self, process: Process) -> None:
        async for said in log_lines(process):
            if said.level in ("error", "fatal", "panic"):
                self._errors.append(said.text)
            self._tell(said)


async def log_lines(process: Process) -> AsyncIterator[Said]:
    """Each line of ffmpeg's standard error; a line without end is cut at the reader's limit and goes on."""
    assert process.stderr is not None
    while True:
        try:
            line = await process.stderr.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError as too_long:
            line = await process.stderr.readexactly(too_long.consumed)
        if not line:
            return
        if text := line.decode(errors="replace").strip():
            yield read_log_line(text)


async def drain(process: Process, gone: "asyncio.Task[int]", patience: Patience) -> str:
    """Stops an ffmpeg in the kindest way that works, and says which it was."""
    assert process.stdin is not None
    steps: tuple[tuple[str, Callable[[], None], float], ...] = (
        ("q", lambda: process.stdin.write(b"q"), patience.after_q),  # type: ignore[union-attr]
        ("SIGTERM", process.terminate, patience.after_sigterm),
        ("SIGKILL", process.kill, patience.after_sigkill),
    )
    for how, act, seconds in steps:
        with contextlib.suppress(ProcessLookupError, ConnectionError):
            act()
        done, _ = await asyncio.wait({gone}, timeout=seconds)
        if done:
            return how
    return "SIGKILL"


def _advice(plan: Plan) -> str:
    rungs = plan.rungs
    faster = "a faster preset" if plan.stream.preset != "ultrafast" else "fewer frames a second"
    if len(rungs) == 1:
        return f"try {faster}"
    kept = ", ".join(f'"{rung.name}"' for rung in rungs[1:])
    return f"drop rungs (ladder = [{kept}]) or try {faster}"


_PR_SET_PDEATHSIG = 1  # prctl(2)


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does between fork and exec so as not to outlive us; None where there is no such
    thing."""
    if sys.platform != "linux":
        return None
    # Looked up in the parent: between fork and exec nothing may be imported that a lock could guard.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return in_child
