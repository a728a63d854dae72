"""The edge over HTTP: reads bytes, asks the machine, obeys. What is fetched meanwhile is `filling.py`'s."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cdnkit.policy.gate.limits import measured
from cdnkit.policy.http.content import has_content
from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.place import NOWHERE
from cdnkit.policy.http.target import origin_form
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.machine.purge_requests import purge_request
from cdnkit.policy.outcomes import Failure, Refusal
from cdnkit.policy.plan import Assemble, Decision, Fetch, Plan, Purged, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.record.lines import PurgeRecord, RequestRecord
from cdnkit.policy.token.playlist import LARGEST, Inheritance, Inherited, coding_in
from cdnkit.serving import EMPTY_QUERY, INTERIM, Left, Stalled
from cdnkit.settings.edge import Limits
from cdnkit.vendors import purge_method_of
from edge.bodies import Body, BodyBroken, Reader
from edge.codings import DECODERS
from edge.errors import UpstreamFailed
from edge.filling import Filling
from edge.log import RecordLog
from edge.parents import Parents
from edge.purges.log import LogLost
from edge.purges.order import BadOrder
from edge.recording import READ_BY_POLICY, answered, content_type, request_record
from edge.slicing import Answered, Slicing
from edge.stores import MemoryStore, Store
from edge.viewer import Receive, Viewer
from edge.viewers import Viewers

if TYPE_CHECKING:
    from edge.stores.shared import SharedTier

logger = logging.getLogger("cdnlab.edge")

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ASTRAY = "cdnlab.astray"
"""A member of a scope: the request is for a host that is not here (`RequestHead.astray`)."""

DEBUG = "cdnlab-debug"
"""A request field: the answer says in a field of the same name what `cdnlab explain` would. For trusted clients."""


class Driver(Filling):
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
    ) -> None:
        """`store`: where bodies are kept, in memory if not said; what it recovers, the machine gets back. `tier`: asked
        before the parent. `limits`: those of a request's content."""
        super().__init__(machine, upstream, log, clock, store if store is not None else MemoryStore(), tier)
        self._viewers = viewers
        self.spread: Callable[[PurgeOrder], Awaitable[None]] | None = None
        """Orders of every node what a `PURGE` request asks for here; it may raise `LogLost`."""
        self._limits = limits or Limits()
        self._purges = purge_method_of(machine.profile)
        behaviors = machine.service.behaviors
        self._keying = (
            READ_BY_POLICY
            | machine.decisive
            | {name.lower() for behavior in behaviors for name in behavior.key.headers}
        )
        if any(behavior.key.cookies != "none" for behavior in behaviors):
            self._keying |= {"cookie"}
        if machine.service.gate:
            # What viewers write there nobody reads: the machine makes them up from the place.
            self._keying -= machine.profile.viewer_fields.keys()

    # ---- viewers -----------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._read(scope)
        if request.method == self._purges.method:
            asked = purge_request(request, self.machine.service, self.machine.profile, self._purges)
            if asked is not None:
                await self._purge_asked(asked, send)
                return
        now = self.clock()
        told = self._explained(request, scope, now)
        plan = self.machine.on_request(request, now)
        public = request if plan.admitted is None else plan.admitted.public
        inherited = None if plan.admitted is None else plan.admitted.inherited
        record = request_record(
            self.name, self.machine.events, now, public, plan,
            blind=self.blind,
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
            if inherited is not None:
                given = await self._with_token(inherited, *given)
            await self._deliver(*given, record, public.path, send, viewer, told, slicing)
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
            self.name, self.machine.events, now, request, plan, blind=self.blind,
            viewers=self.machine.service.gate,
        )  # fmt: skip
        given: Answered | None = None
        try:
            given = await self._answered(request, plan, viewer, None)
            if given is None:
                record.aborted = True
                return None
            answered(record, given[0], self.clock(), request.path)
            return given, record
        finally:
            if given is None:
                self.write(record, request)

    def write(self, record: RequestRecord, request: RequestHead) -> None:
        record.headers = self.blind.kept(request, self._keying | self.machine.vary_fields)
        record.duration_ms = round((self.clock() - record.at) * 1000, 3)
        self.records.add(record)

    def _read(self, scope: Scope) -> RequestHead:
        headers = Headers.wrap([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        peer = _peer(scope)
        client_ip = self._viewers.address(peer, headers)
        named = headers.first("host") or ""
        path, host = origin_form(raw_path.partition(b"?")[0].decode("latin-1"), named)
        if host != named:
            # What keys and Vary read must be what goes on (RFC 9112 §3.2.2).
            headers = headers.without(("host",)).plus(("host", host))
        trusted = self._viewers.is_trusted(peer)
        query: bytes = scope["query_string"]
        request = RequestHead(
            method=scope["method"],
            scheme=scope["scheme"],
            host=host,
            path=path,
            query=query.decode("latin-1") if query or EMPTY_QUERY in scope.get("state", ()) else None,
            headers=headers,
            client_ip=client_ip,
            place=self._viewers.place_of(client_ip) if self.machine.service.gate else NOWHERE,
            client_port=scope["client"][1] or 0 if scope.get("client") else 0,
            trusted=trusted,
            version=scope["http_version"],
            peer_ip=peer,
            astray=scope.get(ASTRAY),
        )
        return measured(request)

    def unreadable(self, status: int, reason: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The answer to a request that could not be read: a `cdnkit.serving.Page`, signed as all answers are."""
        told = self.machine.unreadable(status, reason, self.clock())
        lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.headers]
        return told.status, lines, told.body

    async def _with_token(
        self, inherited: Inherited, answer: Serve | Relay | Refuse, reader: Reader | None
    ) -> Answered:
        """The answer with the viewer's token on its way to the children, if it is one that has children."""
        sliced = isinstance(answer, Serve) and answer.blocks is not None
        if isinstance(answer, Refuse) or sliced:
            return answer, reader
        carries = inherited.by_answer(answer.status, content_type(answer))
        return (answer, reader) if carries is None else await self._carrying(carries, answer, reader)

    async def _carrying(self, carries: Inheritance, answer: Serve | Relay, reader: Reader | None) -> Answered:
        """What is stored stays as it is."""
        if reader is None or not carries.rewrites(answer.status, answer.headers, DECODERS):
            return replace(answer, headers=carries.head(answer.status, answer.headers, able=DECODERS)), reader
        start = reader.position
        stored = await reader.read_whole(LARGEST)
        reader.leave()
        if stored is None:
            return answer, reader.again(start)
        coding = coding_in(answer.headers)
        plain = DECODERS[coding](stored, LARGEST) if coding else stored
        if plain is None:
            return answer, Reader(Body.of(stored), 0)
        body = Body.of(carries.body(plain))
        headers = carries.head(answer.status, answer.headers, body.size_bytes, DECODERS)
        return replace(answer, headers=headers), Reader(body, 0)

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
        path: str,
        send: Send,
        viewer: Viewer,
        told: bytes | None,
        slicing: Slicing | None,
    ) -> None:
        answered(record, answer, self.clock(), path)
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

    # ---- the admin's side --------------------------------------------------------------------------------------

    async def purge(self, order: PurgeOrder) -> Purged:
        """Take away, or make stale, what the order names: at once, and for good when this returns."""
        (purged,) = await self.purge_all([order])
        return purged

    async def purge_all(self, orders: Sequence[PurgeOrder], mark: str | None = None) -> list[Purged]:
        """As `purge`, one after the other; `mark` is left in the store when all are carried out for good."""
        if self.tier is not None and orders:
            # First there: what is asked of it from now on is not what the orders are to take away here.
            await self.tier.mark([mark for order in orders for mark in self.machine.marks_left_by(order)])
        done = [self._purge(order) for order in orders]
        lasting = await self.store.settled(mark)
        for purged in done:
            purged.lasting = lasting
        return done

    def _purge(self, order: PurgeOrder) -> Purged:
        now = self.clock()
        purged = self.machine.on_purge(order, now)
        if purged.everything:
            self.store.empty()
        else:
            self.store.drop(purged.dropped)
        for entry in purged.changed:
            self.store.changed(entry)
        self.records.add(
            PurgeRecord(
                self.name, self.machine.events, now, order.kind.value, self.blind.order(order), order.soft, purged.count
            )
        )
        return purged

    async def _purge_asked(self, asked: PurgeOrder | Refusal, send: Send) -> None:
        """Answers a `PURGE` request as Fastly does; here and at the shields it is carried out when the answer goes."""
        status, said = 200, {"status": "ok", "id": f"0-{int(self.clock())}-{self.machine.events}"}
        if isinstance(asked, Refusal):
            status, said = asked.status, {"msg": asked.reason.removeprefix("purge: ")}
        else:
            await self.purge(asked)
            try:
                if self.spread is not None:
                    await self.spread(asked)
            except BadOrder as error:
                status, said = 400, {"msg": str(error)}
            except LogLost as lost:
                status, said = 503, {"msg": f"purged on this node alone: {lost}"}
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
        self.records.close()


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
