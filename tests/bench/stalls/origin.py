"""An origin that costs little: any path has a body of `/BYTES/...`, an entity tag and two surrogate keys."""

import asyncio
import sys
from functools import cache

import uvloop

KEYS = b"live one"


@cache
def response(size: int) -> bytes:
    lines = b'Cache-Control: max-age=86400, stale-while-revalidate=60\r\nETag: "a"\r\nContent-Type: text/plain\r\n'
    return b"HTTP/1.1 200 OK\r\n%sSurrogate-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (lines, KEYS, size, b"x" * size)


class Origin(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head, self._unread = self._unread[:end], self._unread[end + 4 :]
            size = head.split(b"/", 2)[1]
            self._transport.write(response(int(size) if size.isdigit() else 1000))  # type: ignore[attr-defined]


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
