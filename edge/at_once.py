"""Plain requests, as a front reads them: answered at once where that is possible (`cdnkit/serving/front.py`)."""

from starlette.types import Scope

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.place import NOWHERE
from cdnkit.policy.plan import Refuse, Serve
from cdnkit.serving import Client, Fields, Whole, status_line
from edge.driver import Decided
from edge.response import Response
from edge.services import DECIDED, Services
from edge.viewers import Viewers


class AtOnce:
    """The services of a node, as an application that answers at once what it can."""

    def __init__(self, services: Services, viewers: Viewers) -> None:
        self._services = services
        self._viewers = viewers

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole | Scope:
        known = fields.known
        if known is None:
            known = fields.known = _Known(fields)
        headers = known.headers
        path, mark, query = target.partition("?")
        viewers = self._viewers
        client_ip = viewers.address(client.address, headers)
        driver, misdirected = self._services.selected(fields.host, headers, client.address, client.tls_names)
        request = RequestHead(
            method, client.scheme, fields.host, path, query if mark else None, headers, client_ip,
            viewers.place_of(client_ip) if driver.machine.service.gate else NOWHERE, client.port,
            len(method) + len(target) + known.size_bytes, known.count,
            viewers.is_trusted(client.address), None, "1.1", client.address, misdirected,
        )  # fmt: skip
        decided = driver.decide(request)
        response = driver.at_once(decided)
        if response is None:
            return {"type": "http", "path": path, DECIDED: decided}
        return self._whole(decided, response)

    def _whole(self, decided: Decided, response: Response) -> Whole:
        head, driver = response.head, decided.driver
        lines = [status_line(head.status)]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in head.headers]
        body: bytes | memoryview = response.whole
        if isinstance(head, Refuse):
            if head.status != 204:
                lines.append(b"content-length: %d\r\n" % len(head.body))
            body = b"" if decided.request.method == "HEAD" else head.body
        elif isinstance(head, Serve) and head.span is not None and head.body:
            body = memoryview(body)[head.span.start : head.span.stop]

        def done(sent: int, why: str | None) -> None:
            driver.written(decided, sent, why)

        return Whole(b"".join(lines), body, done, ends=("connection", "close") in head.headers)


class _Known:
    """What is the same in every request with these fields."""

    __slots__ = ("count", "headers", "size_bytes")

    def __init__(self, fields: Fields) -> None:
        self.headers = Headers.wrap(fields.lines)
        self.count = len(fields.lines)
        self.size_bytes = 14 + sum(len(name) + len(value) + 4 for name, value in fields.lines)
