"""The front of an HTTP/2 connection: requests that can be answered at once are, and the others are tasks.

    FrameReader ─► HEADERS ─► Heads ─┬─ canonical ─► application.respond ─┬─► a whole response
          │                          │                                    └─┐       │
          │                          └─ any other request ──────────────────┴─► a task, with a StreamExchange
          │                                                                         │
          └─► DATA, WINDOW_UPDATE, SETTINGS ... ─► streams and windows              └─► Sender

All that one read brings is answered in one write.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from hypercorn.utils import parse_socket_addr
from starlette.types import Scope

from cdnkit.serving.certificates import CLIENT_NAMES, TLS_NAMES, client_names
from cdnkit.serving.connection import HIGH_WATER_BYTES, LINGER_S
from cdnkit.serving.exchange_http2 import StreamExchange
from cdnkit.serving.frame_reader import FrameReader
from cdnkit.serving.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
    PING,
    SETTINGS,
    Code,
    ConnectionFault,
    frame,
    goaway,
    head_frames,
    reset,
    settings,
    window_update,
)  # fmt: skip
from cdnkit.serving.front import Client, FrontListener, Whole
from cdnkit.serving.heads_http2 import PATH, Head, Priority, check, priority_of, scope_of
from cdnkit.serving.hpack import TABLE_SIZE_0, FieldDecoder
from cdnkit.serving.http2 import DECODED_HEADS
from cdnkit.serving.inbox import INTERIM
from cdnkit.serving.patience import Left, Stalled
from cdnkit.serving.sender import Sender
from cdnkit.serving.streams import Stream

CREDIT_BYTES = 16 * 1024
"""The connection's window is opened again by so much at once: a quarter of it, so that no upload waits for it."""
REMEMBERED_RESETS = 256
"""Streams that were reset last: what their client had sent by then is no fault of its own."""

_CLOSED, _RESET = "the client closed the connection", "the stream is closed"


class Http2Front(asyncio.Protocol):
    """One client's connection, from the first byte of its preface on."""

    def __init__(
        self, listener: FrontListener, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, client: Client
    ) -> None:
        self._listener = listener
        self._loop = loop
        self.client = client
        client.version = "2"
        self.transport = transport
        limits = self._limits = listener.limits
        self._reader = FrameReader(self, loop, DECODED_HEADS * limits.head)
        self._sender = Sender(transport, loop, self._sent)
        self._decoder = FieldDecoder(DECODED_HEADS * limits.head)
        self._streams: dict[int, Stream] = {}
        """Those that are open or half-closed."""
        self._running = 0
        """Requests whose applications still run, also those whose streams were reset."""
        self._highest = 0
        """The last stream that the client has opened."""
        self._skipped = False
        """It left out some before it."""
        self._resets: dict[int, None] = {}
        self._credit = 0
        """Bytes that came and of which the client is not told yet that they were taken."""
        self._table_update = b""
        self._priorities: dict[int, Priority] = {}
        """Of streams that are not open yet."""
        self._confirming: list[tuple[Whole, int]] = []
        """Responses that are written, of which the transport still has some."""
        self._leaving = False
        """The client opens no more streams."""
        self._answered = False
        """A request was answered since it was last looked at."""
        self._beginning: list[Callable[[], None]] = []
        """Requests that came in this read. A fault behind them, in their content perhaps, and they do not begin."""
        self._closing = False
        self.cut_off = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._seen = (0, 0)

    def begin(self, first: bytes) -> None:
        """The transport is ours; `first` has come."""
        limits = self._limits
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        offer = {MAX_CONCURRENT_STREAMS: limits.streams, MAX_HEADER_LIST_SIZE: limits.head, NO_RFC7540_PRIORITIES: 1}
        self.transport.write(settings(offer))
        self._wait()  # a browser connects ahead of its first request
        if first:
            self.data_received(first)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._listener.forget(self)
        self._leave_all(Left(_CLOSED))

    def eof_received(self) -> bool:
        self._closing = True
        self._leave_all(Left(_CLOSED))
        return False

    # ---- waiting ---------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """No request is under way."""
        waiting = self._listener.waiting
        waiting.pop(self, None)
        waiting[self] = None
        self._deadline = self._loop.time() + self._limits.idle
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.idle, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        left = self._deadline - self._loop.time()
        self._timer = None
        if left > 0 and not self._streams:
            self._timer = self._loop.call_later(left, self._look_at_the_time)
        elif not self._streams:
            self.hang_up()

    def _rest(self) -> None:
        """A request is over."""
        if self._streams or self._closing:
            return
        if self._leaving or self._listener.closing:
            self.hang_up()
        else:
            self._wait()

    def _watch(self) -> None:
        """Look now and then whether the client takes what there is for it."""
        if self._stall is None and (self._sender.full or any(one.pending for one in self._streams.values())):
            self._seen = self._sender.sent, self._unsent()
            self._stall = self._loop.call_later(self._limits.stalled, self._look_for_stalls)

    def _look_for_stalls(self) -> None:
        self._stall = None
        sender, seen, why = self._sender, self._seen, Stalled(self._limits.stalled)
        quiet = (sender.sent, self._unsent()) == seen
        if sender.full and quiet:
            self._leave_all(why)
            self.cut()
            return
        for stream in list(self._streams.values()):
            blocked = stream.window <= 0 or (sender.window <= 0 and quiet)
            if stream.pending and stream.taken == stream.seen and blocked and not sender.full:
                self._reset(stream, Code.CANCEL, why)
            stream.seen = stream.taken
        self._watch()

    def _unsent(self) -> int:
        with suppress(AttributeError):  # asyncio's TLS transports cannot say once they are closed
            return self.transport.get_write_buffer_size()
        return 0

    def pause_writing(self) -> None:
        self._sender.full = True
        self.transport.pause_reading()  # whoever takes no answers asks no more
        self._watch()

    def resume_writing(self) -> None:
        self._sender.full = False
        if not self.transport.is_closing():
            self.transport.resume_reading()
        confirmed, self._confirming = self._confirming, []
        for answer, size in confirmed:
            answer.done(size, None)
        self._sender.flush()

    # ---- frames that come ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        sender = self._sender
        sender.held = True
        try:
            self._reader.feed(data)
            for begin in self._beginning:
                begin()
        except ConnectionFault as fault:
            self.hang_up(fault.code)
            return
        finally:
            sender.held = False
            self._beginning.clear()
        if self._credit >= CREDIT_BYTES:
            sender.put(window_update(0, self._credit))
            self._credit = 0
        sender.flush()
        if self._answered:
            self._answered = False
            self._rest()
        if self._streams:
            self._watch()

    def on_settings(self, values: dict[int, int]) -> None:
        sender = self._sender
        if HEADER_TABLE_SIZE in values:
            self._table_update = TABLE_SIZE_0
        change = values.get(INITIAL_WINDOW_SIZE, sender.stream_window) - sender.stream_window
        if change:
            sender.stream_window += change
            for stream in self._streams.values():
                if stream.window + change > LARGEST_WINDOW:
                    raise ConnectionFault(Code.FLOW_CONTROL_ERROR)
                sender.widen(stream, change)
        sender.put(frame(SETTINGS, ACK, 0))

    def on_ping(self, payload: bytes) -> None:
        self._sender.put(frame(PING, ACK, 0, payload))

    def on_goaway(self) -> None:
        self._leaving = self._answered = True

    def on_priority(self, stream_id: int, value: str) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._sender.forget(stream)
            stream.urgency, stream.incremental = priority_of(value)
            self._sender.push(stream)
        elif stream_id > self._highest and len(self._priorities) < self._limits.streams:
            self._priorities[stream_id] = priority_of(value)

    def on_window(self, stream_id: int, increment: int) -> None:
        if not stream_id:
            if not increment:
                raise ConnectionFault(Code.PROTOCOL_ERROR)
            self._sender.widen(None, increment)
            return
        stream = self._known(stream_id)
        if stream is None:
            return
        if not increment or stream.window + increment > LARGEST_WINDOW:
            self._fault(stream, Code.FLOW_CONTROL_ERROR if increment else Code.PROTOCOL_ERROR)
        else:
            self._sender.widen(stream, increment)

    def on_reset(self, stream_id: int) -> None:
        stream = self._known(stream_id)
        if stream is not None:
            self._forget(stream, Left(_RESET))

    def on_data(self, stream_id: int, data: bytes, size: int, *, ended: bool) -> None:
        stream = self._known(stream_id)
        self._credit += size
        if stream is None:
            self._reader.count_odd()
            if stream_id not in self._resets:
                self._reader.count_reset()
                self._sender.put(reset(stream_id, Code.STREAM_CLOSED))
            return
        stream.room -= size
        if not stream.receiving or stream.room < 0:
            self._fault(stream, Code.FLOW_CONTROL_ERROR if stream.receiving else Code.STREAM_CLOSED)
            return
        if stream.expects is not None:
            stream.expects -= len(data)
            if stream.expects < 0:
                raise ConnectionFault(Code.PROTOCOL_ERROR)
        assert stream.exchange is not None
        if data:
            stream.exchange.inbox.give({"type": "http.request", "body": data, "more_body": True})
        if ended:
            self._content_ends(stream)
        elif size > len(data):
            self.received(stream, size - len(data))

    def _known(self, stream_id: int) -> Stream | None:
        """The stream, if it is still there. ConnectionFault: it never was (RFC 9113 §5.1)."""
        if stream_id > self._highest or not stream_id % 2:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        return self._streams.get(stream_id)

    def _content_ends(self, stream: Stream) -> None:
        if stream.expects:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        assert stream.exchange is not None
        stream.receiving = False
        stream.exchange.inbox.give({"type": "http.request", "body": b"", "more_body": False})

    def on_block(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        came = self._decoder.decode(block)
        if stream_id <= self._highest:
            self._on_trailers(stream_id, [line[:2] for line in came], ended=ended)
            return
        if not stream_id % 2 or len(self._streams) >= self._limits.streams:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if self._running > 2 * self._limits.streams:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)
        self._skipped |= stream_id > self._highest + 2
        self._highest = stream_id
        head, path = self._listener.heads.read(came, ended=ended)
        self._answered = True
        if self._listener.closing:
            self._sender.put(reset(stream_id, Code.REFUSED_STREAM))
        elif head.malformed:
            self._reader.count_reset()
            self._remember_reset(stream_id)
            self._sender.put(reset(stream_id, Code.PROTOCOL_ERROR))
        elif head.canonical is not None and PATH.fullmatch(path) is not None:
            answer = self._listener.application.respond(head.method, path.decode("ascii"), head.canonical, self.client)
            if isinstance(answer, Whole):
                self._answer(stream_id, answer, head)
            else:
                self._begin(stream_id, head, answer, ended=True)()
        else:
            scope = scope_of(head, path, self.client.scheme, (self.client.address, self.client.port), self._server())
            self._beginning.append(self._begin(stream_id, head, scope, ended=ended))

    def _on_trailers(self, stream_id: int, came: list[tuple[bytes, bytes]], *, ended: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            if stream_id not in self._resets:
                raise ConnectionFault(Code.PROTOCOL_ERROR if self._skipped else Code.STREAM_CLOSED)
            self._reader.count_odd()
        elif not stream.receiving:
            self._fault(stream, Code.STREAM_CLOSED)
        else:
            check(came, trailers=True)
            if not ended:
                raise ConnectionFault(Code.PROTOCOL_ERROR)
            self._content_ends(stream)

    # ---- responses -------------------------------------------------------------------------------------------------

    def _open(self, stream_id: int, head: Head) -> Stream:
        priority = self._priorities.pop(stream_id, None) if self._priorities else None
        stream = self._streams[stream_id] = Stream(stream_id, self._sender.stream_window, priority or head.priority)
        self._listener.waiting.pop(self, None)
        return stream

    def _answer(self, stream_id: int, answer: Whole, head: Head) -> None:
        """Send a whole response."""
        sender, body = self._sender, answer.body
        block = self._table_update + answer.head + self._listener.end_of_block
        size = len(body)
        if not size or len(block) > LARGEST_FRAME:
            sender.put(head_frames(stream_id, block, last=not size))
        elif size <= LARGEST_FRAME and sender.has_room(size):
            frames = b"".join((
                FRAME_HEAD.pack(len(block) << 8 | HEADERS, END_HEADERS, stream_id), block,
                FRAME_HEAD.pack(size << 8 | DATA, END_STREAM, stream_id),
            ))  # fmt: skip
            sender.put_whole(frames, body)
            size = 0
        else:
            sender.put(FRAME_HEAD.pack(len(block) << 8 | HEADERS, END_HEADERS, stream_id) + block)
        self._table_update = b""
        if not size:
            answer.done(len(body), None)
            return
        stream = self._open(stream_id, head)
        stream.answer = answer
        stream.push(body, last=True)
        sender.push(stream)

    def _begin(self, stream_id: int, head: Head, scope: Scope, *, ended: bool) -> Callable[[], None]:
        """What has the application respond, when it is called."""
        stream = self._open(stream_id, head)
        stream.receiving, stream.expects = not ended, head.length
        exchange = stream.exchange = StreamExchange(self, stream, head.method)
        if ended:
            exchange.inbox.give({"type": "http.request", "body": b"", "more_body": False})
        extensions = scope["extensions"] = {INTERIM: exchange.interim}
        if self.client.tls_names is not None:
            extensions[TLS_NAMES] = self.client.tls_names
            names = client_names(self.transport.get_extra_info("ssl_object"))
            if names:
                extensions[CLIENT_NAMES] = names

        def begin() -> None:
            if stream.left is None:
                self._running += 1
                self._listener.run(scope, exchange, over)

        def over() -> None:
            self._running -= 1
            if stream.left is None and not exchange.begun:
                exchange.fail()
            elif stream.left is None and not exchange.complete:
                self._sender.flush()  # the client gets what there is
                self._reset(stream, Code.INTERNAL_ERROR, Left(_RESET))  # it must not be taken for whole
            exchange.leave()

        return begin

    def _server(self) -> tuple[str, int] | None:
        found, own = self.transport.get_extra_info("socket"), self.transport.get_extra_info("sockname")
        return None if found is None or own is None else parse_socket_addr(found.family, own)

    def send_head(self, stream: Stream, block: bytes, *, last: bool, interim: bool = False) -> None:
        block = self._table_update + block + (b"" if interim else self._listener.end_of_block)
        self._table_update = b""
        self._sender.put(head_frames(stream.id, block, last=last))
        if last:
            self._sent(stream)

    def send_body(self, stream: Stream, body: bytes, *, last: bool) -> None:
        stream.push(body, last=last)
        self._sender.push(stream)
        self._watch()

    def received(self, stream: Stream, size: int) -> None:
        if stream.receiving:
            stream.room += size
            self._sender.put(window_update(stream.id, size))

    def _sent(self, stream: Stream) -> None:
        """The last of a response has gone."""
        del self._streams[stream.id]
        if stream.receiving:
            # The response is whole before the request is: the rest is not needed (RFC 9113 §8.1).
            stream.receiving = False
            self._remember_reset(stream.id)
            self._sender.put(reset(stream.id, Code.NO_ERROR))
        if stream.answer is not None and self._sender.full:
            self._confirming.append((stream.answer, stream.taken))
        elif stream.answer is not None:
            stream.answer.done(stream.taken, None)
        self._rest()

    # ---- ending ----------------------------------------------------------------------------------------------------

    def _fault(self, stream: Stream, code: Code) -> None:
        """The client broke a rule for which its stream ends. Such resets count as its own (CVE-2025-8671)."""
        self._reader.count_reset()
        self._reset(stream, code, Left(_RESET))

    def _reset(self, stream: Stream, code: Code, why: Left) -> None:
        self._sender.put(reset(stream.id, code))
        self._forget(stream, why)
        self._rest()

    def _forget(self, stream: Stream, why: Left) -> None:
        """Nothing more is sent or received on the stream."""
        if self._streams.pop(stream.id, None) is None:
            return
        self._answered = True
        self._remember_reset(stream.id)
        self._sender.forget(stream)
        if stream.answer is not None:
            stream.answer.done(stream.taken, f"viewer: {why}" if isinstance(why, Stalled) else "")
        stream.leave(why)

    def _remember_reset(self, stream_id: int) -> None:
        if len(self._resets) >= REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]
        self._resets[stream_id] = None

    def _leave_all(self, why: Left) -> None:
        self._listener.waiting.pop(self, None)
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = None
        unsent = self._unsent()
        confirming, self._confirming = self._confirming, []
        for answer, size in confirming:
            answer.done(max(0, size - unsent), f"viewer: {why}" if isinstance(why, Stalled) else "")
        for stream in list(self._streams.values()):
            self._forget(stream, why)

    def hang_up(self, code: Code = Code.NO_ERROR) -> None:
        """Say goodbye and send nothing more. What the client still sends is thrown away, for a moment."""
        if self._closing or self.transport.is_closing():
            return
        self._closing = True
        self._sender.put(goaway(self._highest, code))
        self._sender.write()
        self._leave_all(Left(_CLOSED))
        self.transport.resume_reading()
        if self.client.scheme != "http":
            self.transport.close()
            return
        with suppress(OSError, RuntimeError):
            self.transport.write_eof()
        self._linger(self._unsent(), 0.0)
        self._listener.waiting[self] = None

    def _linger(self, unsent: int, quiet: float) -> None:
        """Look again in a moment whether the client has taken the rest, of which `unsent` bytes were left; it has taken
        nothing for `quiet` seconds."""
        pause = min(LINGER_S, self._limits.stalled)

        def look() -> None:
            left = self._unsent()
            idle = quiet + pause if left == unsent else 0.0
            if idle >= (self._limits.stalled if left else pause):
                self.transport.abort()
            else:
                self._linger(left, idle)

        self._timer = self._loop.call_later(pause, look)

    def cut(self) -> None:
        """End it at once."""
        self._closing = self.cut_off = True
        self.transport.abort()
