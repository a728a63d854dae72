"""One ASGI application on one socket, by hypercorn: bound before it is served, stopped within half a second.

Binding is apart from serving, so that a port in use is known before anything runs, and so that the number behind port 0
can be printed. hypercorn is pinned to its 0.18 line, since its connection class is no public interface: the names that
are used of it are listed in tests/real/serving/test_contract.py.
"""

import asyncio
import logging
import os
import resource
import socket
import ssl
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from starlette.types import ASGIApp, Receive, Scope, Send

from cdnkit.serving.connection import Connection
from cdnkit.serving.http1 import phrase_of
from cdnkit.serving.limits import ListenerLimits
from cdnkit.serving.patience import Left
from cdnkit.serving.roles import Page
from cdnkit.units import source_of, split_address, visible

BACKLOG = 1024
UNSENT_BYTES = 128 * 1024
"""The kernel takes at most this much of a response that it cannot send yet: two pieces of an edge's bodies."""
GRACE_S = 0.4
"""How long responses that are being sent may still take at shutdown."""
TURNED_AWAY = 64
"""Connections beyond a bound that get their response at the same time; more are closed without one."""


@dataclass
class PortInUse(Exception):
    """An address cannot be listened on: it is taken, or is not one of this machine's."""

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
        # Connections inherit it. Without it the kernel takes megabytes for a client that reads slowly, and for a minute
        # no progress is seen.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        found = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortInUse(setting, address, found) from error
    return listener


def bind_udp(address: str, setting: str) -> socket.socket:
    """A UDP socket on `address`; PortInUse names the setting."""
    host, port = split_address(address)
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortInUse(setting, f"{address} (UDP)", error.strerror or str(error)) from error
    return bound


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    """The URL under which a bound socket is reached."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def plain_page(status: int, reason: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """One line for a person with a terminal."""
    return status, [(b"content-type", b"text/plain; charset=utf-8")], f"{status} {reason}\n".encode()


DESCRIPTORS = 65_536
"""No node needs more open files than this."""


class Reader(asyncio.StreamReader):
    """What a client sends. A connection that breaks ends it: what came before is still read, unlike asyncio has it.

    ffmpeg sends the last objects that it uploads in one go, reads no response, and closes its connection; the first
    response then breaks it.
    """

    def set_exception(self, exc: Exception) -> None:
        self.feed_eof()


class Listener:
    """One application on one socket, from `start` to `close`: accepts connections, and ends them at shutdown.

    `hypercorn.asyncio.serve` could accept them; but at shutdown it waits for connections that it cannot end (from
    Python 3.12 on without limit): a viewer that reads slowly, or an encoder that posts, would keep the process alive.
    """

    def __init__(
        self,
        app: ASGIApp,
        log: logging.Logger,
        *,
        date_header: bool = True,
        limits: ListenerLimits | None = None,
        page: Page | None = None,
        alt_svc: str = "",
        per_source: int | None = None,
    ) -> None:
        """`date_header` False: the application's responses, and `page`s, carry their own Date. `page`: makes responses
        to requests that cannot be read; by default, one plain line. `alt_svc`: sent with every response, where else
        the application is served (RFC 7838). `per_source`: the most connections at once from one address; one more
        gets 429."""
        self._app = app
        self._log = log
        self.limits = limits or ListenerLimits()
        self.page = page or plain_page
        self.context = WorkerContext(None)
        self.waiting: dict[Connection, None] = {}
        """Connections without a request, the longest waiting first."""
        self._most = self.limits.connections
        self._per_source = per_source
        self._sources: Counter[str] = Counter()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._turned_away: set[asyncio.Task[None]] = set()
        self._requests: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None
        config = self.config = Config()
        config.errorlog = log
        config.include_server_header = False
        config.include_date_header = date_header
        config.alt_svc_headers = [alt_svc] if alt_svc else []
        config.keep_alive_max_requests = 1_000_000_000
        config.h11_max_incomplete_size = self.limits.head
        config.h2_max_header_list_size = self.limits.head
        config.h2_max_concurrent_streams = self.limits.streams

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on a bound socket, which is ours from now on; `tls`: they all speak TLS."""
        self._most = min(self._most, _raised_descriptor_limit() // 2)
        # A handshake has as long as a request's head.
        patience = None if tls is None else self.limits.head_within
        farewell = None if tls is None else self.limits.stalled
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: asyncio.StreamReaderProtocol(Reader(loop=loop), self._accept, loop=loop),
            sock=listener, backlog=BACKLOG, ssl=tls,
            ssl_handshake_timeout=patience, ssl_shutdown_timeout=farewell,
        )  # fmt: skip

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = _source_of(writer)
        if self._per_source is not None and self._sources[source] >= self._per_source:
            self._refuse(reader, writer, 429, f"limit: {self._per_source} connections are open from this address")
            return
        if len(self._connections) >= self._most and not self._make_room():
            self._refuse(reader, writer, 503, f"limit: {self._most} connections are open and busy")
            return
        connection = Connection(self, reader, writer)
        task = asyncio.create_task(self._run(connection))
        self._connections[task] = connection
        self._sources[source] += 1
        task.add_done_callback(partial(self._forget, source))

    def _forget(self, source: str, ended: asyncio.Task[None]) -> None:
        self._connections.pop(ended, None)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, reason: str) -> None:
        if len(self._turned_away) >= TURNED_AWAY:
            writer.transport.abort()
            return
        turned_away = asyncio.create_task(self._turn_away(reader, writer, status, reason))
        self._turned_away.add(turned_away)
        turned_away.add_done_callback(self._turned_away.discard)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest without a request; False: all of them are busy."""
        idle = next(iter(self.waiting), None) or next(
            (one for one in self._connections.values() if not one.open_requests and not one.cut_off), None
        )
        if idle is None:
            return False
        idle.cut()
        return True

    async def _turn_away(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, reason: str
    ) -> None:
        """One connection too many: it gets a short response, and a moment to read it."""
        status, lines, body = self.page(status, reason)
        lines = [*lines, (b"retry-after", b"1"), (b"connection", b"close"), (b"content-length", b"%d" % len(body))]
        head = b"".join(b"%b: %b\r\n" % line for line in lines)
        writer.write(b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, phrase_of(status).encode(), head, body))
        with suppress(OSError, TimeoutError):
            with suppress(NotImplementedError):  # TLS has no half-closed connections
                writer.write_eof()
            async with asyncio.timeout(GRACE_S):
                while await reader.read(65_536):
                    pass
        writer.transport.abort()

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception as error:
            self._log.error("connection: %s: %s", type(error).__name__, error, exc_info=self._verbose)

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application respond to one request."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            return  # no application here speaks WebSocket: hypercorn refuses it
        self._requests.add(task)
        try:
            await self._app(scope, receive, send)
        except Left as left:
            self._log.debug("%s: the client %s", visible(scope["path"]), left)
        except Exception as error:
            # Ends the connection if a response was under way: a body cut short must not look complete.
            path = visible(scope["path"])
            self._log.error("%s: %s: %s", path, type(error).__name__, error, exc_info=self._verbose)
        finally:
            self._requests.discard(task)

    @property
    def _verbose(self) -> bool:
        return self._log.isEnabledFor(logging.DEBUG)

    async def close(self) -> None:
        """Accept no more, give the responses that are being sent their grace, then end every connection."""
        if self._server is not None:
            self._server.close()
        await self.context.terminated.set()
        for connection in list(self.waiting):
            connection.hang_up()
        for connection in list(self.waiting):
            connection.cut()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=GRACE_S)
        for request in list(self._requests):
            request.cancel()
        for connection in list(self._connections.values()):
            connection.cut()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=GRACE_S / 4)


def _source_of(writer: asyncio.StreamWriter) -> str:
    """Whom the client's address belongs to; "" where it has hung up already."""
    peer = writer.get_extra_info("peername")
    return source_of(str(peer[0])) if peer else ""


def _raised_descriptor_limit() -> int:
    """How many files this process may open, after its soft limit was raised, to at most `DESCRIPTORS`.

    A shell's soft limit is often 1,024: enough for five hundred viewers, each with a fill of its own.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return DESCRIPTORS
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return soft
