"""A request over HTTP/2 that takes time: an application's messages, as frames of its stream."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol

from cdnkit.serving.hpack import field_block, lines_block, status_block
from cdnkit.serving.inbox import Inbox
from cdnkit.serving.streams import Stream

_BODILESS = (204, 304)


class StreamWriter(Protocol):
    """A connection, as the exchange of one of its streams sees it."""

    def send_head(self, stream: Stream, block: bytes, *, last: bool, interim: bool = False) -> None: ...

    def send_body(self, stream: Stream, body: bytes | memoryview, *, last: bool) -> None: ...

    def received(self, stream: Stream, size: int) -> None:
        """The application has taken so many bytes of the request."""
        ...


class StreamExchange:
    """One request and its response."""

    def __init__(self, front: StreamWriter, stream: Stream, method: str) -> None:
        self._front = front
        self._stream = stream
        self._method = method
        self._left: int | None = None
        """Bytes of the body that are yet to come, where its head says so."""
        self._bodiless = False
        self.inbox = Inbox(partial(front.received, stream))
        self.begun = False
        """The head is out."""
        self.complete = False

    async def receive(self) -> Any:
        return await self.inbox.get()

    def leave(self) -> None:
        self.inbox.give({"type": "http.disconnect"})

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response, if the final one's head is not out."""
        if not self.begun and self._stream.left is None:
            block = status_block(status) + field_block(lines)
            self._front.send_head(self._stream, block, last=False, interim=True)

    async def send(self, message: Any) -> None:
        """ASGI's `send`; Left once the client is gone, Stalled if it takes nothing."""
        stream = self._stream
        if stream.left is not None:
            raise stream.left
        if self.complete:
            raise ValueError("more of a response that has ended")
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._bodiless:
            body = b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise ValueError(f"a body that is {abs(self._left)} bytes too {'long' if self._left < 0 else 'short'}")
        self.complete = not more
        if not self._bodiless and (body or not more):
            self._front.send_body(stream, body, last=not more)
        await stream.drained()
        if self.complete:
            self.leave()

    def fail(self) -> None:
        """The application ended without a response."""
        self.begun = True
        block = status_block(500) + field_block([("content-length", "0")])
        self._front.send_head(self._stream, block, last=True)

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = list(headers)
        self.begun = True
        self._bodiless = self._method == "HEAD" or status in _BODILESS
        lengths = [value for name, value in lines if name.lower() == b"content-length"]
        self._left = int(lengths[-1]) if lengths else None
        self._front.send_head(self._stream, status_block(status) + lines_block(lines), last=self._bodiless)
