"""The nodes that run, and their admin listeners: who is there, and what opens a guarded one."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cdnkit.policy.gate.hosts import Hosts
from cdnlab.client.viewer import admin_url, split_url
from cdnlab.errors import BadUsage
from cdnlab.lab.run_folder import find_running
from cdnlab.settings.complaints import nearest


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
