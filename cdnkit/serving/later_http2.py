"""A response that comes later, over HTTP/2: as frames of its stream, without a task (`front_roles.Outlet`)."""

from collections.abc import Iterable
from typing import Protocol

from starlette.types import Scope

from cdnkit.serving.exchange_http2 import StreamWriter
from cdnkit.serving.front_roles import Later, Whole
from cdnkit.serving.hpack import field_block, status_block
from cdnkit.serving.patience import Left, Stalled
from cdnkit.serving.streams import FEW_BYTES, Stream


class LaterStreams(StreamWriter, Protocol):
    """A connection, as the response of one of its streams sees it."""

    def answer(self, stream: Stream, answer: Whole) -> None:
        """The response of an open stream is whole."""
        ...

    def call(self, stream: Stream, method: str, scope: Scope) -> None:
        """The request of an open stream takes a task."""
        ...

    def break_off(self, stream: Stream) -> None:
        """The response has begun, and does not come to its end."""
        ...


class LaterStream:
    """One request and its response."""

    __slots__ = ("_begun", "_front", "_later", "_left", "_method", "_stream", "_was_full")

    def __init__(self, front: LaterStreams, stream: Stream, method: str, later: Later) -> None:
        self._front = front
        self._stream = stream
        self._method = method
        self._later: Later | None = later
        self._left: int | None = None
        """Bytes of the body that are yet to come, where its head says so."""
        self._begun = False
        self._was_full = False
        """The application was stopped, and hears when the client takes more."""

    # ---- the stream's side -----------------------------------------------------------------------------------------

    def leave(self, why: Left) -> None:
        """The client has left, or was dropped."""
        later, self._later = self._later, None
        if later is not None:
            later.on_left(f"viewer: {why}" if isinstance(why, Stalled) else "")

    def wake(self) -> None:
        """The client takes more."""
        if self._later is not None and self._was_full:
            self._was_full = False
            self._later.on_room()

    def sent(self) -> None:
        """The last of it has gone."""
        later, self._later = self._later, None
        if later is not None:
            later.on_sent()

    # ---- the application's side: an `Outlet` -----------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self._stream.pending > FEW_BYTES or self._stream.left is not None

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        if not self._begun and self._stream.left is None:
            block = status_block(status) + field_block(lines)
            self._front.send_head(self._stream, block, last=False, interim=True)

    def whole(self, answer: Whole) -> None:
        self._give_up()
        self._front.answer(self._stream, answer)

    def call(self, scope: Scope) -> None:
        self._give_up()
        self._front.call(self._stream, self._method, scope)

    def start(self, head: bytes, length: int | None, *, ends: bool) -> None:
        self._begun = True
        self._left = 0 if self._method == "HEAD" else length
        self._front.send_head(self._stream, head, last=False)

    def write(self, piece: bytes | memoryview) -> None:
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise ValueError(f"a body that is {-self._left} bytes too long")
        self._front.send_body(self._stream, piece, last=False)
        self._was_full = self.full

    def end(self) -> None:
        if self._left:
            self.fail()
            raise ValueError(f"a body that is {self._left} bytes too short")
        self._front.send_body(self._stream, b"", last=True)

    def fail(self) -> None:
        self._give_up()
        if self._begun:
            self._front.break_off(self._stream)
        else:
            self._front.send_head(self._stream, status_block(500) + field_block([("content-length", "0")]), last=True)

    def _give_up(self) -> None:
        """The stream is no more its own."""
        self._later = None
        self._stream.later = None
