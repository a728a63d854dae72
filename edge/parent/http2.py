"""One HTTP/2 connection to the parent, many exchanges at a time (RFC 9113), by the h2 library.

Flow control has two windows. The connection's is given back as bytes arrive, a stream's as its reader takes them: so a
slow reader stops its own stream and no other, and a stream never holds more than its window.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import h2.stream

from cdnkit.policy.http.messages import HOP_BY_HOP, Headers, Lines, RequestHead, ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from cdnkit.policy.upstream.retry import Reach
from edge.errors import UpstreamFailed
from edge.parent.deadline import Deadline
from edge.parent.exchange import Exchange, OnInterim, close_body
from edge.parent.h2_library import H2
from edge.parent.head import FIELD_LIMIT, HEAD_LIMIT_BYTES
from edge.parent.slots import Slots
from edge.parent.stream import Stream

CONNECTION_WINDOW_BYTES = 16 * 2**20
"""The connection's own window, beyond its streams': the most that is under way at once. Chromium takes 15 MiB."""

STREAMS_LIMIT = 1_000
"""Streams at once where the parent allows more. Most servers allow 100 to 250."""


class Http2Connection(asyncio.Protocol):
    """One connection, and the exchanges on it."""

    def __init__(
        self, waits: Waits, keep_alive: float, scheme: str, authority: str,
        gone: "Callable[[Http2Connection], None]",
    ) -> None:  # fmt: skip
        """`keep_alive`: seconds it may rest without a stream; `gone` is called when it is closed."""
        self.waits = waits
        self.bytes_received = 0
        self.slots = Slots(0)  # none before the parent's settings have come
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Set by the parent's first SETTINGS: it does speak HTTP/2."""
        self.open = True
        """Takes new exchanges."""
        self.wants_http1 = False
        """The parent has sent HTTP_1_1_REQUIRED (RFC 9113 §7)."""
        self._keep_alive = keep_alive
        self._scheme = scheme
        self._authority = authority
        self._gone = gone
        self._h2 = H2()
        self._streams: dict[int, Stream] = {}
        self._transport: asyncio.Transport | None = None
        self._write_paused = False
        self._unacked = 0
        self._deadline = Deadline(asyncio.get_running_loop(), self.abort)
        self.closed = False

    # ---- one exchange ------------------------------------------------------------------------------------------

    async def place(self, until: float) -> bool:
        """One of its streams, for `exchange`, when one comes free; False: it takes no more exchanges.

        UpstreamFailed when none has come by `until`, on the loop's clock.
        """
        now = asyncio.get_running_loop().time
        while self.open:
            try:
                await self.slots.take(until - now())
            except TimeoutError:
                raise UpstreamFailed(Failure.CONNECT_TIMEOUT, "no stream came free", Reach.QUEUED) from None
            if self.open and self.slots.taken <= self.slots.limit:
                return True
            self._give_place()  # it was left, or its limit lowered, between the place's coming free and now
        return False

    def _give_place(self) -> None:
        self.slots.give()
        if not self.slots.taken:
            if self.open:
                self._deadline.set(self._keep_alive)
            else:
                self.abort()

    async def exchange(
        self,
        request: RequestHead,
        body: AsyncIterator[bytes] | None,
        body_length: int | None,
        on_interim: OnInterim | None,
    ) -> Exchange:
        """Send a request on the stream that `place` has just given; UpstreamFailed says how far it came."""
        used = self.bytes_received > 0 and self._h2.highest_outbound_stream_id > 0
        stream = Stream(self, request.method, on_interim)
        try:
            lines = request_lines(request, self._scheme, self._authority, body_length if body is not None else None)
            self._open_stream(stream, lines, ends=body is None)
            if body is None:
                stream.wait(self.waits.first_byte, Failure.FIRST_BYTE_TIMEOUT)
            else:
                stream.sending = asyncio.create_task(self._send(stream, body, body_length))
            head = await stream.head
        except BaseException as error:
            self._close_stream(stream)
            if isinstance(error, UpstreamFailed):
                error.reach = self._reach(stream, error.why, used=used)
            raise
        return Exchange(head, stream.incoming, lambda: self._close_stream(stream))

    def _reach(self, stream: Stream, why: Failure, *, used: bool) -> Reach:
        if stream.unprocessed:
            return Reach.REFUSED
        if why is Failure.RESET and used and self.bytes_received == stream.seen_bytes:
            return Reach.DROPPED
        return Reach.ANSWERED if stream.head_bytes else Reach.SENT

    def _open_stream(self, stream: Stream, lines: list[tuple[bytes, bytes]], *, ends: bool) -> None:
        try:
            stream.id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream.id, lines, end_stream=ends)
        except h2.exceptions.NoAvailableStreamIDError:
            self.leave()
            stream.unprocessed = True
            raise UpstreamFailed(Failure.RESET, "the connection has used up its stream ids") from None
        except h2.exceptions.ProtocolError as error:
            raise UpstreamFailed(Failure.GARBAGE, f"the request cannot be sent as HTTP/2: {error}") from error
        self._h2.count_ourselves(stream.id)
        self._streams[stream.id] = stream
        self._deadline.clear()
        self._flush()

    async def _send(self, stream: Stream, body: AsyncIterator[bytes], length: int | None) -> None:
        """Send a request body as the parent's windows allow. An error of `body` fails the exchange."""
        sent_bytes = 0
        try:
            async for chunk in body:
                sent_bytes += len(chunk)
                if length is not None and sent_bytes > length:
                    break
                view = memoryview(chunk)
                while view:
                    if stream.over or self.closed:
                        return
                    room = min(self._h2.local_flow_control_window(stream.id), self._h2.max_outbound_frame_size)
                    if room <= 0 or self._write_paused:
                        await self._window(stream)
                        continue
                    self._h2.send_data(stream.id, view[:room].tobytes())
                    view = view[room:]
                    self._flush()
            if stream.over or self.closed:
                return
            if length is not None and sent_bytes != length:
                found = f"a request body of {sent_bytes} bytes or more, {length} promised"
                self.cut(stream, Failure.ABANDONED, found)
                return
            self._h2.end_stream(stream.id)
            self._flush()
        except UpstreamFailed as failed:
            self.cut(stream, failed.why, failed.detail)
        except h2.exceptions.ProtocolError as error:
            self.cut(stream, Failure.RESET, f"the request body: {error}")
        except Exception as error:
            self.cut(stream, Failure.INTERNAL, f"the request body: {error!r}")
        else:
            if not stream.head.done():
                stream.wait(self.waits.first_byte, Failure.FIRST_BYTE_TIMEOUT)
        finally:
            await close_body(body)

    async def _window(self, stream: Stream) -> None:
        """Wait until the parent takes more of the body; once it responds, the response's own deadline rules."""
        if not stream.head.done():
            stream.wait(self.waits.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)
        stream.may_send = asyncio.get_running_loop().create_future()
        await stream.may_send
        if not stream.head.done():
            stream.deadline.clear()

    def open_window(self, stream: Stream) -> None:
        """Its reader has taken enough for the parent to send more."""
        if stream.id in self._streams and not self.closed:
            self._h2.increment_flow_control_window(stream.to_return, stream.id)
            stream.to_return = 0
            self._flush()

    def cut(self, stream: Stream, why: Failure, detail: str) -> None:
        """Fail an exchange and reset its stream; the connection goes on."""
        stream.fail(UpstreamFailed(why, detail))
        self._reset(stream)

    def _reset(self, stream: Stream) -> None:
        if stream.sending is not None:
            stream.sending.cancel()
        if self._streams.pop(stream.id, None) is None:
            return
        sent = stream.sending is None or (stream.sending.done() and not stream.sending.cancelled())
        if not (self.closed or (stream.remote_ended and sent)):
            try:
                self._h2.reset_stream(stream.id, h2.errors.ErrorCodes.CANCEL)
            except h2.exceptions.ProtocolError:
                return  # closed meanwhile: it knows
            self._flush()

    def _close_stream(self, stream: Stream) -> None:
        """The exchange is over: whatever is still under way is cut, and its place is free."""
        stream.deadline.stop()
        self._reset(stream)
        self._give_place()

    def leave(self) -> None:
        """Take no more exchanges; those under way go on."""
        if self.open:
            self.open = False
            self.slots.limit = max(self.slots.limit, STREAMS_LIMIT)  # those that wait are woken, one by one
            if not self.slots.taken:
                self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        if data.startswith(b"HTTP/") and not self.ready.done():
            # To the library this begins a frame of 4.7 MB, which it would wait for.
            self._die(Failure.GARBAGE, "the parent speaks HTTP/1")
            return
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._flush()  # the GOAWAY that says why
            self._die(Failure.GARBAGE, f"not HTTP/2: {error}" if str(error) else f"not HTTP/2: {error!r}")
            return
        for event in events:
            self._on_event(event)
        self._flush()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._deadline.stop()
        self._gone(self)
        self._die(Failure.RESET, str(error or "the connection was closed"))

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._wake_senders()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self.closed:
            self._transport.write(data)

    def _wake_senders(self) -> None:
        for stream in self._streams.values():
            stream.wake_sender()

    def _die(self, why: Failure, detail: str) -> None:
        for stream in tuple(self._streams.values()):
            stream.fail(UpstreamFailed(Failure.TRUNCATED if stream.head.done() else why, detail))
        self._streams.clear()
        if not self.ready.done():
            self.ready.set_exception(UpstreamFailed(why, detail))
            self.ready.exception()
        self.leave()
        self.abort()

    # ---- h2's events ---------------------------------------------------------------------------------------------

    def _on_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self._on_data(event)
        elif isinstance(event, h2.events.ResponseReceived):
            self._on_head(event.stream_id, event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            self._on_interim(event.stream_id, event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self._on_end(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._on_reset(event.stream_id, int(event.error_code))
        elif isinstance(event, h2.events.WindowUpdated):
            self._wake_senders()
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.slots.limit = min(self._h2.remote_settings.max_concurrent_streams, STREAMS_LIMIT)
            if not self.ready.done():
                self.ready.set_result(None)
                self._deadline.set(self._keep_alive)
            self._wake_senders()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._on_goaway(event.last_stream_id or 0, int(event.error_code or 0))

    def _on_interim(self, stream_id: int, fields: list[tuple[bytes, bytes]]) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        head = self._head_of(stream, fields)
        if head is None:
            return
        if head.status == 101:
            self.cut(stream, Failure.GARBAGE, "101, which HTTP/2 does not have")
        elif head.status != 100 and stream.on_interim is not None:
            try:
                stream.on_interim(head)
            except Exception as error:
                self.cut(stream, Failure.INTERNAL, f"an interim response: {error!r}")
                return
        if not stream.over and (stream.sending is None or stream.sending.done()):
            stream.wait(self.waits.first_byte, Failure.FIRST_BYTE_TIMEOUT)

    def _on_head(self, stream_id: int, fields: list[tuple[bytes, bytes]]) -> None:
        stream = self._streams.get(stream_id)
        head = self._head_of(stream, fields) if stream is not None else None
        if stream is None or head is None:
            return
        lengths = set(head.headers.all("content-length"))
        if len(lengths) > 1 or not all(value.isascii() and value.isdigit() for value in lengths):
            self.cut(stream, Failure.GARBAGE, f"Content-Length {' and '.join(sorted(lengths))}")
            return
        stream.bodiless = stream.bodiless or head.status in (204, 304)
        if lengths and not stream.bodiless:
            stream.left = int(lengths.pop())
        if not stream.head.done():
            stream.head.set_result(head)
        if stream.bodiless:
            stream.incoming.end()
        if stream.sending is not None and not stream.sending.done() and head.status >= 300:
            stream.sending.cancel()  # it has made up its mind without the rest of the request
        stream.go_on()

    def _head_of(self, stream: Stream, fields: list[tuple[bytes, bytes]]) -> ResponseHead | None:
        """The head in a header section; None if it is beyond the limits, and then the exchange has failed."""
        stream.head_bytes += sum(len(name) + len(value) for name, value in fields)
        if stream.head_bytes > HEAD_LIMIT_BYTES or len(fields) > FIELD_LIMIT:
            found = f"a response head of {len(fields)} fields, {stream.head_bytes} bytes"
            self.cut(stream, Failure.GARBAGE, f"{found}, wanted at most {FIELD_LIMIT} and {HEAD_LIMIT_BYTES}")
            return None
        status, lines = b"", cast(Lines, [])
        for name, value in fields:
            if name == b":status":
                status = value
            else:
                lines.append((name.decode("latin-1"), value.decode("latin-1")))
        if len(status) != 3 or not status.isdigit():
            self.cut(stream, Failure.GARBAGE, f"status {status!r}")
            return None
        return ResponseHead(int(status), Headers.wrap(lines))

    def _on_data(self, event: h2.events.DataReceived) -> None:
        size = event.flow_controlled_length
        self._unacked += size
        if self._unacked >= CONNECTION_WINDOW_BYTES // 4:
            self._h2.increment_flow_control_window(self._unacked)
            self._unacked = 0
        stream = self._streams.get(event.stream_id)
        if stream is None or not event.data:
            return
        stream.to_return += size - len(event.data)  # padding is read by nobody
        if stream.bodiless:
            self.cut(stream, Failure.GARBAGE, "a body where there is none")
            return
        if stream.left is not None:
            stream.left -= len(event.data)
            if stream.left < 0:
                # Malformed: an intermediary must not pass it on (RFC 9113 §8.1.1).
                self.cut(stream, Failure.GARBAGE, "a body longer than its Content-Length")
                return
        stream.incoming.push(event.data)
        stream.go_on()

    def _on_end(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.remote_ended = True
        stream.deadline.clear()
        if stream.over:
            return
        if stream.left:
            stream.fail(UpstreamFailed(Failure.TRUNCATED, f"{stream.left} bytes are missing"))
        else:
            stream.incoming.end()
            stream.wake_sender()

    def _on_reset(self, stream_id: int, code: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        stream.remote_ended = True
        self._check_version(code)
        stream.unprocessed = code in (h2.errors.ErrorCodes.REFUSED_STREAM, h2.errors.ErrorCodes.HTTP_1_1_REQUIRED)
        if stream.sending is not None:
            stream.sending.cancel()
        stream.fail(
            UpstreamFailed(Failure.TRUNCATED if stream.head.done() else Failure.RESET, f"RST_STREAM {_name(code)}")
        )

    def _check_version(self, code: int) -> None:
        self.wants_http1 = self.wants_http1 or code == h2.errors.ErrorCodes.HTTP_1_1_REQUIRED

    def _on_goaway(self, last_stream_id: int, code: int) -> None:
        self._check_version(code)
        for stream_id, stream in tuple(self._streams.items()):
            if stream_id > last_stream_id:
                del self._streams[stream_id]
                stream.unprocessed = True
                stream.fail(UpstreamFailed(Failure.RESET, f"GOAWAY {_name(code)}"))
        self.leave()


def request_lines(
    request: RequestHead, scheme: str, authority: str, body_length: int | None
) -> list[tuple[bytes, bytes]]:
    """A request as HTTP/2 writes it: pseudo-fields first, no fields of HTTP/1.1's connections (RFC 9113 §8.2.2, §8.3).

    UpstreamFailed if it holds characters HTTP cannot carry: the library lets them pass, and a parent that speaks
    HTTP/1.1 behind itself would read a line break as a field, or a request, of the viewer's own making (§10.3).
    """
    host = request.headers.first("host") or authority
    lines = [(":method", request.method), (":scheme", scheme), (":authority", host), (":path", request.target)]
    for name, value in request.headers.lines:
        if name not in HOP_BY_HOP and name not in ("host", "content-length"):
            lines.append((name, value))
    if body_length is not None:
        lines.append(("content-length", str(body_length)))
    text = "\n".join([f"{name}:{value}" for name, value in lines])
    one_each = text.count("\n") == len(lines) - 1 and not ("\r" in text or "\0" in text)
    if one_each and " " not in request.method and " " not in request.target and (text.isascii() or max(text) <= "\xff"):
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    raise UpstreamFailed(Failure.GARBAGE, "the request holds characters HTTP cannot carry")


def _name(code: int) -> str:
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return str(code)
