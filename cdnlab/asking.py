"""Talking to the admin listeners of nodes that run: explain and purge."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from cdnlab import explaining
from cdnlab.complaints import nearest
from cdnlab.errors import BadUsage, Failed
from cdnlab.runfolder import find_running
from cdnlab.viewer import Answer, ask

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


def find(url: str, *, node: str | None, admin: str | None, runs: Path) -> Listener:
    """The node to ask about `url`: named, or the one whose address the URL has, or the first edge."""
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
    known = ", ".join(f"{one.name} {one.url}" for one in nodes)
    raise BadUsage(f"no node of the running cluster is at {authority}", f"There are: {known}. Or name one with --node.")


def find_all(*, node: str | None, admin: str | None, runs: Path) -> list[Listener]:
    """The nodes to purge, shields first: an edge purged before its shield would refill from old copies."""
    if admin is not None:
        return [Listener(admin, admin)]
    nodes = _nodes(runs)
    if node is not None:
        return [_named(nodes, node)]
    return shields_first(nodes)


def shields_first(nodes: list[Listener]) -> list[Listener]:
    """The order in which a purge must go: from the origin outwards."""
    return sorted(nodes, key=lambda one: one.role != "shield")


def explain(
    listener: Listener, url: str, headers: list[str], *, method: str, client_ip: str | None, as_json: bool
) -> int:
    """Prints what the node would do with a request for `url` now; `client_ip` None: from this machine."""
    for header in headers:
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\s*:.*", header, re.DOTALL):
            raise BadUsage(f"--header: found {header!r}, wanted a field such as 'Range: bytes=0-99'")
    asked = [("url", url), ("method", method), *(("header", header) for header in headers)]
    query = urlencode(asked if client_ip is None else [*asked, ("client_ip", client_ip)])
    told = _good(ask(f"{listener.admin}/explain?{query}", headers=_credentials()), listener).json()
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        explaining.show(told, f"{method} {url}")
    return 0


def purge_order(*, url: str | None, key: str | None, everything: bool, soft: bool) -> dict[str, Any]:
    """The body of `POST /purge`; `BadUsage` unless exactly one thing is named."""
    if sum((url is not None, key is not None, everything)) != 1:
        raise BadUsage("wanted exactly one of a URL, --key and --all")
    what: dict[str, Any] = {"everything": True} if everything else {"surrogate_key": key} if key else {"url": url}
    return {**what, "soft": soft}


def purge(listeners: list[Listener], order: dict[str, Any], *, as_json: bool) -> int:
    """Sends the order to each node in turn and prints how many responses each had."""
    results: dict[str, Any] = {}
    for name, answer in send_purge(listeners, order):
        results[name] = answer
        if not as_json:
            print(f"{name}: {answer.get('purged', 0)} purged{' (soft)' if order['soft'] else ''}")
    if as_json:
        print(json.dumps(results, indent=2))
    return 0


def send_purge(listeners: list[Listener], order: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each node's name and its answer, one after the other. Raises `Failed` at the first that does not obey."""
    for listener in listeners:
        here = dict(order)
        if "url" in here and listener.url:
            # A viewer's URL names one node; every node has the same thing under its own address.
            parts = urlsplit(str(here["url"]))
            here["url"] = f"{listener.url}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        body = json.dumps(here).encode()
        headers = {"Content-Type": "application/json", **_credentials()}
        answer = ask(f"{listener.admin}/purge", method="POST", headers=headers, body=body)
        yield listener.name, _good(answer, listener).json()


def _credentials() -> dict[str, str]:
    """For nodes with an `admin_token`."""
    token = os.environ.get("CDNLAB_ADMIN_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _nodes(runs: Path) -> list[Listener]:
    told = find_running(runs).cluster()["nodes"]
    if not told:
        raise BadUsage("the running cluster has no nodes")
    return [Listener(one["name"], one["admin"], one["url"], one["role"]) for one in told]


def _named(nodes: list[Listener], name: str) -> Listener:
    for one in nodes:
        if one.name == name:
            return one
    raise BadUsage(f"--node: no node {name!r} runs. {nearest(name, [one.name for one in nodes], keys=False)}")


def _good(answer: Answer, listener: Listener) -> Answer:
    if answer.status != 200:
        raise Failed(f"{listener.name}: answers {answer.status}: {answer.text().strip()[:200]}")
    return answer
