"""The edge's reader of its parent: HTTP/1.1 on httptools, strict about what ends a body.

Why our own: common clients drop 1xx, decode content codings, trust a lying length, and cost 60 to 1,100 µs a fetch
where this costs about 12.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import urlsplit

import httptools

from edge.bodies import WINDOW_BYTES
from edge.errors import UpstreamFailed
from edge.settings import Timeouts
from policy.messages import Headers, RequestHead, ResponseHead
from policy.plan import Failure

HEAD_LIMIT_BYTES = 65_536
"""A longer response head is refused. Fastly takes 69 kB, CloudFront 20 kB."""


class Connection(asyncio.Protocol):
    """One connection to the parent, one exchange at a time."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._write_ready = asyncio.Event()
        self._write_ready.set()
        self.closed = False
        self.reusable = True
        self.used = False

    # ---- one exchange ------------------------------------------------------------------------------------------

    async def exchange(self, head: bytes, method: str, body: AsyncIterator[bytes] | None) -> ResponseHead:
        """Send a request; the final response head, or UpstreamFailed. The body is then read from `chunks()`."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._bodiless = method == "HEAD"
        self._lines: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._got_bytes = False
        self._head: asyncio.Future[ResponseHead] = self._loop.create_future()
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._ended = False
        self._failure: UpstreamFailed | None = None
        self._readable = asyncio.Event()
        self._paused = False
        self._transport.write(head)
        if body is not None:
            await self._send_body(body)
        if not self._head.done():
            self._wait(self._timeouts.first_byte, Failure.FIRST_BYTE_TIMEOUT)
        return await self._head

    async def _send_body(self, body: AsyncIterator[bytes]) -> None:
        assert self._transport is not None
        async for chunk in body:
            if self.closed or self._head.done():
                return  # it answered early (413, say), or went away: the head, or the failure, says so
            if chunk:
                self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await self._write_ready.wait()
        self._transport.write(b"0\r\n\r\n")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, content codings untouched; UpstreamFailed when it does not end as promised."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._queued -= len(chunk)
                if self._paused and self._queued < WINDOW_BYTES // 2:
                    self._resume()
                yield chunk
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return
            self._readable.clear()
            await self._readable.wait()

    @property
    def finished(self) -> bool:
        """Whether the answer came to its end, so that the connection may carry another."""
        return self._ended and self.reusable and not self.closed

    def rest(self) -> None:
        """Between two exchanges: whatever comes now was not asked for."""
        self.used = True
        self._parser = None

    @property
    def answered_nothing(self) -> bool:
        """Whether the connection died before a single byte of an answer: then asking again harms nobody."""
        return not self._got_bytes

    def abort(self) -> None:
        self.reusable = False
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._ended:
            # Bytes nobody asked for: discard them, and the connection with them.
            self.abort()
            return
        self._got_bytes = True
        if not self._head.done():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES and b"\r\n\r\n" not in data:
                self._fail(Failure.GARBAGE, f"response head longer than {HEAD_LIMIT_BYTES} bytes")
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Failure.GARBAGE, "an upgrade nobody asked for")
        except httptools.HttpParserError as error:
            if self._ended:
                self.reusable = False  # a body longer than it said: cut there
                self.abort()
            else:
                self._fail(Failure.GARBAGE, str(error))
            return
        if not self._ended and self._failure is None and self._head.done():
            self._wait(self._timeouts.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed, self.reusable = True, False
        self._write_ready.set()
        if self._parser is None or self._ended or self._failure is not None:
            return
        if not self._head.done():
            self._fail(Failure.RESET, str(error or "closed before an answer"))
        elif self._until_close and error is None:
            self._end()
        else:
            self._fail(Failure.TRUNCATED, str(error or "closed in mid-body"))

    def pause_writing(self) -> None:
        self._write_ready.clear()

    def resume_writing(self) -> None:
        self._write_ready.set()

    # ---- httptools' callbacks --------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200:
            self._lines = []  # interim: 100 is ours alone, 102 and 103 are advice that a later listener will pass on
            return
        headers = Headers.wrap(self._lines)
        if not self._parser.should_keep_alive():
            self.reusable = False
        framed = "content-length" in headers or "chunked" in (headers.joined("transfer-encoding") or "").lower()
        bodiless = self._bodiless or status in (204, 304)
        self._until_close = not framed and not bodiless
        if not self._head.done():
            self._head.set_result(ResponseHead(status, headers))
        if bodiless:
            self._end()

    def on_body(self, chunk: bytes) -> None:
        if self._ended:
            return
        self._chunks.append(chunk)
        self._queued += len(chunk)
        self._readable.set()
        if self._queued > WINDOW_BYTES and not self._paused:
            self._pause()

    def on_message_complete(self) -> None:
        if self._head.done():
            self._end()

    # ---- ends -----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._stop_timer()
            self._readable.set()

    def _fail(self, why: Failure, detail: str) -> None:
        self._failure = UpstreamFailed(why, detail)
        if not self._head.done():
            self._head.set_exception(self._failure)
        self._readable.set()
        self.abort()

    def _wait(self, seconds: float, why: Failure) -> None:
        self._stop_timer()
        if not (self._paused or self._ended or self._failure):
            self._timer = self._loop.call_later(seconds, self._fail, why, f"nothing for {seconds:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause(self) -> None:
        assert self._transport is not None
        self._paused = True
        self._stop_timer()  # the viewer is slow, not the parent
        self._transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()
            self._wait(self._timeouts.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)


class Exchange:
    """A response whose head has come: the head, and its body to read or to leave."""

    def __init__(self, upstream: "Upstream", connection: Connection, head: ResponseHead) -> None:
        self._upstream = upstream
        self._connection = connection
        self.head = head

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._connection.chunks():
            yield chunk

    def close(self) -> None:
        """Give the connection back if its body was read to the end, else cut it."""
        self._upstream.release(self._connection)


class Upstream:
    """The parent, asked over a pool of kept-alive connections."""

    def __init__(self, url: str, timeouts: Timeouts, connections: int) -> None:
        """`url`: scheme, host and port of the parent, "http://127.0.0.1:9000"; ValueError if it is not that."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError(f'found {url!r}, wanted an origin such as "http://127.0.0.1:9000"')
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._authority = parts.netloc
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._timeouts = timeouts
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()

    async def exchange(self, request: RequestHead, body: AsyncIterator[bytes] | None = None) -> Exchange:
        """Ask the parent; UpstreamFailed when no final head comes."""
        await self._slots.acquire()
        try:
            while True:
                connection = await self._connection()
                self._busy.add(connection)
                try:
                    head = await connection.exchange(
                        self._request_head(request, body is not None), request.method, body
                    )
                    return Exchange(self, connection, head)
                except UpstreamFailed as failed:
                    self._busy.discard(connection)
                    connection.abort()
                    # A kept-alive connection the parent closed while we wrote: nobody has seen the request.
                    stale = failed.why is Failure.RESET and connection.used and connection.answered_nothing
                    if not (stale and body is None and request.method in ("GET", "HEAD")):
                        raise
                except BaseException:
                    self._busy.discard(connection)
                    connection.abort()
                    raise
        except BaseException:
            self._slots.release()
            raise

    def release(self, connection: Connection) -> None:
        if connection not in self._busy:
            return
        self._busy.discard(connection)
        self._slots.release()
        if connection.finished:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()

    async def close(self) -> None:
        for connection in (*self._idle, *self._busy):
            connection.abort()
        self._idle.clear()

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.reusable:
                return connection
        try:
            async with asyncio.timeout(self._timeouts.connect):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._timeouts), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise UpstreamFailed(Failure.CONNECT_TIMEOUT, self.url) from error
        except OSError as error:
            raise UpstreamFailed(Failure.CONNECT, f"{self.url}: {error.strerror or error}") from error
        return connection

    def _request_head(self, request: RequestHead, has_body: bool) -> bytes:
        lines = [f"{request.method} {request.target} HTTP/1.1", f"host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in request.headers.lines if name != "content-length"]
        if has_body:
            lines.append("transfer-encoding: chunked")
        elif request.method not in ("GET", "HEAD", "OPTIONS", "TRACE"):
            lines.append("content-length: 0")
        with contextlib.suppress(UnicodeEncodeError):
            return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        raise UpstreamFailed(Failure.GARBAGE, "the request holds characters HTTP cannot carry")
