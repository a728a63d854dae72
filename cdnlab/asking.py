"""Talking to the admin listeners of nodes that run: who is there, and `cdnlab explain`."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from cdnkit.policy.gate.hosts import Hosts
from cdnkit.policy.record.secrets import Veil
from cdnlab import explaining
from cdnlab.complaints import nearest
from cdnlab.errors import BadUsage, Failed
from cdnlab.runfolder import find_running
from cdnlab.viewer import Answer, admin_url, ask, split_url

CLIENT_IP = "CDNLab-Client-IP"
"""The request field by which a viewer on this machine stands in for one elsewhere."""


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
    https: str | None = None
    """Where they come over TLS."""


def _secured(url: str) -> int | None:
    """The port of an https:// URL: certificates have names, so it is asked by another host than it is bound to."""
    parts = urlsplit(url)
    return (parts.port or 443) if parts.scheme == "https" else None


def find(url: str, *, node: str | None, admin: str | None, runs: Path) -> Listener:
    """The node to ask about `url`: named, or the one whose address the URL has, or the first edge, which has the same
    services as all others."""
    if admin is not None:
        return Listener(admin_url(admin), admin_url(admin))
    authority = split_url(url).netloc
    nodes = known_nodes(runs)
    if node is not None:
        return named(nodes, node)
    if not authority:
        return next((one for one in nodes if one.role == "edge"), nodes[0])
    for one in nodes:
        if urlsplit(one.url).netloc == authority or (one.https is not None and _secured(url) == _secured(one.https)):
            return one
    if Hosts(find_running(runs).cluster().get("services", {})).named(authority) is not None:
        return next((one for one in nodes if one.role == "edge"), nodes[0])
    known = ", ".join(f"{one.name} {one.url}" for one in nodes)
    raise BadUsage(f"no node of the running cluster is at {authority}", f"There are: {known}. Or name one with --node.")


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
    # What is typed may be no UTF-8: its octets go as they are.
    query = urlencode(asked if client_ip is None else [*asked, ("client_ip", client_ip)], errors="surrogateescape")
    told = _good(ask(f"{listener.admin}/explain?{query}", headers=credentials()), listener).json()
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        explaining.show(told, f"{method} {url if reveal else _shown(url)}")
    return 0


def _shown(url: str) -> str:
    """The URL as it may stand on a screen that others see."""
    return Veil((), ()).target(url)


def credentials() -> dict[str, str]:
    """For nodes with an `admin_token`."""
    token = os.environ.get("CDNLAB_ADMIN_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def known_nodes(runs: Path) -> list[Listener]:
    """The nodes of the cluster that runs."""
    told = find_running(runs).cluster()["nodes"]
    if not told:
        raise BadUsage("the running cluster has no nodes")
    return [listener_of(one) for one in told]


def listener_of(told: dict[str, Any]) -> Listener:
    """A node as `cluster.json` tells of it."""
    return Listener(told["name"], told["admin"], told["url"], told["role"], told["parent"], told["https"])


def named(nodes: list[Listener], name: str) -> Listener:
    """The node that --node names."""
    for one in nodes:
        if one.name == name:
            return one
    raise BadUsage(f"--node: no node {name!r} runs. {nearest(name, [one.name for one in nodes], keys=False)}")


def _good(answer: Answer, listener: Listener) -> Answer:
    if answer.status != 200:
        raise Failed(f"{listener.name}: answers {answer.status}: {answer.text().strip()[:200]}")
    return answer
