"""Clients of HTTP/2 that take nothing: of one stream, of all of them, or of the last bytes of a connection."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from cdnkit.serving.connection import LINGER_S
from cdnkit.serving.patience import Stalled
from cdnkit.serving.sender import Sender
from cdnkit.serving.streams import Stream


def unsent(transport: asyncio.Transport) -> int:
    """Bytes written that the kernel has not taken yet."""
    with suppress(AttributeError):  # asyncio's TLS transports cannot say once they are closed
        return transport.get_write_buffer_size()
    return 0


class StallWatch:
    """Looks, once in `limit` seconds, at a connection that has something to send.

    A stream is stalled whose window, or the connection's, let nothing through since the last look; a connection of
    which the kernel took nothing. A stream that only waits for its turn is not.
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
        self._seen = (0, 0)
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """There may be something to send."""
        if self._timer is None and (self._sender.full or any(one.pending for one in self._streams.values())):
            self._seen = self._sender.sent, unsent(self._transport)
            self._timer = self._loop.call_later(self._limit, self._look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        sender, why = self._sender, Stalled(self._limit)
        quiet = (sender.sent, unsent(self._transport)) == self._seen
        if sender.full:
            if quiet:
                self._on_stall(None, why)
                return
        else:
            for stream in list(self._streams.values()):
                closed = stream.window <= 0 or (sender.window <= 0 and quiet)
                if stream.pending and stream.taken == stream.seen and closed:
                    self._on_stall(stream, why)
                stream.seen = stream.taken
        self.begin()


class Lingering:
    """A connection that has been hung up on: its client may take the rest, and what it still sends is thrown away."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, stalled: float) -> None:
        self._transport = transport
        self._loop = loop
        self._stalled = stalled
        self._pause = min(LINGER_S, stalled)
        self._left = unsent(transport)
        self._quiet = 0.0
        """Seconds for which the client has taken nothing."""
        self._timer = loop.call_later(self._pause, self._look)

    def end(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        left = unsent(self._transport)
        self._quiet = self._quiet + self._pause if left == self._left else 0.0
        self._left = left
        if self._quiet >= (self._stalled if left else self._pause):
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(self._pause, self._look)
