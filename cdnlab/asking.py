"""Talking to the admin listeners of nodes that run: explain and purge."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from rich.console import Console
from rich.table import Table

from cdnlab.complaints import nearest
from cdnlab.errors import BadUsage, Failed
from cdnlab.runfolder import find_running
from cdnlab.viewer import Answer, ask


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
    return sorted(nodes, key=lambda one: one.role != "shield")


def explain(listener: Listener, url: str, *, as_json: bool) -> int:
    """Prints what the node would do with `url`."""
    if not urlsplit(url).netloc:
        url = f"{listener.url}{url}" if url.startswith("/") else url
    told = _good(ask(f"{listener.admin}/explain?url={quote(url, safe='')}"), listener).json()
    if as_json:
        print(json.dumps(told, indent=2))
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in told.items():
        table.add_row(name.replace("_", " "), _plain(value))
    console = Console()
    console.print(f"{listener.name} would answer {url}:", highlight=False, markup=False, soft_wrap=True)
    console.print(table)
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
    for listener in listeners:
        here = dict(order)
        if "url" in here and listener.url:
            # Every node stores under the host that it was asked by; a viewer's URL names only one of them.
            parts = urlsplit(str(here["url"]))
            here["url"] = f"{listener.url}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        answer = _good(
            ask(
                f"{listener.admin}/purge",
                method="POST",
                headers={"Content-Type": "application/json"},
                body=json.dumps(here).encode(),
            ),
            listener,
        ).json()
        results[listener.name] = answer
        if not as_json:
            print(f"{listener.name}: {answer.get('purged', 0)} purged{' (soft)' if order['soft'] else ''}")
    if as_json:
        print(json.dumps(results, indent=2))
    return 0


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


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
