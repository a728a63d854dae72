"""The child's side of a process that `cdnlab up` starts: `python -P -m cdnlab.lab.children KIND`.

The first line of standard input is its settings, as JSON: secrets are on no command line and in no file. The rest of
standard input is its life line: when it ends, because the parent closed it or is no more, the child drains and leaves.
Standard output carries one JSON object a line: `{"ready": NAME, ...}` once it serves, `{"event": ...}` later,
or `{"failed": "why", "status": N}` as the last one. Standard error is its log.
"""

import asyncio
import errno
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdnlab.errors import FAILED, USAGE, exit_status, missing_extra
from cdnlab.lab.disk_watch import UNWRITABLE
from cdnlab.lab.process import UNWRITTEN

if TYPE_CHECKING:
    from edge.services import Hosted

Say = Callable[[dict[str, object]], None]


async def _node(settings: dict[str, Any], shutdown: asyncio.Event, say: Say) -> None:
    from cdnkit.policy.rules.service import Service
    from cdnkit.settings.edge import Node, Whereabouts
    from cdnkit.vendors import profile_of
    from edge.serve import serve

    service = Service.model_validate(settings["service"])

    await serve(
        Node.model_validate(settings["node"]),
        service,
        parent=settings["parent"],
        others=settings["others"],
        hostnames=settings["hostnames"],
        hosted=[_hosted(**one) for one in settings["hosted"]],
        records=Path(settings["records"]),
        shutdown=shutdown,
        ready=say,
        geo=Whereabouts.model_validate(settings["geo"]),
        profile=profile_of(service),
        purge_log=settings["purge_log"],
    )


def _hosted(name: str, hostnames: list[str], service: dict[str, Any], parents: list[str]) -> "Hosted":
    from cdnkit.policy.rules.service import Service
    from cdnkit.vendors import profile_of
    from edge.services import Hosted

    rules = Service.model_validate(service)
    return Hosted(name, tuple(hostnames), rules, profile_of(rules), tuple(parents))


async def _origin(settings: dict[str, Any], shutdown: asyncio.Event, say: Say) -> None:
    from cdnkit.settings.origin import Origin
    from origin.serve import serve

    await serve(Origin.model_validate(settings["origin"]), shutdown=shutdown, ready=say, faults=True)


async def _transcode(settings: dict[str, Any], shutdown: asyncio.Event, say: Say) -> None:
    from cdnkit.settings.transcode import Stream
    from transcode.events import Event, LogLine, Progress, Started
    from transcode.plan import prepare
    from transcode.process import run_live

    stream = Stream.model_validate(settings["stream"])
    # Before it says that it is ready: a source that does not exist is no reason to be started again.
    plan = await asyncio.to_thread(prepare, stream)
    say({"ready": f"transcode-{stream.name}", "renditions": len(plan.rungs)})

    def on_event(event: Event) -> None:
        routine = isinstance(event, Progress)
        important = not (isinstance(event, LogLine) and event.level not in ("error", "fatal", "panic"))
        important = important and not isinstance(event, Started)
        if not routine:
            with suppress(OSError):  # its log lies on a full disk
                print(event, file=sys.stderr, flush=True)
        say({"event": type(event).__name__, "text": str(event), "routine": routine, "important": important})

    await run_live(stream, settings["ingest"], shutdown=shutdown, on_event=on_event, plan=plan)


KINDS: dict[str, Callable[[dict[str, Any], asyncio.Event, Say], Awaitable[None]]] = {
    "node": _node,
    "origin": _origin,
    "transcode": _transcode,
}


def _preload(kind: str) -> None:
    """The child's imports, done while its parents in the chain are still starting."""
    match kind:
        case "node":
            pass
        case "origin":
            pass
        case "transcode":
            import transcode.process  # noqa: F401


def _say(message: dict[str, object]) -> None:
    # A parent that is gone reads nothing: that is the life line's business, not an error of ours.
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except OSError:
        pass


class _Unwritten(logging.Handler):
    """Tells the parent of each file that a log line says could not be written: the log may be on the same disk."""

    def __init__(self, place: str) -> None:
        """`place`: what is named where an error names no file."""
        super().__init__(logging.WARNING)
        self._place = place

    def emit(self, record: logging.LogRecord) -> None:
        told = record.args if isinstance(record.args, tuple) else ()
        for error in (*told, *(record.exc_info or ()), getattr(record, "error", None)):
            path = self._place
            while isinstance(error, Exception):
                path = getattr(error, "filename", None) or getattr(error, "where", None) or path
                number = _number_of(error)
                if number in UNWRITABLE:
                    _say({"event": UNWRITTEN, "path": str(path), "errno": number})
                    return
                error = error.__cause__


def _number_of(error: Exception) -> int | None:
    """Its errno; SQLite has a number of its own for a full disk."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        return errno.ENOSPC
    return error.errno if isinstance(error, OSError) else None


def _place_of(kind: str, settings: dict[str, Any]) -> str:
    """What a process of this kind writes to, beside its log."""
    return str(settings["records"] if kind == "node" else settings["origin"]["storage"] if kind == "origin" else "")


async def _live(kind: str, settings: dict[str, Any]) -> None:
    # With handlers of its own the root has no last resort any more, so that is one of them.
    for handler in (logging.lastResort, _Unwritten(_place_of(kind, settings))):
        assert handler is not None
        logging.getLogger().addHandler(handler)
    loop = asyncio.get_running_loop()
    shutdown = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, shutdown.set)

    def hold_life_line() -> None:
        # A thread, for a blocking read works on a pipe, a file and a terminal alike.
        # One that breaks, as a terminal that is hung up does, has ended too.
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        try:
            loop.call_soon_threadsafe(shutdown.set)
        except RuntimeError:  # the loop has ended by itself
            return

    threading.Thread(target=hold_life_line, daemon=True).start()
    await KINDS[kind](settings, shutdown, _say)


def _first_line() -> bytes:
    """The settings; read byte-exactly so that nothing of the life line is swallowed into a buffer."""
    line = bytearray()
    while not line.endswith(b"\n"):
        some = os.read(0, 65536)
        if not some:
            return b""
        line += some
    return bytes(line)


def main(kind: str) -> int:
    _preload(kind)
    line = _first_line()
    if not line:
        return 0  # the parent gave up before it had settings for us
    try:
        _run(_live(kind, json.loads(line)))
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        with suppress(OSError):
            traceback.print_exc()
        if isinstance(error, ModuleNotFoundError):
            error = missing_extra(error) or error
        _say({"failed": str(error) or type(error).__name__, "status": exit_status(error)})
        return FAILED
    return 0


def _run(coroutine: Any) -> None:
    try:
        import uvloop
    except ModuleNotFoundError:  # not made for Windows
        asyncio.run(coroutine)
    else:
        uvloop.run(coroutine)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in KINDS:
        print(f"found {sys.argv[1:]}, wanted one of {', '.join(KINDS)}; `cdnlab up` starts this", file=sys.stderr)
        sys.exit(USAGE)
    sys.exit(main(sys.argv[1]))
