"""The edge over HTTP: reads bytes, asks the machine, obeys.

Fills belong to the node, not to the viewer who asked first: a viewer who leaves takes nobody's body with him. Every
ticket the machine gives out is a future here; the landing of its fill resolves it.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import replace
from functools import partial
from typing import Any

from edge.bodies import Body, BodyBroken, Reader
from edge.clock import Clock
from edge.countries import CLIENT_IP, Countries
from edge.errors import EdgeError, UpstreamFailed
from edge.log import RecordLog
from edge.recording import READ_BY_POLICY, SECRETS, answered, fetch_record, kept_headers, request_record
from edge.upstream import Upstream
from listening import INTERIM
from policy.explain import explain
from policy.machine import EdgeMachine
from policy.messages import Headers, Lines, RequestHead, ResponseHead, end_to_end
from policy.plan import Failure, Fetch, Landing, Purged, PurgeOrder, Refuse, Relay, Serve
from policy.record import FetchRecord, PurgeRecord, RequestRecord
from policy.storing import content_length
from policy.token.propagation import LARGEST, Propagation

logger = logging.getLogger("cdnlab.edge")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DEBUG = "cdnlab-debug"
"""A request field: the answer says in a field of the same name what `cdnlab explain` would. For trusted clients."""

Answered = tuple[Serve | Relay | Refuse, Reader | None]
"""A final answer, and the place in its body from which to send."""


class Driver:
    """One node: an ASGI application over an `EdgeMachine`."""

    def __init__(
        self, machine: EdgeMachine, upstream: Upstream, countries: Countries, log: RecordLog, clock: Clock
    ) -> None:
        self.machine = machine
        self.upstream = upstream
        self.clock = clock
        self.name = machine.service.name
        self._countries = countries
        self._log = log
        self._bodies: dict[int, Body] = {}
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._hints: dict[int, Callable[[int, Lines], None]] = {}
        """Ticket -> how its viewer is sent an interim response, where its connection can carry one."""
        self._fills: set[asyncio.Task[None]] = set()
        self._secret = SECRETS | machine.gate.headers
        behaviors = machine.service.behaviors
        self._keying = READ_BY_POLICY | {name.lower() for behavior in behaviors for name in behavior.key.headers}
        if any(behavior.key.cookies != "none" for behavior in behaviors):
            self._keying |= {"cookie"}

    # ---- viewers -----------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._read(scope)
        now = self.clock()
        told = self._explained(request, scope, now)
        plan = self.machine.on_request(request, now)
        public, carries = self._public(request, refused=isinstance(plan, Refuse))
        record = request_record(
            self.name, self.machine.events, now, public, plan,
            params=self.machine.gate.params,
            viewers=self.machine.service.gate,
        )  # fmt: skip
        reader: Reader | None = None
        watch: asyncio.Task[None] | None = None
        try:
            if isinstance(plan, Serve):
                answer: Serve | Relay | Refuse = plan
                reader = self._reader(plan)
                if plan.refresh is not None:
                    self._start(plan.refresh)
            elif isinstance(plan, Refuse):
                answer = plan
            else:
                future = self._waiting[plan.ticket] = asyncio.get_running_loop().create_future()
                hint = scope.get("extensions", {}).get(INTERIM)
                if hint is not None:
                    self._hints[plan.ticket] = hint
                if isinstance(plan, Fetch):
                    self._start(plan, _request_body(request, receive))
                if request.method in ("GET", "HEAD"):
                    watch = asyncio.create_task(_until_gone(receive))
                    await asyncio.wait({future, watch}, return_when=asyncio.FIRST_COMPLETED)
                    if not future.done():
                        record.aborted = True
                        return
                answer, reader = await future
            if carries is not None and not isinstance(answer, Refuse):
                answer, reader = await self._carrying(carries, answer, reader)
            await self._deliver(answer, reader, record, send, watch, told)
        finally:
            if watch is not None:
                watch.cancel()
            if reader is not None:
                reader.leave()
            if not isinstance(plan, Serve | Refuse):
                self._forget(plan.ticket)
            record.headers = kept_headers(public, self._keying | self.machine.varying, self._secret)
            record.duration_ms = round((self.clock() - now) * 1000, 3)
            self._log.add(record)

    def _read(self, scope: Scope) -> RequestHead:
        headers = Headers.wrap([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        client_ip = self._countries.client(_peer(scope), headers.first(CLIENT_IP))
        return RequestHead(
            method=scope["method"],
            scheme=scope["scheme"],
            host=headers.first("host") or "",
            path=raw_path.partition(b"?")[0].decode("latin-1"),
            query=scope["query_string"].decode("latin-1") if scope["query_string"] else None,
            headers=headers,
            client_ip=client_ip,
            country=self._countries.country_of(client_ip) if self.machine.service.gate else "",
        )

    def _public(self, request: RequestHead, *, refused: bool) -> tuple[RequestHead, Propagation | None]:
        """The request without its token, as it is recorded, and how its answer takes that token on."""
        gate, behavior = self.machine.gate, self.machine.behavior_of(request)
        return gate.stripped(request, behavior), None if refused else gate.propagation(request, behavior)

    async def _carrying(self, carries: Propagation, answer: Serve | Relay, reader: Reader | None) -> Answered:
        """The answer with the viewer's token on its way to the children; the stored one stays as it is."""
        if reader is None or not carries.rewrites(answer.status, answer.headers):
            return replace(answer, headers=carries.head(answer.status, answer.headers)), reader
        start = reader.position
        stored = await reader.read_whole(LARGEST)
        reader.leave()
        if stored is None:
            return answer, reader.again(start)
        body = Body.of(carries.body(stored))
        return replace(answer, headers=carries.head(answer.status, answer.headers, body.size_bytes)), Reader(body, 0)

    def _explained(self, request: RequestHead, scope: Scope, now: float) -> bytes | None:
        """What `explain` says of this request before it is decided, for a trusted client who asks; one line of JSON."""
        if DEBUG not in request.headers or not self._countries.is_trusted(_peer(scope)):
            return None
        return json.dumps(explain(self.machine, replace(request), now), separators=(",", ":")).encode("ascii")

    async def _deliver(
        self,
        answer: Serve | Relay | Refuse,
        reader: Reader | None,
        record: RequestRecord,
        send: Send,
        watch: "asyncio.Task[None] | None",
        told: bytes | None,
    ) -> None:
        answered(record, answer, self.clock())
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if told is not None:
            headers.append((DEBUG.encode(), told))
        body = b""
        if isinstance(answer, Refuse) and answer.status != 204:
            body = answer.body
            headers.append((b"content-length", b"%d" % len(body)))
            body = b"" if record.method == "HEAD" else body
        stop = answer.span.stop if isinstance(answer, Serve) and answer.span else None
        pieces = answer.pieces if isinstance(answer, Serve) else None
        if reader is not None and pieces is None:
            body = reader.take_whole(stop) or b""
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if reader is None or body:
            await send({"type": "http.response.body", "body": body})
            record.bytes_sent = len(body)
            return
        try:
            async for piece in reader.read_pieces(pieces) if pieces is not None else reader.read(stop):
                record.bytes_sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if watch is not None and watch.done():
                    record.aborted = True
                    return
        except BodyBroken:
            # No end of body is sent, so the server closes the connection and the viewer sees that it is not whole.
            record.aborted = True
            record.reason = "origin: the body broke off"
            return
        await send({"type": "http.response.body", "body": b""})

    def _reader(self, answer: Serve) -> Reader | None:
        if not answer.body:
            return None
        return Reader(self._bodies[answer.entry.id], answer.span.start if answer.span else 0)

    def _forget(self, ticket: int) -> None:
        """The viewer of this ticket is served or gone; a place kept for one who is gone is given up."""
        self._hints.pop(ticket, None)
        future = self._waiting.pop(ticket, None)
        if future is not None and future.done() and not future.cancelled() and future.exception() is None:
            reader = future.result()[1]
            if reader is not None:
                reader.leave()

    # ---- fills -------------------------------------------------------------------------------------------------

    def _start(self, fetch: Fetch, body: AsyncIterator[bytes] | None = None) -> None:
        task = asyncio.create_task(self._fill(fetch, body))
        self._fills.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._fills.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: a fill ended: %r", self.name, task.exception(), exc_info=task.exception())

    async def _fill(self, fetch: Fetch, request_body: AsyncIterator[bytes] | None) -> None:
        """Carry a fetch to its end. Whatever happens, the machine hears of it: nobody waits on nothing."""
        try:
            hinted = partial(self._interim, fetch)
            length = _body_length(fetch.request) if request_body is not None else None
            exchange = await self.upstream.exchange(fetch.request, request_body, body_length=length, on_interim=hinted)
        except UpstreamFailed as failed:
            self._failed(fetch, failed.why)
            return
        except BaseException as error:
            # Also a bug of ours: whoever waits must not wait for ever.
            self._failed(fetch, Failure.ABANDONED if isinstance(error, asyncio.CancelledError) else Failure.INTERNAL)
            raise
        now = self.clock()
        try:
            landing = self._landed(fetch, exchange.head, now)
        except BaseException:
            exchange.close()
            raise
        record = fetch_record(
            self.name, fetch, self.machine.events, now, exchange.head, "", params=self.machine.gate.params
        )
        relayed = any(isinstance(answer, Relay) and answer.body for answer in landing.answers.values())
        body = Body(kept=landing.store is not None)
        if landing.prefix is not None:
            body.write(self._bodies[landing.prefix].whole or b"")
        if landing.store is not None:
            self._bodies[landing.store.id] = body
        self._settle(landing, body)
        why: Failure | None = Failure.ABANDONED
        try:
            if landing.store is not None or relayed:
                async for chunk in exchange.chunks():
                    body.write(chunk)
                    if body.kept and body.size_bytes > self.machine.service.largest:
                        # For the machine it ends here; for those who read it, it streams on.
                        body.let_pass()
                        self._tell_end(fetch, body, record, Failure.TOO_LARGE)
                    if not await body.room():
                        return
            why = None
        except UpstreamFailed as failed:
            why = failed.why
            logger.warning("%s: %s broke off after %d bytes: %s", self.name, record.url, body.size_bytes, failed)
        finally:
            exchange.close()
            self._ended(fetch, body, record, why)

    def _interim(self, fetch: Fetch, head: ResponseHead) -> None:
        """The one place where interim responses are passed on (RFC 8297)."""
        for ticket in self.machine.on_interim(fetch, head):
            hint, future = self._hints.get(ticket), self._waiting.get(ticket)
            if hint is not None and future is not None and not future.done():
                hint(head.status, end_to_end(head.headers).lines)

    def _landed(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        flight = self.machine.flights.flight_of(fetch)
        try:
            return self.machine.on_response(fetch, head, now)
        except Exception as error:
            # A bug of ours is an error for those who wait, not silence; nobody may join what will never land.
            self._failed(fetch, Failure.INTERNAL)
            for waiter in flight.waiters if flight is not None else ():
                future = self._waiting.get(waiter.ticket)
                if future is not None and not future.done():
                    future.set_exception(EdgeError(f"the landing of {fetch.request.path} failed: {error!r}"))
            raise

    def _ended(self, fetch: Fetch, body: Body, record: FetchRecord, why: Failure | None) -> None:
        if why is None:
            body.finish()
        else:
            body.break_off()
        if not record.ended_seq:
            self._tell_end(fetch, body, record, why)
        record.size_bytes = body.size_bytes
        self._log.add(record)

    def _tell_end(self, fetch: Fetch, body: Body, record: FetchRecord, why: Failure | None) -> None:
        now = self.clock()
        if why is None:
            landing = self.machine.on_body_end(fetch, body.size_bytes, now)
        else:
            landing = self.machine.on_failure(fetch, why, now)
            record.failure = why.value
        record.ended_seq, record.ended_at = self.machine.events, now
        self._settle(landing, body)

    def _failed(self, fetch: Fetch, why: Failure) -> None:
        now = self.clock()
        landing = self.machine.on_failure(fetch, why, now)
        params = self.machine.gate.params
        self._log.add(fetch_record(self.name, fetch, self.machine.events, now, None, why.value, params=params))
        self._settle(landing, None)

    def _settle(self, landing: Landing, body: Body | None) -> None:
        """Give every ticket its answer, start what has to be asked anew, and let go of bodies nobody will ask for."""
        for ticket, answer in landing.answers.items():
            future = self._waiting.get(ticket)
            if isinstance(answer, Fetch):
                if future is None and not answer.collapsible:
                    self._failed(answer, Failure.ABANDONED)
                else:
                    self._start(answer)
                continue
            if isinstance(answer, Serve) and answer.refresh is not None:
                self._start(answer.refresh)
            if future is None or future.done():
                continue
            if isinstance(answer, Serve):
                reader = self._reader(answer)
            elif isinstance(answer, Relay) and answer.body and body is not None:
                reader = Reader(body, 0)
            else:
                reader = None
            future.set_result((answer, reader))
        if landing.store is not None and not landing.store.indexed and body is not None:
            # Shared with those who waited, found by nobody later: their readers hold it.
            self._bodies.pop(landing.store.id, None)
        for entry_id in landing.dropped:
            self._bodies.pop(entry_id, None)

    # ---- the admin's side --------------------------------------------------------------------------------------

    def purge(self, order: PurgeOrder) -> Purged:
        now = self.clock()
        purged = self.machine.on_purge(order, now)
        for entry_id in purged.dropped:
            self._bodies.pop(entry_id, None)
        self._log.add(
            PurgeRecord(self.name, self.machine.events, now, order.kind.value, order.value, order.soft, purged.count)
        )
        return purged

    @property
    def stored_bytes(self) -> int:
        return sum(body.size_bytes for body in self._bodies.values())

    async def close(self) -> None:
        """Stop the fills and hang up on the parent."""
        for task in tuple(self._fills):
            task.cancel()
        await asyncio.gather(*self._fills, return_exceptions=True)
        await self.upstream.close()
        self._log.close()


def _request_body(request: RequestHead, receive: Receive) -> AsyncIterator[bytes] | None:
    """The viewer's body as it comes, for methods that carry one; UpstreamFailed if he leaves in the middle."""
    if request.method in ("GET", "HEAD"):
        return None
    length = request.headers.first("content-length")
    if "transfer-encoding" not in request.headers and (length is None or length == "0"):
        return None

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise UpstreamFailed(Failure.ABANDONED, "the viewer left while sending")
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    return chunks()


def _peer(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _body_length(request: RequestHead) -> int | None:
    """What the viewer's Content-Length promised; without it the body goes on chunked, which some origins refuse."""
    return content_length(request.headers) if "transfer-encoding" not in request.headers else None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
