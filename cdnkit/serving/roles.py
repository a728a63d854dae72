"""What a connection needs of its listener, and what a protocol needs of its connection.

The parts of a server know one another by these alone: a listener makes connections and a connection makes its protocol,
so neither is imported from below.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event
from hypercorn.typing import ConnectionState
from starlette.types import Receive, Scope, Send

from cdnkit.serving.limits import Limits

Page = Callable[[int, str], tuple[int, list[tuple[bytes, bytes]], bytes]]
"""Called with a status and a reason: what to answer to a request that could not be read: status, fields, body."""


class Door(Protocol):
    """A listener, to its connections."""

    config: Config
    context: WorkerContext
    limits: Limits
    page: Page
    waiting: dict[Any, None]
    """Connections without a request, the longest waiting first."""

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer one request."""
        ...


class Host(Protocol):
    """A connection, to the protocol that is spoken on it."""

    app: Any
    config: Config
    context: WorkerContext
    connection_state: ConnectionState
    loop: asyncio.AbstractEventLoop
    writer: asyncio.StreamWriter
    limits: Limits
    page: Page
    tls: bool
    client: tuple[str, int] | None
    server: tuple[str, int] | None
    answering: int
    """Requests whose applications still run, those of streams that were reset among them."""

    async def protocol_send(self, event: Event) -> None: ...

    async def send_bytes(self, data: bytes) -> None: ...
