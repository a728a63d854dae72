"""One ASGI application on one socket, by hypercorn: bound before it is served, stopped within half a second.

Binding is apart from serving so that a port in use is known before anything runs, and so that port 0 can be told.
hypercorn is pinned to its 0.18 line, since its connection class is no public interface.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.typing import ConnectionState
from starlette.types import ASGIApp, Receive, Scope, Send

from units import split_address

BACKLOG = 1024
INTERIM = "cdnlab.interim"
"""ASGI extension of HTTP/1.1 scopes: a callable `(status, field lines)` that sends an interim response at once. To be
called only before the application has sent its response's head."""
GRACE_S = 0.4
"""How long answers that are being sent may take after shutdown was asked for."""


@dataclass
class PortInUse(Exception):
    """An address is taken, or not ours to listen on."""

    where: str
    """The setting: "origin.listen"."""
    address: str
    why: str

    def __str__(self) -> str:
        return (
            f"{self.where}: cannot listen on {self.address}: {self.why}. "
            "Stop what holds it, or choose another port (port 0 takes any free one)."
        )


def bind(address: str, setting: str) -> socket.socket:
    """A socket that listens on `address` ("127.0.0.1:8080", port 0: any); PortInUse names the setting."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        found = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortInUse(setting, address, found) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which a bound socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Connection(TCPServer):
    """hypercorn's connection, less one wait: a client that has closed does not hold its socket until the keep-alive
    time-out (a hypercorn connection whose client leaves during a request stays in CLOSE_WAIT for as long)."""

    _over = False

    async def _read_data(self) -> None:
        await super()._read_data()
        self._over = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if not (self._over and isinstance(event, Updated)):
            await super().protocol_send(event)


def _write_interim(writer: asyncio.StreamWriter, status: int, lines: Iterable[tuple[str, str]]) -> None:
    """An interim response on an HTTP/1.1 connection, ahead of the final one that hypercorn will write.

    hypercorn has no way to send one there; on this connection nothing else is written before the response's head.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Interim"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    writer.write(f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode("latin-1"))


class Listener:
    """One application on one socket, from `start` to `close`: hypercorn's connections, our accepting and ending.

    `hypercorn.asyncio.serve` would do the first half; but at shutdown it waits for connections it cannot end (from
    Python 3.12 on without limit), and a viewer who reads slowly, or an encoder that posts, would keep us here.
    """

    def __init__(self, app: ASGIApp, log: logging.Logger, *, date_header: bool = True) -> None:
        """`date_header` False: the application's responses carry their own Date."""
        self._app = app
        self._log = log
        self._context = WorkerContext(None)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._requests: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None
        config = self._config = Config()
        config.accesslog = None
        config.errorlog = log
        config.include_server_header = False
        config.include_date_header = date_header
        # The default of 5 s is shorter than a 6 s poll of a playlist: every poll would connect anew.
        config.keep_alive_timeout = 75
        config.keep_alive_max_requests = 1_000_000_000
        # Above what any profile takes (Fastly: 69 KiB), so that its own limit decides, and answers.
        config.h11_max_incomplete_size = 96 * 1024

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on a bound socket, which is ours from now on."""
        self._server = await asyncio.start_server(self._accept, sock=listener, backlog=BACKLOG)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._talk(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(lambda ended: self._connections.pop(ended, None))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._call(scope, receive, send, writer)

        try:
            wrapped = ASGIWrapper(app)  # type: ignore[arg-type]  # open dictionaries, as in Starlette
            await _Connection(wrapped, loop, self._config, self._context, ConnectionState({}), reader, writer)
        except Exception as error:
            self._log.error("connection: %s: %s", type(error).__name__, error, exc_info=self._verbose)

    async def _call(self, scope: Scope, receive: Receive, send: Send, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            return  # nothing here speaks WebSocket: the server answers
        if scope["http_version"] == "1.1":
            scope.setdefault("extensions", {})[INTERIM] = partial(_write_interim, writer)
        self._requests.add(task)
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # Ends the connection where an answer was under way: a body cut short must not look complete.
            self._log.error("%s: %s: %s", scope["path"], type(error).__name__, error, exc_info=self._verbose)
        finally:
            self._requests.discard(task)

    @property
    def _verbose(self) -> bool:
        return self._log.isEnabledFor(logging.DEBUG)

    async def close(self) -> None:
        """Accepts no more, gives the answers being sent their grace, then ends every connection."""
        if self._server is not None:
            self._server.close()
        await self._context.terminated.set()  # idle connections end at once
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=GRACE_S)
        for request in list(self._requests):
            request.cancel()
        for writer in list(self._connections.values()):
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=GRACE_S / 4)
