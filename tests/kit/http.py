"""A small HTTP/1.1 client over a raw socket: every byte of an answer is the test's to look at."""

import asyncio
from dataclasses import dataclass, field

from cdnkit.policy.http.messages import Headers


@dataclass
class Reply:
    """A response as it came; `whole` is False when the connection ended before the body did."""

    status: int
    headers: Headers
    body: bytes = b""
    whole: bool = True
    trailing: bytes = field(default=b"", repr=False)

    def __getitem__(self, name: str) -> str | None:
        return self.headers.joined(name)


async def ask(
    url: str, target: str = "/", *, method: str = "GET", body: bytes | None = None, version: str = "1.1", **fields: str
) -> Reply:
    """One request on a connection of its own. Field names: underscores stand for hyphens."""
    address, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    try:
        lines = [
            f"{method} {target} HTTP/{version}",
            f"host: {fields.pop('host', f'{address}:{port}')}",
            "connection: close",
        ]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""))
        return await read_reply(reader, method)
    finally:
        writer.close()


async def read_reply(reader: asyncio.StreamReader, method: str = "GET") -> Reply:
    """The next response on a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = Headers((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    reply = Reply(int(status_line.split()[1]), headers)
    if method == "HEAD" or reply.status in (204, 304) or reply.status < 200:
        return reply
    chunks: list[bytes] = []
    try:
        if "chunked" in (headers.joined("transfer-encoding") or ""):
            size = -1
            while size:
                size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
                chunks.append(await reader.readexactly(size))
                await reader.readexactly(2)
            reply.body = b"".join(chunks)
            return reply
        length = headers.first("content-length")
        if length is None:
            reply.body = await reader.read()
        else:
            reply.body = await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as broken:
        reply.body = b"".join((*chunks, broken.partial))
        reply.whole = False
    except ConnectionResetError:
        reply.body = b"".join(chunks)
        reply.whole = False
    return reply
