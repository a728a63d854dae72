"""The edge over HTTP. One `Driver` asks one `EdgeMachine` what to do with each request, and does it.

The life of a request, from top to bottom:

    request_of        the ASGI scope, read                                       requests.py
    PurgeRequests     a `PURGE` is carried out, and that is all                  purges/requests.py
    on_request        what is to be done with it                                 cdnkit/policy/machine
    Responses         the plan carried out: a stored response, or a fill's       responses.py, fills.py, tickets.py
    Blocks            ... or a response assembled from slices                    slices.py
    with_token        a playlist goes out with the viewer's token                token_children.py
    deliver           head and body, sent                                        delivery.py
    Recorder          a line that says what happened                             recorder.py
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cdnkit.policy.http.content import has_content
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Assemble, Fetch, Join, Plan, Serve
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.serving import GONE, INTERIM, Left, Stalled
from cdnkit.settings.edge import Limits
from edge.delivery import FieldBytes, Send, deliver, field_bytes
from edge.fills import Fills
from edge.log import RecordLog
from edge.parents import Parents
from edge.purges.node import NodePurges
from edge.purges.requests import PurgeRequests
from edge.recorder import Recorder
from edge.requests import Scope, content_of, request_of
from edge.response import Response
from edge.responses import Responses
from edge.slices import AssembledResponse, Blocks
from edge.stored_bodies import StoredBodies
from edge.stores import Store
from edge.tickets import Recipient, Tickets
from edge.token_children import passes_unchanged, with_token
from edge.viewer import Receive, Viewer
from edge.viewers import Viewers

if TYPE_CHECKING:
    from edge.stores.shared import SharedTier

DEBUG = "cdnlab-debug"
"""A request field of trusted clients: a response field of the same name says what `cdnlab explain` would."""


@dataclass(slots=True)
class Decided:
    """A request of which the machine has decided what is to be done."""

    driver: "Driver"
    request: RequestHead
    public: RequestHead
    """Without its token."""
    plan: Plan
    record: RequestRecord
    debug: FieldBytes | None
    begun: Response | None = None
    """The response, where it is there, but could not go out at once."""


class Driver:
    """One service of a node: an ASGI application over an `EdgeMachine`."""

    def __init__(
        self,
        machine: EdgeMachine,
        parents: Parents,
        viewers: Viewers,
        log: RecordLog,
        clock: Callable[[], float],
        store: Store,
        tier: "SharedTier | None",
        limits: Limits,
    ) -> None:
        """`store`: where bodies are kept; the machine gets back what it recovers. `tier`: asked before the parents.
        `limits`: those of a request's content."""
        self.machine = machine
        self.faces_viewers = machine.service.gate
        self.parents = parents
        self.log = log
        self.clock = clock
        self.store = store
        self._viewers = viewers
        self._tier = tier
        self._limits = limits
        self.recorder = Recorder(machine, log, clock)
        bodies, tickets = StoredBodies(machine, store), Tickets()
        self.bodies = bodies
        self._fills = Fills(machine, parents, tier, bodies, tickets, self.recorder, clock)
        self._responses = Responses(machine, bodies, self._fills, tickets, clock)
        self._blocks = Blocks(machine, self._responses, self.recorder, clock)
        self.purges = NodePurges(machine, store, self.bodies, tier, self.recorder, clock)
        self.purge_requests = PurgeRequests(machine, self.purges, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope, self._viewers, placed=self.machine.service.gate)
        order = self.purge_requests.order_in(request)
        if order is not None:
            await self.purge_requests.respond(order, send)
            return
        await self.carry_out(self.decide(request), scope, receive, send)

    def hit(self, request: RequestHead, plan: Plan, now: float) -> tuple[Serve, bytes, RequestRecord] | None:
        """A plain hit with its body; None: it is something else, or its body is not at hand."""
        if type(plan) is not Serve or not plan.prepared:
            return None
        admitted = plan.admitted
        if admitted is not None and admitted.inherited is not None:
            return None
        whole = self.bodies.whole(plan.entry) if plan.body else b""
        if whole is None:
            return None
        return plan, whole, self.recorder.hit(request if admitted is None else admitted.public, plan, now)

    def decide(self, request: RequestHead) -> Decided:
        """What to do with a request that is no purge; `at_once`, `wait` or `carry_out` must follow."""
        now = self.clock()
        debug = self._debug(request, now)
        return self.decided(request, self.machine.on_request(request, now), now, debug)

    def decided(self, request: RequestHead, plan: Plan, now: float, debug: FieldBytes | None = None) -> Decided:
        public = request if plan.admitted is None else plan.admitted.public
        return Decided(self, request, public, plan, self.recorder.request(public, plan, now), debug)

    def at_once(self, decided: Decided) -> Response | None:
        """The response, if nothing of it has to be waited for: `written` must follow. None: `wait` or `carry_out`
        must, or there is something in `begun` from which to go on."""
        plan = decided.plan
        if isinstance(plan, Assemble):
            return None
        response = self._responses.at_once(plan)
        if (
            response is None
            or decided.debug is not None
            or (plan.admitted is not None and not passes_unchanged(plan.admitted.inherited, response))
        ):
            if isinstance(plan, Serve):
                decided.begun = self._responses.begin(plan)
            return None
        self.recorder.responded(decided.record, response, decided.public.path)
        return response

    def wait(self, decided: Decided, recipient: Recipient) -> None:
        """Have the response that is not there yet given to `recipient`."""
        assert isinstance(decided.plan, Fetch | Join)
        self._responses.wait(decided.plan, recipient)

    def stop_waiting(self, decided: Decided) -> None:
        """The client has left."""
        if isinstance(decided.plan, Fetch | Join):
            self._responses.stop_waiting(decided.plan)

    def written(self, decided: Decided, sent: int, why: str | None) -> None:
        """The client took so many bytes of the body, and (`why`, which may be "") left before it had all."""
        record = decided.record
        record.bytes_sent = sent
        if why is not None:
            record.aborted, record.reason = True, why or record.reason
        self.recorder.write(record, decided.public)

    async def carry_out(self, decided: Decided, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request as was decided."""
        request, public, plan = decided.request, decided.public, decided.plan
        record, debug = decided.record, decided.debug
        extensions = scope.get("extensions", {})
        viewer = Viewer(receive, extensions.get(INTERIM), extensions.get(GONE))
        assembled: AssembledResponse | None = None
        response: Response | None = None
        try:
            if isinstance(plan, Assemble):
                assembled = AssembledResponse(self._blocks, viewer, plan.assembly, record)
                response = await assembled.begin()
            else:
                content = content_of(receive, self._limits) if has_content(request) else None
                response = await self._responses.get(request, plan, viewer, content, decided.begun)
            if response is None:
                record.aborted = True
                return
            if plan.admitted is not None and plan.admitted.inherited is not None:
                response = await with_token(plan.admitted.inherited, response)
            self.recorder.responded(record, response, public.path)
            await deliver(response, viewer, send, record, also=debug)
        except Left as left:
            record.aborted = True
            if isinstance(left, Stalled):
                record.reason = f"viewer: {left}"
        finally:
            viewer.leave()
            if assembled is not None:
                assembled.leave()
            if response is not None:
                response.leave()
            self.recorder.write(record, public)

    def unreadable(self, status: int, reason: str) -> tuple[int, FieldBytes, bytes]:
        """The response to what could not be read as a request: a `cdnkit.serving.Page`, signed as all responses are."""
        refusal = self.machine.unreadable(status, reason, self.clock())
        return refusal.status, field_bytes(refusal.headers), refusal.body

    async def close(self) -> None:
        """Stop the fills and hang up on the parents."""
        await self._fills.close()
        await self.parents.close()
        await self.store.close()
        if self._tier is not None:
            await self._tier.close()
        self.log.close()

    def tables(self) -> Iterator[object]:
        """The tables that have all that is stored, which the collector of cycles need not walk over."""
        yield from self.machine.index.tables()
        yield from vars(self.machine.room).values()
        yield from self.store.tables()

    def _debug(self, request: RequestHead, now: float) -> FieldBytes | None:
        """What `explain` says of this request before it is decided, for a trusted client that asks; a line of JSON."""
        if DEBUG not in request.headers or not request.trusted:
            return None
        explained = json.dumps(explain(self.machine, replace(request), now), separators=(",", ":"))
        return [(DEBUG.encode(), explained.encode("ascii"))]
