"""What a connection needs of its listener, and what a protocol needs of its connection.

A listener makes connections, and a connection makes its protocol. The lower parts know the upper ones by these roles
alone, so that imports go one way.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event
from hypercorn.typing import ConnectionState
from starlette.types import Receive, Scope, Send

from cdnkit.serving.limits import ListenerLimits

Page = Callable[[int, str], tuple[int, list[tuple[bytes, bytes]], bytes]]
"""Called with a status and a reason, for a request that could not be read: the response's status, fields and body."""


class ListenerRole(Protocol):
    """A listener, as its connections see it."""

    config: Config
    context: WorkerContext
    limits: ListenerLimits
    page: Page
    waiting: dict[Any, None]
    """Connections without a request, the longest waiting first."""

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application respond to one request."""
        ...


class FrontRole(Protocol):
    """A front, as the connection sees it that takes its place for a while."""

    def take_back(self) -> None:
        """The connection is idle."""
        ...


class ConnectionRole(Protocol):
    """A connection, as the protocol that is spoken on it sees it."""

    app: Any
    config: Config
    context: WorkerContext
    connection_state: ConnectionState
    loop: asyncio.AbstractEventLoop
    writer: asyncio.StreamWriter
    limits: ListenerLimits
    page: Page
    tls: bool
    client: tuple[str, int] | None
    server: tuple[str, int] | None
    open_requests: int
    """Requests whose applications still run, also those whose streams were reset."""

    async def protocol_send(self, event: Event) -> None: ...

    async def send_bytes(self, data: bytes) -> None: ...
