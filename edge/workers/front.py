"""A worker's connections: what the short way answers is answered here, with copies; all else is passed on."""

from collections.abc import Callable
from typing import Any

from cdnkit.serving import EMPTY_QUERY, Client, Fields, Whole
from edge.at_once import AtOnce
from edge.driver import Driver
from edge.services import Services
from edge.short import Recorded
from edge.viewers import Viewers
from edge.workers.replica import Replicas

TOLD_HITS = 256
"""Hits of which the lead is told at once; of fewer it is told later (`TOLD_S`)."""


class WorkerFront(AtOnce):
    """The services of a node, as one of its workers has them."""

    def __init__(self, services: Services, viewers: Viewers, replicas: Replicas, tell: Callable[[], None]) -> None:
        """`tell`: called now and then, when there is something to tell the lead."""
        super().__init__(services, viewers)
        self._replicas = replicas
        self._tell = tell
        self._numbers: dict[Driver, int] = {one: number for number, one in enumerate(services.drivers.values())}
        self.hits = 0

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole | Any:
        asker = client.known
        if asker is None or asker.fields is not fields or asker.method != method:
            asker = client.known = self.asker(method, fields, client)
        if asker.short is not None:
            self._replicas.catch_up(self._numbers[asker.driver])
            answer = asker.short.answer(target)
            if isinstance(answer, Recorded):
                self.hits += 1
                if not self.hits % TOLD_HITS:
                    self._tell()
                return answer
        return scope_of(method, target, fields, client)


def scope_of(method: str, target: str, fields: Fields, client: Client) -> dict[str, Any]:
    """The scope that hypercorn would make of the request."""
    path, mark, query = target.encode("ascii").partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": client.version,
        "method": method,
        "scheme": client.scheme,
        "path": path.decode("ascii"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.lines],
        "client": (client.address, client.port),
        "server": None,
        "state": {EMPTY_QUERY: True} if mark and not query else {},
    }
