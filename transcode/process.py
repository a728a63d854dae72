"""Keeping a live ffmpeg running: start it, start it again when it dies, drain it when asked to stop.

| it was   | and then                  | it is    | event   |
|----------|---------------------------|----------|---------|
| waiting  | the back-off is over      | running  | Started |
| running  | it left with status 0     | gone     | Ended   |
| running  | it left otherwise         | waiting  | Died    |
| running  | shutdown was set          | draining |         |
| draining | it left, or was killed    | gone     | Drained |
| waiting  | shutdown was set          | gone     | Drained |
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from cdnkit.settings.discretion import hiding
from cdnkit.settings.transcode import Stream
from transcode.child import Exit, run
from transcode.command import live_command, media_type, track_urls
from transcode.events import Died, Drained, Ended, Event, Notice, Progress
from transcode.plan import Plan, prepare
from transcode.posts import Door, Posts
from transcode.progress import Pace, Report

OnEvent = Callable[[Event], None]


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start: doubling from `first` to `longest`, without jitter.

    The next wait is `first` again after an ffmpeg that ran for `well` seconds: its end belongs to no series.
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

    def reset(self) -> None:
        """The cause of the series is gone: the next wait is `first` again."""
        self._next = 0.0


async def run_live(
    stream: Stream,
    ingest_url: str,
    *,
    shutdown: asyncio.Event,
    on_event: OnEvent,
    plan: Plan | None = None,
    door: Door | None = None,
    backoff: Backoff | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Encodes `stream` and posts it to `ingest_url` until its source ends or `shutdown` is set.

    `ingest_url` is the origin's ingest listener, such as `http://127.0.0.1:9001`; `plan` spares the probes if they
    were made already; `door`: how the origin lets this encoder in, None: as anybody. Raises `FfmpegMissing`,
    `SourceError` or `EncoderRefused` before anything is started; later failures are reported as `Died`, and ffmpeg is
    started again for as long as it takes. A cancelled call leaves no ffmpeg.
    """
    if plan is None:
        plan = await asyncio.to_thread(prepare, stream)
    for text in plan.notices:
        on_event(Notice(text))
    backoff, attempt = backoff or Backoff(), 0
    while not shutdown.is_set():
        attempt += 1
        started_at = clock()
        watch = _Watch(plan, on_event, clock)
        encode = partial(
            run,
            on_event=on_event,
            on_report=watch.on_report,
            stop=shutdown,
            attempt=attempt,
            hide=hiding(plan.source.location),
        )
        trouble = ""
        if door is None:
            gone = await encode(live_command(plan, ingest_url))
        else:
            gone, trouble = await _encode_into(door, plan, ingest_url, encode)
        if trouble and (gone.drained_by or gone.status == 0):
            on_event(Notice(trouble))
        if gone.drained_by:
            on_event(Drained(gone.drained_by))
            return
        if gone.status == 0:
            on_event(Ended(watch.media_time))
            return
        wait = backoff.after(clock() - started_at)
        on_event(Died(gone.status, trouble or gone.why, wait))
        if await _wait(wait, shutdown, ingest_url):
            backoff.reset()
    on_event(Drained("q"))


async def _encode_into(
    door: Door, plan: Plan, ingest_url: str, encode: Callable[..., Awaitable[Exit]]
) -> tuple[Exit, str]:
    """Runs one ffmpeg whose tracks this process posts; how it ended, and why a post failed."""
    posts = Posts(door, track_urls(plan, ingest_url), [media_type(track) for track in plan.tracks])
    gone = None
    try:
        pipes = posts.write_ends
        gone = await encode(live_command(plan, ingest_url, pipes), hand_over=pipes)
    finally:
        await posts.finish(gone)
    return gone, posts.trouble


LOOK_AGAIN = 0.25
"""Seconds between two looks whether an origin that is away is back: its restart takes about two."""


async def _wait(seconds: float, shutdown: asyncio.Event, ingest_url: str) -> bool:
    """Wait `seconds`, but end when `shutdown` is set or an origin that was away is back; True: the origin is back.

    The back-off is for what fails by itself. An encoder that fails because its origin restarts is needed as soon as
    that listens again: what is not encoded until then is missing from the stream.
    """
    away = False
    try:
        async with asyncio.timeout(seconds):
            while not shutdown.is_set():
                listening = await _listens(ingest_url)
                if away and listening:
                    return True
                away = not listening
                # While the origin listens, only the time or the shutdown ends the wait.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(shutdown.wait(), LOOK_AGAIN if away else None)
    except TimeoutError:
        pass
    return False


async def _listens(url: str) -> bool:
    """Whether somebody takes connections at the address of a URL."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
            )
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


class _Watch:
    """Turns one ffmpeg's reports into events: how far it is, and whether it keeps up with the clock."""

    def __init__(self, plan: Plan, on_event: OnEvent, clock: Callable[[], float]) -> None:
        self._on_event = on_event
        self._clock = clock
        self._pace = Pace()
        self._advice = advice(plan)
        self.media_time = 0.0

    def on_report(self, report: Report) -> None:
        now = self._clock()
        self.media_time = report.media_time
        speed = self._pace.speed(now, report.media_time)
        self._on_event(Progress(report.frame, report.fps, speed, report.media_time))
        if not report.last and (behind := self._pace.complaint(now, speed, self._advice)):
            self._on_event(behind)


def advice(plan: Plan) -> str:
    """What to change in the settings when this plan is too much for the machine (or the way to the origin)."""
    faster = "a faster preset" if plan.stream.preset != "ultrafast" else "fewer frames a second"
    if len(plan.rungs) == 1:
        return f"try {faster}, if it is not the origin that takes the posts too slowly"
    kept = ", ".join(f'"{rung.name}"' for rung in plan.rungs[1:])
    return f"drop rungs (ladder = [{kept}]) or try {faster}, if it is not the origin that takes the posts too slowly"
