"""Fills: what the machine wants fetched is fetched, stored, and given to those who wait for it.

    Fetch ─► the shared tier, if there is one ─► a parent ─► its head lands: every ticket gets its response
                                                         ─► its body is written while they read it

A fill belongs to the node, not to the client that asked first: a client that leaves takes nobody's body with it.

A fill needs no task where its request can be sent at once, on a connection that rests, and where its body need not wait
for slow readers (`fill.py`). Whatever is less simple goes on in a task, from where it is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cdnkit.policy.freshness.storable import content_length, passed_on
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.machine.purge_marks import may_ask_tier
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, Landing, Relay, Serve
from cdnkit.policy.record.lines import FetchRecord
from cdnkit.policy.store.index import Entry
from edge.bodies import Body, Reader
from edge.codings import ENCODERS
from edge.errors import EdgeError, UpstreamFailed
from edge.fill import Fill
from edge.parent.exchange import Exchange
from edge.parents import Asked, Parents
from edge.recorder import Recorder
from edge.response import Response
from edge.stored_bodies import StoredBodies, reader_of
from edge.tickets import Tickets

if TYPE_CHECKING:
    from edge.stores.shared import Found, SharedTier

logger = logging.getLogger("cdnlab.edge")

L = TypeVar("L", Landing, Landing | None)


class Fills:
    """The fills of one node that are under way."""

    def __init__(
        self,
        machine: EdgeMachine,
        parents: Parents,
        tier: "SharedTier | None",
        bodies: StoredBodies,
        tickets: Tickets,
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        """`tier`: asked before the parents. `tickets`: those that the fills resolve."""
        self._machine = machine
        self._parents = parents
        self._tier = tier
        self._bodies = bodies
        self._tickets = tickets
        self._recorder = recorder
        self._clock = clock
        self.largest = int(machine.service.largest)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[int, tuple[Fetch, Asked]] = {}
        """Those without a task whose head has not come, by the fetch's id."""
        self._taken: dict[Fill, None] = {}
        """Those without a task whose body comes."""

    def start(self, fetch: Fetch, content: AsyncIterator[bytes] | None = None) -> None:
        """`content`: the request's, sent to the parent as it comes."""
        if content is None and self._is_plain(fetch):
            interim, came = partial(self._pass_on_interim, fetch), partial(self._came, fetch)
            asked = self._parents.begin(fetch.request, interim, came)
            if asked is not None:
                self._asked[fetch.id] = fetch, asked
                return
        self._run(self._fill(fetch, content))

    def _is_plain(self, fetch: Fetch) -> bool:
        """Whether nothing is to be done before the parent is asked."""
        if self._tier is not None and may_ask_tier(fetch):
            return False
        return fetch.entry is None or fetch.entry.part is None

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def close(self) -> None:
        """Give them all up."""
        while self._asked:  # one that fails may be followed by another
            _, (fetch, asked) = self._asked.popitem()
            self._parents.give_up(asked)
            self._fail(fetch, Failure.ABANDONED)
        for fill in tuple(self._taken):
            self._finish(fill, Failure.ABANDONED)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log(error)

    def _log(self, error: BaseException) -> None:
        logger.error("%s: a fill ended: %r", self._machine.service.name, error, exc_info=error)

    # ---- one fill ----------------------------------------------------------------------------------------------

    async def _fill(self, fetch: Fetch, content: AsyncIterator[bytes] | None, begun: Asked | None = None) -> None:
        """Carry a fetch to its end. However it ends, the machine learns of it, so that nobody waits for ever. `begun`:
        it was sent, and what came of that is not the end."""
        counter: int | None = None
        try:
            if begun is None and self._tier is not None and may_ask_tier(fetch):
                found = await self._tier.ask(fetch)
                if found is not None and self._land_found(fetch, found):
                    return
                counter = found.counter if found is not None else None
            entry = fetch.entry
            prefix = await self._bodies.load(entry) if entry is not None and entry.part is not None else None
            exchange = await self._parents.exchange(
                fetch.request,
                content,
                body_length=_content_length(fetch.request) if content is not None else None,
                on_interim=partial(self._pass_on_interim, fetch),
                begun=begun,
            )
        except UpstreamFailed as failed:
            self._fail(fetch, failed.why)
            return
        except BaseException as error:
            # Also a bug of ours: its fetch must fail like any other.
            self._fail(fetch, Failure.ABANDONED if isinstance(error, asyncio.CancelledError) else Failure.INTERNAL)
            raise
        await self._write_out(self._landed(fetch, exchange, prefix, counter))

    def _came(self, fetch: Fetch, what: Exchange | Asked) -> None:
        """Of a fill without a task: the parent's head has come, or there is more to do for it."""
        del self._asked[fetch.id]
        if isinstance(what, Asked):
            self._run(self._fill(fetch, None, what))
            return
        try:
            fill = self._landed(fetch, what, None, None)
        except Exception as error:
            self._log(error)
            return
        if fill.wanted or fill.bodiless:
            self._taken[fill] = None
            fill.take()
        else:
            self._run(self._write_out(fill))

    def _landed(self, fetch: Fetch, exchange: Exchange, prefix: Body | None, counter: int | None) -> Fill:
        """The parent's head has come. `prefix`: the part that is stored of the body. `counter`: the tier's."""
        now = self._clock()
        try:
            landing = self._land(fetch, partial(self._machine.on_response, fetch, exchange.head, now))
        except BaseException:
            exchange.close()
            raise
        record = self._recorder.fetch(fetch, now, exchange.head)
        record.parent = exchange.parent
        body = self._bodies.begin(landing.store) if landing.store is not None else Body(kept=False)
        if landing.prefix is not None:
            body.write((prefix and prefix.whole) or b"")
        if self._tier is not None and landing.marks:
            self._tier.mark_soon(landing.marks)
        self._resolve(landing, body)
        for entry in landing.changed:
            self._share(entry, counter)
        return Fill(self, fetch, exchange, landing, body, record, counter)

    async def _write_out(self, fill: Fill) -> None:
        """Write its body, or what is left of it."""
        why: Failure | None = Failure.ABANDONED  # if this task is cancelled
        try:
            why = await self._write_body(fill) if fill.wanted else None
        except UpstreamFailed as failed:
            why = self.broke_off(fill, failed)
        finally:
            self._finish(fill, why)

    def broke_off(self, fill: Fill, failed: UpstreamFailed) -> Failure | None:
        name, size = self._machine.service.name, fill.body.size_bytes
        logger.warning("%s: %s broke off after %d bytes: %s", name, fill.record.url, size, failed)
        return None if self._machine.counts_as_whole(failed.why, fill.exchange.head) else failed.why

    def finish(self, fill: Fill, why: Failure | None) -> None:
        try:
            self._finish(fill, why)
        except Exception as error:
            self._log(error)

    def write_rest(self, fill: Fill, chunk: bytes) -> None:
        self._taken.pop(fill, None)
        fill.exchange.leave(chunk)
        self._run(self._write_out(fill))

    def _finish(self, fill: Fill, why: Failure | None) -> None:
        self._taken.pop(fill, None)
        fill.exchange.close()
        self._end(fill.fetch, fill.body, fill.record, why)
        if self._bodies.keep(fill.landing.store):
            self._share(fill.landing.store, fill.counter)

    async def _write_body(self, fill: Fill) -> Failure | None:
        """Write the body as it comes; None: all of it came."""
        fetch, landing, body, record = fill.fetch, fill.landing, fill.body, fill.record
        encoder = ENCODERS[landing.coding]() if landing.coding else None
        async for chunk in fill.exchange.chunks():
            if landing.cut_at is not None and body.size_bytes + len(chunk) > landing.cut_at:
                return Failure.TOO_LARGE
            body.write(chunk if encoder is None else encoder.add(chunk))
            if body.kept and body.size_bytes > self.largest:
                # For the machine it ends here; for those who read it, it streams on.
                body.let_pass()
                self._report_end(fetch, body, record, Failure.TOO_LARGE)
            if not await body.room():
                return Failure.ABANDONED
        if encoder is not None:
            body.write(encoder.finish())
        return None

    def _pass_on_interim(self, fetch: Fetch, head: ResponseHead) -> None:
        """The one place where interim responses are passed on (RFC 8297)."""
        for ticket in self._machine.on_interim(fetch, head):
            self._tickets.send_interim(ticket, head.status, passed_on(head, self._machine.profile).lines)

    # ---- the shared tier ---------------------------------------------------------------------------------------

    def _land_found(self, fetch: Fetch, found: "Found") -> bool:
        """Land what the shared tier has, in the parent's place; whether it was of use."""
        if found.values is None:
            return False
        now = self._clock()
        size = len(found.body)
        landing = self._land(fetch, partial(self._machine.on_found, fetch, found.values, size, now))
        if landing is None or landing.store is None:
            return False
        body = self._bodies.begin(landing.store)
        record = self._recorder.found(fetch, now, landing.store.status, found.values)
        self._resolve(landing, body)
        if found.body:
            body.write(found.body)
        self._end(fetch, body, record, None)
        self._bodies.keep(landing.store)
        return True

    def _share(self, entry: Entry | None, counter: int | None) -> None:
        """Leave it with the tier, if that replied when it was asked for it."""
        if entry is None or counter is None or self._tier is None:
            return
        body = self._bodies.at_hand(entry)
        if body is not None and body.whole is not None:
            self._tier.put(entry, body.whole, counter)

    # ---- landings ----------------------------------------------------------------------------------------------

    def _land(self, fetch: Fetch, land: Callable[[], L]) -> L:
        """`land`: has the machine land it."""
        flight = self._machine.flights.flight_of(fetch)
        try:
            return land()
        except Exception as error:
            # A bug of ours is an error for those who wait, not silence; nobody may join what will never land.
            self._fail(fetch, Failure.INTERNAL)
            for waiter in flight.waiters if flight is not None else ():
                self._tickets.fail(waiter.ticket, EdgeError(f"the landing of {fetch.request.path} failed: {error!r}"))
            raise

    def _fail(self, fetch: Fetch, why: Failure) -> None:
        """Land a fetch that brought no head."""
        now = self._clock()
        landing = self._machine.on_failure(fetch, why, now)
        self._recorder.add(self._recorder.fetch(fetch, now, failure=why.value))
        self._resolve(landing, None)

    def _end(self, fetch: Fetch, body: Body, record: FetchRecord, why: Failure | None) -> None:
        """Its body is whole, or broken off: `why`."""
        if why is None:
            body.finish()
        else:
            body.break_off()
        if not record.ended_seq:
            self._report_end(fetch, body, record, why)
        record.size_bytes = body.size_bytes
        self._recorder.add(record)

    def _report_end(self, fetch: Fetch, body: Body, record: FetchRecord, why: Failure | None) -> None:
        """Report the end of its body to the machine."""
        now = self._clock()
        if why is None:
            landing = self._machine.on_body_end(fetch, body.size_bytes, now)
        else:
            landing = self._machine.on_failure(fetch, why, now)
            record.failure = why.value
        record.ended_seq, record.ended_at = self._machine.events, now
        self._resolve(landing, body)

    def _resolve(self, landing: Landing, body: Body | None) -> None:
        """Give every ticket its response, start what has to be fetched anew, let go of bodies nobody will ask for."""
        for ticket, answer in landing.answers.items():
            if isinstance(answer, Fetch):
                if not self._tickets.is_open(ticket) and not answer.collapsible:
                    self._fail(answer, Failure.ABANDONED)
                else:
                    self.start(answer)
                continue
            if isinstance(answer, Serve) and answer.refresh is not None:
                self.start(answer.refresh)
            if not self._tickets.is_waiting(ticket):
                continue
            reader = None
            if isinstance(answer, Serve) and answer.body:
                reader = reader_of(answer, self._bodies.at_hand(answer.entry))
            elif isinstance(answer, Relay) and answer.body and body is not None:
                reader = Reader(body, 0)
            self._tickets.put(ticket, Response(answer, reader))
        if landing.store is not None and not landing.store.indexed and body is not None:
            # Shared with those who waited, found by nobody later: their readers hold it.
            self._bodies.update([landing.store.id])
        self._bodies.update(landing.dropped, landing.changed)


def _content_length(request: RequestHead) -> int | None:
    """The promised length; without one the content goes on chunked, which some origins refuse."""
    return content_length(request.headers) if "transfer-encoding" not in request.headers else None
