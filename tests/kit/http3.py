"""A small HTTP/3 client on aioquic."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamReset

from tests.kit.late import GUARD_S


@dataclass
class Stream:
    """What came on one stream."""

    id: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    interim: list[dict[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    reset: int | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Any = None) -> None:
        """Until it is over, or `holds()`."""
        async with asyncio.timeout(GUARD_S):
            while not (self.whole or self.reset is not None or (holds is not None and holds())):
                self.moved.clear()
                await self.moved.wait()


class Client(QuicConnectionProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.h3 = H3Connection(self._quic)
        self.streams: dict[int, Stream] = {}
        self.ended = asyncio.Event()

    def ask(
        self, path: str, *fields: tuple[str, str], method: str = "GET", authority: str = "localhost", end: bool = True
    ) -> Stream:
        head = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path), *fields]
        return self.asks([(name.encode(), value.encode()) for name, value in head], end=end)

    def asks(self, head: list[tuple[bytes, bytes]], *, end: bool = True) -> Stream:
        """A request whose head is the test's own, to the last octet."""
        stream_id = self._quic.get_next_available_stream_id()
        self.h3.send_headers(stream_id, head, end)
        self.streams[stream_id] = stream = Stream(stream_id)
        self.transmit()
        return stream

    def sends(self, stream: Stream, data: bytes, *, last: bool) -> None:
        self.h3.send_data(stream.id, data, last)
        self.transmit()

    async def until_acknowledged(self, stream: Stream) -> None:
        """Until the server has all that was sent on a stream, or ended it."""
        sender = self._quic._streams[stream.id].sender
        async with asyncio.timeout(GUARD_S):
            while sender._buffer_start < sender._buffer_stop and stream.reset is None:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.005)

    def leaves(self, stream: Stream) -> None:
        self._quic.stop_stream(stream.id, 0x10C)
        self._quic.reset_stream(stream.id, 0x10C)
        self.transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            self.ended.set()
        if isinstance(event, StreamReset) and event.stream_id in self.streams:
            self.streams[event.stream_id].reset = event.error_code
            self.streams[event.stream_id].moved.set()
        for one in self.h3.handle_event(event):
            stream = self.streams[one.stream_id]
            if isinstance(one, HeadersReceived):
                head = {name.decode(): value.decode() for name, value in one.headers}
                if head[":status"].startswith("1"):
                    stream.interim.append(head)
                else:
                    stream.headers, stream.status = head, int(head[":status"])
                stream.whole = one.stream_ended
            elif isinstance(one, DataReceived):
                stream.body += one.data
                stream.whole = one.stream_ended
            stream.moved.set()


@asynccontextmanager
async def http3(port: int, authority: Path, *, host: str = "localhost", **more: Any) -> AsyncIterator[Client]:
    """A connection to that port of this machine, which is verified as `host`'s; `more` goes to `QuicConfiguration`."""
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=host, verify_mode=ssl.CERT_REQUIRED, **more)
    configuration.load_verify_locations(str(authority))
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Client) as client:
        yield client  # type: ignore[misc]
