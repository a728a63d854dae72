"""A response that is read while it comes: an HTTP/1.1 client over a raw socket, for bodies of either framing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.kit.late import GUARD_S


@dataclass
class Stream:
    """A response that comes chunk by chunk."""

    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    whole: bool = False
    broken: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def over(self) -> bool:
        return self.whole or self.broken

    async def has(self, size: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while len(self.body) < size and not self.over:
                self.changed.clear()
                await self.changed.wait()

    async def end(self) -> None:
        await self.has(2**40)


@asynccontextmanager
async def streaming(url: str, target: str) -> AsyncIterator[Stream]:
    """The response to a GET, read as it comes."""
    address, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nhost: {address}:{port}\r\n\r\n".encode())
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    got = Stream(int(head.split()[1]), {k.lower(): v.strip() for k, _, v in (one.partition(":") for one in lines)})

    async def read() -> None:
        try:
            if "content-length" in got.fields:
                got.chunks.append(await reader.readexactly(int(got.fields["content-length"])))
            else:
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    got.chunks.append(await reader.readexactly(size))
                    await reader.readexactly(2)
                    got.changed.set()
            got.whole = True
        except (asyncio.IncompleteReadError, ConnectionError):
            got.broken = True
        got.changed.set()

    task = asyncio.create_task(read())
    try:
        yield got
    finally:
        task.cancel()
        writer.close()
