"""A response that comes later, over HTTP/1.1: written as it comes, without a task.

    Later ─► LaterExchange ─► transport        `end`, `fail`: the front goes on with the next request

What is written is what an `Exchange` writes of the same response.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from starlette.types import Scope

from cdnkit.serving.exchange import CLOSES, LENGTHLESS, FrontWriter, failure, write_interim
from cdnkit.serving.front_roles import Later, Whole
from cdnkit.serving.lingering import drop
from cdnkit.serving.patience import LEAST_BYTES, Stalled

COPIED_BYTES = 16 * 1024
"""A piece up to this size is copied, into one write with what frames it."""


class LaterFront(FrontWriter, Protocol):
    """A front, as the response that comes later sees it."""

    def answer(self, answer: Whole, *, closes: bool) -> None:
        """The response of the request under way is whole."""
        ...

    def call(self, method: str, scope: Scope, *, closes: bool) -> None:
        """The request under way takes a task."""
        ...

    def over(self, *, ends: bool) -> None:
        """The request under way is over; `ends`: so is the connection."""
        ...


class LaterExchange:
    """One request and its response."""

    __slots__ = ("_begun", "_closes", "_front", "_head", "_later", "_left", "_method", "_timer")

    def __init__(self, front: LaterFront, method: str, later: Later, *, closes: bool) -> None:
        """`closes`: the client wants the response to be the last."""
        self._front = front
        self._method = method
        self._later: Later | None = later
        self._closes = closes
        self._head = b""
        """Held back until there is something to send with it."""
        self._left: int | None = None
        """Bytes of the body that are yet to come; None: it is chunked."""
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- the front's side ------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """The client has left."""
        later, self._later = self._later, None
        if later is not None:
            later.on_left("")
            self.fail()

    def wake(self) -> None:
        """The transport takes more."""
        self._stop_timer()
        if self._later is not None:
            self._later.on_room()

    # ---- the application's side: an `Outlet` -----------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self._front.full or self._front.transport.is_closing()

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        if not self._begun:
            write_interim(self._front.transport, status, lines)

    def whole(self, answer: Whole) -> None:
        self._later = None
        self._front.answer(answer, closes=self._closes)

    def call(self, scope: Scope) -> None:
        self._later = None
        self._front.call(self._method, scope, closes=self._closes)

    def start(self, head: bytes, length: int | None, *, ends: bool) -> None:
        self._begun = True
        self._left = 0 if self._method == "HEAD" else length
        lines = [head]
        if self._closes and not ends:
            lines.append(CLOSES)
        if length is None:
            lines.append(LENGTHLESS)
        lines.append(self._front.end_of_head)
        self._closes |= ends
        self._head = b"".join(lines)

    def write(self, piece: bytes | memoryview) -> None:
        if self._left is None:
            self._put(b"%x\r\n" % len(piece), piece, b"\r\n")
        else:
            self._left -= len(piece)
            if self._left < 0:
                raise ValueError(f"a body that is {-self._left} bytes too long")
            self._put(b"", piece, b"")
        if self._front.full and self._timer is None:
            self._watch()

    def end(self) -> None:
        if self._left:
            self.fail()
            raise ValueError(f"a body that is {self._left} bytes too short")
        if self._left is None:
            self._put(b"", b"0\r\n\r\n", b"")
        elif self._head:
            self._put(b"", b"", b"")
        if self._later is not None:
            self._later.on_sent()
        self._over(ends=self._closes)

    def fail(self) -> None:
        if not self._front.transport.is_closing():
            self._front.transport.write(self._head if self._begun else failure(self._front.end_of_head))
        self._over(ends=True)

    def _over(self, *, ends: bool) -> None:
        self._later = None
        self._stop_timer()
        self._front.over(ends=ends)

    # ---- the transport ---------------------------------------------------------------------------------------------

    def _put(self, before: bytes, piece: bytes | memoryview, after: bytes) -> None:
        write = self._front.transport.write
        head, self._head = self._head + before, b""
        if len(piece) <= COPIED_BYTES and (head or after):
            write(b"".join((head, piece, after)))
            return
        for part in (head, piece, after):
            if part:
                write(part)

    def _watch(self) -> None:
        """Drop a client that takes nothing for as long as it may."""
        seconds, seen = self._front.stalled_after, self._front.taken()

        def look() -> None:
            if self._front.taken() - seen >= LEAST_BYTES:
                self._watch()
                return
            later, self._later = self._later, None
            if later is not None:
                later.on_left(f"viewer: {Stalled(seconds)}")
            drop(self._front.transport)

        self._timer = asyncio.get_running_loop().call_later(seconds, look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
