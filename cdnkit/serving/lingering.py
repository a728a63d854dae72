"""A connection that has been hung up on: its client may take the rest, and what it still sends is thrown away.

It is not closed at once, because a reset by what the client still sends would take the last response away from it (RFC
9112 §9.6).
"""

import asyncio
import socket
import struct
from contextlib import suppress

from cdnkit.serving.acknowledged import buffered, unacknowledged

LINGER_S = 2.0
"""How long a client may go on sending after the server has hung up and the client has taken the rest. nginx gives 5 s
from read to read, 30 s in all."""


_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time."""


def drop(transport: asyncio.WriteTransport) -> None:
    """End the connection of a client that takes nothing, and have the kernel forget what it holds for it. Otherwise the
    kernel goes on offering it for minutes."""
    found = transport.get_extra_info("socket")
    if found is not None:
        with suppress(OSError, ValueError):  # it is closed
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


class Lingering:
    """Ends the connection when its client has taken everything, or nothing for `stalled` seconds."""

    __slots__ = ("_left", "_loop", "_pause", "_quiet", "_stalled", "_timer", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, loop: asyncio.AbstractEventLoop, stalled: float) -> None:
        self._transport = transport
        self._loop = loop
        self._stalled = stalled
        self._pause = min(LINGER_S, stalled)
        self._left = buffered(transport)
        self._quiet = 0.0
        """Seconds for which the client has taken nothing."""
        self._timer = loop.call_later(self._pause, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        left = unacknowledged(self._transport)
        self._quiet = self._quiet + self._pause if left == self._left else 0.0
        self._left = left
        if self._quiet >= self._stalled and left:
            drop(self._transport)
        elif self._quiet >= self._pause and not left:
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(self._pause, self._look)
