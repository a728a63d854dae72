"""The front of a connection: answers plain requests as they come in, and leaves every other one to hypercorn.

    bytes ─► Front ── canonical GET or HEAD ─► application.respond ─┬─► a whole response: written at once
               │                                                   ├─► one that comes later: as it comes (later.py)
               │                                                   └─► any other that takes time: a task (exchange.py)
               └── anything else, byte for byte ─► Connection (hypercorn), until that is idle again

A whole response costs no task, no future and no timer, and one that comes later no task. What is read here and what is
left alone, `heads.py` says; what is written here is what hypercorn and h11 write of the same response. HTTP/2 has a
front of its own (`front_http2.py`).
"""

import asyncio
from contextlib import suppress

from starlette.types import Scope

from cdnkit.serving.acknowledged import acknowledged, unacknowledged
from cdnkit.serving.alarms import GRAIN_S
from cdnkit.serving.certificates import ServerContext, server_name
from cdnkit.serving.connection import HIGH_WATER_BYTES, Connection
from cdnkit.serving.exchange import CLOSES, Exchange
from cdnkit.serving.frames import PREFACE
from cdnkit.serving.front_roles import Client, FrontListener, Later, Whole, extensions_of
from cdnkit.serving.heads import END, LARGEST_HEAD, REQUEST_LINE
from cdnkit.serving.inbox import GONE
from cdnkit.serving.later import LaterExchange
from cdnkit.serving.lingering import Lingering, drop
from cdnkit.serving.patience import LEAST_BYTES, Stalled

JOINED_BYTES = 32 * 1024
"""A body up to this size is copied behind its head, into one write."""
PIECE_BYTES = 256 * 1024
"""What is written at once of a larger body where whole ones are not (`FrontListener.writes_whole`). A slow client holds
as much memory; and so exactly is known how much a client took that has left."""
PIECE_SECURE_BYTES = 32 * 1024
"""The same over TLS: OpenSSL keeps a buffer of that size as long as the connection lives."""
LATE_S = 0.05
"""How long hypercorn has to read the beginning of a head whose time is over, before it says so."""
WAITING_BYTES = 64 * 1024
"""Requests that wait for the response before them, at most; then nothing more is read."""


class Front(asyncio.Protocol):
    """One client's connection. Thousands of them are idle: each attribute counts."""

    __slots__ = (
        "_alarm", "_buffered", "_closing", "_deadline", "_end", "_ended", "_exchange", "_full", "_inner",
        "_kept", "_left", "_listener", "_loop", "_rest", "_timer", "_unfinished", "client", "connection", "cut_off",
        "transport",
    )  # fmt: skip

    transport: asyncio.Transport
    client: Client

    def __init__(self, listener: FrontListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._inner: asyncio.StreamReaderProtocol | None = None
        """hypercorn's reader and writer, once there was something for it."""
        self.connection: Connection | None = None
        self._left = False
        """hypercorn has the connection."""
        self._kept = b""
        """What came and waits: the beginning of a head, or requests behind one that takes time."""
        self._exchange: Exchange | LaterExchange | None = None
        """That of the request which takes time."""
        self._unfinished: Whole | None = None
        """A response of which the client has not taken all."""
        self._rest: memoryview | bytes = b""
        """What of its body is not written yet."""
        self._full = False
        """The transport takes no more for now."""
        self._ended = False
        """The client sends no more."""
        self._buffered = 0
        """Bytes that the transport held when the last piece was written: once it is closed, it cannot say."""
        self._end = 0
        """What `acknowledged` will say when the client has taken the whole response, if that was written at once."""
        self._closing = False
        self.cut_off = False
        self._deadline = 0.0
        self._alarm = 0
        """When it rings, at the deadline or before."""
        self._timer: asyncio.TimerHandle | Lingering | None = None
        """That of a client which takes nothing, or is not heard any more."""

    # ---- the connection's beginning and end ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        listener = self._listener
        tls = transport.get_extra_info("ssl_object")
        peer = transport.get_extra_info("peername")
        refusal = listener.admit(self, str(peer[0]) if peer else "")
        if refusal is not None:
            self._leave(b"", refusal)
            return
        names = None
        if tls is not None and isinstance(tls.context, ServerContext):
            names = server_name(tls), tls.context.names
        address, port = peer[:2] if peer else ("", 0)
        self.client = Client(address, port, "http" if tls is None else "https", names)
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            listener.speak_http2(self, b"")
            return
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._wait(listener.limits.head_within)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_timer()
        self._listener.forget(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)
        if self._unfinished is not None:
            self._finish("")
        exchange = self._exchange
        if exchange is not None:
            exchange.leave()
            exchange.wake()

    def eof_received(self) -> bool:
        if self._left:
            assert self._inner is not None
            return bool(self._inner.eof_received())
        self._ended = True
        if self._exchange is not None:
            self._exchange.leave()
        elif self._unfinished is None:
            self._close()
        return self.client.scheme == "http"  # TLS has no half-closed connections

    # ---- waiting for a request -------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        """No request is under way: hang up after `seconds`. One alarm stays set from request to request."""
        self._deadline = self._loop.time() + seconds
        self._listener.waiting[self] = None
        alarms = self._listener.alarms
        if self._alarm * GRAIN_S > self._deadline:
            alarms.cancel(self, self._alarm)
            self._alarm = 0
        self._alarm = self._alarm or alarms.set(self, self._deadline)

    def _stop_waiting(self) -> None:
        self._listener.waiting.pop(self, None)
        self._listener.alarms.cancel(self, self._alarm)
        self._alarm = 0

    def on_alarm(self) -> None:
        self._alarm = 0
        if self._exchange is not None or self._unfinished is not None:
            return  # whoever ends it waits anew
        if self._deadline > self._loop.time():
            self._alarm = self._listener.alarms.set(self, self._deadline)
        elif self._kept:
            kept, self._kept = self._kept, b""
            self._leave(kept, late=True)
        else:
            self.hang_up()

    # ---- reading ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._left:
            assert self._inner is not None
            self._inner.data_received(data)
        elif self._closing:
            pass
        elif self._exchange is not None or self._unfinished is not None:
            self._kept += data
            if len(self._kept) > WAITING_BYTES:
                self.transport.pause_reading()
        else:
            self._take(self._kept + data if self._kept else data)

    def _take(self, data: bytes) -> None:
        """Answer the requests in `data`, one after the other, as far as they go."""
        begin, respond, read = 0, self._listener.application.respond, self._listener.sections.read
        while begin < len(data):
            end = data.find(END, begin)
            if end < 0:
                self._kept = data[begin:]
                if PREFACE.startswith(self._kept):
                    pass
                elif not _may_become_canonical(self._kept, self._listener.limits.head):
                    self._kept = b""
                    self._leave(data[begin:])
                elif begin or self._deadline - self._loop.time() > self._listener.limits.head_within:
                    self._wait(self._listener.limits.head_within)
                return
            line = REQUEST_LINE.match(data, begin)
            fields = None
            if line is not None and end - begin <= LARGEST_HEAD:
                fields = read(data[line.end() : end + 2])
            if line is None or fields is None:
                self._kept = b""
                self._take_other(data[begin:])
                return
            begin = end + 4
            verb, target = line.groups()
            method = "GET" if verb == b"GET" else "HEAD"
            answer = respond(method, target.decode("ascii"), fields, self.client)
            if not isinstance(answer, Whole):
                self._kept = data[begin:]
                self._begin(method, answer, closes=fields.closes)
                return
            if fields.closes:
                _close_after(answer)
            if not self._write(answer):
                self._kept = data[begin:]
                return
            if answer.ends or self._listener.closing:
                self.hang_up()
                return
        self._kept = b""
        waiting = self._listener.waiting
        waiting.pop(self, None)
        waiting[self] = None
        self._deadline = self._loop.time() + self._listener.limits.idle
        if not self._alarm:
            self._wait(self._listener.limits.idle)

    def _take_other(self, data: bytes) -> None:
        """What came is no canonical request of HTTP/1.1."""
        if data.startswith(PREFACE):
            self._stop_waiting()
            self._listener.speak_http2(self, data)
        elif PREFACE.startswith(data):
            self._kept = data
        else:
            self._leave(data)

    def _go_on(self) -> None:
        """A response is over: take the requests behind it."""
        if self._closing:
            return
        if self._listener.closing:
            self.hang_up()
            return
        self.transport.resume_reading()
        self._take(self._kept)
        if self._ended and self._exchange is None and self._unfinished is None and not self._left:
            self._close()

    # ---- writing ---------------------------------------------------------------------------------------------------

    def _write(self, answer: Whole) -> bool:
        """Whether the client has taken it all, or soon will have."""
        body, end = answer.body, self._listener.end_of_head
        whole = self._listener.writes_whole
        if len(body) <= JOINED_BYTES:
            self.transport.write(b"".join((answer.head, end, body)))
        else:
            piece, most = body, self._piece_bytes
            if len(body) > most and not whole:
                piece, self._rest = memoryview(body)[:most], memoryview(body)[most:]
            self.transport.writelines((answer.head + end, piece))
            self._write_rest()
        if not self._full and not self._rest:
            answer.done(len(body), None)
            return True
        self._unfinished = answer
        self._listener.waiting.pop(self, None)
        taken = self.taken()
        self._end = taken + unacknowledged(self.transport) if whole else 0
        self._watch(taken)
        return False

    @property
    def _piece_bytes(self) -> int:
        return PIECE_BYTES if self.client.scheme == "http" else PIECE_SECURE_BYTES

    def _write_rest(self) -> None:
        most = self._piece_bytes
        while self._rest and not self._full:
            piece, self._rest = self._rest[:most], self._rest[most:]
            self.transport.write(piece)
        if not self._rest:
            self._rest = b""  # an empty view would keep the body
        self._buffered = self.transport.get_write_buffer_size()

    def _finish(self, why: str | None) -> None:
        """The client has taken the whole response, or (`why`) has left."""
        answer, self._unfinished = self._unfinished, None
        assert answer is not None
        if why is not None and self._end:
            unsent = self._end - self.taken()
        else:
            unsent = len(self._rest) + self._buffered
        self._rest = b""
        self._stop_timer()
        answer.done(len(answer.body) if why is None else max(0, len(answer.body) - unsent), why)
        if answer.ends:
            self.hang_up()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, seen: int) -> None:
        """Drop a client that takes nothing of a response for as long as it may."""

        def look() -> None:
            taken = self.taken()
            if taken - seen < LEAST_BYTES:
                self._finish(f"viewer: {Stalled(self._listener.limits.stalled)}")
                drop(self.transport)
            else:
                self._watch(taken)

        self._timer = self._loop.call_later(self._listener.limits.stalled, look)

    def taken(self) -> int:
        """Grows with each byte that the client takes."""
        return acknowledged(self.transport) - len(self._rest)

    def pause_writing(self) -> None:
        self._full = True
        if self._left and self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._full = False
        if self._left and self._inner is not None:
            self._inner.resume_writing()
        elif self._exchange is not None:
            self._exchange.wake()
        elif self._unfinished is not None:
            self._write_rest()
            if not self._full:
                self._finish(None)
                self._go_on()

    # ---- a response that takes time --------------------------------------------------------------------------------

    def _begin(self, method: str, answer: Later | Scope, *, closes: bool) -> None:
        self._listener.waiting.pop(self, None)
        if isinstance(answer, Later):
            later = self._exchange = LaterExchange(self, method, answer, closes=closes)
            answer.begin(later)
        else:
            self.call(method, answer, closes=closes)

    def call(self, method: str, scope: Scope, *, closes: bool) -> None:
        """Have the application respond to the request under way, as a task."""
        exchange = self._exchange = Exchange(self, method, closes=closes)
        scope["extensions"] = extensions_of(self.client, self.transport, exchange.interim)
        scope["extensions"][GONE] = exchange.gone

        def over() -> None:
            exchange.leave()
            if not exchange.complete:
                exchange.fail()
            self.over(ends=not exchange.complete or exchange.ends)

        self._listener.run(scope, exchange, over)

    def answer(self, answer: Whole, *, closes: bool) -> None:
        """The response to the request under way is whole."""
        self._exchange = None
        if closes:
            _close_after(answer)
        if self._write(answer):
            self.over(ends=answer.ends)

    def over(self, *, ends: bool) -> None:
        """The request under way is over; `ends`: so is the connection."""
        self._exchange = None
        if self.transport.is_closing():
            return
        if ends:
            self.hang_up()
            return
        self._deadline = self._loop.time() + self._listener.limits.idle
        self._go_on()

    @property
    def end_of_head(self) -> bytes:
        return self._listener.end_of_head

    @property
    def stalled_after(self) -> float:
        return self._listener.limits.stalled

    @property
    def full(self) -> bool:
        return self._full

    # ---- hypercorn -------------------------------------------------------------------------------------------------

    def _leave(self, first: bytes, refusal: tuple[int, str] | None = None, *, late: bool = False) -> None:
        """Leave the connection to hypercorn, from `first` on; `late`: the time for this head is over."""
        self._stop_waiting()
        self._left = True
        if self._inner is None:
            self._inner = self._listener.left_to_hypercorn(self, refusal)
            self._inner.connection_made(self.transport)
        if self.connection is not None and (late or first):
            self.connection.go_on(LATE_S if late else self._listener.limits.head_within)
        if first:
            self._inner.data_received(first)

    def take_back(self) -> None:
        """hypercorn's connection is idle: the next request is ours to look at."""
        if self._left and self.connection is not None and self.connection.rests():
            self._left = False
            self._wait(self._listener.limits.idle)

    # ---- ending ----------------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Send nothing more. What the client still sends is thrown away, for a moment."""
        if self._closing or self.transport.is_closing():
            return
        self._stop_waiting()
        self._closing = True
        if self.client.scheme != "http":
            self.transport.close()
            return
        with suppress(OSError, RuntimeError):
            self.transport.write_eof()
        self._listener.waiting[self] = None
        self._timer = Lingering(self.transport, self._loop, self._listener.limits.stalled)

    def cut(self) -> None:
        """End it at once."""
        self._closing = self.cut_off = True
        self.transport.abort()

    def _close(self) -> None:
        self._stop_waiting()
        self._closing = True
        self.transport.close()


def _close_after(answer: Whole) -> None:
    """Have the client know that it is the connection's last."""
    if not answer.ends:
        answer.ends = True
        answer.head += CLOSES


def _may_become_canonical(begun: bytes, largest: int) -> bool:
    """Whether more bytes could make a canonical head of these: one beyond `largest` is refused before it is whole."""
    if len(begun) > min(largest, LARGEST_HEAD) or begun.count(b"\n") != begun.count(b"\r\n"):
        return False
    return REQUEST_LINE.match(begun) is not None or (b"\n" not in begun and begun[:1] in (b"G", b"H"))
