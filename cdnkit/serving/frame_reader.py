"""Frames as they come from a client, held to the rules of RFC 9113 §6, and counted where they could be a flood."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from cdnkit.serving.budget import ODDITIES, RESETS, Budget
from cdnkit.serving.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    PING,
    PREFACE,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Code,
    ConnectionFault,
    content_of,
    settings_in,
)  # fmt: skip

CONTINUATIONS = 64
"""Frames of one head, at most: h2's bound."""

_WHOLE = END_STREAM | END_HEADERS


class Receiver(Protocol):
    """A connection, as its reader sees it. Each may raise ConnectionFault."""

    def on_block(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        """A whole field section; `ended`: its stream is, too."""
        ...

    def on_data(self, stream_id: int, data: bytes, size: int, *, ended: bool) -> None:
        """Content, which took `size` bytes of the windows."""
        ...

    def on_window(self, stream_id: int, increment: int) -> None: ...

    def on_reset(self, stream_id: int) -> None: ...

    def on_settings(self, values: dict[int, int]) -> None: ...

    def on_ping(self, payload: bytes) -> None: ...

    def on_priority(self, stream_id: int, value: str) -> None: ...

    def on_goaway(self) -> None: ...


class FrameReader:
    """The reading half of a connection."""

    def __init__(self, receiver: Receiver, loop: asyncio.AbstractEventLoop, largest_block: int) -> None:
        """`largest_block`: bytes of a field section as it is written."""
        self._receiver = receiver
        self._loop = loop
        self._largest_block = largest_block
        self._kept = b""
        """The beginning of a frame, or of the preface."""
        self._greeted = self._set = False
        """The preface has come, and the SETTINGS behind it."""
        self._block: list[bytes] = []
        """The parts of a field section that has not ended, ..."""
        self._block_size = self._block_stream = self._block_flags = 0
        """... how large they are, and of which stream."""
        now = loop.time()
        self._resets, self._oddities = Budget(*RESETS, now), Budget(*ODDITIES, now)

    def feed(self, data: bytes) -> None:
        """Take the frames in what came, one after the other. ConnectionFault: nothing more is to be read."""
        if self._kept:
            data = self._kept + data
        at, end = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise ConnectionFault(Code.PROTOCOL_ERROR)
            if end < len(PREFACE):
                self._kept = data
                return
            self._greeted = True
            at = len(PREFACE)
        unpack = FRAME_HEAD.unpack_from
        while end - at >= HEAD_BYTES:
            word, flags, stream_id = unpack(data, at)
            size, kind, stream_id = word >> 8, word & 0xFF, stream_id & LARGEST_WINDOW
            if size > LARGEST_FRAME:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR)
            begin = at + HEAD_BYTES
            if begin + size > end:
                break
            at = begin + size
            if kind == HEADERS and flags == _WHOLE and stream_id and self._set and not self._block:
                self._receiver.on_block(stream_id, data[begin:at], ended=True)  # what most clients send, and most often
            else:
                self._take(kind, flags, stream_id, data[begin:at])
        self._kept = data[at:]

    def count_reset(self) -> None:
        """A stream was reset by the client, or for a fault of its."""
        if not self._resets.spend(self._loop.time()):
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)

    def count_odd(self) -> None:
        """A frame carried nothing of a request or a response."""
        if not self._oddities.spend(self._loop.time()):
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)

    def _take(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block and (kind != CONTINUATION or stream_id != self._block_stream):
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if not self._set and (kind != SETTINGS or flags & ACK):
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        take = _TAKE.get(kind)
        if take is None:
            self.count_odd()  # an extension that is not known here (§5.5)
            return
        on_stream, sizes = _SHAPE[kind]
        if on_stream is not None and on_stream != bool(stream_id):
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if len(payload) not in sizes:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)
        take(self, flags, stream_id, payload)

    def take_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        payload = content_of(flags, payload)
        if flags & WITH_PRIORITY:
            if len(payload) < 5 or int.from_bytes(payload[:4], "big") & LARGEST_WINDOW == stream_id:
                raise ConnectionFault(Code.PROTOCOL_ERROR)
            payload = payload[5:]
        if flags & END_HEADERS:
            self._receiver.on_block(stream_id, payload, ended=bool(flags & END_STREAM))
        else:
            self._block, self._block_size = [payload], len(payload)
            self._block_stream, self._block_flags = stream_id, flags

    def take_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        self._block.append(payload)
        self._block_size += len(payload)
        if len(self._block) > CONTINUATIONS or self._block_size > self._largest_block:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)
        if flags & END_HEADERS:
            block, self._block = b"".join(self._block), []
            self._receiver.on_block(stream_id, block, ended=bool(self._block_flags & END_STREAM))

    def take_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        data = content_of(flags, payload)
        ended = bool(flags & END_STREAM)
        if not data and not ended:
            self.count_odd()
        self._receiver.on_data(stream_id, data, len(payload), ended=ended)

    def take_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._receiver.on_window(stream_id, int.from_bytes(payload, "big") & LARGEST_WINDOW)

    def take_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.count_reset()
        self._receiver.on_reset(stream_id)

    def take_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.count_odd()
        if not flags & ACK:
            self._set = True
            self._receiver.on_settings(settings_in(payload))
        elif payload:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)

    def take_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.count_odd()
        if not flags & ACK:
            self._receiver.on_ping(payload)

    def take_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.count_odd()  # and ignored (§5.3.2)

    def take_priority_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.count_odd()
        which = int.from_bytes(payload[:4], "big") & LARGEST_WINDOW
        if not which:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        self._receiver.on_priority(which, payload[4:].decode("latin-1"))

    def take_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.count_odd()
        self._receiver.on_goaway()

    def take_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise ConnectionFault(Code.PROTOCOL_ERROR)  # clients send none (§8.4)


_TAKE: dict[int, Callable[[FrameReader, int, int, bytes], None]] = {
    DATA: FrameReader.take_data,
    HEADERS: FrameReader.take_headers,
    PRIORITY: FrameReader.take_priority,
    RST_STREAM: FrameReader.take_rst_stream,
    SETTINGS: FrameReader.take_settings,
    PUSH_PROMISE: FrameReader.take_push_promise,
    PING: FrameReader.take_ping,
    GOAWAY: FrameReader.take_goaway,
    WINDOW_UPDATE: FrameReader.take_window_update,
    CONTINUATION: FrameReader.take_continuation,
    PRIORITY_UPDATE: FrameReader.take_priority_update,
}

_SHAPE: dict[int, tuple[bool | None, range]] = {
    DATA: (True, range(LARGEST_FRAME + 1)), HEADERS: (True, range(LARGEST_FRAME + 1)),
    PRIORITY: (True, range(5, 6)), RST_STREAM: (True, range(4, 5)), SETTINGS: (False, range(0, LARGEST_FRAME, 6)),
    PUSH_PROMISE: (None, range(LARGEST_FRAME + 1)), PING: (False, range(8, 9)),
    GOAWAY: (False, range(8, LARGEST_FRAME + 1)), WINDOW_UPDATE: (None, range(4, 5)),
    CONTINUATION: (True, range(LARGEST_FRAME + 1)), PRIORITY_UPDATE: (False, range(4, LARGEST_FRAME + 1)),
}  # fmt: skip
"""Whether it is a stream's (None: either), and how large it may be."""
