"""The child's side of a process that `cdnlab up` starts: `python -P -m cdnlab.lab.children KIND`.

The first line of standard input holds its settings, as JSON, so that secrets are on no command line and in no file.
The rest of standard input is its life line: when that ends, because the parent closed it or died, the child drains and
exits. Standard output carries messages, one JSON object a line: `{"ready": NAME, ...}` once it serves, `{"event": ...}`
later, and `{"failed": "why", "status": N}` last, if it fails. Standard error is its log.
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
from cdnlab.lab import event_loop
from cdnlab.lab.disk_watch import UNWRITABLE
from cdnlab.lab.process import UNWRITTEN

if TYPE_CHECKING:
    from edge.services import Hosted

Send = Callable[[dict[str, object]], None]


async def _node(settings: dict[str, Any], shutdown: asyncio.Event, send: Send) -> None:
    from cdnkit.policy.rules.service import Service
    from cdnkit.settings.edge import Node, Whereabouts
    from cdnkit.vendors import profile_of
    from edge.collector import settled
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
        ready=settled(send),
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


async def _origin(settings: dict[str, Any], shutdown: asyncio.Event, send: Send) -> None:
    from cdnkit.settings.origin import Origin
    from origin.serve import serve

    origin = Origin.model_validate(settings["origin"])
    await serve(origin, lengths=settings["lengths"], shutdown=shutdown, ready=send, faults=True)


async def _transcode(settings: dict[str, Any], shutdown: asyncio.Event, send: Send) -> None:
    from cdnkit.settings.transcode import Stream
    from transcode.events import Event, LogLine, Progress, Started
    from transcode.plan import prepare
    from transcode.posts import Door
    from transcode.process import run_live

    stream = Stream.model_validate(settings["stream"])
    # Before it reports that it is ready: if the source does not exist, the child must not be restarted.
    plan = await asyncio.to_thread(prepare, stream)
    send({"ready": f"transcode-{stream.name}", "renditions": len(plan.rungs)})

    def on_event(event: Event) -> None:
        routine = isinstance(event, Progress)
        important = not (isinstance(event, LogLine) and event.level not in ("error", "fatal", "panic"))
        important = important and not isinstance(event, Started)
        if not routine:
            with suppress(OSError):  # its log may be on a full disk
                print(event, file=sys.stderr, flush=True)
        send({"event": type(event).__name__, "text": str(event), "routine": routine, "important": important})

    door = settings.get("door")
    door = None if door is None else Door(door["token"], None if door["trust"] is None else Path(door["trust"]))
    await run_live(stream, settings["ingest"], shutdown=shutdown, on_event=on_event, plan=plan, door=door)


KINDS: dict[str, Callable[[dict[str, Any], asyncio.Event, Send], Awaitable[None]]] = {
    "node": _node,
    "origin": _origin,
    "transcode": _transcode,
}


def _send(message: dict[str, object]) -> None:
    # A parent that has died reads nothing. The life line ends then, so this is no error.
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except OSError:
        pass


class _Unwritten(logging.Handler):
    """Reports to the parent each file that a log line says was not written: the log may be on the same full disk."""

    def __init__(self, place: str) -> None:
        """`place`: the file or folder to report where an error names none."""
        super().__init__(logging.WARNING)
        self._place = place

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        for error in (*arguments, *(record.exc_info or ()), getattr(record, "error", None)):
            path = self._place
            while isinstance(error, Exception):
                path = getattr(error, "filename", None) or getattr(error, "where", None) or path
                number = _errno_of(error)
                if number in UNWRITABLE:
                    _send({"event": UNWRITTEN, "path": str(path), "errno": number})
                    return
                error = error.__cause__


def _errno_of(error: Exception) -> int | None:
    """The error's errno; SQLite has an error code of its own for a full disk."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        return errno.ENOSPC
    return error.errno if isinstance(error, OSError) else None


def _place_of(kind: str, settings: dict[str, Any]) -> str:
    """The file or folder that a process of this kind writes to beside its log."""
    return str(settings["records"] if kind == "node" else settings["origin"]["storage"] if kind == "origin" else "")


async def _live(kind: str, settings: dict[str, Any]) -> None:
    # Once the root logger has a handler, logging no longer uses the last resort, so that is added too.
    for handler in (logging.lastResort, _Unwritten(_place_of(kind, settings))):
        assert handler is not None
        logging.getLogger().addHandler(handler)
    loop = asyncio.get_running_loop()
    shutdown = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, shutdown.set)

    def hold_life_line() -> None:
        # In a thread, because a blocking read works on a pipe, a file and a terminal alike.
        # A read that fails, as on a terminal that hung up, ends the life line too.
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        try:
            loop.call_soon_threadsafe(shutdown.set)
        except RuntimeError:  # the loop has ended by itself
            return

    threading.Thread(target=hold_life_line, daemon=True).start()
    await KINDS[kind](settings, shutdown, _send)


def _first_line() -> bytes:
    """The settings. Read without a buffer, which could take bytes of the life line."""
    line = bytearray()
    while not line.endswith(b"\n"):
        some = os.read(0, 65536)
        if not some:
            return b""
        line += some
    return bytes(line)


def main(kind: str) -> int:
    if kind == "transcode":
        # Imported while the origin, for whose URL it waits, is still starting.
        import transcode.process  # noqa: F401
    line = _first_line()
    if not line:
        return 0  # the parent gave up before it had settings for this child
    try:
        event_loop.run(_live(kind, json.loads(line)))
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        with suppress(OSError):
            traceback.print_exc()
        if isinstance(error, ModuleNotFoundError):
            error = missing_extra(error) or error
        _send({"failed": str(error) or type(error).__name__, "status": exit_status(error)})
        return FAILED
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in KINDS:
        print(f"found {sys.argv[1:]}, wanted one of {', '.join(KINDS)}; `cdnlab up` starts this", file=sys.stderr)
        sys.exit(USAGE)
    sys.exit(main(sys.argv[1]))
