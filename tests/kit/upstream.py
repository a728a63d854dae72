"""One exchange with a parent, as the edge has it, and what a scripted parent sends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from edge.errors import UpstreamFailed
from edge.upstream import Upstream
from tests.kit.late import GUARD_S, Late
from tests.kit.origin import Asked, Origin

QUICK = Waits(connect=GUARD_S, first_byte=GUARD_S, between_bytes=GUARD_S)

SILENT = replace(QUICK, first_byte=0.05, between_bytes=0.05)
"""For parents who are silent."""

OK = b"HTTP/1.1 200 OK\r\n"


def asking(path: str = "/a", method: str = "GET", *fields: tuple[str, str]) -> RequestHead:
    return RequestHead(method, "http", "viewer.example", path, None, Headers(fields))


@dataclass
class Seen:
    """What became of one exchange."""

    status: int = 0
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    failure: Failure | None = None
    detail: str = ""
    interim: list[ResponseHead] = field(default_factory=list)


async def ask(upstream: Upstream, request: RequestHead, body: AsyncIterator[bytes] | None = None, **more: int) -> Seen:
    """One exchange, read to its end and closed."""
    seen = Seen()
    try:
        exchange = await upstream.exchange(request, body, on_interim=seen.interim.append, **more)
        seen.status, seen.headers = exchange.head.status, exchange.head.headers
        try:
            async for chunk in exchange.chunks():
                seen.body += chunk
        finally:
            exchange.close()
    except UpstreamFailed as failed:
        seen.failure, seen.detail = failed.why, failed.detail
    return seen


async def until(true: Callable[[], bool]) -> None:
    """Wait for what tells nobody when it has come to be, such as a transport that closes; TimeoutError if it never does."""
    async with asyncio.timeout(GUARD_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


@contextmanager
def or_late() -> Iterator[None]:
    """For what a parent has little time for: a busy machine may take all of it."""
    try:
        yield
    except UpstreamFailed as failed:
        raise Late(str(failed)) from failed


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def settled(upstream: Upstream, connections: int) -> None:
    """Wait until so many are open."""
    await until(lambda: upstream.open_connections == connections)


def sends(origin: Origin, raw: bytes, path: str = "/a", *, closes: bool = False) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if closes:
            writer.close()

    origin.does(path, script)
