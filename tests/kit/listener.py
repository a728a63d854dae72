"""A listener around an application that a test writes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import pytest

from cdnkit.serving import Client, Fields, Listener, ListenerLimits, bind, url_of

LOG = logging.getLogger("test")


class Fronted:
    """An application that a front calls for every request."""

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> dict[str, Any]:
        path, _, query = target.partition("?")
        return {
            "type": "http", "http_version": client.version, "method": method, "scheme": client.scheme,
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields.lines],
            "client": (client.address, client.port),
        }  # fmt: skip


FRONTED: ContextVar[bool] = ContextVar("FRONTED", default=False)
"""Listeners have fronts."""


@asynccontextmanager
async def listening_on(
    app: Any, *, per_source: int | None = None, **limits: Any
) -> AsyncIterator[tuple[Listener, str]]:
    """Serve `app` under `limits`; its listener and the URL."""
    front = Fronted() if FRONTED.get() else None
    listener = Listener(app, LOG, limits=ListenerLimits(**limits), per_source=per_source, front=front)
    socket = bind("127.0.0.1:0", "test.listen")
    await listener.start(socket)
    try:
        yield listener, url_of(socket)
    finally:
        await listener.close()


@asynccontextmanager
async def listening(app: Any, *, per_source: int | None = None, **limits: Any) -> AsyncIterator[str]:
    """As `listening_on`; the URL."""
    async with listening_on(app, per_source=per_source, **limits) as (_, url):
        yield url


@pytest.fixture(params=["hypercorn", "front"], autouse=True)
def served_by(request: pytest.FixtureRequest) -> Iterator[None]:
    """For a module that imports it: its tests run without fronts, and with them."""
    before = FRONTED.set(request.param == "front")
    yield
    FRONTED.reset(before)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answers everyone at once, without reading what they send."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class Pouring:
    """Answers `/endless` with bytes without end, until `send` says that nobody takes them; else as `hello`."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def held_back(self, *, within_bytes: int) -> None:
        """Until he who pours has begun, and no more goes; fails if it was more than `within_bytes`."""
        before, same = 0, 0
        while same < 5:
            await asyncio.sleep(0.02)
            assert self.sent_bytes < within_bytes
            same = same + 1 if self.sent_bytes == before > 0 else 0
            before = self.sent_bytes

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["path"] != "/endless":
            await hello(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": bytes(16_384), "more_body": True})
                self.sent_bytes += 16_384
                await asyncio.sleep(0)  # an application that is quicker than any client still lets the loop run
        except BaseException as error:
            if not self.ended.done():
                self.ended.set_result(error)
            raise
