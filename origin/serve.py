"""The origin as a server: two listeners on hypercorn, in one event loop, until told to stop."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config
from starlette.types import ASGIApp, Receive, Scope, Send

from origin.app import origin_app
from origin.errors import PortInUse
from origin.ingest import Ingest, ingest_app
from origin.publisher import Publisher
from origin.settings import Origin
from units import split_address

log = logging.getLogger("origin")

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
    said = {"ready": "origin", "url": _url(public), "ingest": _url(private)}
    closing = asyncio.Event()
    listeners = [
        _Listener(origin_app(publisher), public, closing),
        _Listener(ingest_app(ingest), private, closing),
    ]
    # The sockets already listen: a connection made from here on is accepted as soon as the servers run.
    ready(dict(said))
    stopped = asyncio.create_task(shutdown.wait())
    try:
        await asyncio.wait((stopped, *(listener.task for listener in listeners)), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        closing.set()
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
        listener.listen(1024)
    except OSError as error:
        listener.close()
        found = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortInUse(setting, address, found) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Listener:
    """One application on one socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket, closing: asyncio.Event) -> None:
        self._app = app
        self._requests: set[asyncio.Task[object]] = set()
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]  # the server owns, and closes, the descriptor from here on
        config.accesslog = None
        config.errorlog = log
        config.loglevel = "WARNING"
        config.include_server_header = False
        # The default of 5 s is shorter than a 6 s poll of a playlist: every poll would connect anew.
        config.keep_alive_timeout = 75
        config.keep_alive_max_requests = 1_000_000_000
        config.backlog = 1024
        config.graceful_timeout = GRACE_S
        config.h11_max_incomplete_size = 64 * 1024
        # The server types scopes as closed dictionaries, Starlette as open ones: the same thing at run time.
        running = serve_asgi(self._call, config, shutdown_trigger=closing.wait, mode="asgi")  # type: ignore[arg-type]
        self.task = asyncio.create_task(running)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        self._requests.add(task)
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # Ends the connection where an answer was under way: a body cut short must not look complete.
            log.error("%s: %s: %s", scope["path"], type(error).__name__, error, exc_info=log.isEnabledFor(10))
        finally:
            self._requests.discard(task)

    async def close(self) -> None:
        """Waits for the answers being sent, then for nobody: a viewer who reads slowly does not keep us here."""
        done, _ = await asyncio.wait((self.task,), timeout=GRACE_S)
        for request in self._requests:
            request.cancel()
        if not done:
            self.task.cancel()
            await asyncio.wait((self.task,), timeout=0.1)
