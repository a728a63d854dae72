"""One HTTP/1.1 connection to the parent, one exchange at a time (RFC 9112).

A head is parsed when it is complete (`head.py`); the body's bytes are then passed on as they were read, without a
parser, counted against their length; only a chunked body goes through httptools again.

| reading   | until                      | then                                                        |
|-----------|----------------------------|-------------------------------------------------------------|
| nothing   | an exchange begins         | head; a byte nobody asked for closes the connection         |
| head      | a final head is complete   | length, chunked, or to close; 101 and what is no head fail  |
| length    | that many bytes            | surplus; the connection's end before that is TRUNCATED      |
| chunked   | the last chunk             | surplus; trailers are dropped                               |
| to close  | the connection's end       |                                                             |
| surplus   | the exchange is closed     | nothing; a byte beyond the body closes the connection       |
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from cdnkit.policy.upstream.retry import Reach
from edge.bodies import WINDOW_BYTES
from edge.errors import UpstreamFailed
from edge.parent.chunked import ChunkedBody
from edge.parent.deadline import Deadline
from edge.parent.exchange import Asker, HeadAwaited, Incoming, OnInterim, close_body
from edge.parent.head import HEAD_LIMIT_BYTES, NotHttp, ReceivedHead, read_head, why_no_head
from edge.parent.reserved import LONG_BYTES, ReservedRead

OF_ITS_REST = 0.8
"""The share of the time that the parent announces (Keep-Alive) for which a connection rests: what is sent at the end of
that time may cross with its closing. Of the 5 s that Apache and Node announce this is 4 s."""


class Http1Connection(asyncio.Protocol):
    """One connection to the parent, one exchange at a time."""

    incoming: Incoming

    def __init__(
        self, waits: Waits, keep_alive: float, gone: "Callable[[Http1Connection], None]", *, bare: bool = False
    ) -> None:
        """`keep_alive`: seconds it may rest between two exchanges; `gone` is called when it is closed. `bare`: its
        transport is a socket's, without TLS or simulated wire."""
        self._bare = bare
        self._waits = waits
        self._keep_alive = self._rests = keep_alive
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._late)
        self._late_for = Failure.FIRST_BYTE_TIMEOUT
        self._asker: Asker | None = None
        """Who waits for the final head; None: it has come, or will not."""
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        """Done when the parent has read what was written; None: nobody need wait for that."""
        self._sending: asyncio.Task[None] | None = None
        self._read: Callable[[bytes], None] = self._read_nothing
        self._resting = True
        self._paused = False
        self.closed = False
        self.reusable = True
        self.used = False
        """It has carried an exchange to its end before."""
        self.got_bytes = False
        """A byte of this exchange's response has come."""

    # ---- one exchange ------------------------------------------------------------------------------------------

    async def exchange(
        self,
        head: bytes,
        method: str,
        body: AsyncIterator[bytes] | None,
        body_length: int | None,
        on_interim: OnInterim | None,
    ) -> ResponseHead:
        """Send a request; the final response head, or UpstreamFailed. The body is then read from `incoming`."""
        awaited = HeadAwaited(self._loop)
        self.begin(head, method, awaited, on_interim, body, body_length)
        return await awaited.head

    def begin(
        self,
        head: bytes,
        method: str,
        asker: Asker,
        on_interim: OnInterim | None,
        body: AsyncIterator[bytes] | None = None,
        body_length: int | None = None,
    ) -> None:
        """Send a request; `asker` is called with the final response head, or with the failure."""
        assert self._transport is not None
        self.incoming = Incoming(self._consumed)
        self._asker = asker
        self._bodiless = method == "HEAD"
        self._on_interim = on_interim
        self._head_bytes = 0
        self._buffer = b""
        self._resting = self.got_bytes = False
        self._read = self._read_head
        if self.closed:
            self._fail(Failure.RESET, "closed before the request")
            return
        self._transport.write(head)
        if body is None:
            self._sending = None
            self._wait(self._waits.first_byte, Failure.FIRST_BYTE_TIMEOUT)
        else:
            self._deadline.clear()
            self._sending = asyncio.create_task(self._send(body, body_length))

    async def _send(self, body: AsyncIterator[bytes], length: int | None) -> None:
        """Send a request body: chunked, unless its length was promised. An error of `body` fails the exchange."""
        assert self._transport is not None
        sent_bytes = 0
        try:
            async for chunk in body:
                if self.closed:
                    return
                if not chunk:
                    continue
                sent_bytes += len(chunk)
                if length is not None and sent_bytes > length:
                    break
                self._transport.write(chunk if length is not None else b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if self._writable is not None:
                    await self._written(self._writable)
            if length is None:
                self._transport.write(b"0\r\n\r\n")
            elif sent_bytes != length:
                self._fail(Failure.ABANDONED, f"a request body of {sent_bytes} bytes or more, {length} promised")
                return
        except UpstreamFailed as failed:
            self._break(failed)
        except Exception as error:
            self._break(UpstreamFailed(Failure.INTERNAL, f"the request body: {error!r}"), error)
        else:
            if self._asker is not None:
                self._wait(self._waits.first_byte, Failure.FIRST_BYTE_TIMEOUT)
            elif not self.incoming.ended:
                self._wait(self._waits.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)
        finally:
            await close_body(body)

    async def _written(self, writable: "asyncio.Future[None]") -> None:
        """Wait until the parent reads on; once it responds, the response's own deadline rules."""
        if self._asker is not None:
            self._wait(self._waits.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)
        await writable
        if self._asker is not None:
            self._deadline.clear()  # how long the next chunk takes is the viewer's affair

    @property
    def finished(self) -> bool:
        """Whether request and response came to their ends, so that the connection may carry another exchange."""
        sent = self._sending is None or (self._sending.done() and not self._sending.cancelled())
        return sent and self.incoming.ended and self.reusable and not self.closed

    def rest(self) -> None:
        """Between two exchanges: whatever comes now belongs to no request, and the rest does not last for ever."""
        self.used = self._resting = True
        self._sending = None
        self._read = self._read_nothing
        if self._paused:
            self._resume()
        self._deadline.set(self._rests)

    def abort(self) -> None:
        """Close it at once, whatever it was about."""
        self.reusable = self._paused = False
        self._deadline.stop()
        if self._sending is not None:
            self._sending.cancel()
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._read(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed, self.reusable = True, False
        self.resume_writing()
        self._deadline.stop()
        self._gone(self)
        if self._resting or self.incoming.ended or self.incoming.failure is not None:
            return
        if self._asker is not None:
            self._fail(Failure.RESET, str(error or "closed before a response"))
        elif self._read == self._read_to_close and error is None:
            self._end()
        elif self._read == self._read_length:
            self._fail(Failure.TRUNCATED, f"{self._left} bytes are missing: {error or 'closed'}")
        else:
            self._fail(Failure.TRUNCATED, str(error or "closed before the last chunk"))

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # ---- reading -------------------------------------------------------------------------------------------------

    def _read_nothing(self, data: bytes) -> None:
        """Bytes nobody asked for: discard them, and the connection with them."""
        self.abort()

    def _read_head(self, data: bytes) -> None:
        self.got_bytes = True
        data = self._buffer + data if self._buffer else data
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end == 3 or self._head_bytes + end > HEAD_LIMIT_BYTES:
                self._await_head(data)
                return
            self._head_bytes += end
            try:
                received = read_head(data[:end] if end < len(data) else data)
            except NotHttp as error:
                self._fail(Failure.GARBAGE, str(error))
                return
            data = data[end:]
            if received.head.status >= 200:
                self._begin_body(received, data)
                return
            if not self._interim(received.head):
                return
            if not data:
                self._buffer = b""
                return

    def _await_head(self, data: bytes) -> None:
        """The head is not complete. What cannot become one is refused now rather than when time runs out."""
        self._buffer = data
        why = why_no_head(data, self._head_bytes + len(data))
        if why is not None:
            self._fail(Failure.GARBAGE, why)

    def _interim(self, head: ResponseHead) -> bool:
        """Pass an interim response on (RFC 9110 §15.2); False if the exchange ends here."""
        if head.status == 101:
            self._fail(Failure.GARBAGE, "101: an upgrade nobody asked for")
            return False
        if head.status != 100 and self._on_interim is not None:
            try:
                self._on_interim(head)
            except Exception as error:
                self._break(UpstreamFailed(Failure.INTERNAL, f"an interim response: {error!r}"), error)
                return False
        if self._sending is None or self._sending.done():
            # 102 says that it goes on working: the wait begins again, and the size limit bounds how often.
            self._wait(self._waits.first_byte, Failure.FIRST_BYTE_TIMEOUT)
        return True

    def _begin_body(self, received: ReceivedHead, data: bytes) -> None:
        head = received.head
        self.reusable = self.reusable and received.keep_alive
        if received.rests is not None:
            self._rests = min(self._keep_alive, OF_ITS_REST * received.rests)
        if self._sending is not None and not self._sending.done() and head.status >= 300:
            self._sending.cancel()  # 413, say: it has made up its mind without the rest of the request
        self._buffer = b""
        bodiless = self._bodiless or head.status in (204, 304)
        self._left = 0 if bodiless else received.length or 0
        self._read = self._read_length
        if received.chunked and not bodiless:
            self._chunked = ChunkedBody()
            self._read = self._read_chunked
        elif received.length is None and not bodiless:
            self.reusable = False
            self._read = self._read_to_close
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.on_head(head)
        if self._left == 0 and self._read == self._read_length:
            self._end(data)
        elif data:
            self._read(data)
        elif not self.closed:
            self._go_on()
        if self._bare and self._left > LONG_BYTES and not self.incoming.ended and self._transport is not None:
            place = self.incoming.place(self._left)
            if place is not None and not self._transport.is_closing():
                ReservedRead(self._transport, self, place, self._filled)

    def _read_length(self, data: bytes) -> None:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            self._push(data)
            return
        self._left = 0
        self.incoming.push(data[:left] if len(data) > left else data)
        self._end(data[left:])

    def _filled(self, count: int) -> None:
        """So many bytes have come to the place that is reserved for the body."""
        self._left -= count
        self.incoming.filled(count)
        self._go_on()

    def _read_chunked(self, data: bytes) -> None:
        body = self._chunked
        body.feed(data)
        chunks, body.chunks = body.chunks, []
        for chunk in chunks:
            self.incoming.push(chunk)
        if body.ended:
            self._end(b"?" if body.beyond else b"")
        elif body.error is not None:
            self._fail(Failure.GARBAGE, f"malformed chunks: {body.error}")
        elif not self.closed:
            self._go_on()

    def _read_to_close(self, data: bytes) -> None:
        self._push(data)

    def _read_surplus(self, data: bytes) -> None:
        """A body longer than its Content-Length is cut there; what follows could pass for another response."""
        self.abort()

    # ---- flow ------------------------------------------------------------------------------------------------------

    def _push(self, data: bytes) -> None:
        self.incoming.push(data)
        self._go_on()

    def _go_on(self) -> None:
        """More of the body is to come: wait for it, or let the reader catch up first."""
        if self.incoming.queued_bytes > WINDOW_BYTES:
            if not self._paused and self._transport is not None:
                self._paused = True
                self._deadline.clear()  # the viewer is slow, not the parent
                self._transport.pause_reading()
        else:
            self._wait(self._waits.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)

    def _consumed(self, size: int) -> None:
        if self._paused and self.incoming.queued_bytes < WINDOW_BYTES // 2:
            self._resume()
            if not self.closed and not self.incoming.ended:
                self._wait(self._waits.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    # ---- ends ------------------------------------------------------------------------------------------------------

    def _end(self, surplus: bytes = b"") -> None:
        """The body is whole. Should more have come with it, the connection carries no other exchange."""
        self.reusable = self.reusable and not surplus
        self._deadline.clear()
        self._read = self._read_surplus
        self.incoming.end()
        if surplus:
            self.abort()

    def _fail(self, why: Failure, detail: str) -> None:
        self._break(UpstreamFailed(why, detail))

    def _break(self, failure: UpstreamFailed, cause: Exception | None = None) -> None:
        if cause is not None:
            failure.__cause__ = cause
        asker, self._asker = self._asker, None
        if asker is not None:
            if self.got_bytes:
                failure.reach = Reach.ANSWERED
            elif self.used and failure.why is Failure.RESET:
                failure.reach = Reach.DROPPED
        if not self.incoming.ended and self.incoming.failure is None:
            self.incoming.fail(failure)
        self.abort()
        if asker is not None:
            asker.on_failure(failure)

    def _wait(self, seconds: float, why: Failure) -> None:
        self._late_for = why
        self._deadline.set(seconds)

    def _late(self) -> None:
        if self._resting:
            self.abort()
        else:
            self._fail(self._late_for, "nothing came in time")
