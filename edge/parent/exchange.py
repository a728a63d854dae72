"""A response on its way: its head, and its body as it comes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from cdnkit.policy.http.messages import ResponseHead
from edge.errors import UpstreamFailed

OnInterim = Callable[[ResponseHead], None]
"""Called with every interim response but 100 (102, 103 ...), in order, before the final head comes."""


class Asker(Protocol):
    """Who has sent a request. One of the two is called, once."""

    def on_head(self, head: ResponseHead) -> None:
        """The final head has come; nothing of the body has been passed on yet."""

    def on_failure(self, failure: UpstreamFailed) -> None:
        """None comes."""


class HeadAwaited:
    """An asker that waits."""

    __slots__ = ("head",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.head: asyncio.Future[ResponseHead] = loop.create_future()

    def on_head(self, head: ResponseHead) -> None:
        if not self.head.done():  # else it was cancelled a moment ago
            self.head.set_result(head)

    def on_failure(self, failure: UpstreamFailed) -> None:
        if not self.head.done():
            self.head.set_exception(failure)
            self.head.exception()  # retrieved: it may be cancelled yet


class Taker(Protocol):
    """Who takes a body as it comes, and is never too slow."""

    def on_chunk(self, chunk: bytes) -> None: ...

    def place(self, size: int) -> memoryview | None:
        """Where the rest of the body, so many bytes, is to be; None: it is to come in chunks."""

    def on_filled(self, size: int) -> None:
        """So many more bytes are there."""

    def on_end(self) -> None:
        """Nothing more comes, and nothing is missing."""

    def on_broken(self, failure: UpstreamFailed) -> None:
        """Nothing more comes."""


class Incoming:
    """A body between the connection that fills it and the one reader that empties it, or who takes it as it comes."""

    __slots__ = ("_chunks", "_consumed", "_waiter", "ended", "failure", "queued_bytes", "taker")

    def __init__(self, consumed: Callable[[int], None]) -> None:
        """`consumed` is called with the number of bytes that the reader has just taken, for flow control."""
        self._chunks: deque[bytes] = deque()
        self._consumed = consumed
        self._waiter: asyncio.Future[None] | None = None
        self.queued_bytes = 0
        self.ended = False
        self.failure: UpstreamFailed | None = None
        self.taker: Taker | None = None
        """Set before the first chunk comes; without one they wait for the reader."""

    def push(self, chunk: bytes) -> None:
        if self.taker is not None:
            self._consumed(len(chunk))
            self.taker.on_chunk(chunk)
            return
        self._chunks.append(chunk)
        self.queued_bytes += len(chunk)
        if self._waiter is not None:
            self._wake()

    def place(self, size: int) -> memoryview | None:
        """Where the rest of the body is to be, if whoever takes it has a place for it."""
        return None if self.taker is None else self.taker.place(size)

    def filled(self, size: int) -> None:
        """So many more bytes are in that place."""
        if self.taker is not None:
            self.taker.on_filled(size)

    def end(self) -> None:
        """Nothing more comes, and nothing is missing."""
        self.ended = True
        taker, self.taker = self.taker, None
        if taker is not None:
            taker.on_end()
        elif self._waiter is not None:
            self._wake()

    def fail(self, failure: UpstreamFailed) -> None:
        """Nothing more comes; what is queued may still be read before the failure is."""
        self.failure = failure
        taker, self.taker = self.taker, None
        if taker is not None:
            taker.on_broken(failure)
        elif self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, content codings untouched; UpstreamFailed when it does not end as promised."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self.queued_bytes -= len(chunk)
                self._consumed(len(chunk))
                yield chunk
            if self.failure is not None:
                raise self.failure
            if self.ended:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class Exchange:
    """A response whose final head has come. It must be closed, read to its end or not."""

    __slots__ = ("_incoming", "_release", "head", "parent")

    def __init__(self, head: ResponseHead, incoming: Incoming, release: Callable[[], None]) -> None:
        self.head = head
        self._incoming = incoming
        self._release: Callable[[], None] | None = release
        self.parent = ""
        """URL of the parent that answered, where there are several."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, content and unknown transfer codings untouched, trailers dropped.

        One reader, once. UpstreamFailed when it breaks off, is shorter than its Content-Length, or stands still.
        """
        return self._incoming.chunks()

    def take(self, taker: Taker) -> None:
        """Have the body taken as it comes, in place of `chunks`. None of it has come yet."""
        self._incoming.taker = taker

    def leave(self, chunk: bytes) -> None:
        """Take no more: this chunk, and what comes behind it, wait for the reader of `chunks`."""
        self._incoming.taker = None
        self._incoming.push(chunk)

    def when_closed(self, act: Callable[[], None]) -> None:
        """Do this as well when it is closed; it is not yet."""
        release = self._release
        assert release is not None

        def both() -> None:
            release()
            act()

        self._release = both

    def close(self) -> None:
        """Give the connection back if the response came to its end, else cut it; harmless when repeated."""
        self._incoming.taker = None
        release, self._release = self._release, None
        if release is not None:
            release()


async def close_body(body: AsyncIterator[bytes]) -> None:
    """Close the source of a request body, of which no more is wanted: a generator left alone ends when it likes."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
