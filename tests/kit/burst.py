"""A thousand viewers at one instant: lean enough that what is measured is the node and not its client.

Each is an `asyncio.Protocol` that parses with httptools and keeps what it got. All connect first; the clock starts when
the requests are written, one after the other in one go.
"""

import asyncio
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httptools

PER_VIEWER = 6
"""File descriptors at most, client, two nodes and origin in one process: 3 connections of 2 ends each."""


@dataclass
class Got:
    """What one viewer saw. `whole` is False when the connection ended before the answer did."""

    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    """By lower-case name; of several lines the last."""
    body: bytes = b""
    whole: bool = False
    waited: float = 0.0
    """Seconds from the request to the head of the answer; to the end of the connection if none came."""
    took: float = 0.0
    """Seconds from the request to the end of the answer, or of the connection."""


class Viewer(asyncio.Protocol):
    """One connection that asks once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Got] = self._loop.create_future()
        self.got = Got()
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = False
        self._at = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio.Transport

    def ask(self, request: bytes) -> None:
        self._at = self._loop.time()
        self._head_only = request.startswith(b"HEAD ")
        self._transport.write(request)

    def leave(self) -> None:
        self._transport.abort()

    # ---- asyncio's and httptools' side -------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if not self.done.done():
            self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(whole=False)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.got.fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.got.status = self._parser.get_status_code()
        self.got.waited = self._loop.time() - self._at
        if self._head_only:
            self._end(whole=True)

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._end(whole=True)

    def _end(self, *, whole: bool) -> None:
        if self.done.done():
            return
        got = self.got
        got.body, got.whole, got.took = b"".join(self._pieces), whole, self._loop.time() - self._at
        got.waited = got.waited or got.took
        self.done.set_result(got)
        self._transport.close()


def wire(target: str, method: str = "GET", **fields: str) -> bytes:
    """A request as its bytes. Field names: underscores stand for hyphens."""
    lines = [f"{method} {target} HTTP/1.1", "host: edge"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def allow_connections(count: int) -> None:
    """Raises this process's limit of open files to what so many viewers need, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count * PER_VIEWER + 256
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


async def connect(url: str, count: int, make: Callable[[], Viewer] = Viewer) -> list[Viewer]:
    """So many viewers, connected to `url`, who have asked nothing yet."""
    allow_connections(count)
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    viewers: list[Viewer] = []
    while len(viewers) < count:
        # Fewer at a time than the listener's backlog: a connection that is dropped there is tried again a second later.
        some = min(200, count - len(viewers))
        made = await asyncio.gather(*(loop.create_connection(make, host, int(port)) for _ in range(some)))
        viewers += [viewer for _, viewer in made]
    return viewers


async def burst(url: str, requests: Sequence[bytes], *, within: float = 60.0) -> list[Got]:
    """All the requests at once, each on a connection of its own; TimeoutError if one has no answer `within` seconds."""
    viewers = await connect(url, len(requests))
    for viewer, request in zip(viewers, requests, strict=True):
        viewer.ask(request)
    async with asyncio.timeout(within):
        return list(await asyncio.gather(*(viewer.done for viewer in viewers)))
