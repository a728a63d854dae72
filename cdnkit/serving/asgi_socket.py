"""An application in another process: a `Caller` is called here, and an `Answerer` there calls the application.

The application notices nothing: its scope is the client's, `send` returns when the client's connection has taken the
piece, and raises `Left` or `Stalled` as it would at home; `receive` brings content when it is asked for, and the
disconnect.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any

import msgspec

from cdnkit.serving.asgi_frames import (
    ASIDE,
    PIECE_BYTES,
    BadFrame,
    Call,
    Frames,
    Interim,
    Kind,
    LeftBy,
    Start,
    call_of,
    encoded,
    scope_of,
)
from cdnkit.serving.inbox import GONE, INTERIM
from cdnkit.serving.patience import Left, Stalled
from cdnkit.units import visible

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

END_S = 5.0
"""In which an application ends whose client is gone."""

_HIGHEST_CALL = 2**32 - 1


class ApplicationLost(ConnectionError):
    """The process of the application is gone."""


class Caller:
    """An ASGI application whose work is done at the other end of a socket."""

    def __init__(
        self,
        *,
        on_note: Callable[[bytes], None],
        on_lost: Callable[[str], None],
        on_aside: Callable[[Any, bytes], None],
    ) -> None:
        """`on_note`: bytes that the other end sends beside all calls; `on_lost`: it is gone, and why ("": it closed);
        `on_aside`: the scope of a call, and what its application tells aside."""
        self._frames = Frames(self._came, self._end)
        self._calls: dict[int, _Called] = {}
        self._last = 0
        self._on_note, self._on_lost, self._on_aside = on_note, on_lost, on_aside

    async def start(self, sock: socket.socket) -> None:
        """`sock`: one end of a Unix socket pair."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self._frames, sock=sock)

    def __len__(self) -> int:
        """How many calls have not ended."""
        return len(self._calls)

    def tell(self, octets: bytes) -> None:
        self._frames.send(0, Kind.NOTE, octets)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """ApplicationLost if there is nobody to answer; the response then ends where it is."""
        if not self._frames.open:
            raise ApplicationLost("the process that answers is gone")
        number = self._next()
        called = self._calls[number] = _Called(number, scope, receive, self._frames)
        gone: asyncio.Future[None] | None = scope.get("extensions", {}).get(GONE)
        left = called.client_left
        if gone is not None:
            gone.add_done_callback(left)
        try:
            self._frames.send(number, Kind.CALL, encoded(call_of(scope)))
            await self._carry(called, scope, send)
        except BaseException:
            called.give_up("the client's side has failed")
            raise
        finally:
            if gone is not None:
                gone.remove_done_callback(left)
            called.close()
            del self._calls[number]

    async def close(self) -> None:
        self._frames.close()

    def _next(self) -> int:
        self._last = self._last % _HIGHEST_CALL + 1
        while self._last in self._calls:
            self._last = self._last % _HIGHEST_CALL + 1
        return self._last

    async def _carry(self, called: "_Called", scope: Any, send: Send) -> None:
        """The application's messages, to the client."""
        refused: Left | None = None
        while True:
            kind, payload = await called.next()
            if kind is Kind.OVER:
                if refused is not None:
                    raise refused
                return
            if refused is not None:
                continue
            try:
                if kind is Kind.START:
                    start = msgspec.msgpack.decode(payload, type=Start)
                    if start.aside is not None:
                        self._on_aside(scope, start.aside)
                    await send({"type": "http.response.start", "status": start.status, "headers": start.headers})
                else:
                    await send({"type": "http.response.body", "body": payload, "more_body": kind is Kind.BODY})
                    self._frames.send(called.number, Kind.TAKEN)
            except Left as left:
                refused = left
                called.give_up(str(left), left.seconds if isinstance(left, Stalled) else None)

    def _came(self, number: int, kind: Kind, payload: bytes) -> None:
        if kind is Kind.NOTE:
            self._on_note(payload)
            return
        called = self._calls.get(number)
        if called is None:
            return  # it was given up here, and the other end does not know yet
        if kind is Kind.WANTED:
            called.want()
        elif kind is Kind.INTERIM:
            interim = msgspec.msgpack.decode(payload, type=Interim)
            called.scope["extensions"][INTERIM](interim.status, interim.lines)
        elif kind in (Kind.START, Kind.BODY, Kind.LAST, Kind.OVER):
            called.put(kind, payload)
        else:
            raise BadFrame(f"{kind.name} from the application's end")

    def _end(self, why: str) -> None:
        for called in self._calls.values():
            called.lose()
        self._on_lost(why)


class _Called:
    """A call, where its client is."""

    def __init__(self, number: int, scope: Any, receive: Receive, frames: Frames) -> None:
        self.number = number
        self.scope = scope
        self._receive = receive
        self._frames = frames
        self._came: asyncio.Queue[tuple[Kind, bytes] | None] = asyncio.Queue()
        """At most a head, a piece and the end: the next piece comes when one is taken."""
        self._wanted = 0
        """Messages that the application waits for."""
        self._reading: asyncio.Task[None] | None = None

    def put(self, kind: Kind, payload: bytes) -> None:
        self._came.put_nowait((kind, payload))

    def lose(self) -> None:
        self._came.put_nowait(None)

    async def next(self) -> tuple[Kind, bytes]:
        came = await self._came.get()
        if came is None:
            raise ApplicationLost("the process that answers is gone")
        return came

    def want(self) -> None:
        """The application waits for a message."""
        self._wanted += 1
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())

    def client_left(self, _: object = None) -> None:
        self._frames.send(self.number, Kind.GONE)

    def give_up(self, why: str, stalled: float | None = None) -> None:
        """The client takes no more."""
        self._frames.send(self.number, Kind.LEFT, encoded(LeftBy(why, stalled)))

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        while self._wanted:
            self._wanted -= 1
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.client_left()
                return
            last = not message.get("more_body", False)
            # All that a listener has read at once, which is little: the application has asked for it.
            for piece, ends in _pieces(message.get("body", b""), last=last):
                self._frames.send(self.number, Kind.LAST if ends else Kind.CONTENT, piece)
            await self._frames.room()


class Answerer:
    """The end of the socket that has the application."""

    def __init__(
        self,
        app: Application,
        log: logging.Logger,
        *,
        on_note: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """As of a `Caller`. When the other end is gone, so are the clients of all calls: each ends as it would then."""
        self._app = app
        self._log = log
        self._frames = Frames(self._came, self._end)
        self._calls: dict[int, _Answered] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_note, self._on_lost = on_note, on_lost

    async def start(self, sock: socket.socket) -> None:
        """`sock`: one end of a Unix socket pair."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self._frames, sock=sock)

    def __len__(self) -> int:
        """How many calls have not ended."""
        return len(self._calls)

    def tell(self, octets: bytes) -> None:
        self._frames.send(0, Kind.NOTE, octets)

    async def close(self) -> None:
        """Hang up. All calls have lost their clients, and so end; those that do not are cancelled."""
        self._frames.close()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=END_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _run(self, answered: "_Answered", call: Call) -> None:
        try:
            await self._app(scope_of(call, answered.interim, answered.gone), answered.receive, answered.send)
        except Left as left:
            self._log.debug("%s: the client %s", visible(call.path), left)
        except Exception as error:
            debugged = self._log.isEnabledFor(logging.DEBUG)
            self._log.error("%s: %s: %s", visible(call.path), type(error).__name__, error, exc_info=debugged)
        finally:
            del self._calls[answered.number]
            self._frames.send(answered.number, Kind.OVER)

    def _came(self, number: int, kind: Kind, payload: bytes) -> None:
        if kind is Kind.NOTE:
            self._on_note(payload)
            return
        if kind is Kind.CALL:
            if number in self._calls:
                raise BadFrame(f"a second call {number}")
            call = msgspec.msgpack.decode(payload, type=Call)
            answered = self._calls[number] = _Answered(number, self._frames)
            task = asyncio.create_task(self._run(answered, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        answered_before = self._calls.get(number)
        if answered_before is None:
            return  # its application has returned
        answered_before.came(kind, payload)

    def _end(self, why: str) -> None:
        for answered in self._calls.values():
            answered.leave(Left("the process that has the client is gone"))
        self._on_lost(why)


class _Answered:
    """A call, where its application is."""

    def __init__(self, number: int, frames: Frames) -> None:
        self.number = number
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frames = frames
        self._content: asyncio.Queue[Message] = asyncio.Queue()
        """At most what one WANTED brings, and the disconnect."""
        self._wanted = False
        self._taken: asyncio.Future[None] | None = None
        self._left: Left | None = None

    async def receive(self) -> Message:
        if self._content.empty() and self.gone.done():
            return {"type": "http.disconnect"}
        if self._content.empty() and not self._wanted:
            self._wanted = True  # until it comes, though the application may have given up waiting
            self._frames.send(self.number, Kind.WANTED)
        message = await self._content.get()
        self._wanted = False
        return message

    async def send(self, message: Message) -> None:
        if self._left is not None:
            raise self._left
        if message["type"] == "http.response.start":
            start = Start(message["status"], list(message["headers"]), message.get(ASIDE))
            self._frames.send(self.number, Kind.START, encoded(start))
            return
        for piece, ends in _pieces(message.get("body", b""), last=not message.get("more_body", False)):
            await self._frames.room()
            if self._left is not None:
                raise self._left
            self._taken = asyncio.get_running_loop().create_future()
            self._frames.send(self.number, Kind.LAST if ends else Kind.BODY, piece)
            await self._taken

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        self._frames.send(self.number, Kind.INTERIM, encoded(Interim(status, list(lines))))

    def came(self, kind: Kind, payload: bytes) -> None:
        if kind in (Kind.CONTENT, Kind.LAST):
            self._content.put_nowait({"type": "http.request", "body": payload, "more_body": kind is Kind.CONTENT})
        elif kind is Kind.GONE:
            self._say_gone()
        elif kind is Kind.TAKEN:
            if self._taken is not None and not self._taken.done():
                self._taken.set_result(None)
        elif kind is Kind.LEFT:
            left = msgspec.msgpack.decode(payload, type=LeftBy)
            self.leave(Left(left.why) if left.stalled is None else Stalled(left.stalled))
        else:
            raise BadFrame(f"{kind.name} from the client's end")

    def leave(self, left: Left) -> None:
        """The client takes no more: `send` raises this."""
        self._left = left
        if self._taken is not None and not self._taken.done():
            self._taken.set_exception(left)
            self._taken.exception()  # seen, should the application have stopped waiting
        self._say_gone()

    def _say_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
            self._content.put_nowait({"type": "http.disconnect"})


def _pieces(body: bytes | memoryview, *, last: bool) -> Iterator[tuple[memoryview, bool]]:
    """The pieces of a message, and whether each is the last of all (`last`: those of this message are)."""
    view = memoryview(body)
    for at in range(0, max(len(view), 1), PIECE_BYTES):
        yield view[at : at + PIECE_BYTES], last and at + PIECE_BYTES >= len(view)
