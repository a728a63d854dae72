"""ASGI in frames on a socket: one process has connections, another the application (`asgi_socket.py`).

A frame is the length of its payload and its call (32 bits each, the high octet first), its kind, and the payload. A
call is one request; call 0 is the link itself. Frames of different calls come in any order, those of one in theirs.

    from the process that has the client            from the one that has the application
    CALL      scope and extensions, in msgpack      START    status, fields and what is told aside, in msgpack
    CONTENT   a piece of the request's content      BODY     a piece of the response's body, at most PIECE_BYTES
    LAST      the same, and it is the last          LAST     the same, and it is the last
    GONE      the client has left                   WANTED   the application waits for a message
    TAKEN     the client's connection has taken     INTERIM  an interim response, in msgpack
              the piece                             OVER     the application has returned
    LEFT      it did not, and why, in msgpack
    NOTE      of call 0: whatever the two agreed upon, in both directions
"""

import asyncio
import struct
from collections.abc import Callable, Iterable
from enum import IntEnum, auto
from typing import Any, cast

import msgspec

from cdnkit.serving.certificates import CLIENT_NAMES, TLS_NAMES
from cdnkit.serving.inbox import EMPTY_QUERY, GONE, INTERIM

PIECE_BYTES = 256 * 1024
"""Of content or body in one frame. A call has one piece of its body on its way: the next follows when that is taken."""

LARGEST_FRAME = 4 * 2**20
"""Bytes of a payload, at most: pieces are smaller, and heads are bounded by their listeners."""

ASIDE = "cdnlab.aside"
"""A member of an application's `http.response.start`: bytes for the process that has the client, not for the client."""

PASSED_ON = "cdnlab.passed_on"
"""ASGI extension of a call that came through a socket: what is told aside is of use."""

HEAD = struct.Struct("!IIB")


class Kind(IntEnum):
    """What a frame is."""

    CALL = auto()
    CONTENT = auto()
    LAST = auto()
    GONE = auto()
    TAKEN = auto()
    LEFT = auto()
    START = auto()
    BODY = auto()
    WANTED = auto()
    INTERIM = auto()
    OVER = auto()
    NOTE = auto()


class BadFrame(ValueError):
    """What came is no frame: the other process is not one of ours, or has a fault."""


class Call(msgspec.Struct, array_like=True):
    """A request's scope."""

    method: str
    scheme: str
    http_version: str
    path: str
    raw_path: bytes
    query_string: bytes
    root_path: str
    headers: list[tuple[bytes, bytes]]
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    empty_query: bool
    knows_interim: bool
    """The client's connection can carry interim responses."""
    tells_gone: bool
    """A GONE comes by itself when the client leaves."""
    tls_names: tuple[str, frozenset[str]] | None
    client_names: frozenset[str] | None


class Start(msgspec.Struct, array_like=True):
    """The head of a response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    aside: bytes | None


class Interim(msgspec.Struct, array_like=True):
    """An interim response."""

    status: int
    lines: list[tuple[str, str]]


class LeftBy(msgspec.Struct, array_like=True):
    """Why a client takes no more."""

    why: str
    stalled: float | None
    """Seconds in which it took nothing, if that is why."""


encoded = msgspec.msgpack.Encoder().encode


def call_of(scope: Any) -> Call:
    """What of a scope goes to the other process: all that applications read."""
    extensions = scope.get("extensions", {})
    path = scope["path"]
    return Call(
        scope["method"], scope["scheme"], scope["http_version"], path, scope.get("raw_path") or path.encode(),
        scope["query_string"], scope.get("root_path", ""), list(scope["headers"]), scope.get("client"),
        scope.get("server"), EMPTY_QUERY in scope.get("state", ()), INTERIM in extensions, GONE in extensions,
        extensions.get(TLS_NAMES), extensions.get(CLIENT_NAMES),
    )  # fmt: skip


def scope_of(call: Call, interim: Callable[[int, Iterable[tuple[str, str]]], None], gone: object) -> dict[str, Any]:
    """The scope that an application is called with."""
    extensions: dict[str, Any] = {PASSED_ON: True}
    if call.knows_interim:
        extensions[INTERIM] = interim
    if call.tells_gone:
        extensions[GONE] = gone
    if call.tls_names is not None:
        extensions[TLS_NAMES] = call.tls_names
    if call.client_names is not None:
        extensions[CLIENT_NAMES] = call.client_names
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": call.method,
        "scheme": call.scheme,
        "http_version": call.http_version,
        "path": call.path,
        "raw_path": call.raw_path,
        "query_string": call.query_string,
        "root_path": call.root_path,
        "headers": call.headers,
        "client": call.client,
        "server": call.server,
        "state": {EMPTY_QUERY: True} if call.empty_query else {},
        "extensions": extensions,
    }


class Frames(asyncio.Protocol):
    """One end of the socket: frames out, and frames in."""

    def __init__(self, came: Callable[[int, Kind, bytes], None], lost: Callable[[str], None]) -> None:
        """`lost` is called once, with why, or "" where the other end has closed."""
        self._came = came
        self._lost = lost
        self._parts: list[bytes] = []
        """What came of a frame that is not whole."""
        self._size = 0
        """Bytes of `parts`."""
        self._needed = HEAD.size
        """Bytes that must be there before there is more to read."""
        self._full = False
        self._room: asyncio.Event | None = None
        self._transport: asyncio.Transport | None = None
        self._why = ""

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, call: int, kind: Kind, payload: bytes | memoryview = b"") -> None:
        """Nothing is sent once the other end is gone."""
        if self._transport is None or self._transport.is_closing():
            return
        head = HEAD.pack(len(payload), call, kind)
        if len(payload) > 4096:
            self._transport.writelines((head, payload))
        else:
            self._transport.write(head + payload)

    async def room(self) -> None:
        """Until the other end has read enough, or is gone."""
        while self._full and self.open:
            self._room = self._room or asyncio.Event()
            await self._room.wait()

    def close(self) -> None:
        """What was sent still goes out."""
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's of Unix sockets is no subclass

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return
        data = data if len(self._parts) == 1 else b"".join(self._parts)
        at, end = 0, len(data)
        self._needed = HEAD.size
        while end - at >= HEAD.size and self.open:
            size, call, number = HEAD.unpack_from(data, at)
            stop = at + HEAD.size + size
            if size > LARGEST_FRAME:
                self._give_up(f"a frame of {size} bytes")
                break
            if stop > end:
                self._needed = stop - at
                break
            try:
                self._came(call, Kind(number), data[at + HEAD.size : stop])
            except (ValueError, msgspec.DecodeError) as error:
                self._give_up(f"a frame that cannot be read: {error}")
                break
            at = stop
        self._parts, self._size = ([data[at:]], end - at) if at < end else ([], 0)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._room is not None:
            self._room.set()
            self._room = None

    def connection_lost(self, error: Exception | None) -> None:
        self.resume_writing()
        self._lost(self._why or ("" if error is None else str(error)))

    def _give_up(self, why: str) -> None:
        self._why = why
        assert self._transport is not None
        self._transport.abort()
