"""A request's content on its way from the connection to the application, and the task group that starts applications.

hypercorn's own queue counts messages and blocks the sender of one too many, for good if the application ends without
reading: a connection that is refused in the middle of an upload then never ends, and on HTTP/2 all its streams stall.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.typing import ConnectionState

from cdnkit.serving.patience import Left
from cdnkit.serving.roles import ConnectionRole

FULL_BYTES = 64 * 1024
"""At most this much waits for an application; HTTP/2's windows begin at the same size."""

Message = Any  # hypercorn's dictionaries, open as in ASGI

INTERIM = "cdnlab.interim"
"""ASGI extension, where the client knows interim responses: a callable `(status, field lines)` that sends one at once,
and nothing once the response's head is out. ASGI's own extension has 103 with Link alone."""

GONE = "cdnlab.gone"
"""ASGI extension: a future that is done when the client has left, for who would rather not wait for a message."""

EMPTY_QUERY = "cdnlab.empty_query"
"""In a scope's `state` where the target ends with "?". ASGI's `query_string` is the same for an empty query and for
none, and a proxy may not take one for the other (RFC 9110 §7.7)."""

Interim = Callable[[int, Iterable[tuple[str, str]]], None]


class Inbox:
    """The messages that one application is yet to receive."""

    def __init__(self, taken: Callable[[int], None] | None = None, awaited: Callable[[], None] | None = None) -> None:
        """`taken`: called with the bytes that the application has received. The protocol's windows then hold the
        sender, and `put` does not. `awaited`: called when the application begins to wait for a message."""
        self._taken = taken
        self._awaited = awaited
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._over = False
        self._came = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, message: Message) -> None:
        """As `give`, but waits while the application has enough to read, unless the request is over."""
        self.give(message)
        while self._taken is None and self._bytes > FULL_BYTES and not self._over:
            self._room.clear()
            await self._room.wait()

    def give(self, message: Message) -> None:
        """One message more, unless the request is over."""
        if self._over:
            return
        # What came before the client left is still to be read: an encoder ends its body, and hangs up.
        self._over = message["type"].endswith(".disconnect")
        self._messages.append(message)
        self._bytes += len(message.get("body") or b"")
        self._came.set()
        self._room.set()

    async def get(self) -> Message:
        """The next message; once the request is over, the disconnect, at every call."""
        while not self._messages:
            if self._awaited is not None:
                self._awaited()
            self._came.clear()
            await self._came.wait()
        if self._over and len(self._messages) == 1:
            return self._messages[0]
        message = self._messages.popleft()
        size = len(message.get("body") or b"")
        self._bytes -= size
        self._room.set()
        if self._taken is not None and size:
            self._taken(size)
        return message


def state_of(target: bytes, connection: ConnectionState) -> ConnectionState:
    """The `state` of a request for this target."""
    return ConnectionState(connection | {EMPTY_QUERY: True}) if target.endswith(b"?") else connection


class Starter(TaskGroup):
    """hypercorn's task group of a connection, whose applications read from inboxes."""

    def __init__(
        self,
        tcp: ConnectionRole,
        group: TaskGroup,
        interim: Interim,
        taken: Callable[[int], None] | None = None,
        awaited: Callable[[], None] | None = None,
    ) -> None:
        self._loop = group._loop
        self._task_group = group._task_group
        self._tcp = tcp
        self._interim = interim
        self._taken = taken
        self._awaited = awaited

    async def spawn_app(
        self, app: Any, config: Any, scope: Any, send: Callable[[Message | None], Awaitable[None]]
    ) -> Callable[[Message], Awaitable[None]]:
        if scope["http_version"] != "1.0":  # HTTP/1.0 has no interim responses (RFC 9110 §15.2)
            scope["extensions"][INTERIM] = self._interim
        inbox = Inbox(self._taken, self._awaited)
        self._tcp.open_requests += 1
        self.spawn(self._run, app, scope, inbox, send)
        return inbox.put

    async def _run(self, app: Any, scope: Any, inbox: Inbox, send: Callable[[Message | None], Awaitable[None]]) -> None:
        try:
            await app(scope, inbox.get, send)
        finally:
            self._tcp.open_requests -= 1
            with suppress(Left):
                await send(None)
