"""Several services on one node: each with a machine, a store and records of its own; a request's host says which.

Host, :authority, SNI  ->  policy/hosting.py  ->  the service's `Driver`
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from edge.driver import ASTRAY, Driver
from edge.viewers import Viewers
from listening import SHOWN
from policy.hosting import DEFAULT, Hosts, misdirected, unknown
from policy.messages import RequestHead, target_of
from policy.plan import Purged, PurgeKind, PurgeOrder
from policy.profile import Profile
from policy.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SERVICE = b"cdnlab-service"
"""A field in which an edge names the service to its shield, which is asked by its own address, whatever the viewer's
host was."""


@dataclass(frozen=True)
class Hosted:
    """One of the services of a node."""

    name: str
    hostnames: tuple[str, ...]
    service: Service
    profile: Profile
    parents: tuple[str, ...]
    """URLs of those it asks, in order."""


class Services:
    """All services of a node behind its listeners: an ASGI application over their drivers."""

    def __init__(self, drivers: Mapping[str, Driver], hosts: Hosts, viewers: Viewers) -> None:
        """`drivers` by the service's name, `DEFAULT` among them."""
        self.drivers = drivers
        self.default = drivers[DEFAULT]
        self._hosts = hosts
        self._viewers = viewers
        self._faces_viewers = self.default.machine.service.gate
        self._profile = self.default.machine.profile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        shown = scope.get("extensions", {}).get(SHOWN)
        astray = None if shown is None else misdirected(host, *shown)
        service: str | None = DEFAULT
        if self._faces_viewers:
            service = self._hosts.service_of(host)
            if service is None and astray is None:
                astray = unknown(host, self._profile.unknown_host)
        elif scope.get("client") and self._viewers.is_trusted(scope["client"][0]):
            named = next((value for name, value in scope["headers"] if name == SERVICE), b"").decode("latin-1")
            service = named if named in self.drivers else DEFAULT
        if astray is not None:
            scope[ASTRAY] = astray
        await self.drivers[service or DEFAULT](scope, receive, send)

    def of(self, request: RequestHead) -> tuple[str, Driver]:
        """Who would answer a request for its host; one that is nobody's is marked as such."""
        service = self._hosts.service_of(request.host)
        if service is None and self._faces_viewers:
            request.astray = unknown(request.host, self._profile.unknown_host)
        return service or DEFAULT, self.drivers[service or DEFAULT]

    async def purge(self, order: PurgeOrder, service: str | None = None) -> Purged:
        """Has an order carried out by a service; None: by the one that has the URL's host by name, else by all."""
        if service is None and order.kind in (PurgeKind.URL, PurgeKind.PREFIX):
            service = self._hosts.named(target_of(order.value).host)
        drivers = self.drivers.values() if service is None else [self.drivers[service]]
        results = [await driver.purge(order) for driver in drivers]
        return Purged(sum(one.count for one in results), [], lasting=all(one.lasting for one in results))
