"""An origin on a real socket that answers as a test tells it, byte for byte, and counts what it was asked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cdnkit.policy.http.messages import Headers

Script = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """A request as the origin saw it."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""


@dataclass
class Origin:
    """A scripted origin: `scripts` by path; what has none is 404."""

    url: str = ""
    scripts: dict[str, Script] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def count(self) -> Counter[str]:
        return Counter(asked.target for asked in self.asked)

    def says(self, path: str, body: bytes = b"hello", status: int = 200, **fields: str) -> None:
        """Answer `path` with a well-formed response. Field names: underscores stand for hyphens."""

        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(response(body, status, asked.method, **fields))

        self.scripts[path] = script

    def does(self, path: str, script: Script) -> None:
        self.scripts[path] = script

    def script_for(self, target: str) -> Script:
        return self.scripts.get(target.partition("?")[0], _not_here)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.split("\r\n")[:-2]
                method, target, _ = line.split(" ")
                headers = Headers((name, value.strip()) for name, _, value in (at.partition(":") for at in lines))
                asked = Asked(method, target, headers)
                if "transfer-encoding" in headers:
                    while size := int(await reader.readline(), 16):
                        asked.body += (await reader.readexactly(size + 2))[:-2]
                    await reader.readline()
                elif (length := headers.first("content-length")) is not None:
                    asked.body = await reader.readexactly(int(length))
                self.asked.append(asked)
                await self.script_for(target)(asked, writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()


async def _not_here(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(response(b"not here", 404, asked.method))


def response(body: bytes, status: int = 200, method: str = "GET", **fields: str) -> bytes:
    """A response with its length."""
    lines = [f"HTTP/1.1 {status} Test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if status not in (204, 304):
        lines.append(f"content-length: {len(body)}")
    else:
        body = b""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (b"" if method == "HEAD" else body)


@asynccontextmanager
async def running_origin(origin: Origin | None = None) -> AsyncIterator[Origin]:
    origin = origin or Origin()
    # asyncio's own backlog of 100 loses the SYNs of a burst, and each is said again a second later.
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, backlog=4096)
    origin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield origin
    finally:
        server.close()
        for writer in tuple(origin.connections):
            writer.transport.abort()
        await asyncio.sleep(0)
