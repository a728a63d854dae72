"""From the machine's plan to a response that is ready to go out, however long that takes."""

from collections.abc import AsyncIterator, Callable

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Assemble, Decision, Fetch, Join, Plan, Refuse, Serve
from edge.fills import Fills
from edge.response import Response
from edge.stored_bodies import StoredBodies, reader_of
from edge.tickets import Recipient, Tickets
from edge.viewer import Viewer


class Responses:
    """Carries out plans: starts fills, waits for their landings, loads bodies."""

    def __init__(
        self,
        machine: EdgeMachine,
        bodies: StoredBodies,
        fills: Fills,
        tickets: Tickets,
        clock: Callable[[], float],
    ) -> None:
        """`tickets`: those that the fills resolve."""
        self._machine = machine
        self._bodies = bodies
        self._fills = fills
        self._tickets = tickets
        self._clock = clock

    def at_once(self, plan: Decision) -> Response | None:
        """The response that this plan makes without any waiting, its body whole. None: there is no such, and `wait` or
        `get` must follow."""
        if isinstance(plan, Refuse):
            return Response(plan)
        if not isinstance(plan, Serve):
            return None
        if plan.pieces is not None or plan.refresh is not None:
            return None
        body = self._bodies.at_hand(plan.entry) if plan.body else None
        if plan.body and (body is None or body.whole is None):
            return None
        return Response(plan, whole=b"" if body is None else body.whole or b"")

    def wait(self, plan: Fetch | Join, recipient: Recipient) -> None:
        """Carry the plan out; the response is given to `recipient`."""
        self._tickets.give_to(plan.ticket, recipient)
        if isinstance(plan, Fetch):
            self._fills.start(plan)

    def stop_waiting(self, plan: Fetch | Join) -> None:
        self._tickets.close(plan.ticket)

    def begin(self, plan: Serve) -> Response:
        """The response, without a reader where the body is not at hand. As long as its reader is there, so is the body,
        whatever is purged meanwhile."""
        if plan.refresh is not None:
            self._fills.start(plan.refresh)
        return Response(plan, reader_of(plan, self._bodies.at_hand(plan.entry)) if plan.body else None)

    async def get(
        self,
        request: RequestHead,
        plan: Plan,
        viewer: Viewer,
        content: AsyncIterator[bytes] | None = None,
        begun: Response | None = None,
    ) -> Response | None:
        """The response to a request of which the machine made this plan; None if the viewer left first. `begun`: what
        `begin` made of the plan, if it was called."""
        while True:
            assert not isinstance(plan, Assemble)
            response, begun = begun or await self._carry_out(plan, viewer, content), None
            if response is None or response.reader is not None:
                return response
            head = response.head
            if not isinstance(head, Serve) or not head.body:
                return response
            response.reader = reader_of(head, await self._bodies.load(head.entry))
            if response.reader is not None:
                return response
            # The store has lost the body, so that the machine has forgotten the entry and decides anew.
            plan = self._machine.on_request(request, self._clock())

    async def _carry_out(self, plan: Decision, viewer: Viewer, content: AsyncIterator[bytes] | None) -> Response | None:
        """As `get`, without a reader where the body is not at hand."""
        if isinstance(plan, Refuse):
            return Response(plan)
        if isinstance(plan, Serve):
            return self.begin(plan)
        coming = self._tickets.open(plan.ticket, viewer.interim)
        if isinstance(plan, Fetch):
            self._fills.start(plan, content)
        try:
            # Whether the viewer is still there is noticed by whoever reads its connection: the fill, while it sends on
            # the request's content.
            if content is None and not await viewer.waits_for(coming):
                return None
            await coming
            return self._tickets.take(plan.ticket)
        finally:
            self._tickets.close(plan.ticket)
