"""One cache node as a running server: its listener, its admin listener, its records."""

import asyncio
import logging
import secrets as randomness
import socket
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.admin import admin_app
from edge.checking import keep_checking
from edge.clock import Clock
from edge.codings import ENCODERS
from edge.driver import Driver
from edge.keys import read_keys
from edge.log import RecordLog
from edge.parents import Parent, Parents
from edge.purges.follower import Following
from edge.purges.log import open_log
from edge.settings import Node, Whereabouts
from edge.stores import MemoryStore
from edge.stores.opening import long_lived, open_disk, rules_of
from edge.tls import context_of
from edge.upstream import Upstream
from edge.viewers import Viewers
from listening import Listener, bind, url_of
from policy.access import ServiceGate
from policy.client import ClientField
from policy.eviction import room_for
from policy.machine import EdgeMachine
from policy.parent_headers import lines_of
from policy.profile import RFC9111, Profile, Waits
from policy.service import Service

if TYPE_CHECKING:
    from edge.stores.shared import SharedTier

logger = logging.getLogger("cdnlab.edge")


_BELIEVED: dict[bool, tuple[ClientField, ...]] = {
    True: ("CDNLab-Client-IP",),
    False: ("CDNLab-Client-IP", "X-Forwarded-For"),
}
"""Where viewers come, and at a shield: `client_from` where a node's settings leave it out."""


async def serve(
    node: Node,
    service: Service,
    *,
    parent: str,
    records: Path | None,
    shutdown: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
    geo: Whereabouts | None = None,
    profile: Profile = RFC9111,
    others: Sequence[str] = (),
    purge_log: str | None = None,
    clock: Callable[[], float] | None = None,
) -> None:
    """Run one node until `shutdown`; `ready` hears its URLs once it accepts connections.

    `parent` is the URL of the shield or origin it asks, `others` are those of `node.failover.to`; `geo`: where
    addresses are; `purge_log`: a file or a Redis server, of which it takes orders to purge; `clock` reads Unix seconds,
    the wall's if not said. PortInUse, BadKeyFile, BadCertificate, BadAuthority, BadDatabase, BadStore and BadLog are
    raised before anything is served.
    """
    service = service.model_copy(update=node.rules())
    keys = read_keys(service)
    believed = _BELIEVED[service.gate] if node.client_from is None else node.client_from
    who = Viewers(geo or Whereabouts(), trusted=node.trusted, believed=believed)
    now = clock or Clock()
    tls = None if node.listen_tls is None else context_of(node, now)
    sockets: list[socket.socket] = []
    try:
        for where, address in (("listen", node.listen), ("admin", node.admin), ("listen_tls", node.listen_tls)):
            if address is not None:
                sockets.append(bind(address, f"node {node.name}: {where}"))
        viewers, operators, *secured = sockets
        urls = {"url": url_of(viewers), "admin": url_of(operators)}
        if secured:
            urls["https"] = url_of(secured[0], tls=True)
            service = service.model_copy(update={"https_port": secured[0].getsockname()[1]})
        gate = ServiceGate(service, keys, redirect_others=profile.redirect_others)
    except BaseException:
        _close(sockets)
        raise
    log = RecordLog(records)
    parents = parents_of(node, node.timeouts.waits(profile.waits), (parent, *others))
    excess = node.limits.of_requests().excess
    machine = EdgeMachine(service, profile, gate=gate, excess=excess, fresh_id=_request_id, codings=ENCODERS.keys())
    try:
        rules = rules_of(service, profile, parent)
        tier = _tier(node, rules, now)
        made = partial(Driver, machine, parents, who, log, now, tier=tier, limits=node.limits)
        orders = None if purge_log is None else open_log(purge_log)
        driver = _driver(node, rules, made)
    except BaseException:
        _close(sockets)
        raise
    flusher = asyncio.create_task(log.keep_flushing())
    # Date belongs to the stored response: a second or newer one would corrupt its age downstream.
    fronts = [
        Listener(driver, logger, date_header=False, limits=node.limits, page=driver.unreadable)
        for _ in (viewers, *secured)
    ]
    operations = admin_app(driver, who, url=urls["url"], token=node.admin_token, purge_delay=node.purge_delay)
    back = Listener(operations, logger)
    following = None
    if orders is not None:
        following = Following(orders, driver, node, urls["url"], (*node.parents, parent, *others))
        driver.spread = following.order
    try:
        if following is not None and not await _unless(shutdown, following.start()):
            return
        for front, listener, context in zip(fronts, (viewers, *secured), (None, tls), strict=False):
            await front.start(listener, context)
        await back.start(operators)
        ready({"ready": node.name, **urls, "parent": parent})
        await shutdown.wait()
    finally:
        flusher.cancel()
        await asyncio.gather(*(front.close() for front in fronts), back.close())
        if following is not None:
            await following.close()
        await driver.close()


async def _unless(shutdown: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Does the work; gives it up, and says so, when it is time to leave."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(shutdown.wait())
    await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    for task in (working, leaving):
        task.cancel()
    await asyncio.gather(leaving, *(() if done else (working,)), return_exceptions=True)
    if done:
        working.result()
    return done


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _driver(node: Node, rules: str, made: "Callable[..., Driver]") -> Driver:
    """Over the node's store, with what that recovers."""
    if node.disk is None:
        return made(store=MemoryStore())
    with long_lived():
        memory = room_for(node.eviction, node.memory)
        return made(store=open_disk(node.disk.path, memory=memory, rules=rules, name=node.name))


def _tier(node: Node, rules: str, clock: Callable[[], float]) -> "SharedTier | None":
    if node.shared is None:
        return None
    from edge.stores.shared import SharedTier  # an extra

    return SharedTier(node.shared, rules=rules, name=node.name, clock=clock)


def parents_of(node: Node, waits: Waits, urls: Sequence[str]) -> Parents:
    """The parents at these URLs, asked and watched as the node's settings say."""
    connect = partial(Upstream, http=node.parent_http, link=node.link.new(seed=node.name))
    made = [Parent(connect(url, waits, node.connections), node.health.new()) for url in urls]
    parents = Parents(made, frozenset(node.failover.statuses))
    check = node.health.check
    if check.path is not None:
        patience = Waits(check.timeout, check.timeout, check.timeout)
        for one in made:
            own = connect(one.upstream.url, patience, 1)
            parents.beside(keep_checking(own, check, lines_of(node.parent_headers), one.health.checked))
    return parents


def _request_id() -> str:
    """56 characters as CloudFront's are, the last two "=="."""
    return randomness.token_urlsafe(40) + "=="
