"""The nodes of the running cluster: their listeners, the node that a URL means, and the admin token."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cdnkit.policy.gate.hosts import Hosts
from cdnlab.client.viewer import admin_url, split_url
from cdnlab.errors import BadUsage
from cdnlab.lab.run_folder import find_running
from cdnlab.settings.complaints import nearest


@dataclass(frozen=True)
class Listener:
    """One running node, by the URLs of its listeners."""

    name: str
    admin: str
    """URL."""
    url: str = ""
    """For viewers."""
    role: str = "edge"
    https: str | None = None
    """For viewers, over TLS."""


def _https_port(url: str) -> int | None:
    """The port of an https:// URL, else None. Certificates name hosts, so the URL's host is not the bound address."""
    parts = urlsplit(url)
    return (parts.port or 443) if parts.scheme == "https" else None


def find(url: str, *, node: str | None, admin: str | None, runs: Path) -> Listener:
    """The node to ask about `url`: the one that `admin` or `node` names, else the one at the URL's address.

    For a URL without an address, or with the host of a service, it is the first edge: all edges have the same services.
    """
    if admin is not None:
        return Listener(admin_url(admin), admin_url(admin))
    authority = split_url(url).netloc
    nodes = known_nodes(runs)
    if node is not None:
        return named(nodes, node)
    first_edge = next((one for one in nodes if one.role == "edge"), nodes[0])
    if not authority:
        return first_edge
    for one in nodes:
        if urlsplit(one.url).netloc == authority or (
            one.https is not None and _https_port(url) == _https_port(one.https)
        ):
            return one
    if Hosts(find_running(runs).cluster().get("services", {})).named(authority) is not None:
        return first_edge
    known = ", ".join(f"{one.name} {one.url}" for one in nodes)
    raise BadUsage(f"no node of the running cluster is at {authority}", f"Its nodes: {known}. Or name one with --node.")


def credentials() -> dict[str, str]:
    """The request fields for a node with an `admin_token`, which the environment holds."""
    token = os.environ.get("CDNLAB_ADMIN_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def known_nodes(runs: Path) -> list[Listener]:
    """The nodes of the running cluster."""
    nodes = find_running(runs).cluster()["nodes"]
    if not nodes:
        raise BadUsage("the running cluster has no nodes")
    return [Listener(one["name"], one["admin"], one["url"], one["role"], one["https"]) for one in nodes]


def named(nodes: list[Listener], name: str) -> Listener:
    """The node that --node names."""
    for one in nodes:
        if one.name == name:
            return one
    raise BadUsage(f"--node: no node {name!r} is running. {nearest(name, [one.name for one in nodes], keys=False)}")
