"""A real cache node in the test's own loop, on ports of its own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.settings.edge import Node, Whereabouts
from cdnkit.vendors import PROFILES
from edge.serve import serve
from edge.services import Hosted
from tests.kit.http import Reply, ask

WORKERS = int(os.environ.get("CDNLAB_TEST_WORKERS", "1"))
"""Processes of each node that can have several, where a test does not say how many."""


@dataclass
class Running:
    """A node that serves."""

    url: str
    admin: str
    records_path: Path | None
    shutdown: asyncio.Event
    task: "asyncio.Task[None]"
    ready: dict[str, Any]
    """All that it said when it began to serve."""

    async def get(self, target: str, **fields: str) -> Reply:
        return await ask(self.url, target, **fields)

    async def purge(self, **order: Any) -> dict[str, Any]:
        reply = await ask(self.admin, "/purge", method="POST", body=json.dumps(order).encode())
        return {"status": reply.status, **json.loads(reply.body)}

    async def health(self) -> dict[str, Any]:
        return json.loads((await ask(self.admin, "/healthz")).body)

    async def stop(self) -> None:
        self.shutdown.set()
        await self.task

    def records(self) -> list[dict[str, Any]]:
        assert self.records_path is not None
        return [json.loads(line) for line in self.records_path.read_text().splitlines()]


@asynccontextmanager
async def running_node(
    parent: str,
    *behaviors: Behavior,
    name: str = "fra",
    records: Path | None = None,
    records_room: str = "2GiB",
    profile: Profile = RFC9111,
    countries: dict[str, str] | None = None,
    geo: Whereabouts | None = None,
    service: dict[str, Any] | None = None,
    others: Sequence[str] = (),
    clock: Callable[[], float] | None = None,
    purge_log: str | None = None,
    hosted: Sequence[Hosted] = (),
    hostnames: Sequence[str] = (),
    **settings: Any,
) -> AsyncIterator[Running]:
    """A node in front of `parent`; `settings` go to `Node`, `service` to `Service`; `countries`: a short `geo`."""
    if WORKERS > 1 and clock is None and profile in PROFILES.values() and settings.get("front", True):
        settings.setdefault("workers", WORKERS)
    told: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
    shutdown = asyncio.Event()
    rules = Service(behaviors=behaviors or (Behavior(path="*"),), **(service or {}))
    node_runs = serve(
        Node.model_validate({"name": name, "records": records_room, **settings}),
        rules,
        parent=parent,
        records=records,
        shutdown=shutdown,
        ready=told.set_result,
        geo=geo or Whereabouts(countries=countries or {}),
        profile=profile,
        others=others,
        clock=clock,
        purge_log=purge_log,
        hosted=hosted,
        hostnames=hostnames,
    )
    task = asyncio.create_task(node_runs)
    await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    ready = told.result()
    node = Running(str(ready["url"]), str(ready["admin"]), records, shutdown, task, ready)
    try:
        yield node
    finally:
        await node.stop()
