"""The front of an HTTP/2 connection: reads its frames, waits for requests, and ends it.

    bytes ─► FrameReader ─► OpenStreams ─► Sender ─► bytes

All that one read brings is answered in one write.
"""

import asyncio
from contextlib import suppress

from cdnkit.serving.connection import HIGH_WATER_BYTES
from cdnkit.serving.frames import (
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
    Code,
    ConnectionFault,
    goaway,
    settings,
)  # fmt: skip
from cdnkit.serving.front_roles import Client, FrontListener
from cdnkit.serving.lingering import Lingering, drop
from cdnkit.serving.open_streams import OpenStreams
from cdnkit.serving.patience import Left, Stalled
from cdnkit.serving.stalls import StallWatch
from cdnkit.serving.streams import Stream

_CLOSED = "the client closed the connection"


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
        self._limits = listener.limits
        self._streams = OpenStreams(self, listener, loop, transport, client)
        self._sender = self._streams.sender
        self._stalls = StallWatch(
            transport, loop, self._limits.stalled, self._sender, self._streams.open, self._on_stall
        )  # fmt: skip
        self._lingering: Lingering | None = None
        self._closing = False
        self.cut_off = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, first: bytes) -> None:
        """The transport is ours; `first` has come."""
        limits = self._limits
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        offer = {MAX_CONCURRENT_STREAMS: limits.streams, MAX_HEADER_LIST_SIZE: limits.head, NO_RFC7540_PRIORITIES: 1}
        self.transport.write(settings(offer))
        self._wait()  # a browser connects ahead of its first request
        if first:
            self.data_received(first)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        streams = self._streams
        before = streams.highest, bool(streams.open)
        try:
            streams.feed(data)
        except ConnectionFault as fault:
            self.hang_up(fault.code)
            return
        if streams.open:
            self._stalls.begin()
        elif before != (streams.highest, False) or streams.leaving:
            self.rest()

    def pause_writing(self) -> None:
        self._sender.full = True
        self._stalls.begin()

    def resume_writing(self) -> None:
        self._sender.resume()

    # ---- waiting for a request -------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """No request is under way."""
        waiting = self._listener.waiting
        waiting.pop(self, None)
        waiting[self] = None
        self._deadline = self._loop.time() + self._limits.idle
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.idle, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        self._timer = None
        if self._streams.open:
            return  # the last of them waits anew
        left = self._deadline - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look_at_the_time)
        else:
            self.hang_up()

    def busy(self) -> None:
        self._listener.waiting.pop(self, None)

    def rest(self) -> None:
        if self._streams.open or self._closing:
            return
        if self._streams.leaving or self._listener.closing:
            self.hang_up()
        else:
            self._wait()

    def watch(self) -> None:
        self._stalls.begin()

    def _on_stall(self, stream: Stream | None, why: Stalled) -> None:
        if stream is not None:
            self._streams.reset(stream, Code.CANCEL, why)
        else:
            self._leave(why)
            self._closing = self.cut_off = True
            drop(self.transport)

    # ---- ending ----------------------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._leave(Left(_CLOSED))
        self._listener.forget(self)

    def eof_received(self) -> bool:
        self._closing = True
        self._leave(Left(_CLOSED))
        return False

    def hang_up(self, code: Code = Code.NO_ERROR) -> None:
        """Say goodbye and send nothing more. What the client still sends is thrown away, for a moment."""
        if self._closing or self.transport.is_closing():
            return
        self._closing = True
        self._sender.put(goaway(self._streams.highest, code))
        self._sender.write()
        self._leave(Left(_CLOSED))
        self.transport.resume_reading()
        if self.client.scheme != "http":
            self.transport.close()
            return
        with suppress(OSError, RuntimeError):
            self.transport.write_eof()
        self._lingering = Lingering(self.transport, self._loop, self._limits.stalled)
        self._listener.waiting[self] = None

    def cut(self) -> None:
        """End it at once."""
        self._closing = self.cut_off = True
        self.transport.abort()

    def _leave(self, why: Left) -> None:
        """Nothing more is sent or received."""
        self._listener.waiting.pop(self, None)
        self._stalls.end()
        if self._lingering is not None:
            self._lingering.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._streams.leave(why)
