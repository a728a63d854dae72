"""A long body read to where it is to be, so that it is copied once, by the kernel.

Its last bytes are read as all others are: only a read that could take more than the body shows that there is more, and
such a connection must carry no other exchange.
"""

import asyncio
from collections.abc import Callable

LONG_BYTES = 256 * 1024
"""What must be to come of a body that is read like this: as much as one other read takes."""

LAST_BYTES = 16 * 1024
"""How many are the last."""


class ReservedRead(asyncio.BufferedProtocol):
    """Takes the place of a connection's protocol until the last bytes."""

    def __init__(
        self, transport: asyncio.Transport, behind: asyncio.Protocol, place: memoryview, filled: Callable[[int], None]
    ) -> None:
        """`place`: for all that is to come; `filled` is called with the number of bytes that came."""
        self._transport = transport
        self._behind = behind
        self._place = place[:-LAST_BYTES]
        self._filled = filled
        self._take_over(self)

    def _take_over(self, protocol: asyncio.BaseProtocol) -> None:
        # uvloop looks at what its protocol is when it begins to read.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._place

    def buffer_updated(self, nbytes: int) -> None:
        self._place = self._place[nbytes:]
        if not self._place and not self._transport.is_closing():
            self._take_over(self._behind)
        self._filled(nbytes)

    def eof_received(self) -> bool | None:
        return self._behind.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._place = self._place[:0]
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        self._behind.resume_writing()
