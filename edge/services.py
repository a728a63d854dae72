"""Several services on one node, each with a machine, a store and records of its own: a request's host says which.

Host, :authority, SNI  ->  cdnkit/policy/gate/hosts.py  ->  the service's `Driver`
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cdnkit.policy.gate.hosts import DEFAULT, SERVICE, Hosts, misdirected, unknown
from cdnkit.policy.http.messages import Headers, RequestHead, get_for_url
from cdnkit.policy.http.target import origin_form
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import Purged, PurgeKind, PurgeOrder
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.serving import TLS_NAMES
from edge.driver import Decided, Driver
from edge.requests import MISDIRECTED
from edge.viewers import Viewers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


DECIDED = "cdnlab.decided"
"""A member of a scope: a `Decided`, where a front has read the request."""


@dataclass(frozen=True)
class Hosted:
    """One of the services of a node."""

    name: str
    hostnames: tuple[str, ...]
    service: Service
    profile: Profile
    parents: tuple[str, ...]
    """Their URLs, in the order in which they are asked."""


class Services:
    """All services of a node behind its listeners: an ASGI application over their drivers."""

    def __init__(self, drivers: Mapping[str, Driver], hosts: Hosts, viewers: Viewers) -> None:
        """`drivers` by the service's name, `DEFAULT` among them."""
        self.drivers = drivers
        self.default = drivers[DEFAULT]
        self._hosts = hosts
        self._viewers = viewers
        self.faces_viewers = self.default.machine.service.gate
        self._profile = self.default.machine.profile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        decided: Decided | None = scope.get(DECIDED)
        if decided is not None:
            await decided.driver.carry_out(decided, scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        host = origin_form((scope.get("raw_path") or b"/").decode("latin-1"), host)[1]
        fields = Headers.wrap([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        peer = (scope.get("client") or ("", 0))[0]
        driver, refusal = self.selected(host, fields, peer, scope.get("extensions", {}).get(TLS_NAMES))
        if refusal is not None:
            scope[MISDIRECTED] = refusal
        await driver(scope, receive, send)

    def selected(
        self, host: str, fields: Headers, peer: str, shown: tuple[str, frozenset[str]] | None
    ) -> tuple[Driver, Refusal | None]:
        """The driver of the service that a request is for, and why none should serve it here, if so.

        `shown`: over TLS, the name that the client asked for, and those of the certificate that it was shown."""
        if not self.faces_viewers:
            # Edges reach a shield by its own name, whatever host their viewers named.
            named = fields.first(SERVICE) if peer and self._viewers.is_trusted(peer) else None
            return self.drivers.get(named or DEFAULT, self.default), None
        refusal = None if shown is None else misdirected(host, *shown)
        service = self._hosts.service_of(host)
        if service is None and refusal is None:
            refusal = unknown(host, self._profile.unknown_host)
        return self.drivers[service or DEFAULT], refusal

    def of(self, request: RequestHead) -> tuple[str, Driver]:
        """The service for the request's host. A request for a host that no service has is marked as misdirected."""
        service = self._hosts.service_of(request.host)
        if service is None and self.faces_viewers:
            request.misdirected = unknown(request.host, self._profile.unknown_host)
        return service or DEFAULT, self.drivers[service or DEFAULT]

    def tables(self) -> Iterator[object]:
        """The tables of all services, as `Driver.tables`."""
        return chain.from_iterable(driver.tables() for driver in self.drivers.values())

    # ---- purges ------------------------------------------------------------------------------------------------

    def concerned(self, order: PurgeOrder) -> Collection[str]:
        """The services that carry an order out."""
        if order.service:
            return self.drivers.keys() & {order.service}
        if order.kind in (PurgeKind.URL, PurgeKind.PREFIX) and (host := get_for_url(order.value).host):
            return self._hosts.concerned(host)
        return self.drivers.keys()

    async def purge_all(self, orders: Sequence[PurgeOrder], mark: str | None = None) -> list[Purged]:
        """Carries them out, one after the other, in the services that they concern; `mark` is left in every store."""
        purged = [Purged(0, []) for _ in orders]
        for name, driver in self.drivers.items():
            here = [at for at, order in enumerate(orders) if name in self.concerned(order)]
            done = await driver.purges.carry_out([orders[at] for at in here], mark)
            for at, one in zip(here, done, strict=True):
                purged[at].count += one.count
                purged[at].lasting &= one.lasting
        return purged

    def is_empty(self) -> bool:
        """Whether nothing is stored."""
        return not any(len(driver.machine.index) for driver in self.drivers.values())

    def marks(self) -> list[str | None]:
        """The marks in all stores in which something is stored."""
        return [driver.store.mark() for driver in self.drivers.values() if len(driver.machine.index)]
