"""An ingest listener for tests: takes chunked POSTs off a socket, keeps their bodies, and can misbehave on purpose."""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType

from tests.kit.late import GUARD_S


@dataclass
class Post:
    """One POST as it came."""

    path: str
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    chunks: int = 0
    complete: bool = False
    """The last chunk came: the body ended properly."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def track(self) -> str:
        return self.path.rpartition("/")[2].partition(".")[0]


class Sink:
    """`async with Sink() as sink`: listens on a free port of loopback. `status` is what posts are answered with."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.posts: list[Post] = []
        self.url = ""
        self._changed = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Sink":
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.break_all()
        await self._server.wait_closed()

    def break_all(self) -> None:
        """Resets every connection, as a killed origin does."""
        for writer in self._writers:
            writer.transport.abort()

    async def until(self, condition, seconds: float = GUARD_S) -> None:  # type: ignore[no-untyped-def]
        """Waits until `condition()` holds; it is asked again whenever bytes came."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    def of(self, track: str) -> list[Post]:
        return [post for post in self.posts if post.track == track]

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        post: Post | None = None
        try:
            request, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            method, path, _ = request.split()
            assert method == "POST", request
            post = Post(path, {name.lower(): value for name, value in (one.split(": ", 1) for one in fields)})
            self.posts.append(post)
            assert post.headers["transfer-encoding"] == "chunked"
            while size := int(await reader.readuntil(b"\r\n"), 16):
                post.body += (await reader.readexactly(size + 2))[:-2]
                post.chunks += 1
                await self._notify()
            await reader.readexactly(2)
            post.complete = True
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # `complete` stays False, which is what tests look at
        finally:
            if post is not None:
                post.ended.set()
            await self._notify()
            self._writers.discard(writer)
            writer.close()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
