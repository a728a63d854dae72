"""What a front needs of its listener and of its application, and what it tells the application of its client."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from starlette.types import Scope

from cdnkit.serving.alarms import Alarms
from cdnkit.serving.certificates import CLIENT_NAMES, TLS_NAMES, client_names
from cdnkit.serving.heads import Fields, FieldSections
from cdnkit.serving.heads_http2 import Heads
from cdnkit.serving.inbox import INTERIM, Interim
from cdnkit.serving.known_blocks import Paths
from cdnkit.serving.limits import ListenerLimits


class Client:
    """Who is at the other end of a connection."""

    __slots__ = ("address", "known", "port", "scheme", "tls_names", "version")

    def __init__(self, address: str, port: int, scheme: str, tls_names: tuple[str, frozenset[str]] | None) -> None:
        self.address = address
        self.port = port
        self.scheme = scheme
        self.tls_names = tls_names
        """Over TLS: the name that the client asked for, and those of the certificate that it was shown."""
        self.version = "1.1"
        """HTTP's, on this connection: "1.1", "2"."""
        self.known: Any = None
        """What the application has found out about it."""


class Whole:
    """A response that is all there; the application has a class of its own for it."""

    __slots__ = ("body", "ends", "head")

    head: bytes
    """Status line and fields, without the listener's and the empty line; over HTTP/2 a field block (`hpack.py`)."""
    body: bytes | memoryview
    ends: bool
    """It is the last response of its connection."""

    def done(self, sent: int, why: str | None) -> None:
        """Called once: the client took so many bytes of the body, and (`why`, which may be "") left before the end."""
        raise NotImplementedError


class Outlet(Protocol):
    """What a response that comes later is given to. One of `whole`, `call`, `end` and `fail` is its last call."""

    @property
    def full(self) -> bool:
        """The client takes no more for now: `Later.on_room` is called when it does."""
        ...

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response."""
        ...

    def whole(self, answer: Whole) -> None:
        """All of it is there."""
        ...

    def call(self, scope: Scope) -> None:
        """It takes a task after all: the application is to be called."""
        ...

    def start(self, head: bytes, length: int | None, *, ends: bool) -> None:
        """Its head, as of a `Whole`; a body of so many bytes follows, or (None) one that says where it ends."""
        ...

    def write(self, piece: bytes | memoryview) -> None:
        """More of its body."""
        ...

    def end(self) -> None:
        """It was all written."""
        ...

    def fail(self) -> None:
        """Nothing more comes, and it is not whole."""
        ...


class Later:
    """A response that is not there yet, or not all of it. No task waits for it; the application has a class of its own
    for it."""

    __slots__ = ()

    def begin(self, outlet: Outlet) -> None:
        """Called once, and nothing is given to the outlet before it has returned."""
        raise NotImplementedError

    def on_room(self) -> None:
        """The client takes more again."""
        raise NotImplementedError

    def on_sent(self) -> None:
        """The client has it all, or soon will have; after `Outlet.end`."""
        raise NotImplementedError

    def on_left(self, why: str) -> None:
        """The client has left, or (`why`) was dropped: nothing more is sent to it."""
        raise NotImplementedError


class FrontApplication(Protocol):
    """An ASGI application that can also answer at once."""

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole | Later | Scope:
        """A response that is there, one that will be, or the scope with which the application is to be called."""
        ...


class Asgi(Protocol):
    """The two callables that an application gets with a scope."""

    async def receive(self) -> Any: ...

    async def send(self, message: Any) -> None: ...


class FrontListener(Protocol):
    """A listener, as its fronts see it."""

    limits: ListenerLimits
    waiting: dict[Any, None]
    alarms: Alarms
    sections: FieldSections
    heads: Heads
    paths: Paths
    end_of_head: bytes
    """The fields that the listener adds to every head, and the empty line."""
    end_of_block: bytes
    """The same for HTTP/2."""
    closing: bool
    writes_whole: bool
    """A body is written at once, however large it is: it is not copied, and the kernel says how much of it a client
    took."""

    @property
    def application(self) -> FrontApplication: ...

    def admit(self, front: Any, source: str) -> tuple[int, str] | None:
        """Count it in; why it is one too many, if it is."""
        ...

    def forget(self, front: Any) -> None: ...

    def speak_http2(self, front: Any, first: bytes) -> None:
        """The client's connection speaks HTTP/2; `first` has come."""
        ...

    def run(self, scope: Scope, exchange: Asgi, over: Callable[[], None]) -> None:
        """Call the application; `over` is called when it has ended."""
        ...

    def left_to_hypercorn(self, front: Any, refusal: tuple[int, str] | None) -> asyncio.StreamReaderProtocol:
        """A reader and writer whose connection is hypercorn's, or (`refusal`) one that is turned away."""
        ...


def extensions_of(client: Client, transport: asyncio.Transport, interim: Interim) -> dict[str, Any]:
    """Of a request's scope: interim responses, and the names that TLS has shown to either side."""
    extensions: dict[str, Any] = {INTERIM: interim}
    if client.tls_names is not None:
        extensions[TLS_NAMES] = client.tls_names
        names = client_names(transport.get_extra_info("ssl_object"))
        if names:
            extensions[CLIENT_NAMES] = names
    return extensions
