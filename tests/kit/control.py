"""An origin, a shield, an edge behind it and the control API over both: real servers, for real clients."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.serving import Listener, bind, url_of
from cdnkit.vendors.cloudfront.distribution import Translated
from cdnlab.control.app import ControlApi
from cdnlab.control.fleet import Fleet
from cdnlab.control.settings import Control
from cdnlab.control.takeover import check_origins, gates_lost
from edge.purges.log import PurgeLog, open_log
from tests.kit.node import Running, running_node
from tests.kit.origin import Origin, running_origin


class Deployed:
    """The cluster's side of distributions: what it was told to run, in order."""

    def __init__(self) -> None:
        self.told: list[Translated | None] = []

    def domain(self) -> str:
        return "127.0.0.1:8081"

    def https(self) -> bool:
        return False

    async def check(self, distribution: Translated) -> None:
        await check_origins(distribution, {("127.0.0.1", 8081)})

    def gates_lost(self, distribution: Translated) -> list[str]:
        return gates_lost([Behavior(path="/live/*", token="viewer", geo=Geo(allow=("DE",)))], distribution)

    async def deploy(self, distribution: Translated | None) -> None:
        self.told.append(distribution)


@dataclass
class Lab:
    """What a test has in its hands."""

    origin: Origin
    shield: Running
    edge: Running
    control: str
    """URL of the control API."""
    log: PurgeLog
    """Where its orders go."""
    deployed: Deployed

    def boto(self, **changed: Any) -> Any:
        """boto3's CloudFront client as a user makes it."""
        known = {"aws_access_key_id": "cdnlab", "aws_secret_access_key": "cdnlab", "region_name": "us-east-1"}
        once = Config(retries={"total_max_attempts": 1})
        return boto3.client("cloudfront", endpoint_url=self.control, config=once, **known | changed)

    async def fetched(self, target: str) -> int:
        """How often the origin was asked for it, after one more request at the edge."""
        assert (await self.edge.get(target)).status == 200
        return self.origin.count[target]


@asynccontextmanager
async def running_lab(
    *behaviors: Behavior,
    profile: Profile = RFC9111,
    settings: Control | None = None,
    clock: Callable[[], float] | None = None,
    **service: Any,
) -> AsyncIterator[Lab]:
    """`service` goes to the rules of both nodes."""
    with tempfile.TemporaryDirectory() as folder:
        where = f"{folder}/purges.sqlite3"
        more: dict[str, Any] = {"profile": profile, "purge_log": where}
        async with (
            running_origin() as origin,
            running_node(origin.url, *behaviors, name="shield", service=service | {"gate": False}, **more) as shield,
            running_node(shield.url, *behaviors, name="fra", service=service, **more) as edge,
        ):
            log = open_log(where)
            fleet = Fleet(log, ["shield", "fra"])
            deployed = Deployed()
            api = ControlApi(settings or Control(), fleet, deployed, clock)
            socket = bind("127.0.0.1:0", "control.listen")
            listener = Listener(api.app, logging.getLogger("cdnlab.control"))
            await listener.start(socket)
            try:
                yield Lab(origin, shield, edge, url_of(socket), log, deployed)
            finally:
                await listener.close()
                await api.close()
                await log.close()


def lab(test: Callable[[Lab], Awaitable[None]], **settings: Any) -> None:
    """Runs a test in a lab of its own."""

    async def run() -> None:
        async with running_lab(**settings) as one:
            await test(one)

    asyncio.run(run())
