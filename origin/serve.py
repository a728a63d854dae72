"""The origin as a server: two listeners on hypercorn, in one event loop, until told to stop."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp, Receive, Scope, Send

from origin.app import origin_app
from origin.errors import PortInUse
from origin.ingest import Ingest, ingest_app
from origin.publisher import Publisher
from origin.settings import Origin
from units import split_address

log = logging.getLogger("origin")

BACKLOG = 1024
GRACE_S = 0.4
"""How long answers that are being sent may take after shutdown was asked for."""


async def serve(
    settings: Origin,
    *,
    shutdown: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
    streams: Mapping[str, float] | None = None,
) -> None:
    """Serves until `shutdown` is set, then ends open ingests, stores what they sent and returns within a second.

    `streams` gives segment lengths by stream name, where they are not `settings.segment`. `ready` is called once both
    listeners accept, with `{"ready": "origin", "url": ..., "ingest": ...}`. `PortInUse`: an address is taken or not
    ours; `StorageFailed`: the storage folder cannot be used.
    """
    began, wall = time.monotonic(), time.time()
    publisher = Publisher(settings, lambda: wall + time.monotonic() - began, streams)
    await publisher.resume()
    ingest = Ingest(publisher)
    public = _bind(settings.listen, "origin.listen")
    try:
        private = _bind(settings.ingest, "origin.ingest")
    except PortInUse:
        public.close()
        raise
    said: dict[str, object] = {"ready": "origin", "url": _url(public), "ingest": _url(private)}
    listeners = [_Listener(origin_app(publisher)), _Listener(ingest_app(ingest))]
    try:
        for listener, on in zip(listeners, (public, private), strict=True):
            await listener.start(on)
        ready(said)
        await shutdown.wait()
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await ingest.stop()
        await asyncio.gather(*(listener.close() for listener in listeners))


def _bind(address: str, setting: str) -> socket.socket:
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


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Listener:
    """One application on one socket: hypercorn's connections, our accepting and ending.

    `hypercorn.asyncio.serve` would do the first half; but at shutdown it waits for connections it cannot end (from
    Python 3.12 on without limit), and a viewer who reads slowly, or an encoder that posts, would keep us here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._wrapped = wrap_app(self._call, 0, "asgi")  # type: ignore[arg-type]  # open dictionaries, as in Starlette
        self._context = WorkerContext(None)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._requests: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None
        self._config = config = Config()
        config.accesslog = None
        config.errorlog = log
        config.include_server_header = False
        # The default of 5 s is shorter than a 6 s poll of a playlist: every poll would connect anew.
        config.keep_alive_timeout = 75
        config.keep_alive_max_requests = 1_000_000_000
        config.h11_max_incomplete_size = 64 * 1024

    async def start(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listener, backlog=BACKLOG)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._talk(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(lambda ended: self._connections.pop(ended, None))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            await TCPServer(self._wrapped, loop, self._config, self._context, {}, reader, writer)
        except Exception as error:
            log.error("connection: %s: %s", type(error).__name__, error, exc_info=log.isEnabledFor(10))

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            return  # nothing here speaks WebSocket: the server answers
        self._requests.add(task)
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # Ends the connection where an answer was under way: a body cut short must not look complete.
            log.error("%s: %s: %s", scope["path"], type(error).__name__, error, exc_info=log.isEnabledFor(10))
        finally:
            self._requests.discard(task)

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
