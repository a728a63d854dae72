"""Plain requests, as a front reads them: answered at once where that is possible (`cdnkit/serving/front.py`).

A plain hit and a refusal take the short way: nothing is made anew but what differs from request to request. All others
go the way of the requests that hypercorn reads.
"""

from starlette.types import Scope

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.place import NOWHERE
from cdnkit.policy.machine.short_way import Alike
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import Assemble, Refuse, Serve
from cdnkit.serving import Client, Fields, Later, Whole, field_block, status_block, status_line
from edge.collector import leave_out
from edge.driver import DEBUG, Driver
from edge.services import DECIDED, Services
from edge.short import Recorded, Short
from edge.viewers import Viewers
from edge.waiter import Waiter
from edge.wakes import Wakes
from edge.whole import whole_of
from edge.wire import field_lines


class AtOnce:
    """The services of a node, as an application that answers at once what it can."""

    def __init__(self, services: Services, viewers: Viewers) -> None:
        self._services = services
        self._viewers = viewers
        self._wakes = Wakes()

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole | Later | Scope:
        asker: _Asker | None = client.known
        if asker is None or asker.fields is not fields or asker.method != method:
            asker = client.known = self.asker(method, fields, client)
        short = asker.short
        found = None if short is None else short.answer(target)
        if isinstance(found, Recorded):
            return found
        driver, path, mark, query = asker.driver, *target.partition("?")
        request = asker.request.with_target(path, query if mark else None, asker.request.headers)
        request.head_bytes += len(target)
        if short is None:
            decided = driver.decide(request)
        else:
            now = driver.clock()
            plan = None if found is None else short.missing(found, target, now)
            if plan is None:
                plan = driver.machine.on_request(request, now)
                if type(plan) is Refuse and plan.refusal is not None:
                    return short.refusal(plan, request, len(target), now)
                plain = driver.hit(request, plan, now)
                if plain is not None:
                    served, body, record = plain
                    head = _prepared_block(served) if client.version == "2" else _prepared_lines(served)
                    return Recorded(head, body, record, driver.recorder)
            decided = driver.decided(request, plan, now)
        response = driver.at_once(decided)
        if response is not None:
            return whole_of(decided, response)
        if isinstance(decided.plan, Assemble | Refuse):
            return {"type": "http", "path": path, DECIDED: decided}
        return Waiter(decided, self._wakes)

    def asker(self, method: str, fields: Fields, client: Client) -> "_Asker":
        """What all such requests of this client have in common."""
        known: _Section = fields.known or self._read(fields)
        viewers = self._viewers
        client_ip = viewers.address(client.address, known.headers)
        driver, misdirected = known.selected or self._select(known, client)
        request = RequestHead(
            method, client.scheme, known.host, "/", None, known.headers, client_ip,
            viewers.place_of(client_ip) if driver.faces_viewers else NOWHERE, client.port,
            len(method) + known.size_bytes, known.count, viewers.is_trusted(client.address), None, client.version,
            client.address, misdirected,
        )  # fmt: skip
        alike = None if known.debug else driver.machine.short_way.alike(request)
        return _Asker(method, fields, driver, request, alike)

    @staticmethod
    def _read(fields: Fields) -> "_Section":
        known = fields.known = _Section(fields)
        return known

    def _select(self, known: "_Section", client: Client) -> tuple[Driver, Refusal | None]:
        selected = self._services.selected(known.host, known.headers, client.address, client.tls_names)
        if client.tls_names is None and self._services.faces_viewers:
            known.selected = selected  # by its host alone
        return selected


class _Asker:
    """What all requests with these fields and this method on one connection have in common."""

    __slots__ = ("alike", "driver", "fields", "method", "request", "short")

    def __init__(self, method: str, fields: Fields, driver: Driver, request: RequestHead, alike: Alike | None) -> None:
        """`alike`: None where all of them take the long way."""
        self.method = method
        self.fields = fields
        self.driver = driver
        self.request = request
        """One of them, with the target "/", and measured without one."""
        self.alike = alike
        self.short = None if alike is None else Short(driver, alike)


class _Section:
    """What all requests with these fields have in common."""

    __slots__ = ("count", "debug", "headers", "host", "selected", "size_bytes")

    def __init__(self, fields: Fields) -> None:
        self.headers = Headers.remembered(fields.lines)
        self.host = fields.host
        self.count = len(fields.lines)
        self.size_bytes = 14 + sum(len(name) + len(value) + 4 for name, value in fields.lines)
        self.debug = DEBUG in self.headers
        self.selected: tuple[Driver, Refusal | None] | None = None


def _prepared_lines(served: Serve) -> bytes:
    """The head of a plain hit; most of it was made for an earlier one."""
    entry = served.entry
    head = entry.prepared_bytes
    if not head:
        leave_out(entry.prepared)
        head = entry.prepared_bytes = status_line(entry.status) + field_lines(entry.prepared)
    if len(served.headers) > len(entry.prepared):
        head += field_lines(served.headers[len(entry.prepared) :])
    return head


def _prepared_block(served: Serve) -> bytes:
    """The same for HTTP/2."""
    entry = served.entry
    head = entry.prepared_block
    if not head:
        leave_out(entry.prepared)
        head = entry.prepared_block = status_block(entry.status) + field_block(entry.prepared)
    if len(served.headers) > len(entry.prepared):
        head += field_block(served.headers[len(entry.prepared) :])
    return head
