"""One ASGI application on one socket, by hypercorn: bound before it is served, stopped within half a second.

Binding is apart from serving so that a port in use is known before anything runs, and so that port 0 can be told.
"""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from dataclasses import dataclass

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config
from starlette.types import ASGIApp, Receive, Scope, Send

from units import split_address

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
        listener.listen(1024)
    except OSError as error:
        listener.close()
        found = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortInUse(setting, address, found) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which a bound socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Listener:
    """One application, served from now until `closing` is set."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        closing: asyncio.Event,
        log: logging.Logger,
        *,
        date_header: bool = True,
    ) -> None:
        """Takes over the socket. `date_header` False: the application's responses carry their own Date."""
        self._app = app
        self._log = log
        self._requests: set[asyncio.Task[object]] = set()
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]  # the server owns, and closes, the descriptor from here on
        config.accesslog = None
        config.errorlog = log
        config.loglevel = "WARNING"
        config.include_server_header = False
        config.include_date_header = date_header
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
            self._log.error(
                "%s: %s: %s", scope["path"], type(error).__name__, error, exc_info=self._log.isEnabledFor(logging.DEBUG)
            )
        finally:
            self._requests.discard(task)

    async def close(self) -> None:
        """After `closing`: waits for the answers being sent, then for nobody; a slow reader does not keep us here."""
        done, _ = await asyncio.wait((self.task,), timeout=GRACE_S)
        for request in self._requests:
            request.cancel()
        if not done:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait((self.task,), timeout=0.1)
