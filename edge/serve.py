"""One cache node as a running server: its listener, its admin listener, its records."""

import asyncio
import logging
import secrets as randomness
from collections.abc import Callable, Mapping
from pathlib import Path

from edge.admin import admin_app
from edge.clock import Clock
from edge.countries import Countries
from edge.driver import Driver
from edge.keys import read_keys
from edge.log import RecordLog
from edge.settings import Node
from edge.upstream import Upstream
from listening import Listener, PortInUse, bind, url_of
from policy.access import ServiceGate
from policy.machine import EdgeMachine
from policy.profile import RFC9111, Profile
from policy.service import Service

logger = logging.getLogger("cdnlab.edge")


async def serve(
    node: Node,
    service: Service,
    *,
    parent: str,
    records: Path | None,
    shutdown: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
    countries: Mapping[str, str] | None = None,
    profile: Profile = RFC9111,
) -> None:
    """Run one node until `shutdown`; `ready` hears its URLs once it accepts connections.

    `parent` is the URL of the shield or origin it asks; `countries` maps networks to ISO 3166-1 codes.
    PortInUse and BadKeyFile are raised before anything is served.
    """
    service = service.model_copy(update={"name": node.name, "room": node.memory, "largest": node.largest})
    gate = ServiceGate(service, read_keys(service))
    viewers = bind(node.listen, f"node {node.name}: listen")
    try:
        operators = bind(node.admin, f"node {node.name}: admin")
    except PortInUse:
        viewers.close()
        raise
    urls = {"url": url_of(viewers), "admin": url_of(operators)}
    log = RecordLog(records)
    who = Countries(countries or {}, node.trusted)
    upstream = Upstream(parent, node.timeouts, node.connections, http=node.parent_http)
    driver = Driver(EdgeMachine(service, profile, gate=gate, fresh_id=_request_id), upstream, who, log, Clock())
    flusher = asyncio.create_task(log.keep_flushing())
    # Date belongs to the stored response: a second or newer one would corrupt its age downstream.
    front = Listener(driver, logger, date_header=False)
    back = Listener(admin_app(driver, who), logger)
    try:
        await front.start(viewers)
        await back.start(operators)
        ready({"ready": node.name, **urls, "parent": parent})
        await shutdown.wait()
    finally:
        flusher.cancel()
        await asyncio.gather(front.close(), back.close())
        await driver.close()


def _request_id() -> str:
    """56 characters as CloudFront's are, the last two "=="."""
    return randomness.token_urlsafe(40) + "=="
