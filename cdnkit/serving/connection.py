"""One connection, held to the limits: whatever its client does, it ends, and what it costs meanwhile is bounded.

hypercorn's connection, with the parts of our own that a server on the open net needs. Every wait is timed: for the head
of a request, between requests, for a client that takes nothing. A connection that ends sends its last response, and
then reads on for a moment, so that the response is not lost to a reset (RFC 9112 §9.6).
"""

import asyncio
from contextlib import suppress
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H2ProtocolAssumedError
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from cdnkit.serving.acknowledged import acknowledged, buffered
from cdnkit.serving.certificates import CLIENT_NAMES, TLS_NAMES, ServerContext, client_names, server_name
from cdnkit.serving.http1 import Http1
from cdnkit.serving.http2 import Http2
from cdnkit.serving.limits import ListenerLimits
from cdnkit.serving.lingering import Lingering, drop
from cdnkit.serving.patience import Left, Stalled, wait_for_client
from cdnkit.serving.roles import FrontRole, ListenerRole, Page

HIGH_WATER_BYTES = 64 * 1024
"""A writer waits while more than this is written and not yet taken by the kernel."""


class Reader(asyncio.StreamReader):
    """What a client sends. A connection that breaks ends it: what came before is still read, unlike asyncio has it.

    ffmpeg sends the last objects that it uploads in one go, reads no response, and closes its connection; the first
    response then breaks it.
    """

    def set_exception(self, exc: Exception) -> None:
        self.feed_eof()

    def is_empty(self) -> bool:
        """Whether all that came was read."""
        return not self._buffer  # type: ignore[attr-defined]


class Connection(TCPServer):
    """One client's connection, from the first byte to the last."""

    protocol: Http1 | Http2  # type: ignore[assignment]

    def __init__(
        self,
        listener: ListenerRole,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        front: FrontRole | None = None,
    ) -> None:
        """`front`: what takes the connection back when it is idle."""
        loop = asyncio.get_running_loop()
        super().__init__(
            self.call,  # type: ignore[arg-type]  # without hypercorn's two arguments for WSGI
            loop, listener.config, listener.context, ConnectionState({}), reader, writer,
        )  # fmt: skip
        self._listener = listener
        self._front = front
        self.limits: ListenerLimits = listener.limits
        self.page: Page = listener.page
        self.connection_state = ConnectionState({})
        self.transport = writer.transport
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self.open_requests = 0
        """Requests whose applications still run, also those whose streams were reset."""
        self.stalled: Stalled | None = None
        self.cut_off = False
        self._hung_up = False
        self._timer: asyncio.TimerHandle | Lingering | None = None
        self._awaits_first_byte = False
        self._tls_names: tuple[str, frozenset[str]] | None = None
        self._client_names: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Until the client leaves or has been sent away, and all that was begun for it has ended."""
        socket = self.writer.get_extra_info("socket")
        try:
            self.client = parse_socket_addr(socket.family, socket.getpeername())
            self.server = parse_socket_addr(socket.family, socket.getsockname())
            ssl_object = self.writer.get_extra_info("ssl_object")
            self.tls = ssl_object is not None
            if ssl_object is not None and isinstance(ssl_object.context, ServerContext):
                self._tls_names = server_name(ssl_object), ssl_object.context.names
                self._client_names = client_names(ssl_object)
            async with TaskGroup(self.loop) as group:
                self._task_group = group
                if ssl_object is not None and ssl_object.selected_alpn_protocol() == "h2":
                    await self._speak_http2()
                else:
                    self.protocol = Http1(self, group)
                    if self._timer is None:
                        self._start_timer(self.limits.head_within)
                await self._read_data()
        except OSError:
            pass
        finally:
            await self._close()

    # ---- reading -----------------------------------------------------------------------------------------------

    async def _read_data(self) -> None:
        closed = False
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(MAX_RECV)
            except OSError:
                break
            if self._awaits_first_byte and data:
                self._start_timer(self.limits.head_within)
            if not self._hung_up:
                await self._handle(data)
            if self._hung_up and not closed:
                closed = True
                await self.protocol.handle(Closed())
        self._stop_timer()
        if not closed:
            await self.protocol.handle(Closed())

    async def _handle(self, data: bytes) -> None:
        try:
            await self.protocol.handle(RawData(data))
        except H2ProtocolAssumedError as assumed:
            await self._speak_http2()
            await self.protocol.handle(RawData(assumed.data))

    async def _speak_http2(self) -> None:
        self.protocol = Http2(self, self._task_group)
        # A browser connects ahead of its first request.
        self._start_timer(self.limits.idle)
        await self.protocol.initiate()

    # ---- waiting -----------------------------------------------------------------------------------------------

    def _start_timer(self, seconds: float, *, first_byte: bool = False) -> None:
        """Hang up after `seconds`, unless a request begins. `first_byte`: its first byte starts the timer anew."""
        self._stop_timer()
        self._awaits_first_byte = first_byte
        self._timer = self.loop.call_later(seconds, self._on_timeout)
        self._listener.waiting[self] = None

    def _stop_timer(self) -> None:
        """A request is under way, or the connection ends: no timer runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._awaits_first_byte = False
        self._listener.waiting.pop(self, None)

    def rests(self) -> bool:
        """Whether nothing of a request is here; if so, whoever takes the connection back has the timer."""
        if not isinstance(self.protocol, Http1) or self._hung_up or not self.protocol.rests():
            return False
        if self.reader.at_eof() or not isinstance(self.reader, Reader) or not self.reader.is_empty():
            return False
        self._stop_timer()
        return True

    def go_on(self, within: float) -> None:
        """A head follows, which must be complete within these seconds."""
        self._start_timer(within)

    def _on_timeout(self) -> None:
        self.hang_up(self.protocol.farewell())

    # ---- writing -----------------------------------------------------------------------------------------------

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self.send_bytes(event.data)
        elif isinstance(event, Closed):
            self.hang_up()
        elif isinstance(event, Updated) and not self._hung_up and not self.reader.at_eof():
            if event.idle:
                self._start_timer(self.limits.idle, first_byte=isinstance(self.protocol, Http1))
                if self._front is not None:
                    self.loop.call_soon(self._front.take_back)
            else:
                self._stop_timer()

    async def send_bytes(self, data: bytes) -> None:
        """Write, and wait while the client has enough to take. A client that takes nothing is dropped."""
        async with self.send_lock:
            if self.transport.is_closing():
                return
            self.writer.write(data)
            if not buffered(self.transport):
                return
            try:
                await wait_for_client(self.writer.drain, self._taken, self.limits.stalled)
                return
            except Stalled as stalled:
                self.stalled = stalled
                drop(self.transport)
            except (ConnectionError, RuntimeError):
                pass
        await self.protocol.handle(Closed())

    async def call(self, scope: Any, receive: Any, send: Any) -> None:
        """Have the application respond to a request. Its `send` raises Left once the client is gone."""

        async def send_or_raise(message: Any) -> None:
            try:
                await send(message)
            except Left as left:
                # A stream may learn that its connection stalled before its own wait has run out.
                raise self.stalled or left from None
            if self.transport.is_closing() and not self._hung_up:
                raise self.stalled or Left("the client closed the connection")

        if self._tls_names is not None:
            scope.setdefault("extensions", {})[TLS_NAMES] = self._tls_names
        if self._client_names:
            scope["extensions"][CLIENT_NAMES] = self._client_names
        await self._listener.call(scope, receive, send_or_raise)

    def _taken(self) -> int:
        return acknowledged(self.transport)

    # ---- ending ------------------------------------------------------------------------------------------------

    def hang_up(self, last: bytes = b"") -> None:
        """Send `last` and nothing more. What the client still sends is thrown away, for a moment."""
        if self._hung_up:
            return
        self._stop_timer()
        self._hung_up = True
        if self.transport.is_closing():
            return
        if last:
            self.writer.write(last)
        try:
            self.writer.write_eof()
        except (NotImplementedError, OSError, RuntimeError):
            self.writer.close()  # TLS has no half-closed connections
        self._timer = Lingering(self.transport, self.loop, self.limits.stalled)
        self._listener.waiting[self] = None

    def cut(self) -> None:
        """End it at once, whatever is under way."""
        self.cut_off = True
        self._stop_timer()
        self.transport.abort()

    async def _close(self) -> None:
        self._stop_timer()
        self.writer.close()
        with suppress(OSError, RuntimeError, asyncio.CancelledError):
            closed = asyncio.ensure_future(self.writer.wait_closed())
            closed.add_done_callback(_retrieved)
            await wait_for_client(lambda: asyncio.shield(closed), self._taken, self.limits.stalled)
        self.transport.abort()


def _retrieved(closed: asyncio.Future[None]) -> None:
    """However it was closed: nobody else may be there to hear."""
    if not closed.cancelled():
        closed.exception()
