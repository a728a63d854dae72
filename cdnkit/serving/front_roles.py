"""What a front needs of its listener and of its application, and what it tells the application of its client."""

import asyncio
from collections.abc import Callable
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


class FrontApplication(Protocol):
    """An ASGI application that can also answer at once."""

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole | Scope:
        """A response that is there, or the scope with which the application is to be called."""
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
