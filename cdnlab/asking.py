"""Talking to the admin listeners of nodes that run: explain and purge."""

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from cdnlab import explaining
from cdnlab.complaints import nearest
from cdnlab.errors import FAILED, BadUsage, Failed
from cdnlab.runfolder import find_running
from cdnlab.viewer import Answer, ask
from policy.hosting import Hosts
from policy.secrets import Veil
from units.quantities import read_seconds

CLIENT_IP = "CDNLab-Client-IP"
"""The request field by which a viewer on this machine stands in for one elsewhere."""


PATIENCE = 70.0
"""Seconds that a node has for a purge: the longest `purge_delay`, and some."""

PAUSE = 0.2
"""Seconds between two attempts at a node that is away: one that restarts is back in half a second."""


@dataclass(frozen=True)
class Listener:
    """One node's admin listener."""

    name: str
    admin: str
    """URL."""
    url: str = ""
    """Where its viewers come."""
    role: str = "edge"
    parent: str = "origin"


def find(url: str, *, node: str | None, admin: str | None, runs: Path) -> Listener:
    """The node to ask about `url`: named, or the one whose address the URL has, or the first edge, which has the same
    services as all others."""
    if admin is not None:
        return Listener(admin, admin)
    nodes = _nodes(runs)
    if node is not None:
        return _named(nodes, node)
    authority = urlsplit(url).netloc
    if not authority:
        return next((one for one in nodes if one.role == "edge"), nodes[0])
    for one in nodes:
        if urlsplit(one.url).netloc == authority:
            return one
    if _hosts(runs).named(authority) is not None:
        return next((one for one in nodes if one.role == "edge"), nodes[0])
    known = ", ".join(f"{one.name} {one.url}" for one in nodes)
    raise BadUsage(f"no node of the running cluster is at {authority}", f"There are: {known}. Or name one with --node.")


def find_all(*, node: str | None, admin: str | None, runs: Path) -> list[Listener]:
    """The nodes to purge."""
    if admin is not None:
        return [Listener(admin, admin)]
    nodes = _nodes(runs)
    if node is not None:
        return [_named(nodes, node)]
    return nodes


class Order(StrEnum):
    """To whom a purge goes first. Only the first is safe: an edge purged before its shield refills from old copies."""

    SHIELDS_FIRST = "shields-first"
    """From the origin outwards, each node once those before it have carried it out."""
    EDGES_FIRST = "edges-first"
    """The other way round."""
    TOGETHER = "together"
    """To all at once, as a CDN's own purge goes: each carries it out after its `purge_delay`."""


def ordered(nodes: list[Listener], order: Order) -> list[list[Listener]]:
    """The nodes in groups; a group is told when the one before has answered."""
    if order is Order.TOGETHER:
        return [nodes]
    parents = {one.name: one.parent for one in nodes}

    def depth(name: str) -> int:
        return 1 + depth(parents[name]) if name in parents else 0

    outwards = sorted(nodes, key=lambda one: depth(one.name), reverse=order is Order.EDGES_FIRST)
    return [[one] for one in outwards]


def explain(
    listener: Listener,
    url: str,
    headers: list[str],
    *,
    method: str,
    client_ip: str | None,
    as_json: bool,
    reveal: bool = False,
) -> int:
    """Prints what the node would do with a request for `url` now; `client_ip` None: from this machine.

    `reveal`: with the secrets in keys; for who has the node's `admin_token`.
    """
    for header in headers:
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\s*:.*", header, re.DOTALL):
            raise BadUsage(f"--header: found {header!r}, wanted a field such as 'Range: bytes=0-99'")
    asked = [("url", url), ("method", method), *(("header", header) for header in headers)]
    asked += [("reveal", "1")] if reveal else []
    query = urlencode(asked if client_ip is None else [*asked, ("client_ip", client_ip)])
    told = _good(ask(f"{listener.admin}/explain?{query}", headers=_credentials()), listener).json()
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        explaining.show(told, f"{method} {url if reveal else _shown(url)}")
    return 0


def _shown(url: str) -> str:
    """The URL as it may stand on a screen that others see."""
    head, mark, query = url.partition("?")
    return head + mark + Veil((), ()).query(query)


def purge_order(
    *,
    url: str | None = None,
    prefix: str | None = None,
    key: str | None = None,
    everything: bool = False,
    soft: bool = False,
    service: str | None = None,
) -> dict[str, Any]:
    """The body of `POST /purge`; `BadUsage` unless exactly one thing is named. `service`: only there."""
    named = {"url": url, "prefix": prefix, "surrogate_key": key, "everything": everything or None}
    what: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if len(what) != 1:
        raise BadUsage("wanted exactly one of a URL, --prefix, --key and --all")
    if prefix is not None and not (prefix.startswith("/") or "://" in prefix):
        raise BadUsage(f"--prefix: found {prefix!r}, wanted the beginning of a URL or of a path, such as /live/")
    return {**what, "soft": soft} | ({} if service is None else {"service": service})


def patience_of(timeout: str) -> float:
    try:
        return read_seconds(timeout)
    except ValueError as error:
        raise BadUsage(f"--timeout: found {timeout!r}, wanted {error}") from None


@dataclass(frozen=True)
class Carried:
    """What one node made of an order."""

    name: str
    purged: int
    """Stored responses it had."""
    seconds: float
    """From the order until it was carried out there, or given up."""
    failed: str = ""
    """Why it was not."""


def purge(groups: list[list[Listener]], order: dict[str, Any], *, patience: float, as_json: bool) -> int:
    """Sends the order to one group after the other and prints, for each node, how many responses it had and when.

    `patience`: seconds for which a node that is away is told again.
    """
    results: list[Carried] = []
    width = max(len(one.name) for group in groups for one in group)
    for one in send_purge(groups, order, patience=patience):
        results.append(one)
        if not as_json:
            said = one.failed or f"{one.purged:>6} purged{' (soft)' if order['soft'] else ''}"
            print(f"{one.name:<{width}} {said}  {one.seconds * 1e3:.0f} ms", flush=True)
    if as_json:
        print(json.dumps({one.name: _carried_as_json(one) for one in results}, indent=2))
    return FAILED if any(one.failed for one in results) else 0


def _carried_as_json(one: Carried) -> dict[str, Any]:
    told = {"purged": one.purged, "seconds": round(one.seconds, 6)}
    return told | {"failed": one.failed} if one.failed else told


def send_purge(groups: list[list[Listener]], order: dict[str, Any], *, patience: float = 0.0) -> Iterator[Carried]:
    """What each node made of it, group after group. One that is away does not keep the order from the others."""
    start = time.monotonic()

    def tell(listener: Listener) -> Carried:
        while True:
            purged, failed, away = _tell(listener, order)
            passed = time.monotonic() - start
            if not away or passed >= patience:
                return Carried(listener.name, purged, passed, failed)
            time.sleep(min(PAUSE, patience - passed))

    for group in groups:
        with ThreadPoolExecutor(len(group)) as threads:
            yield from threads.map(tell, group)


def _tell(listener: Listener, order: dict[str, Any]) -> tuple[int, str, bool]:
    """How many responses the node had, why it did not obey, and whether it may when it is asked again."""
    try:
        answer = ask(
            f"{listener.admin}/purge", method="POST", headers={"Content-Type": "application/json", **_credentials()},
            body=json.dumps(order).encode(), timeout=PATIENCE,
        )  # fmt: skip
        if answer.status == 200:
            return int(answer.json()["purged"]), "", False
    except Failed as failed:
        return 0, failed.message, True
    return 0, f"answers {answer.status}: {answer.text().strip()[:200]}", answer.status >= 500


def _credentials() -> dict[str, str]:
    """For nodes with an `admin_token`."""
    token = os.environ.get("CDNLAB_ADMIN_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _nodes(runs: Path) -> list[Listener]:
    told = find_running(runs).cluster()["nodes"]
    if not told:
        raise BadUsage("the running cluster has no nodes")
    return [listener_of(one) for one in told]


def listener_of(told: dict[str, Any]) -> Listener:
    """A node as `cluster.json` tells of it."""
    return Listener(told["name"], told["admin"], told["url"], told["role"], told["parent"])


def _hosts(runs: Path) -> Hosts:
    """The services of the running cluster by their hosts."""
    return Hosts(find_running(runs).cluster().get("services", {}))


def _named(nodes: list[Listener], name: str) -> Listener:
    for one in nodes:
        if one.name == name:
            return one
    raise BadUsage(f"--node: no node {name!r} runs. {nearest(name, [one.name for one in nodes], keys=False)}")


def _good(answer: Answer, listener: Listener) -> Answer:
    if answer.status != 200:
        raise Failed(f"{listener.name}: answers {answer.status}: {answer.text().strip()[:200]}")
    return answer
