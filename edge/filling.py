"""Fills: what the machine wants fetched is fetched, kept and given to whoever waits.

A fill belongs to the node, not to the viewer who asked first: a viewer who leaves takes nobody's body with him. Every
ticket the machine gives out is a future here; the landing of its fill resolves it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cdnkit.policy.freshness.storable import content_length, passed_on
from cdnkit.policy.http.messages import Lines, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.machine.purge_marks import may_ask_tier
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, Landing, Relay, Serve
from cdnkit.policy.record.lines import FetchRecord
from cdnkit.policy.store.index import Entry
from edge.bodies import Body, Reader
from edge.codings import ENCODERS
from edge.errors import EdgeError, UpstreamFailed
from edge.log import RecordLog
from edge.parents import Parents
from edge.recording import Blind, fetch_record
from edge.slicing import Answered
from edge.stores import Store

if TYPE_CHECKING:
    from edge.stores.shared import Found, SharedTier

logger = logging.getLogger("cdnlab.edge")

L = TypeVar("L", Landing, Landing | None)


class Filling:
    """The half of a node's shell that faces its parents and its store."""

    def __init__(
        self,
        machine: EdgeMachine,
        upstream: Parents,
        log: RecordLog,
        clock: Callable[[], float],
        store: Store,
        tier: "SharedTier | None",
    ) -> None:
        self.machine = machine
        self.upstream = upstream
        self.clock = clock
        self.name = machine.service.name
        self.store = store
        self.tier = tier
        self.records = log
        self.blind = Blind(machine.gate)
        """Takes secrets out of what is recorded."""
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._hints: dict[int, Callable[[int, Lines], None]] = {}
        """Ticket -> how its viewer is sent an interim response, where its connection can carry one."""
        self._fills: set[asyncio.Task[None]] = set()
        self.store.drop(machine.restore(self.store.recovered()))

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
            if self.tier is not None and may_ask_tier(fetch):
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
        record = fetch_record(self.name, fetch, self.machine.events, now, exchange.head, "", blind=self.blind)
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
            why = None if self.machine.counts_as_whole(failed.why, exchange.head) else failed.why
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
        record = fetch_record(self.name, fetch, self.machine.events, now, None, "", blind=self.blind)
        record.purpose, record.status = "shared", landing.store.status
        record.shared = self.blind.shared(found.values)
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
                hint(head.status, passed_on(head, self.machine.profile).lines)

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
        self.records.add(record)

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
        self.records.add(fetch_record(self.name, fetch, self.machine.events, now, None, why.value, blind=self.blind))
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


def _body_length(request: RequestHead) -> int | None:
    """What the viewer's Content-Length promised; without it the body goes on chunked, which some origins refuse."""
    return content_length(request.headers) if "transfer-encoding" not in request.headers else None
