"""What the lead tells aside: the stored response by which the worker could have answered, and nothing for any other."""

import asyncio
from typing import Any

import pytest

from cdnkit.policy.gate.hosts import DEFAULT, Hosts
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.store.changes import Changes, cells_needed
from cdnkit.serving import ASIDE, Client, Fields
from cdnkit.settings.edge import Limits, Whereabouts
from edge.at_once import AtOnce
from edge.driver import Driver
from edge.log import RecordLog
from edge.parents import Parents
from edge.services import Services
from edge.stores import MemoryStore
from edge.viewers import Viewers
from edge.workers.asides import SMALL_BYTES, read_aside
from edge.workers.front import scope_of
from edge.workers.lead import Lead
from tests.kit.machine import NOW, fill, get, says

HOST = ("host", "h")
ROWS = [  # target, fields, and the key of what is told
    ("/a", [HOST], "/a"),
    ("/a", [HOST, ("range", "bytes=0-1")], "/a"),
    ("/a?", [HOST], "/a?"),
    ("/big", [HOST], None),  # it is nowhere that others find it
    ("/stale", [HOST], None),
    ("/a", [HOST, ("cache-control", "no-cache")], None),
    ("/a", [HOST, ("cdnlab-debug", "1")], None),
    ("/a", [HOST, HOST], None),
    ("/none", [HOST], None),
]


@pytest.mark.parametrize(("target", "fields", "key"), ROWS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_told_aside(target: str, fields: list[tuple[str, str]], key: str | None, method: str) -> None:
    async def run() -> list[Any]:
        machine = EdgeMachine(Service(name="fra", behaviors=(Behavior(path="*"),)))
        viewers = Viewers(Whereabouts(), trusted=(), believed=())
        store = MemoryStore()
        driver = Driver(machine, Parents(()), viewers, RecordLog(None), lambda: NOW + 2, store, None, Limits())
        for path, query, age, size in (
            ("/a", None, 60, 10),
            ("/a", "", 60, 5),
            ("/stale", None, 1, 5),
            ("/big", None, 60, 0),
        ):
            body = b"b" * (size or SMALL_BYTES + 1)
            landing = fill(machine, get(path, query=query), says(cache_control=f"max-age={age}", etag='"1"'), len(body))
            assert landing.store is not None
            coming = store.begin(landing.store)
            coming.write(body)
            coming.finish()
            store.keep(landing.store)
        services = Services({DEFAULT: driver}, Hosts({DEFAULT: ()}), viewers)
        changes = Changes(memoryview(bytearray(8 * cells_needed(1))).cast("Q"), 1)
        lead = Lead(services, AtOnce(services, viewers), changes)
        scope = scope_of(method, target, Fields(fields, "h", closes=False), Client("192.0.2.1", 5, "http", None))
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def answered(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        lead._services = answered  # type: ignore[assignment]
        await lead(scope | {"extensions": {}}, None, send)  # type: ignore[arg-type]
        return sent

    (start,) = asyncio.run(run())
    assert (ASIDE in start) is (key is not None)
    if key is not None:
        told = read_aside(start[ASIDE])
        assert told.values["key"] == key
        assert told.body == b"b" * (10 if key == "/a" else 5)
