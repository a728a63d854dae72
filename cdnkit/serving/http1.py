"""HTTP/1.1 on a connection: hypercorn's, with refusals that say why, without upgrades, and with strict framing."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H2ProtocolAssumedError, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from cdnkit.serving.inbox import Starter, state_of
from cdnkit.serving.roles import ConnectionRole

REASONS = {
    400: "request: not as HTTP/1.1 has it",
    408: "limit: the request's head did not come in time",
    414: "limit: the request line is too long",
    431: "limit: the request's head is too large",
    501: "request: a transfer coding that is not known here",
    505: "request: a version of HTTP that is not spoken here",
}
"""Why a request could not be read, by the status that h11 hints at."""


def phrase_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Interim" if status < 200 else "Unknown"


_SENT_ALL = (h11.MUST_CLOSE, h11.CLOSED)
"""The client has sent the last request of its connection: HTTP/1.0, or `Connection: close`."""


class Requests(h11.Connection):
    """h11's reading of requests, with stricter framing: what others on the way may read otherwise ends the connection.

    Bytes that are no request are passed over: empty lines before one (RFC 9112 §2.2), and what follows the last one
    (§9.6). h11 takes both for a fault of the request that is being served.
    """

    asks_first = False
    """The client sends its content only once it gets 100, or has waited for a while (RFC 9110 §10.1.1)."""

    def next_event(self) -> Any:
        came = self._receive_buffer
        if self.their_state in _SENT_ALL:
            came.maybe_extract_at_most(len(came))
        elif self.their_state is h11.IDLE:
            while came._data.startswith(b"\r\n"):
                came.maybe_extract_at_most(2)
            if came._data == b"\r" and not self._receive_buffer_closed:
                return h11.NEED_DATA
        event = super().next_event()
        if isinstance(event, h11.Data | h11.EndOfMessage):
            self.asks_first = False
        elif isinstance(event, h11.Request):
            # Not left to hypercorn, which sends 100 before the application has seen the request.
            self.asks_first, self.client_is_waiting_for_100_continue = self.client_is_waiting_for_100_continue, False
            status = _refusal_status(event)
            if status is not None:
                raise h11.RemoteProtocolError(REASONS[status], error_status_hint=status)
        return event


def _refusal_status(request: h11.Request) -> int | None:
    """400: a well-formed head whose framing is not to be trusted (RFC 9112 §6.1). 505: a version other than HTTP/1.x
    (RFC 9110 §15.6.6). None: the request is taken."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        return 400
    if not request.http_version.startswith(b"1.") and request.method != b"PRI":
        return 505
    return None


class Http1(H11Protocol):
    """One connection's requests, one after another."""

    def __init__(self, tcp: ConnectionRole, group: TaskGroup) -> None:
        super().__init__(
            tcp.app, tcp.config, tcp.context, Starter(tcp, group, self._interim, awaited=self._go_on),
            tcp.connection_state, tcp.tls, tcp.client, tcp.server, tcp.protocol_send,
        )  # fmt: skip
        self._tcp = tcp
        self.connection: Requests = Requests(h11.SERVER, max_incomplete_event_size=tcp.config.h11_max_incomplete_size)

    def _interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response, if the final one's head is not out."""
        if self.connection.our_state is not h11.SEND_RESPONSE:
            return
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        self._tcp.writer.write(f"HTTP/1.1 {status} {phrase_of(status)}\r\n{head}\r\n".encode("latin-1"))

    def _go_on(self) -> None:
        """The application waits for content: a client that asked first is told to send it (RFC 9110 §10.1.1).

        One that is refused by its head alone gets the refusal in place of the 100, and its connection ends.
        """
        if self.connection.asks_first and self.connection.our_state is h11.SEND_RESPONSE:
            self.connection.asks_first = False
            self._tcp.writer.write(self.connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")

    async def _create_stream(self, request: h11.Request) -> None:
        # hypercorn takes `get` for GET, though methods are case-sensitive (RFC 9110 §9.1). And it upgrades to WebSocket
        # on request, which no application here speaks; an upgrade may be ignored (§7.8).
        self.stream = HTTPStream(
            self.app, self.config, self.context, self.task_group, self.ssl, self.client, self.server,
            self.stream_send, STREAM_ID,
        )  # fmt: skip
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode(),
                raw_path=request.target,
                state=state_of(request.target, self.connection_state),
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()

    async def _check_protocol(self, event: h11.Request) -> None:
        # Only prior knowledge leads to HTTP/2: `Upgrade: h2c` is obsolete (RFC 9113 §3.1), and a way past proxies.
        if event.method == b"PRI" and event.target == b"*" and event.http_version == b"2.0":
            raise H2ProtocolAssumedError(b"PRI * HTTP/2.0\r\n\r\n" + self.connection.trailing_data[0])

    async def _send_error_response(self, status_code: int) -> None:
        if status_code == 431 and b"\n" not in self.connection.trailing_data[0]:
            status_code = 414
        await self._tcp.send_bytes(self._refusal(status_code))

    def rests(self) -> bool:
        """Whether no request is under way, and no byte of one is here."""
        states = self.connection.our_state, self.connection.their_state
        return states == (h11.IDLE, h11.IDLE) and not self.connection.trailing_data[0]

    def farewell(self) -> bytes:
        """The last bytes for a client whose time for a head is over: 408, or none if its request had not begun."""
        begun = self.connection.our_state is h11.IDLE and self.connection.trailing_data[0]
        return self._refusal(408) if begun else b""

    def _refusal(self, status: int) -> bytes:
        """A whole response, after which this connection ends."""
        shown, lines, body = self._tcp.page(status, REASONS.get(status, "request: could not be read"))
        own = [(b"content-length", b"%d" % len(body)), (b"connection", b"close"), *self.config.response_headers("h11")]
        try:
            head = self.connection.send(h11.Response(status_code=shown, headers=[*lines, *own]))
            return b"".join((head or b"", self.connection.send(h11.Data(data=body)) or b""))
        except h11.LocalProtocolError:
            return b""  # a response is under way already
