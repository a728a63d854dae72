"""The streams of an HTTP/2 connection: requests that can be answered at once are, and the others are tasks.

HEADERS ─► Heads ─┬─ canonical ─► application.respond ─┬─► a whole response: HEADERS and DATA
                  │                                    ├─► one that comes later: the same, piece by piece
                  │                                    └─┐
                  └─ any other request ──────────────────┴─► a task, with a StreamExchange
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from hypercorn.utils import parse_socket_addr
from starlette.types import Scope

from cdnkit.serving import frames
from cdnkit.serving.exchange_http2 import StreamExchange
from cdnkit.serving.frame_reader import FrameReader
from cdnkit.serving.frames import FRAME_HEAD, LARGEST_FRAME, LARGEST_WINDOW, Code, ConnectionFault
from cdnkit.serving.front_roles import Client, FrontListener, Later, Whole, extensions_of
from cdnkit.serving.heads_http2 import PATH, Head, Priority, check, priority_of, scope_of
from cdnkit.serving.hpack import TABLE_SIZE_0, FieldDecoder
from cdnkit.serving.http2 import DECODED_HEADS
from cdnkit.serving.known_blocks import KnownBlocks
from cdnkit.serving.later_http2 import LaterStream
from cdnkit.serving.patience import Left, Stalled
from cdnkit.serving.sender import Sender
from cdnkit.serving.streams import Stream

CREDIT_BYTES = 16 * 1024
"""The connection's window is opened again by so much at once: a quarter of it, so that no upload waits for it."""
REMEMBERED_RESETS = 256
"""Streams that were reset last: what their client had sent by then is no fault of its own."""

_RESET = "the stream is closed"


class ConnectionOfStreams(Protocol):
    """A connection, as its streams see it."""

    def busy(self) -> None:
        """A stream is open."""
        ...

    def rest(self) -> None:
        """A stream has ended."""
        ...

    def watch(self) -> None:
        """There is something to send."""
        ...


class OpenStreams:
    """What a connection's `FrameReader` reads, done: streams, windows, requests, and their responses."""

    def __init__(
        self,
        connection: ConnectionOfStreams,
        listener: FrontListener,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        client: Client,
    ) -> None:
        self._connection = connection
        self._listener = listener
        self._transport = transport
        self._client = client
        limits = self._limits = listener.limits
        self.reader = FrameReader(self, loop, DECODED_HEADS * limits.head)
        self.sender = Sender(transport, loop, self._sent, self._confirm)
        self._decoder = FieldDecoder(DECODED_HEADS * limits.head)
        self._blocks = KnownBlocks(listener.paths)
        self.open: dict[int, Stream] = {}
        """Those that are open or half-closed."""
        self._running = 0
        """Requests whose applications still run, also those whose streams were reset."""
        self.highest = 0
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
        """Responses that are put out, of which the transport may still have some."""
        self._beginning: list[Callable[[], None]] = []
        """Requests that came in this read. A fault behind them, in their content perhaps, and they do not begin."""
        self.leaving = False
        """The client opens no more streams."""

    def feed(self, data: bytes) -> None:
        """What the client sent; all that it comes to goes out together. ConnectionFault: nothing more is to be read."""
        sender = self.sender
        sender.held = True
        try:
            self.reader.feed(data)
            for begin in self._beginning:
                begin()
        finally:
            sender.held = False
            self._beginning.clear()
        if self._credit >= CREDIT_BYTES:
            sender.put(frames.window_update(0, self._credit))
            self._credit = 0
        sender.flush()

    def _confirm(self) -> None:
        confirmed, self._confirming = self._confirming, []
        for answer, size in confirmed:
            answer.done(size, None)

    def leave(self, why: Left) -> None:
        """The connection ends."""
        if not self.sender.full:
            self._confirm()
        held = self.sender.buffered if self.sender.full else 0  # not taken yet, of whichever response
        confirming, self._confirming = self._confirming, []
        for answer, size in confirming:
            answer.done(max(0, size - held), _reason(why))
        for stream in list(self.open.values()):
            stream.taken = max(0, stream.taken - held)
            self._forget(stream, why)

    # ---- frames that come ------------------------------------------------------------------------------------------

    def on_settings(self, values: dict[int, int]) -> None:
        sender = self.sender
        if frames.HEADER_TABLE_SIZE in values:
            self._table_update = TABLE_SIZE_0
        change = values.get(frames.INITIAL_WINDOW_SIZE, sender.stream_window) - sender.stream_window
        if change:
            sender.stream_window += change
            for stream in self.open.values():
                if stream.window + change > LARGEST_WINDOW:
                    raise ConnectionFault(Code.FLOW_CONTROL_ERROR)
                sender.widen(stream, change)
        sender.put(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def on_ping(self, payload: bytes) -> None:
        self.sender.put(frames.frame(frames.PING, frames.ACK, 0, payload))

    def on_goaway(self) -> None:
        self.leaving = True

    def on_priority(self, stream_id: int, value: str) -> None:
        stream = self.open.get(stream_id)
        if stream is not None:
            self.sender.forget(stream)
            stream.urgency, stream.incremental = priority_of(value)
            self.sender.push(stream)
        elif stream_id > self.highest and len(self._priorities) < self._limits.streams:
            self._priorities[stream_id] = priority_of(value)

    def on_window(self, stream_id: int, increment: int) -> None:
        if not stream_id:
            if not increment:
                raise ConnectionFault(Code.PROTOCOL_ERROR)
            self.sender.widen(None, increment)
            return
        stream = self._known(stream_id)
        if stream is None:
            return
        if not increment or stream.window + increment > LARGEST_WINDOW:
            self._fault(stream, Code.FLOW_CONTROL_ERROR if increment else Code.PROTOCOL_ERROR)
        else:
            self.sender.widen(stream, increment)

    def on_reset(self, stream_id: int) -> None:
        stream = self._known(stream_id)
        if stream is not None:
            self._forget(stream, Left(_RESET))

    def on_data(self, stream_id: int, data: bytes, size: int, *, ended: bool) -> None:
        stream = self._known(stream_id)
        self._credit += size
        if stream is None:
            self.reader.count_odd()
            if stream_id not in self._resets:
                self.reader.count_reset()
                self.sender.put(frames.reset(stream_id, Code.STREAM_CLOSED))
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
        if stream_id > self.highest or not stream_id % 2:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        return self.open.get(stream_id)

    def _content_ends(self, stream: Stream) -> None:
        if stream.expects:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        assert stream.exchange is not None
        stream.receiving = False
        stream.exchange.inbox.give({"type": "http.request", "body": b"", "more_body": False})

    def on_block(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        known, came = None, None
        if ended and stream_id > self.highest:
            known = self._blocks.find(block)
        if known is None:
            came = self._decoder.decode(block)
            if self._decoder.table_changed:
                self._blocks.forget()
            if stream_id <= self.highest:
                self._on_trailers(stream_id, [line[:2] for line in came], ended=ended)
                return
        if not stream_id % 2 or len(self.open) >= self._limits.streams:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if self._running > 2 * self._limits.streams:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)
        self._skipped |= stream_id > self.highest + 2
        self.highest = stream_id
        if came is not None:
            head, path = self._listener.heads.read(came, ended=ended)
            if head.canonical is not None and PATH.fullmatch(path) is not None:
                known = head, path.decode("ascii")
                if not self._decoder.table_changed:
                    self._blocks.learn(block, *known)
        if self._listener.closing:
            self.sender.put(frames.reset(stream_id, Code.REFUSED_STREAM))
        elif known is not None:
            self._respond(stream_id, *known)
        elif head.malformed:
            self.reader.count_reset()
            self._remember_reset(stream_id)
            self.sender.put(frames.reset(stream_id, Code.PROTOCOL_ERROR))
        else:
            scope = scope_of(head, path, self._client.scheme, (self._client.address, self._client.port), self._server())
            self._beginning.append(self._begin(stream_id, head, scope, ended=ended))

    def _respond(self, stream_id: int, head: Head, path: str) -> None:
        """To a canonical head."""
        assert head.canonical is not None
        answer = self._listener.application.respond(head.method, path, head.canonical, self._client)
        if isinstance(answer, Whole):
            self._answer(stream_id, answer, head)
        elif isinstance(answer, Later):
            stream = self._open(stream_id, head)
            stream.later = later = LaterStream(self, stream, head.method, answer)
            answer.begin(later)
        else:
            self._begin(stream_id, head, answer, ended=True)()

    def _on_trailers(self, stream_id: int, came: list[tuple[bytes, bytes]], *, ended: bool) -> None:
        stream = self.open.get(stream_id)
        if stream is None:
            if stream_id not in self._resets:
                raise ConnectionFault(Code.PROTOCOL_ERROR if self._skipped else Code.STREAM_CLOSED)
            self.reader.count_odd()
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
        stream = self.open[stream_id] = Stream(stream_id, self.sender.stream_window, priority or head.priority)
        self._connection.busy()
        return stream

    def _answer(self, stream_id: int, answer: Whole, head: Head) -> None:
        """Send a whole response."""
        sender, body = self.sender, answer.body
        block, size = answer.head, len(body)
        if self._table_update or self._listener.end_of_block:
            block = self._table_update + block + self._listener.end_of_block
        if not size or len(block) > LARGEST_FRAME:
            sender.put(frames.head_frames(stream_id, block, last=not size))
        elif size <= LARGEST_FRAME and sender.has_room(size):
            sender.put_whole(
                FRAME_HEAD.pack(len(block) << 8 | frames.HEADERS, frames.END_HEADERS, stream_id), block,
                FRAME_HEAD.pack(size << 8 | frames.DATA, frames.END_STREAM, stream_id), body,
            )  # fmt: skip
            size = 0
        else:
            sender.put(FRAME_HEAD.pack(len(block) << 8 | frames.HEADERS, frames.END_HEADERS, stream_id) + block)
        self._table_update = b""
        if not size:
            self._confirming.append((answer, len(body)))
            return
        stream = self._open(stream_id, head)
        stream.answer = answer
        stream.push(body, last=True)
        sender.push(stream)

    def _begin(self, stream_id: int, head: Head, scope: Scope, *, ended: bool) -> Callable[[], None]:
        """What has the application respond, when it is called."""
        stream = self._open(stream_id, head)
        stream.receiving, stream.expects = not ended, head.length
        return self._task_of(stream, head.method, scope, ended=ended)

    def _task_of(self, stream: Stream, method: str, scope: Scope, *, ended: bool) -> Callable[[], None]:
        exchange = stream.exchange = StreamExchange(self, stream, method)
        if ended:
            exchange.inbox.give({"type": "http.request", "body": b"", "more_body": False})
        scope["extensions"] = extensions_of(self._client, self._transport, exchange.interim)

        def begin() -> None:
            if stream.left is None:
                self._running += 1
                self._listener.run(scope, exchange, over)

        def over() -> None:
            self._running -= 1
            if stream.left is None and not exchange.begun:
                exchange.fail()
            elif stream.left is None and not exchange.complete:
                self.break_off(stream)
            exchange.leave()

        return begin

    def _server(self) -> tuple[str, int] | None:
        found, own = self._transport.get_extra_info("socket"), self._transport.get_extra_info("sockname")
        return None if found is None or own is None else parse_socket_addr(found.family, own)

    def answer(self, stream: Stream, answer: Whole) -> None:
        """Send a whole response on a stream that is open already."""
        stream.answer = answer
        self.send_head(stream, answer.head, last=not len(answer.body))
        if len(answer.body):
            self.send_body(stream, answer.body, last=True)

    def call(self, stream: Stream, method: str, scope: Scope) -> None:
        """Have the application respond to a request whose stream is open already, as a task."""
        self._task_of(stream, method, scope, ended=True)()

    def break_off(self, stream: Stream) -> None:
        """What has begun does not come to its end."""
        self.sender.flush()  # the client gets what there is
        self.reset(stream, Code.INTERNAL_ERROR, Left(_RESET))  # it must not be taken for whole

    def send_head(self, stream: Stream, block: bytes, *, last: bool, interim: bool = False) -> None:
        block = self._table_update + block + (b"" if interim else self._listener.end_of_block)
        self._table_update = b""
        self.sender.put(frames.head_frames(stream.id, block, last=last))
        if last:
            self._sent(stream)

    def send_body(self, stream: Stream, body: bytes | memoryview, *, last: bool) -> None:
        stream.push(body, last=last)
        self.sender.push(stream)
        self._connection.watch()

    def received(self, stream: Stream, size: int) -> None:
        if stream.receiving:
            stream.room += size
            self.sender.put(frames.window_update(stream.id, size))

    def _sent(self, stream: Stream) -> None:
        """The last of a response has gone."""
        del self.open[stream.id]
        if stream.receiving:
            # The response is whole before the request is: the rest is not needed (RFC 9113 §8.1).
            stream.receiving = False
            self._remember_reset(stream.id)
            self.sender.put(frames.reset(stream.id, Code.NO_ERROR))
        if stream.answer is not None:
            self._confirming.append((stream.answer, stream.taken))
        if stream.later is not None:
            stream.later.sent()
        self._connection.rest()

    # ---- ending ----------------------------------------------------------------------------------------------------

    def _fault(self, stream: Stream, code: Code) -> None:
        """The client broke a rule for which its stream ends. Such resets count as its own (CVE-2025-8671)."""
        self.reader.count_reset()
        self.reset(stream, code, Left(_RESET))

    def reset(self, stream: Stream, code: Code, why: Left) -> None:
        self.sender.put(frames.reset(stream.id, code))
        self._forget(stream, why)
        self._connection.rest()

    def _forget(self, stream: Stream, why: Left) -> None:
        """Nothing more is sent or received on the stream."""
        if self.open.pop(stream.id, None) is None:
            return
        self._remember_reset(stream.id)
        self.sender.forget(stream)
        if stream.answer is not None:
            stream.answer.done(stream.taken, _reason(why))
        stream.leave(why)

    def _remember_reset(self, stream_id: int) -> None:
        if len(self._resets) >= REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]
        self._resets[stream_id] = None


def _reason(why: Left) -> str:
    return f"viewer: {why}" if isinstance(why, Stalled) else ""
