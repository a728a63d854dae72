"""What goes out on an HTTP/2 connection: frames in order, and DATA as windows, turns and the transport let it."""

import asyncio
from collections.abc import Callable

from cdnkit.serving.frames import (
    HEAD_BYTES,
    INITIAL_WINDOW,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    RECORD_BYTES,
    Code,
    ConnectionFault,
)
from cdnkit.serving.streams import Stream
from cdnkit.serving.turns import TURN_BYTES, Turns

JOINED_BYTES = 64 * 1024
"""Up to this much is copied into one write."""
BEYOND_BYTES = 64 * 1024
"""Heads and acknowledgements for a client that takes nothing; then nothing more is read of it. Until then it may reset
streams that it does not want any more."""
WRITTEN_BYTES = 256 * 1024
"""What is written at once; then it is looked whether the client takes it."""
SECURE_FRAMES = 2
"""The same over TLS: OpenSSL keeps a buffer for what was written at once as long as the connection lives. Each is a
record of its own."""


class Sender:
    """The writing half of a connection."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        finished: Callable[[Stream], None],
        taken: Callable[[], None],
    ) -> None:
        """`finished`: called with a stream whose last byte is put out. `taken`: called when the transport has taken all
        that was."""
        self._transport = transport
        self._loop = loop
        self._finished = finished
        self._taken = taken
        self._secure = transport.get_extra_info("ssl_object") is not None
        self._frame = RECORD_BYTES - HEAD_BYTES if self._secure else LARGEST_FRAME
        """Content of a frame, at most; in one turn; and before it is written."""
        self._turn = SECURE_FRAMES * self._frame if self._secure else TURN_BYTES
        self._written = self._turn if self._secure else WRITTEN_BYTES
        self.window = INITIAL_WINDOW
        """Bytes of DATA that the client takes on the connection."""
        self.stream_window = INITIAL_WINDOW
        """... and on a new stream."""
        self.turns: Turns[Stream] = Turns()
        self.full = False
        """The transport takes no more for now."""
        self._beyond = 0
        """Bytes that were put out since."""
        self.sent = 0
        """Bytes of DATA, of all streams together."""
        self.other = 0
        """Bytes of all other frames."""
        self.held = False
        """What is put out waits: more comes in this moment."""
        self.buffered = 0
        """Bytes that the transport held after the last write: once it is closed, it cannot say."""
        self._out: list[bytes | memoryview] = []
        self._out_bytes = 0
        self._awaited = False

    def put(self, frames: bytes) -> None:
        """Send whole frames, soon."""
        self.other += len(frames)
        self._out.append(frames)
        self._out_bytes += len(frames)
        if self.full:
            self._beyond += len(frames)
            if self._beyond > BEYOND_BYTES and not self._transport.is_closing():
                self._transport.pause_reading()
        if self._out_bytes >= self._written:
            self.write()
        elif not self.held and not self._awaited:
            self._awaited = True
            self._loop.call_soon(self.flush)

    def resume(self) -> None:
        """The transport takes more."""
        self.full, self._beyond = False, 0
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self.flush()

    def put_whole(self, headers: bytes, block: bytes, data: bytes, body: bytes | memoryview) -> None:
        """As `put`: two whole frames, each with its head, of which the windows were found to let the body through."""
        size, other = len(body), len(headers) + len(block) + len(data)
        self.window -= size
        self.sent += size
        self.other += other
        self._out += (headers, block, data, body)
        self._out_bytes += size + other
        if self._out_bytes >= self._written:
            self.write()

    def has_room(self, size: int) -> bool:
        """Whether so many bytes of a new stream may go at once, before any other's."""
        return size <= self.window and size <= self.stream_window and not self.full and not self.turns

    def push(self, stream: Stream) -> None:
        """The stream has something to send."""
        if stream.has_turn:
            self.turns.add(stream)
            if not self.held and not self._awaited:
                self._awaited = True
                self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what there is, as far as it goes."""
        self._awaited = False
        turns = self.turns
        while turns and not self.full:
            stream = turns.first()
            if stream.pending:
                most = min(self.window, stream.window, self._turn)
                if most <= 0:
                    if self.window <= 0:
                        break
                    turns.discard(stream)
                    continue
                most = stream.take(most, self._out, self._frame)
                self.window -= most
                self.sent += most
                self._out_bytes += most
            else:
                stream.take(0, self._out)
            if stream.ends and not stream.pending:
                turns.discard(stream)
                self._finished(stream)
            elif stream.has_turn:
                turns.give_way(stream)
            else:
                turns.discard(stream)
            if self._out_bytes >= self._written:
                self.write()
        self.write()
        if not self.full:
            self._taken()

    def write(self) -> None:
        if not self._out:
            return
        out, size = self._out, self._out_bytes
        self._out, self._out_bytes = [], 0
        if self._transport.is_closing():
            return
        if len(out) == 1:
            self._transport.write(out[0])
        elif size <= JOINED_BYTES or self._secure:  # a record of TLS for each frame's head would cost more
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)
        self.buffered = self._transport.get_write_buffer_size()

    def widen(self, stream: Stream | None, increment: int) -> None:
        """The client takes more, on a stream or on the connection."""
        if stream is None:
            self.window += increment
            if self.window > LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR)
        else:
            stream.window += increment
            self.push(stream)

    def forget(self, stream: Stream) -> None:
        self.turns.discard(stream)
