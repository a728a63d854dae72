"""A file to a folder of VOD: the ladder as HLS and DASH, of the same CMAF segments, which ffmpeg's hls muxer writes.

The folder appears whole or not at all: everything is written to `DIR.partial` beside it and renamed at the
end. What is inside has the origin's layout: `multivariant.m3u8`, `manifest.mpd`, `{track}/media.m3u8`,
`{track}/iframes.m3u8` of pictures, `{track}/init.mp4`, `{track}/seg-{number}.m4s`; or `{track}/{track}.mp4` (`.m4a` for
sound) in place of the last two.

Times stand in the media itself, as in a live stream (`command`). ffmpeg would say by edit lists that the pictures begin
two frames late and the sound with 1024 samples of priming; players in browsers ignore them, and played the sound 45 ms
early.
"""

import asyncio
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdnkit.settings.discretion import hiding
from cdnkit.settings.ladder import RUNG_NAMES
from cdnkit.settings.transcode import Packaging, Stream
from transcode.child import Exit, run
from transcode.command import START, encoding_arguments, filter_graph, label
from transcode.completeness import is_full, lacking
from transcode.errors import OutputError, SourceError
from transcode.events import Event, Notice, Progress
from transcode.packaging import MEDIA, MULTIVARIANT, package
from transcode.plan import Plan, prepare
from transcode.progress import Pace, Report
from transcode.source import input_arguments


async def transcode(
    stream: Stream,
    out: Path | str,
    *,
    packaging: Packaging | None = None,
    force: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Path:
    """Encodes `stream.source` into the folder `out`; returns the multivariant playlist's path.

    `ladder = "auto"` means every rung that is not taller than the source: nobody waits for a VOD in real
    time. `on_event` gets `Progress` with `fraction` and `eta` about twice a second. `force` replaces a
    folder that holds an earlier rendition, and never any other. A call that fails or is cancelled leaves
    nothing of its own behind.

    Raises `FfmpegMissing`, `SourceError`, `EncoderRefused`, or `OutputError` for a folder that is not free,
    cannot be written, or a disk that is full.
    """
    out = await asyncio.to_thread(lambda: Path(out).expanduser().absolute())
    if stream.ladder == "auto":
        stream = stream.model_copy(update={"ladder": RUNG_NAMES})
    await asyncio.to_thread(refuse_taken, out, stream.source, force=force)
    plan = await asyncio.to_thread(prepare, stream)
    length = _length(plan)
    if length is None and plan.source.kind == "testcard":
        raise SourceError("source testcard", "no end", "a duration", 'Set duration = "10s", or give a file.')
    packaging = packaging or Packaging()
    if length is not None and packaging.start is not None and abs(packaging.start) > length:
        raise OutputError("start", f"{packaging.start:g} s", f"an offset within the {length:.1f} s of the source")
    for text in (*plan.notices, *_filling(plan.source.shorter)):
        on_event(Notice(text))
    with _partial(out) as partial:
        watch = _Watch(length, on_event, time.monotonic)
        gone = await run(
            vod_command(plan, partial), on_event=on_event, on_report=watch.on_report, hide=hiding(plan.source.location)
        )
        if complaint := _complaint(plan, partial, out, gone, watch.media_time):
            raise complaint
        for text in await _to_its_end(lambda check: _package(plan, partial, packaging, out, check)):
            on_event(Notice(text))
        if length is not None and watch.media_time < 0.95 * length:
            on_event(Notice(f"the source ended at {watch.media_time:.1f} s of {length:.1f} s: it may be cut short"))
        _put_in_place(partial, out)
    watch.finish()
    return out / MULTIVARIANT


def _filling(kind: str | None) -> list[str]:
    """A player would stop where the first kind of media ends."""
    said = {
        "audio": "the sound ends before the pictures: silence follows",
        "video": "the pictures end before the sound: the last one stays",
    }
    return [said[kind]] if kind else []


def vod_command(plan: Plan, folder: Path) -> list[str]:
    """The arguments, binary first: one hls output whose variant streams are the tracks."""
    stream, tracks, top = plan.stream, plan.tracks, plan.rungs[0]
    command = [
        plan.ffmpeg.path, "-hide_banner", "-nostats", "-loglevel", "level+warning",
        "-progress", "pipe:1", "-stats_period", "0.5",
        *input_arguments(
            plan.source, plan.ffmpeg,
            size=(top.width, top.height), frame_rate=stream.frame_rate, live=False, loop=False,
        ),
        "-filter_complex", filter_graph(plan, filled=plan.source.shorter),
    ]  # fmt: skip
    variants: list[str] = []
    count = {"video": 0, "audio": 0}
    for number, track in enumerate(tracks):
        specifier = f"{track.kind[0]}:{count[track.kind]}"
        count[track.kind] += 1
        command += [
            "-map", f"[{label(number)}]", *_for_stream(encoding_arguments(plan, track), specifier)
        ]  # fmt: skip
        variants.append(f"{specifier},name:{track.name}")
    if stream.duration is not None:
        command += ["-t", f"{stream.duration:g}"]
    # What is filled goes on for ever: the other kind ends it.
    return [
        *command,
        *(["-shortest"] if plan.source.shorter else []),
        "-f", "hls", "-hls_time", f"{stream.segment:g}", "-hls_playlist_type", "vod",
        "-hls_segment_type", "fmp4", "-hls_flags", "independent_segments", "-start_number", "0",
        "-hls_segment_options", "movflags=+cmaf+frag_discont:use_editlist=0",
        "-avoid_negative_ts", "disabled", "-output_ts_offset", str(START),
        "-var_stream_map", " ".join(variants),
        "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", f"{folder}/%v/seg-%d.m4s",
        f"{folder}/%v/media.m3u8",
    ]  # fmt: skip


def _for_stream(arguments: list[str], specifier: str) -> list[str]:
    """Options of an output with one stream, made those of one stream of several: `-b:v 1M` -> `-b:v:0 1M`."""
    options, values = arguments[::2], arguments[1::2]
    named = [f"{option.removesuffix(f':{specifier[0]}')}:{specifier}" for option in options]
    return [word for pair in zip(named, values, strict=True) for word in pair]


class _Watch:
    """Turns reports into progress with a fraction and an estimate of the time left."""

    def __init__(self, length: float | None, on_event: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._length = length
        self._on_event = on_event
        self._clock = clock
        self._pace = Pace()
        self._last = Report(0, 0.0, 0.0, last=False)
        self._speed = 0.0
        self.media_time = 0.0

    def on_report(self, report: Report) -> None:
        self._last, self.media_time = report, report.media_time
        self._speed = self._pace.speed(self._clock(), report.media_time) or self._speed
        if self._length is None:
            self._on_event(Progress(report.frame, report.fps, self._speed, report.media_time))
            return
        # Not 1 before everything is checked and in its place.
        fraction = min(0.999, report.media_time / self._length)
        eta = max(0.0, self._length - report.media_time) / self._speed if self._speed else None
        self._on_event(Progress(report.frame, report.fps, self._speed, report.media_time, fraction, eta))

    def finish(self) -> None:
        self._on_event(Progress(self._last.frame, self._last.fps, self._speed, self.media_time, 1.0, 0.0))


def _length(plan: Plan) -> float | None:
    known = [length for length in (plan.stream.duration, plan.source.duration) if length is not None]
    return min(known, default=None)


def refuse_taken(out: Path, source: str, *, force: bool) -> None:
    """`OutputError` unless `out` is free: not there, empty, or an earlier rendition that `force` may
    replace."""
    where = f"folder {out}"
    try:
        if out.is_dir():
            names = sorted(one.name for one in out.iterdir())
            if not names:
                return
            if Path(source).expanduser().absolute().is_relative_to(out):
                raise OutputError(where, "the source in it", "a folder that does not hold the source")
            found = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''} in it"
            if MULTIVARIANT not in names:
                # Even with force: `--out ~ --force` must not be the end of a home.
                raise OutputError(where, found, f"an empty folder, or one with a {MULTIVARIANT}")
            if not force:
                raise OutputError(where, found, "an empty folder", "With force it is replaced.")
        elif out.exists():
            raise OutputError(where, "a file", "a folder, or nothing there yet")
    except OSError as error:
        raise OutputError(where, f"{error.strerror}", "a folder that can be read") from error


@contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """`DIR.partial`, empty and ours alone; gone at the end unless it was moved into place."""
    partial = out.with_name(f"{out.name}.partial")
    where = f"folder {partial}"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY)
    except OSError as error:
        raise OutputError(where, f"{error.strerror}", "a folder that can be written") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(where, "another transcode writing it", "a folder of its own for each") from error
        try:
            _empty(partial)  # a run that was killed may have left something
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def _playlists(plan: Plan) -> list[list[str]]:
    """The media playlists, those of pictures and those of sound."""
    kinds = ("video", "audio")
    return [[f"{track.name}/{MEDIA}" for track in plan.tracks if track.kind == kind] for kind in kinds]


def _complaint(plan: Plan, folder: Path, out: Path, gone: Exit, media_time: float) -> OutputError | None:
    """What is wrong with what ffmpeg made, or None."""
    where, wanted = f"folder {out}", "a whole rendition"
    missing = lacking(folder, _playlists(plan), media_time)
    if gone.status == 0 and not missing:
        return None
    if is_full(folder) or any("No space left" in line for line in gone.errors):
        return OutputError(where, "a full disk", "room for the renditions")
    if gone.status != 0:
        return OutputError(where, f"an ffmpeg that failed ({gone.why})", wanted)
    return OutputError(where, "; ".join(missing[:5]), wanted)


def _package(plan: Plan, folder: Path, packaging: Packaging, out: Path, check: Callable[[], None]) -> list[str]:
    where, wanted = f"folder {out}", "room for playlists and single files"
    try:
        remarks = package(plan, folder, packaging, check)
    except OSError as error:
        raise OutputError(where, "a full disk" if is_full(folder) else f"{error.strerror}", wanted) from error
    if missing := lacking(folder, _playlists(plan), 0.0):
        raise OutputError(where, "; ".join(missing[:5]), "a whole rendition")
    return remarks


class _Cancelled(Exception):
    """Ends work in a thread whose caller was cancelled."""


async def _to_its_end(work: Callable[[Callable[[], None]], list[str]]) -> list[str]:
    """What `work` returns, in a thread. Cancelled, it ends at its next check, and only then does this: a thread that
    goes on would write into a folder that is being deleted."""
    cancelled = threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise _Cancelled

    working = asyncio.ensure_future(asyncio.to_thread(work, check))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        cancelled.set()
        while not working.done():  # cancelled again, it still takes at most a segment
            with suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        working.exception()
        raise


def _put_in_place(partial: Path, out: Path) -> None:
    try:
        if not out.is_dir():
            partial.rename(out)
            return
        # Renamed away before it is deleted: at no instant is `out` half of one and half of the other.
        old = out.with_name(f"{out.name}.replaced")
        shutil.rmtree(old, ignore_errors=True)
        out.rename(old)
        partial.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"folder {out}", f"{error.strerror}", "a folder that can be replaced") from error
