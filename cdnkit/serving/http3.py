"""HTTP/3 on UDP: QUIC and framing by aioquic, with the bounds that connections over TCP have.

hypercorn's HTTP/3 handles all connections of a port one after another, and keeps whatever a slow client does not take.
Here each request is a task. A sender waits while the client has too much to acknowledge, and a client that takes
nothing is dropped. A request ends when its application leaves too much content unread: aioquic opens QUIC's windows by
itself.

aioquic is pinned, because it has no public way to ask how much of a stream is not acknowledged yet. The private names
that are read here are listed in tests/real/serving/test_contract.py.
"""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import unquote

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection, ProtocolError
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent, StopSendingReceived, StreamReset
from aioquic.quic.packet import pull_quic_header
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypercorn.typing import ConnectionState
from starlette.types import Message

from cdnkit.serving.fields import malformed, request_fields
from cdnkit.serving.inbox import INTERIM, Inbox, state_of
from cdnkit.serving.patience import Left, Stalled, wait_for_client
from cdnkit.serving.roles import ListenerRole

UNTAKEN_BYTES = 512 * 1024
"""A sender waits while more than this of its response is not acknowledged."""

UNREAD_BYTES = 4 * 2**20
"""At most this much of a request's content waits for the application; more ends the request."""


class Http3Listener:
    """One application on one UDP socket, beside the `Listener` that has it on TCP."""

    def __init__(self, listener: ListenerRole, certificate: bytes, key: bytes) -> None:
        """`listener` has the application and the limits. `certificate`, with its chain, and `key` are in PEM."""
        self._listener = listener
        leaf, *chain = x509.load_pem_x509_certificates(certificate)
        self._configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN, is_client=False, idle_timeout=listener.limits.idle, certificate=leaf,
            certificate_chain=chain, private_key=load_pem_private_key(key, None),
        )  # fmt: skip
        self._server: _Server | None = None

    async def start(self, bound: socket.socket) -> None:
        """Serve on a bound socket, which is ours from now on."""
        make = partial(_Server, listener=self._listener, configuration=self._configuration)
        _, self._server = await asyncio.get_running_loop().create_datagram_endpoint(make, sock=bound)

    def close(self) -> None:
        """End every connection, and serve no more."""
        if self._server is not None:
            self._server.close()


class _Server(QuicServer):
    """The connections of one socket. Beyond the limit, a new client gets no reply."""

    def __init__(self, *, listener: ListenerRole, configuration: QuicConfiguration) -> None:
        self._open: set[Http3] = set()
        super().__init__(configuration=configuration, create_protocol=partial(Http3, listener, self._open))
        self._most = listener.limits.connections

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        if len(self._open) >= self._most and isinstance(data, bytes):
            with suppress(ValueError):
                header = pull_quic_header(Buffer(data=data), host_cid_length=self._configuration.connection_id_length)
                if header.destination_cid not in self._protocols:
                    return
        super().datagram_received(data, addr)


class Http3(QuicConnectionProtocol):
    """One connection's requests, many at once."""

    def __init__(
        self, listener: ListenerRole, open_: set["Http3"], quic: QuicConnection, stream_handler: Any = None
    ) -> None:
        super().__init__(quic, stream_handler)
        self._listener = listener
        self._http: H3Connection | None = None
        self._requests: dict[int, _Request] = {}
        self._datagram_came = asyncio.Event()
        """The client has sent something: an acknowledgement, perhaps."""
        self._all_open = open_
        open_.add(self)

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        super().datagram_received(data, addr)
        self._datagram_came.set()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        elif isinstance(event, ConnectionTerminated):
            self._all_open.discard(self)
            for request in list(self._requests.values()):
                request.leave()
            self._datagram_came.set()
        elif isinstance(event, StreamReset | StopSendingReceived) and event.stream_id in self._requests:
            self._requests[event.stream_id].leave()
            self._datagram_came.set()
        if self._http is not None:
            for one in self._http.handle_event(event):
                self._received(one)

    def _received(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            request = self._requests.get(event.stream_id)
            if request is None:
                request = self._begin(event)
            if request is not None and event.stream_ended:
                request.content(b"", more=False)
        elif isinstance(event, DataReceived) and event.stream_id in self._requests:
            request = self._requests[event.stream_id]
            request.content(event.data, more=not event.stream_ended)
            if request.unread > UNREAD_BYTES:
                self.reset(request, ErrorCode.H3_EXCESSIVE_LOAD)

    def _begin(self, event: HeadersReceived) -> "_Request | None":
        stream_id = event.stream_id
        pseudo = {name: value for name, value in event.headers if name.startswith(b":")}
        path = pseudo.get(b":path", b"/")  # CONNECT has none
        if b":method" not in pseudo:
            return None  # trailers of a request whose response is whole already
        if malformed(event.headers, ended=event.stream_ended) or not path.isascii():
            self._quic.reset_stream(stream_id, ErrorCode.H3_MESSAGE_ERROR)
            return None
        if len(self._requests) >= self._listener.limits.streams:
            self._quic.reset_stream(stream_id, ErrorCode.H3_REQUEST_REJECTED)
            return None
        raw_path, _, query = path.partition(b"?")
        peer, own = self._quic._network_paths[0].addr, self._transport.get_extra_info("sockname")  # type: ignore[union-attr]
        request = self._requests[stream_id] = _Request(self, stream_id)
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.1"}, "http_version": "3",
            "method": pseudo[b":method"].decode("latin-1"), "scheme": "https",
            "path": unquote(raw_path.decode("ascii")), "raw_path": raw_path, "query_string": query, "root_path": "",
            "headers": request_fields(event.headers, ended=event.stream_ended),
            "client": peer[:2], "server": own[:2], "state": state_of(path, ConnectionState({})),
            "extensions": {INTERIM: request.interim},
        }  # fmt: skip
        request.task = asyncio.create_task(self._respond(request, scope))
        return request

    async def _respond(self, request: "_Request", scope: dict[str, Any]) -> None:
        try:
            await self._listener.call(scope, request.inbox.get, request.send)
        finally:
            self._requests.pop(request.stream_id, None)
            if not request.ended:
                self.reset(request, ErrorCode.H3_INTERNAL_ERROR)  # it must not be taken for whole

    def reset(self, request: "_Request", code: ErrorCode) -> None:
        """Nothing more is sent or received for it."""
        request.leave()
        with suppress(AssertionError, ValueError):  # it was reset already, or has ended
            self._quic.reset_stream(request.stream_id, code)
        with suppress(AssertionError, ValueError):
            self._quic.stop_stream(request.stream_id, code)
        self.transmit()

    # ---- for requests ------------------------------------------------------------------------------------------

    def head(self, stream_id: int, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        assert self._http is not None
        self._http.send_headers(stream_id, [(b":status", b"%d" % status), *fields])
        self.transmit()

    def data(self, stream_id: int, data: bytes, *, last: bool) -> None:
        assert self._http is not None
        self._http.send_data(stream_id, data, last)
        self.transmit()

    def untaken(self, stream_id: int) -> int:
        """Bytes of a response that the client has not acknowledged."""
        stream = self._quic._streams.get(stream_id)
        return 0 if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start

    async def next_datagram(self) -> None:
        """Wait until the client has sent something."""
        self._datagram_came.clear()
        await self._datagram_came.wait()

    @property
    def patience(self) -> float:
        return self._listener.limits.stalled

    def own_fields(self) -> list[tuple[bytes, bytes]]:
        return self._listener.config.response_headers("h3")


class _Request:
    """One request, from its head to the last byte of its response."""

    def __init__(self, connection: Http3, stream_id: int) -> None:
        self.stream_id = stream_id
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        """All of the response has been handed on."""
        self.unread = 0
        """Bytes of content that the application has not read."""
        self.inbox = Inbox(self._read)
        self._connection = connection
        self._begun = self._gone = False

    def content(self, data: bytes, *, more: bool) -> None:
        self.unread += len(data)
        self.inbox.give({"type": "http.request", "body": data, "more_body": more})

    def leave(self) -> None:
        """The client takes no more of the response."""
        self._gone = True
        self.inbox.give({"type": "http.disconnect"})

    def _read(self, size: int) -> None:
        self.unread -= size

    def interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response; nothing once the client is gone, or the final head is out."""
        if not self._gone and not self._begun:
            fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
            with suppress(ProtocolError, AssertionError):
                self._connection.head(self.stream_id, status, fields)

    async def send(self, message: Message) -> None:
        connection = self._connection
        if self._gone:
            raise Left("the stream is closed")
        try:
            if message["type"] == "http.response.start":
                self._begun = True
                fields = [*message.get("headers", ()), *connection.own_fields()]
                connection.head(self.stream_id, message["status"], fields)
            elif message["type"] == "http.response.body":
                last = not message.get("more_body", False)
                connection.data(self.stream_id, message.get("body", b""), last=last)
                self.ended = last
                await self._until_taken()
        except Stalled:
            connection.reset(self, ErrorCode.H3_REQUEST_CANCELLED)
            raise
        except (ProtocolError, AssertionError) as error:
            raise Left("the stream is closed") from error

    async def _until_taken(self) -> None:
        untaken = partial(self._connection.untaken, self.stream_id)
        while untaken() > UNTAKEN_BYTES and not self._gone:
            await wait_for_client(self._connection.next_datagram, untaken, self._connection.patience)
        if self._gone and not self.ended:
            raise Left("the stream is closed")
