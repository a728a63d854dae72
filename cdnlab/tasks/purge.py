"""`cdnlab purge`: writes a purge order into the purge log of the running cluster, and shows how each node fares."""

import asyncio
import difflib
import json
import string
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.status import Status
from rich.text import Text

from cdnkit.policy.gate.hosts import Hosts
from cdnkit.policy.http.messages import split_url
from cdnkit.policy.machine.purge_log import UNTAKEN_S, Order
from cdnkit.policy.store.index import is_surrogate_key
from cdnlab.client.viewer import ask
from cdnlab.errors import UNFINISHED, BadUsage, Failed, LabError
from cdnlab.lab.nodes import Listener, credentials, known_nodes, named
from cdnlab.lab.run_folder import find_running
from cdnlab.screen import terminal
from cdnlab.settings.alone import named_log
from cdnlab.settings.complaints import nearest
from edge.purges.log import is_server, open_log
from edge.purges.order import names_target
from edge.purges.progress import Standing, carried

ADMIN_S = 70.0
"""Seconds within which a node carries out an order from its admin listener: more than the longest `purge_delay`."""

HEALTH_S = 2.0
"""Seconds within which a node answers a question about its state."""

TAKEN_WITHIN_S = UNTAKEN_S
"""Seconds to wait without --wait. By then a node that serves has taken the order, and obeyed if it has no delay."""


def purge_order(
    *,
    url: str | None = None,
    prefix: str | None = None,
    keys: Sequence[str] = (),
    everything: bool = False,
    soft: bool = False,
    service: str | None = None,
) -> Order:
    """The purge order for what the command line names. Raises `BadUsage` unless that is exactly one thing.

    `service`: the order is for this service alone.
    """
    for key in keys:
        if not is_surrogate_key(key):
            raise BadUsage(f"--key: found {key!r}, wanted visible ASCII characters; repeat --key for several")
    given = {
        "url": _as_sent("URL", url, "a URL or a path"),
        "prefix": _as_sent("--prefix", prefix, "the beginning of a URL or of a path"),
        "surrogate_keys": list(keys) or None,
        "everything": everything or None,
    }
    what: Order = {name: value for name, value in given.items() if value is not None}
    if len(what) != 1:
        raise BadUsage("wanted exactly one of a URL, --prefix, --key and --all")
    return {**what, "soft": soft} | ({} if service is None else {"service": service})


def _as_sent(where: str, url: str | None, wanted: str) -> str | None:
    """What was typed, as clients send it: without its fragment, octets that no URL holds percent-encoded."""
    if url is None:
        return None
    if not names_target(url):
        raise BadUsage(f"{where}: found {url!r}, wanted {wanted}, such as /live/ or http://127.0.0.1:8081/live/")
    # Octets that are no UTF-8 come as lone surrogates: they are encoded as the octets that they were.
    octets = url.partition("#")[0].encode("utf-8", "surrogateescape")
    return quote(octets, safe=string.punctuation)


def find_log(purge_log: str | None, node: str | None, what: Order, runs: Path) -> tuple[str, list[Listener]]:
    """Where the purge log is, and the nodes that are expected to follow it: none where `purge_log` names the log.

    Without `purge_log` it is the running cluster's. Raises `BadUsage` for a node, service or host that is not there.
    """
    if purge_log is not None:
        if not is_server(named_log(purge_log)) and not Path(purge_log).exists():
            raise BadUsage(f"--purge-log: no such file: {purge_log}")
        return purge_log, []
    nodes = known_nodes(runs)
    if node is not None:
        named(nodes, node)
    cluster = find_running(runs).cluster()
    services = cluster.get("services", {})
    service = what.get("service")
    if service is not None and service not in services:
        raise BadUsage(f"--service: no service {service!r} is running. {nearest(service, list(services), keys=False)}")
    target = what.get("url") or what.get("prefix") or ""
    host = split_url(target)[1]
    if host and services and not Hosts(services).concerned(host):
        known = ", ".join(name for names in services.values() for name in names)
        raise BadUsage(f"no running service has the host {host!r}: nothing is stored for it. Hosts: {known}.")
    return str(cluster["purge_log"]), nodes


def purge_by_log(
    where: str,
    what: Order,
    *,
    nodes: Sequence[Listener],
    node: str | None,
    wait: float | None,
    as_json: bool,
) -> int:
    """Writes the order into the log at `where` and prints a line for each node. Returns the exit status.

    `nodes`: those known to run; `node`: only this one is to obey; `wait`: seconds in which all must be done, or None.
    """
    progress = Progress(soft=bool(what["soft"]), as_json=as_json)
    expecting = [one.name for one in nodes]

    async def write_and_follow() -> None:
        log = open_log(where)
        only = () if node is None else (node,)
        within = TAKEN_WITHIN_S if wait is None else wait
        try:
            with progress.shown(waiting=wait is not None):
                async for standing in carried(log, [what], only=only, expecting=expecting, within=within):
                    progress.update(standing)
        finally:
            await log.close()

    try:
        asyncio.run(write_and_follow())
    except KeyboardInterrupt:
        print("the order stays in the log: the nodes still carry it out", file=sys.stderr)
        raise
    if not progress.nodes:
        raise BadUsage(f"no node {node or ''}".rstrip() + f" has ever followed the purge log at {where}")
    for name in [name for name, one in progress.nodes.items() if not one.taken]:
        progress.why_not_taken[name] = _why_not_taken([one for one in nodes if one.name == name])
    status = progress.end(waited=wait is not None)
    if not as_json:
        _hint(what, progress, nodes)
    return status


def _why_not_taken(named: Sequence[Listener]) -> str:
    """Why a node that serves has not taken the order; "" for a node that does not serve, or does not say."""
    for one in named:
        with suppress(LabError, AttributeError):
            purges = ask(f"{one.admin}/healthz", timeout=HEALTH_S).json().get("purges") or {}
            return str(purges.get("trouble") or "it has not read the order yet")
    return ""


def _hint(what: Order, progress: "Progress", nodes: Sequence[Listener]) -> None:
    """Says on standard error which surrogate keys nothing was stored under, and the nearest key that is stored."""
    keys = what.get("surrogate_keys", [])
    if not keys or any(one.purged or not one.done for one in progress.nodes.values()):
        return
    known: set[str] = set()
    for one in nodes:
        with suppress(LabError):
            stored = ask(f"{one.admin}/surrogate-keys", headers=credentials(), timeout=HEALTH_S).json()
            known.update(stored.get("surrogate_keys", ()))
    for key in keys:
        found = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        meant = f" Did you mean {found[0]!r}?" if found else ""
        print(f"nothing was stored under the surrogate key {key!r}.{meant}", file=sys.stderr)


@dataclass
class Progress:
    """Prints how far the nodes are: a line for each that is done; on a terminal, below them, those still awaited."""

    soft: bool
    as_json: bool
    nodes: dict[str, Standing] = field(default_factory=dict)
    why_not_taken: dict[str, str] = field(default_factory=dict)
    """Node -> why it has not taken the order although it serves; "" for one that does not serve."""
    _start: float = field(default_factory=time.monotonic)
    _seconds: dict[str, float] = field(default_factory=dict)
    _status: Status | None = None

    @contextmanager
    def shown(self, *, waiting: bool) -> Iterator[None]:
        console = terminal.console()
        if not (waiting and console.is_terminal) or self.as_json:
            yield
            return
        with console.status("the order is in the log") as self._status:
            yield

    def update(self, standing: dict[str, Standing]) -> None:
        for name, one in standing.items():
            if one.done and self.nodes.get(name) != one:
                self._seconds[name] = time.monotonic() - self._start
                self._line(name, one, len(max(standing, key=len)))
        self.nodes = standing
        if self._status is not None:
            left = [
                f"{name} ({'has taken it' if one.taken else 'away'})" for name, one in standing.items() if not one.done
            ]
            # A spinner reads its text as markup, whatever its console does.
            self._status.update(Text(f"waiting for {', '.join(left)}"))

    def _line(self, name: str, one: Standing, width: int) -> None:
        if self.as_json:
            return
        if one.unread:
            text = "could not read the order, so it purged everything it had"
        elif one.done:
            text = f"{one.purged:>6} purged{' (soft)' if self.soft else ''}  {self._seconds[name] * 1e3:.0f} ms"
        elif one.taken:
            text = "has taken the order, and is not done yet"
        elif self.why_not_taken.get(name):
            text = f"serves, and has not taken the order: {self.why_not_taken[name]}"
        else:
            text = "is away: will catch up before it serves"
        print(f"{name:<{width}} {text}", flush=True)

    def end(self, *, waited: bool) -> int:
        """Prints the lines of nodes that are not done, or all nodes as JSON. Returns the exit status."""
        for name, one in self.nodes.items():
            if not one.done:
                self._line(name, one, len(max(self.nodes, key=len)))
        if self.as_json:
            print(json.dumps({name: self._as_json(name, one) for name, one in self.nodes.items()}, indent=2))
        enough = all(one.obeyed or (one.taken and not waited and not one.unread) for one in self.nodes.values())
        return 0 if enough else UNFINISHED

    def _as_json(self, name: str, one: Standing) -> dict[str, Any]:
        state = "unread" if one.unread else "done" if one.done else "taken" if one.taken else "away"
        state = "not-following" if state == "away" and self.why_not_taken.get(name) else state
        seconds = round(self._seconds[name], 6) if one.done else None
        return {"state": state, "purged": one.purged, "seconds": seconds}


def purge_node(admin: str, what: Order, *, as_json: bool) -> int:
    """Sends the order to one node's admin listener, which responds once the node has carried it out."""
    progress = Progress(soft=bool(what["soft"]), as_json=as_json)
    response = ask(
        f"{admin}/purge", method="POST", headers={"Content-Type": "application/json", **credentials()},
        body=json.dumps(what).encode(), timeout=ADMIN_S,
    )  # fmt: skip
    if response.status != 200:
        raise Failed(f"{admin}: answers {response.status}: {response.text().strip()[:200]}")
    result = response.json()
    progress.update({result["node"]: Standing(taken=True, done=True, purged=int(result["purged"]))})
    if not as_json:
        _hint(what, progress, [Listener(result["node"], admin)])
    return progress.end(waited=True)
