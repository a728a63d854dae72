"""One cache node as a running server: its listener, its admin listener, its records."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdnkit.policy.gate.hosts import DEFAULT, Hosts
from cdnkit.policy.plan import PurgeOrder
from cdnkit.policy.rules.parent_headers import lines_of
from cdnkit.policy.rules.profile import RFC9111, Profile, Waits
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.eviction import room_for
from cdnkit.serving import Guarded, Listener, bind_several, bind_udp, guard_of, url_of
from cdnkit.settings.edge import Node, Whereabouts
from edge.admin import admin_app
from edge.at_once import AtOnce
from edge.background import Background
from edge.clock import Clock
from edge.collector import left_out
from edge.driver import Driver
from edge.health_checks import check_once
from edge.keys import read_keys
from edge.log import RecordLog
from edge.node_parts import limits_of, log_of, machine_of, viewers_of
from edge.parents import Parent, Parents
from edge.purges.follower import LogFollower
from edge.purges.log import open_log
from edge.services import Hosted, Services
from edge.stores import MemoryStore, Store
from edge.stores.disk_folder import long_lived, open_disk, rules_of
from edge.tls import context_of, pair_of, trust_of
from edge.upstream import Upstream
from edge.viewers import Viewers

if TYPE_CHECKING:
    from cdnkit.serving.http3 import Http3Listener
    from edge.stores.shared import SharedTier
    from edge.workers.team import Team

logger = logging.getLogger("cdnlab.edge")


async def serve(
    node: Node,
    service: Service,
    *,
    parent: str,
    hostnames: Sequence[str] = (),
    hosted: Sequence[Hosted] = (),
    records: Path | None,
    shutdown: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
    geo: Whereabouts | None = None,
    profile: Profile = RFC9111,
    others: Sequence[str] = (),
    purge_log: str | None = None,
    clock: Callable[[], float] | None = None,
) -> None:
    """Run one node until `shutdown`; `ready` is called with its URLs once it accepts connections.

    `parent` is the URL of its shield or origin, `others` are those of `node.failover.to`; `hosted`: services beside
    `service`, which has `hostnames`, or else every host that none of them has; `geo`: where addresses are;
    `purge_log`: the file or Redis server from which it takes purge orders; `clock` reads Unix seconds, by default
    the wall's. PortInUse, BadKeyFile, BadCertificate, BadAuthority, BadDatabase, BadStore and
    BadLog are raised before anything is served.
    """
    kept = [Hosted(DEFAULT, tuple(hostnames), service, profile, (parent, *others)), *hosted]
    keys = {one.name: read_keys(one.service) for one in kept}
    geo = geo or Whereabouts()
    who = viewers_of(node, geo, gate=service.gate)
    now = clock or Clock()
    tls = None if node.listen_tls is None else context_of(node, now)
    rules = node.rules(len(kept))
    sockets: list[socket.socket] = []
    doors: list[list[socket.socket]] = []
    """Of each socket for viewers, those of the further workers."""
    team = None if node.workers == 1 else _team(node, geo, now, len(kept))
    logs: list[RecordLog] = []
    drivers: dict[str, Driver] = {}
    background = Background(logger, node.name)
    try:
        for where, address in (("listen", node.listen), ("admin", node.admin), ("listen_tls", node.listen_tls)):
            if address is not None:
                count = 1 if where == "admin" else node.workers
                own, *theirs = bind_several(address, f"node {node.name}: {where}", count)
                sockets.append(own)
                if theirs:
                    doors.append(theirs)
        viewers, operators, *secured = sockets
        urls = {"url": url_of(viewers), "admin": url_of(operators)}
        if secured:
            urls["https"] = url_of(secured[0], tls=True)
            rules["https_port"] = secured[0].getsockname()[1]
        datagrams = None
        if node.http3:
            datagrams = bind_udp(urls["https"].removeprefix("https://"), f"node {node.name}: http3")
            sockets.append(datagrams)
            pair = pair_of(node, (host for one in kept for host in one.hostnames), now)
        orders = None if purge_log is None else open_log(purge_log)
        for one in kept:
            ruled = replace(one, service=one.service.model_copy(update=_merged(rules, one)))
            file = None if records is None else records_of(records, one.name)
            logs.append(log_of(node, len(kept), file))
            if team is not None:
                team.add(ruled, keys[one.name], file)
            drivers[one.name] = _driver(node, ruled, keys[one.name], who, logs[-1], now, len(kept), background, team)
    except BaseException:
        _close([*sockets, *chain(*doors)])
        if team is not None:
            team.close()
        raise
    services = Services(drivers, Hosts({one.name: one.hostnames for one in kept}), who)
    for name, log in zip(drivers, logs, strict=True):
        background.keep("records" if name == DEFAULT else f"records of {name}", log.flush_later)
    # Date belongs to the stored response: a second or newer one would corrupt its age downstream.
    faced = partial(
        Listener, services, logger, date_header=False, limits=limits_of(node), page=services.default.unreadable
    )
    # In CloudFront's words, and for a day, as there.
    alt_svc = f'h3=":{rules["https_port"]}"; ma=86400' if node.http3 else ""
    at_once = AtOnce(services, who)
    faced = partial(faced, front=at_once if node.front else None)
    fronts = [faced(), *(faced(alt_svc=alt_svc) for _ in secured)]
    crew = None if team is None else team.crew(services, at_once, alt_svc, doors)
    quic = None if datagrams is None else _http3(fronts[-1], *pair)
    follower = None
    if orders is not None:
        follower = LogFollower(orders, services, node, urls["url"], (*node.parents, parent, *others), background)
        for name, driver in drivers.items():
            driver.purge_requests.spread = partial(_spread, follower, name if hosted else "")
    operations = admin_app(
        services, who, background, follower, url=urls["url"], token=node.admin_token, purge_delay=node.purge_delay,
        workers=None if crew is None else crew.health,
    )  # fmt: skip
    known = guard_of(
        node.admin, node.admin_hosts, f"node {node.name}: admin_hosts", credentials=node.admin_token is not None
    )
    back = Listener(Guarded(operations, known, logger), logger)
    try:
        if follower is not None and not await _unless(shutdown, follower.start()):
            return
        for front, listener, context in zip(fronts, (viewers, *secured), (None, tls), strict=False):
            await front.start(listener, context)
        if quic is not None and datagrams is not None:
            await quic.start(datagrams)
        await back.start(operators)
        if crew is not None and not await _unless(shutdown, crew.start(background)):
            return
        with left_out(services.tables):
            ready({"ready": node.name, **urls, "parent": parent})
            await shutdown.wait()
    finally:
        ending = [front.close() for front in fronts]
        await asyncio.gather(*ending, back.close(), *(() if crew is None else (crew.close(),)))
        if quic is not None:
            quic.close()
        await background.close()
        if orders is not None:
            await orders.close()
        await asyncio.gather(*(driver.close() for driver in drivers.values()))
        if team is not None:
            team.close()


def _team(node: Node, geo: Whereabouts, clock: Callable[[], float], services: int) -> "Team":
    from edge.workers.team import Team  # most nodes do without, and start sooner

    return Team(node, geo, clock, services)


def _http3(door: Listener, certificate: bytes, key: bytes) -> "Http3Listener":
    from cdnkit.serving.http3 import Http3Listener  # most nodes do without, and start sooner

    return Http3Listener(door, certificate, key)


def records_of(records: Path, service: str) -> Path:
    """Where the records of one of a node's services are: fra.jsonl, fra+images.jsonl."""
    node, dot, rest = records.name.partition(".")
    return records if service == DEFAULT else records.with_name(f"{node}+{service}{dot}{rest}")


def _merged(rules: dict[str, Any], one: Hosted) -> dict[str, Any]:
    """The node's part of a service's rules. A service beside the first adds its own parent headers to the node's."""
    if one.name == DEFAULT:
        return rules
    return rules | {"parent_headers": {**rules["parent_headers"], **one.service.parent_headers}}


async def _spread(follower: LogFollower, service: str, order: PurgeOrder) -> None:
    """Order of every node what a `PURGE` request asked of this one, for the same one of several services."""
    await follower.order(replace(order, service=service))


async def _unless(shutdown: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work was done; it is given up at `shutdown`."""
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


def _driver(
    node: Node,
    one: Hosted,
    keys: Mapping[str, Mapping[str, str]],
    who: Viewers,
    log: RecordLog,
    now: Callable[[], float],
    services: int,
    background: Background,
    team: "Team | None",
) -> Driver:
    """The driver of one service: its gate and machine over a store of its own, with what that recovers."""
    machine = machine_of(node, one.service, one.profile, keys)
    parents = parents_of(node, node.timeouts.waits(one.profile.waits), one.parents, background)
    hosted = "" if one.name == DEFAULT else one.name
    rules = rules_of(one.service, one.profile, one.parents[0], hosted)
    tier = _tier(node, rules, now, one.profile)
    with long_lived() if node.disk is not None else nullcontext():
        store = _store(node, hosted, rules, services, team)
        return Driver(machine, parents, who, log, now, store, tier, node.limits)


def _store(node: Node, hosted: str, rules: str, services: int, team: "Team | None") -> Store:
    if node.disk is None:
        return MemoryStore() if team is None else team.store(hosted)
    folder = node.disk.path / "services" / hosted if hosted else node.disk.path
    memory = room_for(node.eviction, node.memory // services)
    return open_disk(folder, memory=memory, rules=rules, name=node.name)


def _tier(node: Node, rules: str, clock: Callable[[], float], profile: Profile) -> "SharedTier | None":
    if node.shared is None:
        return None
    from edge.stores.shared import SharedTier  # an extra

    return SharedTier(node.shared, rules=rules, name=node.name, clock=clock, vary_as_sent=profile.vary_as_sent)


def parents_of(node: Node, waits: Waits, urls: Sequence[str], background: Background) -> Parents:
    """The parents at these URLs, with timeouts and health checks as the node's settings say."""
    link, tls = node.link.new(seed=node.name), trust_of(node)
    connect = partial(Upstream, http=node.parent_http, link=link, tls=tls)
    made = [Parent(connect(url, waits, node.connections), node.health.new()) for url in urls]
    check = node.health.check
    checks = []
    if check.path is not None:
        patience = Waits(check.timeout, check.timeout, check.timeout)
        for one in made:
            checks.append(own := connect(one.upstream.url, patience, 1))
            step = partial(check_once, own, check, lines_of(node.parent_headers), one.health.on_check)
            background.keep(f"checks of {one.upstream.url}", step)
    return Parents(made, frozenset(node.failover.statuses), checks)
