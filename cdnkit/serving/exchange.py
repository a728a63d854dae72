"""A request that a front took and that takes time: an application's messages, written as h11 would write them."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from cdnkit.serving.http1 import phrase_of
from cdnkit.serving.lingering import drop
from cdnkit.serving.patience import Left, Stalled, wait_for_client

_BODILESS = (204, 304)


class FrontWriter(Protocol):
    """A front, as its exchange sees it."""

    transport: asyncio.Transport

    @property
    def end_of_head(self) -> bytes: ...

    @property
    def stalled_after(self) -> float: ...

    @property
    def full(self) -> bool:
        """The transport takes no more for now."""
        ...

    def taken(self) -> int:
        """Grows with each byte that the client takes."""
        ...


CLOSES = b"connection: close\r\n"
LENGTHLESS = b"transfer-encoding: chunked\r\n"


def status_line(status: int) -> bytes:
    """As h11 writes it: without a reason phrase, which nobody reads (RFC 9112 §4)."""
    return b"HTTP/1.1 %d \r\n" % status


def write_interim(transport: asyncio.Transport, status: int, lines: Iterable[tuple[str, str]]) -> None:
    """Send an interim response, if the client is there."""
    if not transport.is_closing():
        fields = "".join(f"{name}: {value}\r\n" for name, value in lines)
        transport.write(f"HTTP/1.1 {status} {phrase_of(status)}\r\n{fields}\r\n".encode("latin-1"))


def failure(end_of_head: bytes) -> bytes:
    """The response where the application made none."""
    return status_line(500) + b"content-length: 0\r\n" + CLOSES + end_of_head


class Exchange:
    """One request and its response."""

    __slots__ = (
        "_bodiless", "_closes", "_drain", "_front", "_head", "_left", "_method", "_received", "begun", "complete",
        "ends", "gone",
    )  # fmt: skip

    def __init__(self, front: FrontWriter, method: str, *, closes: bool) -> None:
        """`closes`: the client wants the response to be the last."""
        self._front = front
        self._method = method
        self._closes = closes
        self._head = b""
        """Held back until there is something to send with it."""
        self._left: int | None = None
        """Bytes of the body that are yet to come; None: it is chunked."""
        self._bodiless = False
        self.begun = False
        """The head is made: no interim response may go out any more."""
        self.complete = False
        """The whole response was written."""
        self.ends = closes
        """The response is the last of its connection."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the client has left."""
        self._received = False
        self._drain: asyncio.Future[None] | None = None

    async def receive(self) -> dict[str, Any]:
        """The request has no content; what can still come is that the client leaves."""
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.shield(self.gone)
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def wake(self) -> None:
        """The transport takes more, or is gone."""
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    async def _drained(self) -> None:
        if self._front.full and not self._front.transport.is_closing():
            self._drain = asyncio.get_running_loop().create_future()
            await self._drain

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response, if the final one's head is not out."""
        if not self.begun:
            write_interim(self._front.transport, status, lines)

    async def send(self, message: Any) -> None:
        """ASGI's `send`; Left once the client is gone, Stalled if it takes nothing."""
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._bodiless:
            body = b""
        elif self._left is None:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise ValueError(f"a body that is {abs(self._left)} bytes too {'long' if self._left < 0 else 'short'}")
        if self._front.transport.is_closing():
            raise Left("the client closed the connection")
        if self._head or body:
            self._front.transport.write(self._head + body if self._head else body)
        self._head = b""
        self.complete = not more
        try:
            await wait_for_client(self._drained, self._front.taken, self._front.stalled_after)
        except Stalled:
            drop(self._front.transport)
            raise
        if more and self._front.transport.is_closing():
            raise Left("the client closed the connection")

    def fail(self) -> None:
        """The application ended without a whole response: the client gets what there is of it."""
        if not self.begun:
            self._head = failure(self._front.end_of_head)
        self._front.transport.write(self._head)

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.begun = True
        self._bodiless = self._method == "HEAD" or status in _BODILESS
        lines = [status_line(status)]
        sized = status in _BODILESS
        for name, value in headers:
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length":
                sized, self._left = True, int(value)
            elif name == b"connection" and value == b"close":
                self.ends, self._closes = True, False
        if self._closes:
            lines.append(CLOSES)
        if not sized:
            lines.append(LENGTHLESS)
        lines.append(self._front.end_of_head)
        self._head = b"".join(lines)
