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
from typing import TYPE_CHECKING, Any, TypeVar

from edge.bodies import Body, BodyBroken, Reader
from edge.codings import ENCODERS
from edge.errors import EdgeError, UpstreamFailed
from edge.log import RecordLog
from edge.parents import Parents
from edge.recording import READ_BY_POLICY, SECRETS, answered, fetch_record, kept_headers, request_record
from edge.settings import Limits
from edge.slicing import Answered, Slicing
from edge.stores import MemoryStore, Store
from edge.viewer import Receive, Viewer
from edge.viewers import Viewers
from listening import INTERIM, Left, Stalled
from policy.access import Refusal
from policy.explain import explain
from policy.forward import has_content
from policy.index import Entry
from policy.limits import measured
from policy.machine import EdgeMachine
from policy.messages import Headers, Lines, RequestHead, ResponseHead, end_to_end
from policy.place import NOWHERE
from policy.plan import Assemble, Decision, Failure, Fetch, Landing, Plan, Purged, PurgeOrder, Refuse, Relay, Serve
from policy.purge_requests import purge_request
from policy.record import FetchRecord, PurgeRecord, RequestRecord
from policy.sharing import worth_asking
from policy.storing import content_length
from policy.token.propagation import LARGEST, Propagation

if TYPE_CHECKING:
    from edge.stores.shared import Found, SharedTier

logger = logging.getLogger("cdnlab.edge")

L = TypeVar("L", Landing, Landing | None)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DEBUG = "cdnlab-debug"
"""A request field: the answer says in a field of the same name what `cdnlab explain` would. For trusted clients."""


class Driver:
    """One node: an ASGI application over an `EdgeMachine`."""

    def __init__(
        self,
        machine: EdgeMachine,
        upstream: Parents,
        viewers: Viewers,
        log: RecordLog,
        clock: Callable[[], float],
        store: Store | None = None,
        tier: "SharedTier | None" = None,
        *,
        limits: Limits | None = None,
        spread: Callable[[PurgeOrder], None] | None = None,
    ) -> None:
        """`store`: where bodies are kept, in memory if not said; what it recovers, the machine gets back. `tier`: asked
        before the parent. `limits`: those of a request's content. `spread` hears of what a `PURGE` request purged here,
        for the other nodes to be told."""
        self.machine = machine
        self.upstream = upstream
        self.clock = clock
        self.name = machine.service.name
        self._viewers = viewers
        self._spread = spread
        self._log = log
        self._limits = limits or Limits()
        self.store: Store = store if store is not None else MemoryStore()
        self.tier = tier
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._hints: dict[int, Callable[[int, Lines], None]] = {}
        """Ticket -> how its viewer is sent an interim response, where its connection can carry one."""
        self._fills: set[asyncio.Task[None]] = set()
        self._secret = SECRETS | machine.gate.headers
        behaviors = machine.service.behaviors
        self._keying = READ_BY_POLICY | {name.lower() for behavior in behaviors for name in behavior.key.headers}
        if any(behavior.key.cookies != "none" for behavior in behaviors):
            self._keying |= {"cookie"}
        if machine.service.gate:
            # What viewers write there nobody reads: the machine makes them up from the place.
            self._keying -= machine.profile.viewer_fields.keys()
        self.store.drop(machine.restore(self.store.recovered()))

    # ---- viewers -----------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._read(scope)
        if request.method == "PURGE":
            asked = purge_request(request, self.machine.service, self.machine.profile)
            if asked is not None:
                await self._purge_asked(asked, send)
                return
        now = self.clock()
        told = self._explained(request, scope, now)
        plan = self.machine.on_request(request, now)
        public, carries = self._public(request, refused=isinstance(plan, Refuse))
        record = request_record(
            self.name, self.machine.events, now, public, plan,
            params=self.machine.gate.params,
            viewers=self.machine.service.gate,
        )  # fmt: skip
        viewer = Viewer(receive, scope.get("extensions", {}).get(INTERIM))
        slicing: Slicing | None = None
        given: Answered | None = None
        try:
            if isinstance(plan, Assemble):
                slicing = Slicing(self, viewer, plan.assembly, record)
                given = await slicing.begin(self.machine, self.clock)
            else:
                body = _content(receive, self._limits) if has_content(request) else None
                given = await self._answered(request, plan, viewer, body)
            if given is None:
                record.aborted = True
                return
            answer, reader = given
            if carries is not None and not isinstance(answer, Refuse):
                given = await self._carrying(carries, answer, reader)
            await self._deliver(*given, record, send, viewer, told, slicing)
        except Left as left:
            record.aborted = True
            if isinstance(left, Stalled):
                record.reason = f"viewer: {left}"
        finally:
            viewer.leave()
            if slicing is not None:
                slicing.leave()
            if given is not None and given[1] is not None:
                given[1].leave()
            self.write(record, public)

    async def _answered(
        self, request: RequestHead, plan: Plan, viewer: Viewer, body: AsyncIterator[bytes] | None
    ) -> Answered | None:
        """The final answer, and the place in its body from which to send; None if the viewer left first."""
        while True:
            assert not isinstance(plan, Assemble)
            given = await self._answer_of(plan, viewer, body)
            if given is None or given[1] is not None or not isinstance(given[0], Serve) or not given[0].body:
                return given
            reader = await self._loaded(given[0])
            if reader is not None:
                return given[0], reader
            # Lost by the store: for the machine it is not stored any more, and the request is decided anew.
            plan = self.machine.on_request(request, self.clock())

    async def _answer_of(self, plan: Decision, viewer: Viewer, body: AsyncIterator[bytes] | None) -> Answered | None:
        """As the machine decides it: without a reader where the body lies further away."""
        if isinstance(plan, Refuse):
            return plan, None
        if isinstance(plan, Serve):
            if plan.refresh is not None:
                self._start(plan.refresh)
            return plan, self._reader(plan)
        future = self._waiting[plan.ticket] = asyncio.get_running_loop().create_future()
        if viewer.hint is not None:
            self._hints[plan.ticket] = viewer.hint
        if isinstance(plan, Fetch):
            self._start(plan, body)
        try:
            # While the viewer's own body is read, that reading notices if he leaves.
            if body is not None or await viewer.waits_for(future):
                given: Answered = await future
                del self._waiting[plan.ticket]
                return given
            return None
        finally:
            self._forget(plan.ticket)

    async def ask(self, request: RequestHead, viewer: Viewer) -> tuple[Answered, RequestRecord] | None:
        """A request of the node's own, for a block of what a viewer asked for; its record is for the asker to write."""
        now = self.clock()
        plan = self.machine.on_request(request, now)
        record = request_record(
            self.name, self.machine.events, now, request, plan, params=self.machine.gate.params,
            viewers=self.machine.service.gate,
        )  # fmt: skip
        given: Answered | None = None
        try:
            given = await self._answered(request, plan, viewer, None)
            if given is None:
                record.aborted = True
                return None
            answered(record, given[0], self.clock())
            return given, record
        finally:
            if given is None:
                self.write(record, request)

    def write(self, record: RequestRecord, request: RequestHead) -> None:
        record.headers = kept_headers(request, self._keying | self.machine.varying, self._secret)
        record.duration_ms = round((self.clock() - record.at) * 1000, 3)
        self._log.add(record)

    def _read(self, scope: Scope) -> RequestHead:
        headers = Headers.wrap([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        client_ip = self._viewers.address(_peer(scope), headers)
        request = RequestHead(
            method=scope["method"],
            scheme=scope["scheme"],
            host=headers.first("host") or "",
            path=raw_path.partition(b"?")[0].decode("latin-1"),
            query=scope["query_string"].decode("latin-1") if scope["query_string"] else None,
            headers=headers,
            client_ip=client_ip,
            place=self._viewers.place_of(client_ip) if self.machine.service.gate else NOWHERE,
            client_port=scope["client"][1] or 0 if scope.get("client") else 0,
            trusted=self._viewers.is_trusted(_peer(scope)),
        )
        return measured(request)

    def unreadable(self, status: int, reason: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The answer to a request that could not be read: a `listening.Page`, signed as all answers are."""
        told = self.machine.unreadable(status, reason, self.clock())
        lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.headers]
        return told.status, lines, told.body

    def _public(self, request: RequestHead, *, refused: bool) -> tuple[RequestHead, Propagation | None]:
        """The request without its token, as it is recorded, and how its answer takes that token on."""
        gate, behavior = self.machine.gate, self.machine.behavior_of(request)
        return gate.stripped(request, behavior), None if refused else gate.propagation(request, behavior)

    async def _carrying(self, carries: Propagation, answer: Serve | Relay, reader: Reader | None) -> Answered:
        """The answer with the viewer's token on its way to the children; the stored one stays as it is."""
        if isinstance(answer, Serve) and answer.blocks is not None:
            return answer, reader
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
        if DEBUG not in request.headers or not self._viewers.is_trusted(_peer(scope)):
            return None
        return json.dumps(explain(self.machine, replace(request), now), separators=(",", ":")).encode("ascii")

    async def _deliver(
        self,
        answer: Serve | Relay | Refuse,
        reader: Reader | None,
        record: RequestRecord,
        send: Send,
        viewer: Viewer,
        told: bytes | None,
        slicing: Slicing | None,
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
        pieces, blocks = (answer.pieces, answer.blocks) if isinstance(answer, Serve) else (None, None)
        if reader is not None and pieces is None and blocks is None:
            body = reader.take_small(stop) or b""
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if reader is None or body:
            await send({"type": "http.response.body", "body": body})
            record.bytes_sent = len(body)
            return
        if blocks is not None and slicing is not None:
            coming = slicing.read(blocks)
        else:
            coming = reader.read_pieces(pieces) if pieces is not None else reader.read(stop)
        try:
            async for piece in coming:
                record.bytes_sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if viewer.gone:
                    record.aborted = True
                    return
        except BodyBroken as broken:
            # No end of body is sent, so the server closes the connection and the viewer sees that it is not whole.
            record.aborted = True
            record.reason = str(broken)
            return
        await send({"type": "http.response.body", "body": b""})

    def _reader(self, answer: Serve) -> Reader | None:
        """Its place in a body that is at hand; None: there is none to send, or it has to be loaded."""
        body = self.store.look(answer.entry) if answer.body else None
        return None if body is None else Reader(body, answer.span.start if answer.span else 0)

    async def _loaded(self, answer: Serve) -> Reader | None:
        body = await self._body_of(answer.entry)
        return None if body is None else Reader(body, answer.span.start if answer.span else 0)

    async def _body_of(self, entry: Entry) -> Body | None:
        """From the store, however far away it lies. What is lost there is lost to the machine, too."""
        body = self.store.look(entry) or await self.store.load(entry)
        if body is None:
            self.store.drop(self.machine.on_lost(entry))
        return body

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
        counter: int | None = None
        try:
            if self.tier is not None and worth_asking(fetch):
                found = await self.tier.ask(fetch)
                if found is not None and self._land_found(fetch, found):
                    return
                counter = found.counter if found is not None else None
            begun = fetch.entry
            prefix = await self._body_of(begun) if begun is not None and begun.part is not None else None
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
            landing = self._landed(fetch, partial(self.machine.on_response, fetch, exchange.head, now))
        except BaseException:
            exchange.close()
            raise
        record = fetch_record(
            self.name, fetch, self.machine.events, now, exchange.head, "", params=self.machine.gate.params
        )
        record.parent = exchange.parent
        relayed = any(isinstance(answer, Relay) and answer.body for answer in landing.answers.values())
        body = self.store.begin(landing.store) if landing.store is not None else Body(kept=False)
        if landing.prefix is not None:
            body.write((prefix and prefix.whole) or b"")
        if self.tier is not None and landing.marks:
            self.tier.mark_soon(landing.marks)
        self._settle(landing, body)
        for entry in landing.changed:
            self._share(entry, counter)
        why: Failure | None = Failure.ABANDONED
        try:
            if landing.store is not None or relayed:
                encoder = ENCODERS[landing.coding]() if landing.coding else None
                async for chunk in exchange.chunks():
                    if landing.cut_at is not None and body.size_bytes + len(chunk) > landing.cut_at:
                        why = Failure.TOO_LARGE
                        return
                    body.write(chunk if encoder is None else encoder.add(chunk))
                    if body.kept and body.size_bytes > self.machine.service.largest:
                        # For the machine it ends here; for those who read it, it streams on.
                        body.let_pass()
                        self._tell_end(fetch, body, record, Failure.TOO_LARGE)
                    if not await body.room():
                        return
                if encoder is not None:
                    body.write(encoder.finish())
            why = None
        except UpstreamFailed as failed:
            why = failed.why
            logger.warning("%s: %s broke off after %d bytes: %s", self.name, record.url, body.size_bytes, failed)
        finally:
            exchange.close()
            self._ended(fetch, body, record, why)
            if self._keep(landing.store):
                self._share(landing.store, counter)

    def _land_found(self, fetch: Fetch, found: "Found") -> bool:
        """Let what the shared tier has answer in the parent's place, if it is of use."""
        if found.values is None:
            return False
        now = self.clock()
        size = len(found.body)
        landing = self._landed(fetch, partial(self.machine.on_found, fetch, found.values, size, now))
        if landing is None or landing.store is None:
            return False
        body = self.store.begin(landing.store)
        record = fetch_record(self.name, fetch, self.machine.events, now, None, "", params=self.machine.gate.params)
        record.purpose, record.status, record.shared = "shared", landing.store.status, found.values
        self._settle(landing, body)
        if found.body:
            body.write(found.body)
        self._ended(fetch, body, record, None)
        self._keep(landing.store)
        return True

    def _keep(self, entry: Entry | None) -> bool:
        """It came to its end: whether the machine keeps it."""
        if entry is None or not entry.complete or not entry.indexed:
            return False
        self.store.keep(entry)
        return True

    def _share(self, entry: Entry | None, counter: int | None) -> None:
        """Leave it with the tier, if that answered when it was asked for it."""
        if entry is None or counter is None or self.tier is None:
            return
        body = self.store.look(entry)
        if body is not None and body.whole is not None:
            self.tier.put(entry, body.whole, counter)

    def _interim(self, fetch: Fetch, head: ResponseHead) -> None:
        """The one place where interim responses are passed on (RFC 8297)."""
        for ticket in self.machine.on_interim(fetch, head):
            hint, future = self._hints.get(ticket), self._waiting.get(ticket)
            if hint is not None and future is not None and not future.done():
                hint(head.status, end_to_end(head.headers).lines)

    def _landed(self, fetch: Fetch, land: Callable[[], L]) -> L:
        flight = self.machine.flights.flight_of(fetch)
        try:
            return land()
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
            self.store.drop([landing.store.id])
        self.store.drop(landing.dropped)
        for entry in landing.changed:
            self.store.changed(entry)

    # ---- the admin's side --------------------------------------------------------------------------------------

    async def purge(self, order: PurgeOrder) -> Purged:
        """Take away, or make stale, what the order names: at once, and for good when this returns."""
        if self.tier is not None:
            # First there: what is asked of it from now on is not what the order is to take away here.
            await self.tier.mark([self.machine.mark_of(order)])
        now = self.clock()
        purged = self.machine.on_purge(order, now)
        self.store.drop(purged.dropped)
        for entry in purged.changed:
            self.store.changed(entry)
        self._log.add(
            PurgeRecord(self.name, self.machine.events, now, order.kind.value, order.value, order.soft, purged.count)
        )
        purged.lasting = await self.store.settled()
        return purged

    async def _purge_asked(self, asked: PurgeOrder | Refusal, send: Send) -> None:
        """Answers a `PURGE` request as Fastly does; here it is carried out when the answer goes."""
        status, said = 200, {"status": "ok", "id": f"0-{int(self.clock())}-{self.machine.events}"}
        if isinstance(asked, Refusal):
            status, said = asked.status, {"msg": asked.reason.removeprefix("purge: ")}
        else:
            await self.purge(asked)
            if self._spread is not None:
                self._spread(asked)
        body = json.dumps(said).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def close(self) -> None:
        """Stop the fills and hang up on the parent."""
        for task in tuple(self._fills):
            task.cancel()
        await asyncio.gather(*self._fills, return_exceptions=True)
        await self.upstream.close()
        await self.store.close()
        if self.tier is not None:
            await self.tier.close()
        self._log.close()


async def _content(receive: Receive, limits: Limits) -> AsyncIterator[bytes]:
    """The viewer's body as it comes; UpstreamFailed if he leaves in the middle, pauses too long or sends too much."""
    size = 0
    while True:
        try:
            async with asyncio.timeout(limits.content_pause):
                message = await receive()
        except TimeoutError:
            raise UpstreamFailed(Failure.CONTENT_LATE, f"nothing came for {limits.content_pause:g} s") from None
        if message["type"] == "http.disconnect":
            raise UpstreamFailed(Failure.ABANDONED, "the viewer left while sending")
        size += len(message.get("body", b""))
        if size > limits.content:
            raise UpstreamFailed(Failure.CONTENT_TOO_LARGE, f"more than {limits.content} bytes")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _peer(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _body_length(request: RequestHead) -> int | None:
    """What the viewer's Content-Length promised; without it the body goes on chunked, which some origins refuse."""
    return content_length(request.headers) if "transfer-encoding" not in request.headers else None
