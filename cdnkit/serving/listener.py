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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from starlette.types import ASGIApp, Receive, Scope, Send

from cdnkit.serving.acknowledged import KERNEL_SAYS
from cdnkit.serving.alarms import Alarms
from cdnkit.serving.connection import Connection, Reader
from cdnkit.serving.front import Front
from cdnkit.serving.front_http2 import Http2Front
from cdnkit.serving.front_roles import Asgi, FrontApplication
from cdnkit.serving.heads import FieldSections
from cdnkit.serving.heads_http2 import Heads
from cdnkit.serving.hpack import lines_block
from cdnkit.serving.http1 import phrase_of
from cdnkit.serving.known_blocks import Paths
from cdnkit.serving.limits import ListenerLimits
from cdnkit.serving.patience import Left
from cdnkit.serving.roles import Page
from cdnkit.units import source_of, split_address, visible

BACKLOG = 1024
UNSENT_BYTES = 1024 * 1024
"""The kernel takes at most this much of a response that it cannot send yet. What it takes at once costs least, and
without a bound it takes 4 MB (docs/limits.md)."""
UNSENT_BLIND_BYTES = 128 * 1024
"""The same where the kernel cannot say how much of it a client took: what it holds of a slow client's response looks
like a stall."""
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


def bind_several(address: str, setting: str, count: int) -> list[socket.socket]:
    """So many sockets that listen on one address, over which the kernel spreads connections (SO_REUSEPORT)."""
    if count == 1:
        return [bind(address, setting)]
    # Sockets that share their port would share it with those of any other process of this user.
    with bind(address, setting) as alone:
        port = alone.getsockname()[1]
    shared = f"{address.rpartition(':')[0]}:{port}"
    bound: list[socket.socket] = []
    try:
        for _ in range(count):
            bound.append(bind(shared, setting, shares_port=True))
    except PortInUse:
        for one in bound:
            one.close()
        raise
    return bound


def bind(address: str, setting: str, *, shares_port: bool = False) -> socket.socket:
    """A socket that listens on `address` ("127.0.0.1:8080", port 0: any); PortInUse names the setting."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unsent = UNSENT_BYTES if KERNEL_SAYS else UNSENT_BLIND_BYTES
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent)  # connections inherit it
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
        front: FrontApplication | None = None,
    ) -> None:
        """`date_header` False: the application's responses, and `page`s, carry their own Date. `page`: makes responses
        to requests that cannot be read; by default, one plain line. `alt_svc`: sent with every response, where else
        the application is served (RFC 7838). `per_source`: the most connections at once from one address; one more
        gets 429. `front`: the application, where it can answer plain requests at once."""
        self._app = app
        self._log = log
        self.limits = limits or ListenerLimits()
        self.page = page or plain_page
        self.context = WorkerContext(None)
        self.waiting: dict[Connection | Front | Http2Front, None] = {}
        """Connections without a request, the longest waiting first."""
        self._most = self.limits.connections
        self._per_source = per_source
        self._open = 0
        """Connections."""
        self._sources: Counter[str] = Counter()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._fronts: dict[Front | Http2Front, str] = {}
        """With the address that each counts for."""
        self._no_fronts = asyncio.Event()
        self._front = front
        self.sections = FieldSections()
        self.heads = Heads()
        self.paths = Paths()
        self.closing = False
        self.writes_whole = False
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
        self.alarms = Alarms(loop)
        # asyncio's own transports copy what the kernel does not take, and TLS makes records of it.
        self.writes_whole = KERNEL_SAYS and tls is None and type(loop).__module__.partition(".")[0] == "uvloop"
        self.end_of_head = b"".join(b"%b: %b\r\n" % line for line in self.config.response_headers("h11")) + b"\r\n"

        self.end_of_block = lines_block(self.config.response_headers("h2"))

        def connection() -> asyncio.Protocol:
            if self._front is None:
                return asyncio.StreamReaderProtocol(Reader(loop=loop), self._accept, loop=loop)
            return Front(self, loop)

        self._server = await loop.create_server(
            connection,
            sock=listener, backlog=BACKLOG, ssl=tls,
            ssl_handshake_timeout=patience, ssl_shutdown_timeout=farewell,
        )  # fmt: skip

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = _source_of(writer)
        refusal = self._one_too_many(source)
        if refusal is not None:
            self._refuse(reader, writer, *refusal)
            return
        task = self._begin(Connection(self, reader, writer))
        self._open += 1
        self._sources[source] += 1
        task.add_done_callback(lambda _: self._count_out(source))

    def _begin(self, connection: Connection) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(connection))
        self._connections[task] = connection
        task.add_done_callback(lambda ended: self._connections.pop(ended, None))
        return task

    def _one_too_many(self, source: str) -> tuple[int, str] | None:
        """Why a connection more is refused; None: there is room for it."""
        if self._per_source is not None and self._sources[source] >= self._per_source:
            return 429, f"limit: {self._per_source} connections are open from this address"
        if self._open >= self._most and not self._make_room():
            return 503, f"limit: {self._most} connections are open and busy"
        return None

    def _count_out(self, source: str) -> None:
        self._open -= 1
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    # ---- fronts ------------------------------------------------------------------------------------------------

    @property
    def application(self) -> FrontApplication:
        assert self._front is not None
        return self._front

    def admit(self, front: Front, address: str) -> tuple[int, str] | None:
        """Count a front in; why it is one too many, if it is."""
        source = source_of(address) if address else ""
        refusal = self._one_too_many(source)
        if refusal is None:
            self._fronts[front] = source
            self._open += 1
            self._sources[source] += 1
        return refusal

    def forget(self, front: Front | Http2Front) -> None:
        source = self._fronts.pop(front, None)
        if source is not None:
            self._count_out(source)
        if not self._fronts:
            self._no_fronts.set()

    def speak_http2(self, front: Front, first: bytes) -> None:
        """Another front takes the place of this one."""
        other = Http2Front(self, asyncio.get_running_loop(), front.transport, front.client)
        self._fronts[other] = self._fronts.pop(front)
        front.transport.set_protocol(other)
        other.begin(first)

    def run(self, scope: Scope, exchange: Asgi, over: Callable[[], None]) -> None:
        """Have the application respond to a request that a front took."""
        task = asyncio.create_task(self.call(scope, exchange.receive, exchange.send))
        task.add_done_callback(lambda _: over())

    def left_to_hypercorn(self, front: Front, refusal: tuple[int, str] | None) -> asyncio.StreamReaderProtocol:
        """A reader and writer whose connection is hypercorn's, or (`refusal`) one that is turned away."""

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if refusal is not None:
                self._refuse(reader, writer, *refusal)
                return
            front.connection = Connection(self, reader, writer, front)
            self._begin(front.connection)

        loop = asyncio.get_running_loop()
        return asyncio.StreamReaderProtocol(Reader(loop=loop), begin, loop=loop)

    # ---- bounds ------------------------------------------------------------------------------------------------

    def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, reason: str) -> None:
        if len(self._turned_away) >= TURNED_AWAY:
            writer.transport.abort()
            return
        turned_away = asyncio.create_task(self._turn_away(reader, writer, status, reason))
        self._turned_away.add(turned_away)
        turned_away.add_done_callback(self._turned_away.discard)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest without a request; False: all of them are busy."""
        idle = next((one for one in self.waiting if not one.cut_off), None) or next(
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
        self.closing = True
        await self.context.terminated.set()
        for connection in list(self.waiting):
            connection.hang_up()
        for connection in list(self.waiting):
            connection.cut()
        await self._all_gone(GRACE_S)
        for request in list(self._requests):
            request.cancel()
        for connection in list(self._connections.values()):
            connection.cut()
        for front in list(self._fronts):
            front.cut()
        await self._all_gone(GRACE_S / 4)

    async def _all_gone(self, within: float) -> None:
        """Until all connections have ended, or for `within` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                if self._connections:
                    await asyncio.wait(list(self._connections))
                if self._fronts:
                    self._no_fronts.clear()
                    await self._no_fronts.wait()


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
