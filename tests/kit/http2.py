"""A small HTTP/2 client over a raw socket (prior knowledge): windows, resets and floods are the test's to make."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from tests.kit.late import GUARD_S


@dataclass
class Stream:
    """What came on one stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    interim: list[list[tuple[str, str]]] = field(default_factory=list)
    """Field sections of interim responses, in the order they came, `:status` among them."""
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    reset: ErrorCodes | int | None = None

    @property
    def over(self) -> bool:
        return self.whole or self.reset is not None


class Client:
    """One connection. It reads only while a test waits in `until`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.streams: dict[int, Stream] = {}
        self.goaway: ErrorCodes | int | None = None
        self.closed = False

    async def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())
        await self._writer.drain()

    async def ask(
        self, path: str, *fields: tuple[str, str], method: str = "GET", authority: str = "test", end: bool = True
    ) -> Stream:
        """Send a request's head; `until` reads the answer."""
        stream_id = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", authority), *fields]
        self.h2.send_headers(stream_id, head, end_stream=end)
        self.streams[stream_id] = stream = Stream()
        await self.flush()
        return stream

    async def until(
        self,
        *streams: Stream,
        within: float = GUARD_S,
        read_windows_of: set[int] | None = None,
        interims: int | None = None,
        or_when: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read until these streams (none given: the connection) are over; windows open again as bytes come.

        `read_windows_of`: only of these streams. `interims`: until each has so many interim responses, over or not.
        `or_when`: until it is so, whatever the streams.
        """

        def enough(stream: Stream) -> bool:
            return stream.over or (interims is not None and len(stream.interim) >= interims)

        async with asyncio.timeout(within):
            while not (self.closed or or_when() or (streams and all(enough(stream) for stream in streams))):
                data = await self._some()
                if not data:
                    self.closed = True
                    return
                try:
                    events = self.h2.receive_data(data)
                except ProtocolError:
                    self.closed = True
                    return
                for event in events:
                    self._note(event, read_windows_of)
                await self.flush()

    async def _some(self) -> bytes:
        try:
            return await self._reader.read(65_536)
        except ConnectionError:
            return b""

    def _note(self, event: Event, read_windows_of: set[int] | None) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event.error_code
            return
        stream_id = getattr(event, "stream_id", None)
        if stream_id is None:
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        if isinstance(event, ResponseReceived):
            stream.headers = {str(name): str(value) for name, value in event.headers}
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, InformationalResponseReceived):
            assert not stream.status
            stream.interim.append([(str(name), str(value)) for name, value in event.headers])
        elif isinstance(event, DataReceived):
            stream.body += event.data
            if not event.flow_controlled_length:
                return
            with suppress(ProtocolError):  # the connection ends with what came behind
                self.h2.increment_flow_control_window(event.flow_controlled_length)
            if read_windows_of is None or stream_id in read_windows_of:
                with suppress(ProtocolError, KeyError):  # the stream may have ended, and h2 forgotten it
                    self.h2.increment_flow_control_window(event.flow_controlled_length, stream_id)
        elif isinstance(event, StreamEnded):
            stream.whole = True
        elif isinstance(event, StreamReset):
            stream.reset = event.error_code


@asynccontextmanager
async def http2(url: str) -> AsyncIterator[Client]:
    """A connection to `url`, its preface sent."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    client = Client(reader, writer)
    try:
        client.h2.initiate_connection()
        await client.flush()
        yield client
    finally:
        writer.transport.abort()


@asynccontextmanager
async def narrow(url: str) -> AsyncIterator[socket.socket]:
    """A connection whose kernel takes only a few kilobytes that nobody reads; for the loop's `sock_*` calls."""
    host, port = url.removeprefix("http://").split(":")
    client = socket.socket()
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (host, int(port)))
        yield client
    finally:
        client.close()
