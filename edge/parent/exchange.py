"""A response on its way: its head, and its body as it comes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from cdnkit.policy.http.messages import ResponseHead
from edge.errors import UpstreamFailed

OnInterim = Callable[[ResponseHead], None]
"""Called with every interim response but 100 (102, 103 ...), in order, before the final head comes."""


class Incoming:
    """A body between the connection that fills it and the one reader that empties it."""

    __slots__ = ("_chunks", "_consumed", "_waiter", "ended", "failure", "queued_bytes")

    def __init__(self, consumed: Callable[[int], None]) -> None:
        """`consumed` is called with the number of bytes that the reader has just taken, for flow control."""
        self._chunks: deque[bytes] = deque()
        self._consumed = consumed
        self._waiter: asyncio.Future[None] | None = None
        self.queued_bytes = 0
        self.ended = False
        self.failure: UpstreamFailed | None = None

    def push(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.queued_bytes += len(chunk)
        if self._waiter is not None:
            self._wake()

    def end(self) -> None:
        """Nothing more comes, and nothing is missing."""
        self.ended = True
        if self._waiter is not None:
            self._wake()

    def fail(self, failure: UpstreamFailed) -> None:
        """Nothing more comes; what is queued may still be read before the failure is."""
        self.failure = failure
        if self._waiter is not None:
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
        release, self._release = self._release, None
        if release is not None:
            release()


async def close_body(body: AsyncIterator[bytes]) -> None:
    """Close the source of a request body, of which no more is wanted: a generator left alone ends when it likes."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
