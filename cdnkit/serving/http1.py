"""HTTP/1.1 on a connection: hypercorn's, with answers that say why, without upgrades, and one reading of framing."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H2ProtocolAssumedError, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from cdnkit.serving.inbox import Starter, state_of
from cdnkit.serving.roles import Host

WHY = {
    400: "request: not as HTTP/1.1 has it",
    408: "limit: the request's head did not come in time",
    414: "limit: the request line is too long",
    431: "limit: the request's head is too large",
    501: "request: a transfer coding that is not known here",
    505: "request: a version of HTTP that is not spoken here",
}
"""What is said of a request that could not be read, by the status h11 hints at."""


def phrase_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Interim" if status < 200 else "Unknown"


_SAID_ALL = (h11.MUST_CLOSE, h11.CLOSED)
"""The client has sent the last request of its connection: HTTP/1.0, or `Connection: close`."""


class Requests(h11.Connection):
    """h11's reading of requests, without what others on the way may read otherwise: that ends the connection.

    And with two that are nobody's request: empty lines before one (RFC 9112 §2.2), and what stands behind the last one
    (§9.6). h11 takes both for a fault of the request that is being answered.
    """

    def next_event(self) -> Any:
        came = self._receive_buffer
        if self.their_state in _SAID_ALL:
            came.maybe_extract_at_most(len(came))
        elif self.their_state is h11.IDLE:
            while came._data.startswith(b"\r\n"):
                came.maybe_extract_at_most(2)
            if came._data == b"\r" and not self._receive_buffer_closed:
                return h11.NEED_DATA
        event = super().next_event()
        if isinstance(event, h11.Request):
            status = _refused(event)
            if status is not None:
                raise h11.RemoteProtocolError(WHY[status], error_status_hint=status)
        return event


def _refused(request: h11.Request) -> int | None:
    """A status, where a head is well formed but its framing is not to be trusted (RFC 9112 §6.1), or its version is not
    ours (RFC 9110 §15.6.6)."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        return 400
    if not request.http_version.startswith(b"1.") and request.method != b"PRI":
        return 505
    return None


class Http1(H11Protocol):
    """One connection's requests, one after another."""

    def __init__(self, host: Host, group: TaskGroup) -> None:
        super().__init__(
            host.app, host.config, host.context, Starter(host, group, self._interim), host.connection_state, host.tls,
            host.client, host.server, host.protocol_send,
        )  # fmt: skip
        self._host = host
        self.connection = Requests(h11.SERVER, max_incomplete_event_size=host.config.h11_max_incomplete_size)

    def _interim(self, status: int, lines: Iterable[tuple[str, str]]) -> None:
        """Send an interim response, if the final one's head is not out."""
        if self.connection.our_state is not h11.SEND_RESPONSE:
            return
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        self._host.writer.write(f"HTTP/1.1 {status} {phrase_of(status)}\r\n{head}\r\n".encode("latin-1"))

    async def _create_stream(self, request: h11.Request) -> None:
        # hypercorn takes `get` for GET; methods are case-sensitive (RFC 9110 §9.1). And it hands a connection over to a
        # WebSocket where one is asked for, which here nobody answers; an upgrade may be ignored (§7.8).
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
        await self._host.send_bytes(self._refusal(status_code))

    def farewell(self) -> bytes:
        """What is said to one who let the time for a head pass: 408, or nothing if he had not begun."""
        begun = self.connection.our_state is h11.IDLE and self.connection.trailing_data[0]
        return self._refusal(408) if begun else b""

    def _refusal(self, status: int) -> bytes:
        """A whole answer, after which this connection ends."""
        told, lines, body = self._host.page(status, WHY.get(status, "request: could not be read"))
        own = [(b"content-length", b"%d" % len(body)), (b"connection", b"close"), *self.config.response_headers("h11")]
        try:
            head = self.connection.send(h11.Response(status_code=told, headers=[*lines, *own]))
            return b"".join((head or b"", self.connection.send(h11.Data(data=body)) or b""))
        except h11.LocalProtocolError:
            return b""  # an answer is under way already
