"""One stream of an HTTP/2 connection: a request, and the bytes of its response that are yet to go."""

import asyncio
from collections import deque
from typing import Any, Protocol

from cdnkit.serving.frames import DATA, END_STREAM, FRAME_HEAD, INITIAL_WINDOW, LARGEST_FRAME
from cdnkit.serving.heads_http2 import Priority
from cdnkit.serving.inbox import Inbox
from cdnkit.serving.patience import LEAST_BYTES, Left

FEW_BYTES = 64 * 1024
"""An application goes on writing while no more than this waits in its stream."""


class Responding(Protocol):
    """What calls the application, as its stream sees it."""

    inbox: Inbox

    def leave(self) -> None:
        """The client has left."""
        ...


class Coming(Protocol):
    """A response that comes later, as its stream sees it."""

    def leave(self, why: Left) -> None:
        """The client has left, or was dropped."""
        ...

    def wake(self) -> None:
        """The client takes more."""
        ...

    def sent(self) -> None:
        """The last of it has gone."""
        ...


class Stream:
    """From the request's head to the last byte in both directions."""

    __slots__ = (
        "_pieces", "answer", "drain", "ends", "exchange", "expects", "id", "incremental", "later", "left", "over",
        "pending", "queued", "receiving", "room", "seen", "taken", "urgency", "window",
    )  # fmt: skip

    def __init__(self, stream_id: int, window: int, priority: Priority) -> None:
        """`window`: bytes that the client takes."""
        self.id = stream_id
        self.window = window
        """It is below zero where the client has made all windows smaller (RFC 9113 §6.9.2)."""
        self.urgency, self.incremental = priority
        self.queued = False
        self._pieces: deque[memoryview] = deque()
        self.pending = 0
        """Bytes that wait for a turn or for the window."""
        self.taken = 0
        """Bytes that had both."""
        self.seen = -LEAST_BYTES
        """`taken` when a stall was looked for last."""
        self.ends = False
        """No more bytes come."""
        self.over = False
        """The last byte has gone."""
        self.receiving = False
        """The request has not ended."""
        self.room = INITIAL_WINDOW
        """Bytes of the request that the client may send."""
        self.expects: int | None = None
        """Bytes of the request that are yet to come, where its head says so."""
        self.answer: Any = None
        """The `Whole` that it sends, or ..."""
        self.later: Coming | None = None
        """What it sends comes later, or ..."""
        self.exchange: Responding | None = None
        self.left: Left | None = None
        """Why nothing more is sent: the client has left."""
        self.drain: asyncio.Future[None] | None = None

    @property
    def has_turn(self) -> bool:
        """There is something to send that the window lets through."""
        return self.window > 0 if self.pending else self.ends and not self.over

    def push(self, data: bytes | memoryview, *, last: bool) -> None:
        if data:
            self._pieces.append(memoryview(data))
            self.pending += len(data)
        self.ends = last

    def take(self, most: int, out: list[bytes | memoryview], largest: int = LARGEST_FRAME) -> int:
        """Frames with up to `most` bytes, and with the end behind the last ones; how many bytes they have. `largest`:
        in a frame."""
        stream_id, pieces = self.id, self._pieces
        left = most = min(most, self.pending)
        while left:
            piece = pieces[0]
            size = min(left, largest)
            if size < len(piece):
                pieces[0] = piece[size:]
                piece = piece[:size]
            else:
                size = len(piece)
                pieces.popleft()
            left -= size
            self.pending -= size
            last = self.ends and not self.pending
            out.append(FRAME_HEAD.pack(size << 8 | DATA, END_STREAM if last else 0, stream_id))
            out.append(piece)
        if not most:
            out.append(FRAME_HEAD.pack(DATA, END_STREAM, stream_id))
        self.taken += most
        self.window -= most
        self.over = self.ends and not self.pending
        if self.pending <= FEW_BYTES // 2 and (not self.ends or not self.pending):
            if self.later is not None:
                self.later.wake()
            elif self.drain is not None:
                self.wake()
        return most

    async def drained(self) -> None:
        """Until the application may write more: at the end, until all was taken. Left, once the client is gone."""
        if self.left is None and (self.pending if self.ends else self.pending > FEW_BYTES):
            self.drain = asyncio.get_running_loop().create_future()
            await self.drain
        if self.left is not None:
            raise self.left

    def leave(self, why: Left) -> None:
        """Nothing more is sent or received."""
        self.left = self.left or why
        self._pieces.clear()
        self.pending = 0
        self.receiving = False
        if self.later is not None:
            self.later.leave(self.left)
        if self.exchange is not None:
            self.exchange.leave()
        self.wake()

    def wake(self) -> None:
        if self.drain is not None and not self.drain.done():
            self.drain.set_result(None)
        self.drain = None
