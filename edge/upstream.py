"""The edge's HTTP client for one parent: strict about where a body ends, and fast.

Why our own: common clients drop 1xx, decode content codings, trust a lying length, and cost 60 to 1,100 µs a fetch.
`parent/http1.py` and `parent/http2.py` are the protocols; here an exchange gets its connection. Whether a request that
failed is sent again, `cdnkit/policy/upstream/retry.py` says.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Literal

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from cdnkit.policy.upstream.link import Link
from cdnkit.policy.upstream.retry import SAFE, FailedTry, Reach, may_retry, may_reuse_connection, needs_own_connection
from cdnkit.settings.parent_url import WANTED, parent_url
from edge.errors import UpstreamFailed
from edge.parent.attempt import FAREWELL, Attempt, is_farewell
from edge.parent.dialer import Dialer, ParentConnection
from edge.parent.exchange import Exchange, OnInterim
from edge.parent.http1 import Http1Connection
from edge.parent.http2 import Http2Connection
from edge.parent.repeatable import Repeatable
from edge.parent.request_head import request_head
from edge.parent.slots import Slots

__all__ = ["Exchange", "OnInterim", "ParentHttp", "Upstream"]

ParentHttp = Literal["1.1", "2", "auto"]

KEEP_ALIVE_S = 4.0
"""How long a connection rests unused: below the 5 s after which Apache, Node and hypercorn hang up by default."""

DRAINING = 2
"""At most this many times `connections` are open while a parent leaves older ones (GOAWAY) on which it still responds.
Beyond that each exchange has a connection of its own, and waits for it."""

_ALPN = {"1.1": ["http/1.1"], "2": ["h2"], "auto": ["h2", "http/1.1"]}


class Upstream:
    """One parent, over a pool of kept-alive connections (HTTP/1.1) or over a few that are shared (HTTP/2)."""

    def __init__(
        self,
        url: str,
        waits: Waits,
        connections: int,
        *,
        http: ParentHttp = "1.1",
        keep_alive: float = KEEP_ALIVE_S,
        tls: ssl.SSLContext | None = None,
        link: Link | None = None,
    ) -> None:
        """`url`: scheme, host and port of the parent, "http://127.0.0.1:9000"; ValueError if it is not that.

        `connections`: the most that are open; exchanges beyond what they carry wait in order, `waits.connect` at most.
        `http`: "2" speaks HTTP/2 from the first byte, over TLS by ALPN; "auto" lets TLS negotiate, and is HTTP/1.1
        without TLS. `keep_alive`: seconds a connection may rest unused. `tls`: instead of the system's authorities.
        `link`: a simulated wire between this node and the parent, which connections of other parents may share.
        """
        parts = parent_url(url)
        if parts is None or parts.hostname is None:
            raise ValueError(f"found {url!r}, wanted {WANTED}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._scheme = parts.scheme
        self._authority = parts.netloc
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        if self._tls is not None:
            self._tls.set_alpn_protocols(_ALPN[http])
        self._http: ParentHttp = "1.1" if http == "auto" and self._tls is None else http
        self._waits = waits
        self._keep_alive = keep_alive
        port = parts.port or (443 if self._tls is not None else 80)
        self._dialer = Dialer(self.url, parts.hostname, port, self._tls, link, waits.connect)
        self._most = connections
        self._slots = Slots(connections)
        self._crossing = frozenset(method for method in SAFE if may_reuse_connection(method, waits, body=False))
        """Methods of requests that may be sent on a connection which the parent may be closing."""
        self._idle: list[Http1Connection] = []
        self._all: set[ParentConnection] = set()
        self._shared: list[Http2Connection] = []
        self._opening: asyncio.Task[None] | None = None
        self._closed = False
        self._clock = asyncio.get_running_loop().time

    @property
    def open_connections(self) -> int:
        return len(self._all)

    async def exchange(
        self,
        request: RequestHead,
        body: AsyncIterator[bytes] | None = None,
        *,
        body_length: int | None = None,
        on_interim: OnInterim | None = None,
        begun: Attempt | None = None,
    ) -> Exchange:
        """Ask the parent, under the request's `host` field or, without one, its own name; UpstreamFailed when no final
        head comes.

        `body` is streamed: with its Content-Length if `body_length` promises one, else chunked. `on_interim` is
        called with 102, 103 and other interim responses as they come, with all their fields; never with 100 (which
        is between the parent and this node), and 101 is refused. `begun`: the first try, which is over.
        """
        if self._closed:
            raise UpstreamFailed(Failure.ABANDONED, "this node is closing")
        if self._http == "1.1":
            return await self._exchange_http1(request, [], body, body_length, on_interim, begun)
        if body is None:
            return await self._exchange_http2(request, None, None, on_interim)
        kept = Repeatable(body)
        try:
            exchange = await self._exchange_http2(request, kept, body_length, on_interim)
        except BaseException:
            await kept.close()
            raise
        await kept.once()
        return exchange

    def begin(self, request: RequestHead, on_interim: OnInterim, over: Callable[[Attempt], None]) -> Attempt | None:
        """Send a request without content at once, where a connection rests on which it may go: `over` is called when a
        response's head has come, or none will. None: nothing is sent, and `exchange` must be awaited."""
        if not self._idle or not self._slots.free or request.method not in self._crossing:
            return None
        try:
            head = request_head(request, self._authority)
        except UpstreamFailed:
            return None  # as `exchange` will say
        self._slots.taken += 1
        connection = self._idle.pop()
        connection.begin(head, request.method, begun := Attempt(connection, self._release, over), on_interim)
        return begun

    def _weigh(self, failed: UpstreamFailed, method: str, tries: list[FailedTry], body: object) -> None:
        """Raise it again unless the request may be sent once more."""
        tries.append((failed.why, failed.reach))
        kept = isinstance(body, Repeatable) and body.whole
        if not may_retry(method, tries, self._waits, body=body is not None, replayable=kept):
            raise failed

    async def close(self) -> None:
        """Hang up; exchanges under way fail."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        for connection in tuple(self._all):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # so that the transports have closed their sockets when this returns

    # ---- HTTP/1.1: a pool --------------------------------------------------------------------------------------

    async def _exchange_http1(
        self,
        request: RequestHead,
        tries: list[FailedTry],
        body: AsyncIterator[bytes] | None,
        body_length: int | None,
        on_interim: OnInterim | None,
        begun: Attempt | None = None,
    ) -> Exchange:
        head = request_head(request, self._authority, has_body=body is not None, body_length=body_length)
        connection: Http1Connection | None = None
        if begun is None:
            await self._slot(self._clock() + self._waits.connect)
        else:
            connection = begun.connection
        may_cross = may_reuse_connection(request.method, self._waits, body=body is not None)
        try:
            while True:
                try:
                    if begun is not None and begun.failure is not None:
                        failure, begun = begun.failure, None
                        raise failure
                    # After a failure on a new one: whatever ended a kept connection has likely ended the others too.
                    kept = self._idle and may_cross and not tries
                    connection = self._idle.pop() if kept else await self._connect_http1()
                    response = await connection.exchange(head, request.method, body, body_length, on_interim)
                    if is_farewell(response, connection):
                        raise UpstreamFailed(*FAREWELL)
                    return Exchange(response, connection.incoming, partial(self._release, connection))
                except UpstreamFailed as failed:
                    if connection is not None:
                        connection.abort()
                    self._weigh(failed, request.method, tries, body)
        except BaseException:
            if connection is not None:
                connection.abort()
            self._slots.give()
            raise

    async def _slot(self, until: float) -> None:
        """A connection for one exchange alone, by `until`."""
        try:
            await self._slots.take(until - self._clock())
        except TimeoutError:
            why = f"{self._slots.limit} connections are busy"
            raise UpstreamFailed(Failure.CONNECT_TIMEOUT, why, Reach.QUEUED) from None

    def _release(self, connection: Http1Connection) -> None:
        if connection.finished and not self._closed:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()
        self._slots.give()

    def _gone(self, connection: ParentConnection) -> None:
        """It has closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection in self._shared:
            self._shared.remove(connection)

    # ---- HTTP/2: few connections, shared -----------------------------------------------------------------------

    async def _exchange_http2(
        self, request: RequestHead, body: Repeatable | None, body_length: int | None, on_interim: OnInterim | None
    ) -> Exchange:
        """As `exchange`. It ends as HTTP/1.1 where that is what TLS negotiates."""
        tries: list[FailedTry] = []
        until = self._clock() + self._waits.connect
        connection: Http2Connection | None = None
        while self._http != "1.1":
            apart = needs_own_connection(tries) or len(self._all) >= DRAINING * self._most > len(self._taking())
            try:
                connection = await (self._connection_apart(until) if apart else self._multiplexed(until))
                if connection is None:
                    continue
                if not apart and not await connection.place(until):
                    continue
                return await self._exchange_on(connection, request, body, body_length, on_interim, apart=apart)
            except UpstreamFailed as failed:
                if connection is not None and connection.wants_http1 and not self._settle_on_http1():
                    raise  # over HTTP/2 it would say the same again
                self._weigh(failed, request.method, tries, body)
                until = self._clock() + self._waits.connect
        return await self._exchange_http1(
            request, tries, body.reading() if body is not None else None, body_length, on_interim
        )

    async def _exchange_on(
        self,
        connection: Http2Connection,
        request: RequestHead,
        body: Repeatable | None,
        body_length: int | None,
        on_interim: OnInterim | None,
        *,
        apart: bool,
    ) -> Exchange:
        try:
            exchange = await connection.exchange(
                request, body.reading() if body is not None else None, body_length, on_interim
            )
        except BaseException:
            if apart:
                connection.leave()
                self._slots.give()
            raise
        if apart:
            exchange.when_closed(self._slots.give)
            if len(self._taking()) < self._most:
                self._shared.append(connection)
            else:
                connection.leave()
        return exchange

    async def _connection_apart(self, until: float) -> Http2Connection | None:
        """A new connection, with a place on it and one of our slots, so that there are no more than there may be.

        None: it is to be HTTP/1.1.
        """
        await self._slot(until)
        try:
            connection = await self._open_http2()
            # Nobody else knows of it, so that a place is free unless the parent allows none, or leaves.
            if connection is not None and not await connection.place(until):
                raise UpstreamFailed(Failure.RESET, "the parent left before it was asked", Reach.REFUSED)
        except BaseException:
            self._slots.give()
            raise
        if connection is None:
            self._slots.give()
        return connection

    def _taking(self) -> list[Http2Connection]:
        return [shared for shared in self._shared if shared.open]

    async def _multiplexed(self, until: float) -> Http2Connection | None:
        """The first shared connection with a stream free; None: it is to be HTTP/1.1.

        Where all are full another is opened, by one for all who ask meanwhile, until there are as many as there may be;
        then the one for which fewest wait.
        """
        while self._http != "1.1":
            taking = self._taking()
            for shared in taking:
                if shared.slots.free:
                    return shared
            shortest = min(taking, key=lambda shared: shared.slots.waiting, default=None)
            # A parent that allows no stream at all is in trouble: more connections would not help it.
            if shortest is not None and (len(taking) >= self._most or shortest.slots.limit == 0):
                return shortest
            if shortest is None and self._clock() > until:
                raise UpstreamFailed(
                    Failure.CONNECT_TIMEOUT, f"{self.url}: no connection stayed open", Reach.CONNECTING
                )
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open())
                self._opening.add_done_callback(self._opened)
            try:
                await asyncio.shield(self._opening)
            except UpstreamFailed:
                if shortest is None or not shortest.open:
                    raise
                return shortest
        return None

    # ---- connecting --------------------------------------------------------------------------------------------

    async def _connect_http1(self) -> Http1Connection:
        if self._idle and len(self._all) >= self._most:
            self._idle.pop(0).abort()  # the one that has rested longest
        connection = await self._connect(self._http1)
        assert isinstance(connection, Http1Connection)
        return connection

    def _opened(self, task: "asyncio.Task[None]") -> None:
        if self._opening is task:
            self._opening = None
        if not task.cancelled():
            task.exception()  # retrieved: all who waited for it may have been cancelled

    async def _open(self) -> None:
        connection = await self._open_http2()
        if connection is not None:
            self._shared.append(connection)

    async def _open_http2(self) -> Http2Connection | None:
        """A connection whose settings have come; None: the parent has chosen HTTP/1.1."""
        connection = await self._connect(self._http2_or_1)
        if isinstance(connection, Http1Connection):
            if self._http == "2":
                connection.abort()
                raise UpstreamFailed(Failure.GARBAGE, f"{self.url} does not offer HTTP/2 (ALPN)")
            self._settle_on_http1()
            connection.rest()
            self._idle.append(connection)
            return None
        try:
            async with asyncio.timeout(self._waits.connect):
                await connection.ready
        except TimeoutError:
            connection.abort()
            why = f"{self.url}: no SETTINGS of HTTP/2"
            raise UpstreamFailed(Failure.CONNECT_TIMEOUT, why, Reach.CONNECTING) from None
        except UpstreamFailed as failed:
            connection.abort()
            failed.reach = Reach.CONNECTING
            raise
        except BaseException:
            connection.abort()
            raise
        if connection.wants_http1 and self._settle_on_http1():
            return None
        if not connection.open:
            raise UpstreamFailed(Failure.RESET, f"{self.url} left before it was asked", Reach.REFUSED)
        return connection

    def _settle_on_http1(self) -> bool:
        """The parent has chosen, and is taken at its word until this node starts again; False: it has no choice."""
        if self._http == "2" or self._tls is None:
            return False
        self._http = "1.1"
        self._tls.set_alpn_protocols(_ALPN["1.1"])
        return True

    def _http1(self, _: str | None) -> Http1Connection:
        return Http1Connection(self._waits, self._keep_alive, self._gone, bare=self._dialer.bare)

    def _http2_or_1(self, alpn: str | None) -> ParentConnection:
        """Without TLS it is HTTP/2 from the first byte."""
        if self._tls is not None and alpn != "h2":
            return self._http1(alpn)
        return Http2Connection(self._waits, self._keep_alive, self._scheme, self._authority, self._gone)

    async def _connect(self, speak: Callable[[str | None], ParentConnection]) -> ParentConnection:
        connection = await self._dialer.dial(speak)
        self._all.add(connection)
        if connection.closed or self._closed:
            self._all.discard(connection)
            connection.abort()
        return connection
