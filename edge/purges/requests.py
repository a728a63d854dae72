"""`PURGE` requests, which come where viewers come: carried out on this node, and ordered of all others.

Which requests those are, `cdnkit/policy/machine/purge_requests.py` says. The responses are in Fastly's words.
"""

import json
from collections.abc import Awaitable, Callable

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.machine.purge_requests import purge_request
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import PurgeOrder
from cdnkit.vendors import purge_method_of
from edge.delivery import Send, send_page
from edge.purges.log import LogLost
from edge.purges.node import NodePurges
from edge.purges.order import BadOrder


class PurgeRequests:
    """The `PURGE` requests to one node, or to one of its services."""

    def __init__(self, machine: EdgeMachine, purges: NodePurges, clock: Callable[[], float]) -> None:
        self._machine = machine
        self._purges = purges
        self._clock = clock
        self._how = purge_method_of(machine.profile)
        self.spread: Callable[[PurgeOrder], Awaitable[None]] | None = None
        """Orders the same of every node; it may raise LogLost or BadOrder. None: this node stands alone."""

    def order_in(self, request: RequestHead) -> PurgeOrder | Refusal | None:
        """What the request orders, or why it may not; None: it is for the cache, like any other."""
        if request.method != self._how.method:
            return None
        return purge_request(request, self._machine.service, self._machine.profile, self._how)

    async def respond(self, order: PurgeOrder | Refusal, send: Send) -> None:
        """Carry the order out, and respond when that is done here and at the shields."""
        status, page = 200, {"status": "ok", "id": f"0-{int(self._clock())}-{self._machine.events}"}
        if isinstance(order, Refusal):
            status, page = order.status, {"msg": order.reason}
        else:
            await self._purges.carry_out([order])
            try:
                if self.spread is not None:
                    await self.spread(order)
            except BadOrder as error:
                status, page = 400, {"msg": str(error)}
            except LogLost as lost:
                status, page = 503, {"msg": f"purged on this node alone: {lost}"}
        await send_page(send, status, b"application/json", json.dumps(page).encode())
