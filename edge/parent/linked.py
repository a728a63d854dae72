"""A connection over a simulated wire: bytes pass at the instants that `cdnkit/policy/upstream/link.py` says.

It stands between the socket's transport and the protocol that speaks over it, as the protocol of the one and the
transport of the other, so that HTTP/1.1 and HTTP/2 know nothing of it. With TLS it carries the plain bytes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from cdnkit.policy.upstream.link import Lane, Link, Wire

PIECE_BYTES = 16_384
"""The most that is sent at once where bandwidth counts: longer pieces would arrive in lumps."""

LEAST_QUEUED_BYTES, MOST_QUEUED_BYTES = 65_536, 4 * 2**20
"""The least and the most bytes that one connection may have on the wire at once."""


def room_on(wire: Wire) -> int:
    """Bytes that one connection may have on the wire: twice what it holds, so that it is never idle (TCP's window)."""
    if not wire.bandwidth:
        return MOST_QUEUED_BYTES
    held = 2 * wire.bandwidth / 8 * (wire.latency + wire.jitter)
    return round(min(max(held, LEAST_QUEUED_BYTES), MOST_QUEUED_BYTES))


class _Pipe:
    """One direction: what was put in comes out at the instant its lane says, in order."""

    def __init__(self, lane: Lane, piece_bytes: int | None, out: Callable[[bytes], None]) -> None:
        self._lane = lane
        self._piece_bytes = piece_bytes
        self._out = out
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, bytes | Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self.queued_bytes = 0

    def put(self, data: bytes) -> None:
        step = self._piece_bytes or len(data)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            self.queued_bytes += len(piece)
            self._add(len(piece), piece)

    def then(self, act: Callable[[], None]) -> None:
        """`act` when all that was put in is out."""
        self._add(0, act)

    def _add(self, size_bytes: int, item: bytes | Callable[[], None]) -> None:
        self._under_way.append((self._lane.arrives(size_bytes, self._loop.time()), item))
        self._look_later()

    def hold(self, held: bool) -> None:
        """The far end does not take anything now, or does again."""
        self._held = held
        self._look_later()

    def drop(self) -> None:
        """Nothing more comes out."""
        self._under_way.clear()
        self.queued_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        if self._timer is None and self._under_way and not self._held:
            self._timer = self._loop.call_at(self._under_way[0][0], self._look)

    def _look(self) -> None:
        self._timer = None
        # A loop may fire within its clock's resolution before the instant (uvloop: up to a millisecond).
        now = self._loop.time() + 0.001
        while self._under_way and not self._held and self._under_way[0][0] <= now:
            _, item = self._under_way.popleft()
            if isinstance(item, bytes):
                self.queued_bytes -= len(item)
                self._out(item)
            else:
                item()
        self._look_later()


class Linked(asyncio.Protocol):
    """The socket's side of the wire."""

    def __init__(self, inner: asyncio.BaseProtocol, link: Link) -> None:
        self.inner = cast(asyncio.Protocol, inner)
        self.transport: asyncio.Transport
        piece_bytes = PIECE_BYTES if link.wire.bandwidth else None
        up, down = link.lanes()
        self._room = room_on(link.wire)
        self.up = _Pipe(up, piece_bytes, self._sent)
        self.down = _Pipe(down, piece_bytes, self._received)
        self._reading = True
        self._full = self._socket_full = False
        self._aborted = self._lost = self._reported = False

    # ---- from the parent -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.inner.connection_made(_FarEnd(self))

    def data_received(self, data: bytes) -> None:
        if self._aborted:
            return
        self.down.put(data)
        if self.down.queued_bytes > self._room and self._reading:
            self._reading = False
            self.transport.pause_reading()

    def _received(self, piece: bytes) -> None:
        if not self._reading and self.down.queued_bytes <= self._room // 2 and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()
        self.inner.data_received(piece)

    def eof_received(self) -> bool:
        return False  # the connection is lost then, and the news of it travels behind the last byte

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self.up.drop()
        if self._aborted:
            self._report_lost(error)
        else:
            self.down.then(partial(self._report_lost, error))

    def _report_lost(self, error: Exception | None) -> None:
        if not self._reported:
            self._reported = True
            self.inner.connection_lost(error)

    # ---- to the parent -------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.up.put(data)
            self._hold_up(self.up.queued_bytes > self._room, self._socket_full)

    def close(self) -> None:
        """Hang up behind the last byte."""
        self.up.then(self.transport.close)

    def abort(self) -> None:
        self._aborted = True
        self.up.drop()
        self.down.drop()
        if self._lost:  # and only the news of it was still on its way
            asyncio.get_running_loop().call_soon(self._report_lost, None)
        else:
            self.transport.abort()

    def _sent(self, piece: bytes) -> None:
        self.transport.write(piece)
        if self.up.queued_bytes <= self._room // 2:
            self._hold_up(False, self._socket_full)

    def pause_writing(self) -> None:
        self._hold_up(self._full, True)

    def resume_writing(self) -> None:
        self._hold_up(self._full, False)

    def _hold_up(self, full: bool, socket_full: bool) -> None:
        """Whoever writes stops while the wire or the socket takes no more."""
        before, now = self._full or self._socket_full, full or socket_full
        self._full, self._socket_full = full, socket_full
        if now and not before:
            self.inner.pause_writing()
        elif before and not now:
            self.inner.resume_writing()


class _FarEnd(asyncio.Transport):
    """The transport that the protocol behind the wire sees."""

    def __init__(self, wire: Linked) -> None:
        super().__init__()
        self._wire = wire

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self._wire.send(bytes(data))

    def close(self) -> None:
        self._wire.close()

    def abort(self) -> None:
        self._wire.abort()

    def is_closing(self) -> bool:
        return self._wire.transport.is_closing()

    def pause_reading(self) -> None:
        self._wire.down.hold(True)

    def resume_reading(self) -> None:
        self._wire.down.hold(False)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._wire.inner = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._wire.inner

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._wire.transport.get_extra_info(name, default)
