"""Clients of HTTP/2 that take nothing: of one stream, or of all of them."""

import asyncio
from collections.abc import Callable, Mapping

from cdnkit.serving.acknowledged import acknowledged, unacknowledged
from cdnkit.serving.patience import LEAST_BYTES, Stalled
from cdnkit.serving.sender import Sender
from cdnkit.serving.streams import Stream


class StallWatch:
    """Looks, once in `limit` seconds, at a connection that has something to send.

    A connection is stalled whose client acknowledged nothing since the last look; a stream whose window, or the
    connection's, let nothing through, though the client has all that was sent before. A stream that only waits for its
    turn is not. What is no content counts for nothing: a client that sends PING after PING takes only their answers.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        limit: float,
        sender: Sender,
        streams: Mapping[int, Stream],
        on_stall: Callable[[Stream | None, Stalled], None],
    ) -> None:
        """`on_stall`: called with a stream, or with None for all of them."""
        self._transport = transport
        self._loop = loop
        self._limit = limit
        self._sender = sender
        self._streams = streams
        self._on_stall = on_stall
        self._sent = self._other = self._acknowledged = self._queue = 0
        """As they were at the last look."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """There may be something to send."""
        if self._timer is None and (self._sender.full or any(one.pending for one in self._streams.values())):
            self._remember()
            self._timer = self._loop.call_later(self._limit, self._look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _remember(self) -> None:
        self._sent, self._other = self._sender.sent, self._sender.other
        self._acknowledged, self._queue = acknowledged(self._transport), unacknowledged(self._transport)

    def _look(self) -> None:
        self._timer = None
        sender, why = self._sender, Stalled(self._limit)
        taken = acknowledged(self._transport) - self._acknowledged
        has_all = taken >= self._queue
        quiet = sender.sent - self._sent < LEAST_BYTES and taken - (sender.other - self._other) < LEAST_BYTES
        if sender.full:
            if quiet:
                self._on_stall(None, why)
                return
        else:
            for stream in list(self._streams.values()):
                closed = (stream.window <= 0 and (has_all or quiet)) or (sender.window <= 0 and quiet)
                if stream.pending and closed and stream.taken - stream.seen < LEAST_BYTES:
                    self._on_stall(stream, why)
                stream.seen = stream.taken
        self.begin()
