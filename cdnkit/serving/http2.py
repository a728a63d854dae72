"""HTTP/2 on a connection: hypercorn's, with back-pressure that holds, explicit endings, and a budget for odd frames.

What this does and hypercorn 0.18 does not (RFC 9113):
- a writer waits while its stream's window is closed: in hypercorn it goes on, and all of the body is kept;
- writers of a connection that has ended are woken; a stream that is reset does not take the connection with it;
- a response cut short ends with RST_STREAM: in hypercorn the client waits for the rest for ever;
- content that no application reads closes its own stream's window and no other's;
- interim responses go out with all their fields: in hypercorn only 103 with Link;
- PRIORITY is ignored (§5.3.2); resets and frames of no use are counted (`cdnkit/serving/budget.py`).
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from h2 import events as h2_events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.events import Closed, Event
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, BUFFER_LOW_WATER, H2Protocol, StreamBuffer
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from priority.priority import DeadlockError, MissingStreamError

from cdnkit.serving.budget import ODDITIES, RESETS, Budget
from cdnkit.serving.fields import malformed, request_fields
from cdnkit.serving.inbox import Starter, state_of
from cdnkit.serving.patience import Left, Stalled, wait_for_client
from cdnkit.serving.roles import ConnectionRole

DECODED_HEADS = 4
"""A field section of up to four times the head limit is still decoded, so that its stream can be refused with 431. A
larger one ends the connection: its effect on the shared compression state is not known then."""


class Outgoing(StreamBuffer):
    """The bytes that one stream is yet to send."""

    def __init__(self, tcp: ConnectionRole) -> None:
        super().__init__(tcp.context.event_class)
        self._limit = tcp.limits.stalled
        self._taken = 0
        self._broken = False
        self.ended = False
        """All of it has been pushed."""

    async def push(self, data: bytes) -> None:
        if self._complete:
            raise Left("the stream is closed")
        self.buffer.extend(data)
        await self._is_empty.clear()
        if len(self.buffer) >= BUFFER_HIGH_WATER:
            await self._paused.clear()
            await wait_for_client(self._paused.wait, lambda: self._taken, self._limit)
            self._still_open()

    async def end(self) -> None:
        """No more comes; waits until all is taken."""
        self.ended = True
        self.set_complete()
        if not self.buffer:
            return
        await wait_for_client(self.drain, lambda: self._taken, self._limit)
        self._still_open()

    async def pop(self, max_length: int) -> bytes:
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        self._taken += len(data)
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data

    async def close(self) -> None:
        self._broken = True
        await super().close()

    def _still_open(self) -> None:
        if self._broken:
            raise Left("the stream is closed")


class Http2(H2Protocol):
    """One connection's requests, many at once."""

    stream_buffers: dict[int, Outgoing]  # type: ignore[assignment]

    def __init__(self, tcp: ConnectionRole, group: TaskGroup) -> None:
        super().__init__(
            tcp.app, tcp.config, tcp.context, group, tcp.connection_state, tcp.tls,
            tcp.client, tcp.server, tcp.protocol_send,
        )  # fmt: skip
        self._tcp = tcp
        self._group = group
        self.connection.decoder.max_header_list_size = DECODED_HEADS * tcp.limits.head
        self._receiving: set[int] = set()
        """Streams whose request has not ended."""
        now = tcp.loop.time()
        self._resets, self._oddities = Budget(*RESETS, now), Budget(*ODDITIES, now)

    def farewell(self) -> bytes:
        """The last bytes when the time for a next request is over: GOAWAY."""
        with suppress(ProtocolError):
            self.connection.close_connection()
        return self.connection.data_to_send()

    async def handle(self, event: Event) -> None:
        if isinstance(event, Closed):
            self.closed = True
            for buffer in self.stream_buffers.values():
                await buffer.close()
        await super().handle(event)

    # ---- what comes --------------------------------------------------------------------------------------------

    async def _handle_events(self, events: list[h2_events.Event]) -> None:
        for event in events:
            if not self._affordable(event) or self._tcp.open_requests > 2 * self._tcp.limits.streams:
                self.connection.close_connection(error_code=ErrorCodes.ENHANCE_YOUR_CALM)
                await self._flush()
                await self.send(Closed())
                return
            if isinstance(event, h2_events.DataReceived):
                await self._data(event)
            elif not isinstance(event, h2_events.PriorityUpdated):
                if isinstance(event, h2_events.StreamEnded):
                    self._receiving.discard(event.stream_id)
                elif isinstance(event, h2_events.StreamReset):
                    await self._break(event.stream_id)
                await super()._handle_events([event])
        await self._flush()

    def _affordable(self, event: h2_events.Event) -> bool:
        now = self._tcp.loop.time()
        if isinstance(event, h2_events.StreamReset):
            return self._resets.spend(now)
        if isinstance(event, h2_events.DataReceived):
            return bool(event.data) or event.stream_ended is not None or self._oddities.spend(now)
        if isinstance(event, h2_events.PingReceived | h2_events.RemoteSettingsChanged | h2_events.PriorityUpdated):
            return self._oddities.spend(now)
        return True

    async def _data(self, event: h2_events.DataReceived) -> None:
        """Open the connection's window at once, and the stream's when the application has taken the bytes."""
        if event.flow_controlled_length:
            self.connection.increment_flow_control_window(event.flow_controlled_length)
            padding = event.flow_controlled_length - len(event.data)
            if padding:
                self._taken(event.stream_id, padding)
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            await stream.handle(Body(stream_id=event.stream_id, data=event.data))

    def _taken(self, stream_id: int, size: int) -> None:
        if stream_id in self._receiving:
            with suppress(ProtocolError):
                self.connection.increment_flow_control_window(size, stream_id)
            self.has_data._event.set()  # type: ignore[attr-defined]  # the sending task writes it

    async def _create_stream(self, request: h2_events.RequestReceived) -> None:
        stream_id = request.stream_id
        pseudo = {name: value for name, value in request.headers if name.startswith(b":")}
        path = pseudo.get(b":path", b"/")  # CONNECT has none
        if malformed(request.headers, ended=request.stream_ended is not None) or not path.isascii():
            # hypercorn would fail at decoding such a path, and all streams with it.
            self.connection.reset_stream(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        fields = request_fields(request.headers, ended=request.stream_ended is not None)
        if request.stream_ended is None:
            self._receiving.add(stream_id)
        self.stream_buffers[stream_id] = Outgoing(self._tcp)
        self.priority.insert_stream(stream_id)
        self.priority.block(stream_id)
        interim, taken = partial(self._interim, stream_id), partial(self._taken, stream_id)
        starter = Starter(self._tcp, self._group, interim, taken)
        stream = self.streams[stream_id] = HTTPStream(
            self.app,
            self.config,
            self.context,
            starter,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            stream_id,
        )
        await stream.handle(
            Request(
                stream_id=stream_id,
                headers=fields,
                http_version="2",
                method=pseudo[b":method"].decode("latin-1"),
                raw_path=path,
                state=state_of(path, self.connection_state),
            )
        )
        self.keep_alive_requests += 1

    # ---- what goes ---------------------------------------------------------------------------------------------

    async def stream_send(self, event: StreamEvent) -> None:
        stream_id = event.stream_id
        if not isinstance(event, Response | Body | EndBody):
            if isinstance(event, StreamClosed):
                await self._let_go(stream_id)
            await super().stream_send(event)
            return
        buffer = self.stream_buffers.get(stream_id)
        if buffer is None:
            raise Left("the stream is closed")
        try:
            if isinstance(event, Response):
                fields = [*event.headers, *self.config.response_headers("h2")]
                self.connection.send_headers(stream_id, [(b":status", b"%d" % event.status_code), *fields])
                await self._flush()
                return
            if isinstance(event, Body):
                self._wake(stream_id)
                await buffer.push(event.data)
            else:
                self._wake(stream_id)
                await buffer.end()
        except Stalled:
            await self._reset(stream_id, ErrorCodes.CANCEL)
            raise
        except (ProtocolError, MissingStreamError) as error:
            raise Left("the stream is closed") from error

    def _interim(self, stream_id: int, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response; nothing to a stream that is reset, or whose final head is out."""
        stream = self.streams.get(stream_id)
        if stream_id not in self.stream_buffers or stream is None or stream.state is not ASGIHTTPState.REQUEST:
            return
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
        with suppress(ProtocolError):
            self.connection.send_headers(stream_id, [(b":status", b"%d" % status), *fields])
        self.has_data._event.set()  # type: ignore[attr-defined]  # the sending task writes it

    def _wake(self, stream_id: int) -> None:
        self.priority.unblock(stream_id)
        self.has_data._event.set()  # type: ignore[attr-defined]

    async def _let_go(self, stream_id: int) -> None:
        """The application has ended: reset its stream if the response is not whole, so that no client takes it for
        whole."""
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None and not buffer.ended:
            await self._reset(stream_id, ErrorCodes.INTERNAL_ERROR)

    async def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        await self._break(stream_id)
        with suppress(ProtocolError):
            self.connection.reset_stream(stream_id, code)
        await self._flush()

    async def _break(self, stream_id: int) -> None:
        """Nothing more is sent or received on the stream; a writer that waits for it gets Left."""
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None:
            await buffer.close()
        self._forget(stream_id)
        self._receiving.discard(stream_id)

    def _forget(self, stream_id: int) -> None:
        self.stream_buffers.pop(stream_id, None)
        with suppress(MissingStreamError):
            self.priority.remove_stream(stream_id)

    async def send_task(self) -> None:
        while not self.closed:
            try:
                stream_id = next(self.priority)
            except DeadlockError:
                await self.has_data.wait()
                await self.has_data.clear()
                await self._flush()  # windows that applications have opened
            else:
                await self._send_data(stream_id)

    async def _send_data(self, stream_id: int) -> None:
        buffer = self.stream_buffers.get(stream_id)
        if buffer is None:
            self._forget(stream_id)
            return
        try:
            window = self.connection.local_flow_control_window(stream_id)
            data = await buffer.pop(max(0, min(window, self.connection.max_outbound_frame_size)))
            if data:
                self.connection.send_data(stream_id, data)
            if buffer.complete:
                self.connection.end_stream(stream_id)
                self._forget(stream_id)
                if stream_id in self._receiving:
                    self._receiving.discard(stream_id)
                    # The response is whole before the request is: the rest is not needed (RFC 9113 §8.1).
                    self.connection.reset_stream(stream_id, ErrorCodes.NO_ERROR)
            elif not data:
                self.priority.block(stream_id)
        except ProtocolError:
            # Reset while it waited.
            await self._break(stream_id)
        await self._flush()
