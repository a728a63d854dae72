"""A wire that can be cut: connections through it are carried byte for byte, until it breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay:
    """A TCP relay on loopback."""

    def __init__(self, to: str) -> None:
        """`to`: the URL of where it leads."""
        self._host, _, self._port = to.removeprefix("http://").partition(":")
        self._carried: set[asyncio.StreamWriter] = set()
        self.url = ""
        self.up = True
        self.turned_away = 0
        """Connections that led nowhere: the wire was cut, or nobody listens at its other end."""

    def cut(self) -> None:
        """All that is on it breaks, and what comes is hung up on."""
        self.up = False
        for writer in tuple(self._carried):
            writer.transport.abort()

    def mend(self) -> None:
        self.up = True

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self.up:
                raise ConnectionRefusedError
            there, here = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            self.turned_away += 1
            writer.transport.abort()
            return
        ends = {writer, here}
        self._carried |= ends
        try:
            await asyncio.gather(_copy(reader, here), _copy(there, writer))
        finally:
            for end in ends:
                end.transport.abort()
            self._carried -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError:
        writer.transport.abort()  # a break on one side is a break on the other


@asynccontextmanager
async def running_relay(to: str) -> AsyncIterator[Relay]:
    relay = Relay(to)
    server = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        relay.cut()
        await asyncio.sleep(0)
