"""Starts locust for `cdnlab load`, without its web page, and brings back what the players saw.

locust runs in a process of its own: gevent patches the whole process it is imported into.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cdnkit.settings.load import Load
from loadtests.errors import BadTarget, LoadFailed, LocustMissing
from loadtests.identity import Target

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_STATUS = "cdnlab-load"
# locust needs a moment to end its users; an open download is cut after it.
_STOP_SECONDS = 5.0

BROKEN = ("bad-playlist", "short-body")
"""Words for failures of requests that were answered; beside them there are statuses and the names of exceptions."""

Status = dict[str, Any]


def command(
    load: Load,
    targets: Sequence[Target],
    *,
    stream_url: str,
    out: Path,
    segment: float = 4.0,
) -> list[str]:
    """The locust command of a headless run; `segment` (seconds) is the ramp where the settings name none.

    The token is not in it: command lines are for everyone to read. Raises `BadTarget` without an edge.
    """
    if not targets:
        raise BadTarget("edges", "none", "at least one edge to load")
    viewers = load.viewers * len(targets)
    ramp = segment if load.ramp is None else load.ramp
    return [
        *(sys.executable, "-P", "-m", "locust", "-f", str(LOCUSTFILE), "--headless"),
        *("--host", targets[0].url),
        *(part for target in targets for part in ("--edge", _edge(target))),
        *("--users", str(viewers), "--spawn-rate", f"{viewers / max(ramp, 0.1):g}"),
        *("--run-time", f"{ceil(load.duration)}s"),
        *("--stream-url", stream_url),
        *("--rendition-mix", ",".join(f"{weight:g}" for weight in load.mix)),
        *("--player-buffer", f"{load.buffer:g}", "--start-behind", f"{load.start_behind:g}"),
        *("--answer-timeout", f"{load.timeout:g}", "--arrival-spread", f"{min(ramp, 1.0):g}"),
        *("--load-out", str(out), "--status-lines"),
        *("--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0", "--stop-timeout", "0"),
    ]


def run(
    load: Load,
    targets: Sequence[Target],
    *,
    out: Path,
    stream_url: str = "/live/multivariant.m3u8",
    segment: float = 4.0,
    token: str = "",
    console: Console | None = None,
    on_status: Callable[[Status], None] | None = None,
    stop: threading.Event | None = None,
    verbose: bool = False,
) -> dict[str, Any]:
    """Load the edges and return load.json's content (`loadtests.tally` lists its keys), also written to `out`.

    Blocks for `load.duration` and a second or two. `on_status` gets each second's status; a `console` shows it,
    as a bar or, off a terminal, as a line every five seconds. Ctrl-C (KeyboardInterrupt) and `stop` end the run
    early and keep what was seen until then; Ctrl-C is raised again after that.

    Raises `LocustMissing`, `BadTarget`, `LoadFailed`.
    """
    if find_spec("locust") is None:
        raise LocustMissing
    out.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Absolute: the child must not depend on where it is started.
    argv = command(load, targets, stream_url=stream_url, out=out.resolve(), segment=segment)
    if verbose and console is not None:
        console.print(shlex.join(argv), soft_wrap=True, highlight=False, markup=False)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    environment.pop("CDNLAB_LOAD_TOKEN", None)
    if token:
        environment["CDNLAB_LOAD_TOKEN"] = token
    interrupted: KeyboardInterrupt | None = None
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,  # its life line: the child ends when this closes
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C reaches us alone, and we end it in order
        )
        try:
            with _display(console, load) as show:
                for status in _statuses(child):
                    show(status)
                    if on_status is not None:
                        on_status(status)
                    if stop is not None and stop.is_set():
                        child.send_signal(signal.SIGTERM)
                        break
            _wait_for_end(child)
        except KeyboardInterrupt as error:
            interrupted = error
        finally:
            _end(child)
        errors.seek(0)
        stderr = errors.read().decode(errors="replace").strip()
    if not out.exists():
        if interrupted is not None:
            raise interrupted
        raise LoadFailed(child.returncode, "\n".join(stderr.splitlines()[-12:]))
    if interrupted is not None:
        raise interrupted
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def warnings(result: dict[str, Any]) -> list[str]:
    """What a person must know before trusting a result: English sentences, none when all is well."""
    found: list[str] = []
    generator, total = result["generator"], result["total"]
    if generator["bound"]:
        found.append(
            f"the load generator itself used {generator['cpu_share']:.0%} of a core: its latencies and stalls "
            "measure the generator, not the edges; use fewer viewers"
        )
    if total["started"] < total["viewers"]:
        found.append(f"{total['viewers'] - total['started']} of {total['viewers']} viewers never saw a picture")
    if total["regressions"]:
        found.append(f"{total['regressions']} times a playlist was older than one the same viewer had seen")
    return found + [f"bad playlist: {text}" for text in result["bad_playlists"]]


MOST_UNANSWERED = 0.01
"""A run has failed if more than this share of its requests had no answer; a restarted edge costs less."""
MOST_REBUFFERING = 0.2
"""A run has failed if pictures stood still for more than this share of the time; vendors of players call 1 % bad."""


def failures(result: dict[str, Any]) -> list[str]:
    """Why a run has failed: English sentences, none where it has not. Error statuses are results, and no failure."""
    found: list[str] = []
    total = result["total"]
    if not total["started"]:
        found.append("no viewer saw a picture")
    unanswered = sum(count for word, count in total["failures"].items() if word not in BROKEN and not word.isdecimal())
    if unanswered > MOST_UNANSWERED * total["requests"]:
        found.append(f"{unanswered} of {total['requests']} requests had no answer")
    share = total["rebuffer_ratio"] or 0.0
    # Past its bound the generator measures itself: that gives a warning instead.
    if share > MOST_REBUFFERING and not result["generator"]["bound"]:
        found.append(f"pictures stood still for {share:.0%} of the time")
    return found


def _edge(target: Target) -> str:
    networks = "=" + ",".join(target.networks) if target.networks else ""
    return f"{target.name}={target.url}{networks}"


def _statuses(child: subprocess.Popen[bytes]) -> Iterator[Status]:
    """Status lines until the child closes its standard output; locust's own lines are passed over."""
    assert child.stdout is not None
    for line in child.stdout:
        if not line.startswith(b'{"' + _STATUS.encode()):
            continue
        try:
            yield json.loads(line)[_STATUS]
        except json.JSONDecodeError:
            continue  # cut off by the child's end


def _wait_for_end(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child in any state: by SIGTERM, then by SIGKILL."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


@contextmanager
def _display(console: Console | None, load: Load) -> Iterator[Callable[[Status], None]]:
    if console is None:
        yield lambda status: None
    elif console.is_terminal:
        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("starting locust", total=load.duration)
            yield lambda status: progress.update(
                bar, completed=min(status["seconds"], load.duration), description=line(status)
            )
    else:
        seconds = 0.0

        def every_five(status: Status) -> None:
            nonlocal seconds
            if status["seconds"] >= seconds:
                seconds = status["seconds"] + 4.5
                console.print(f"{status['seconds']:5.0f} s  {line(status)}", highlight=False, markup=False)

        yield every_five


def line(status: Status) -> str:
    """A status as a person reads it."""
    hits = "" if status["hit_share"] is None else f", {status['hit_share']:.1%} hits"
    bound = "" if status["cpu_share"] <= 0.8 else f", generator at {status['cpu_share']:.0%} of a core"
    failed = f", {status['failures']} failed" if status["failures"] else ""
    return (
        f"{status['playing']}/{status['players']} playing, {status['requests_per_second']:.0f} requests/s"
        f"{hits}, {status['stalls']} stalls{failed}{bound}"
    )
