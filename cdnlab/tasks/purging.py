"""`cdnlab purge`: an order put into the log of a cluster that runs, and what each node makes of it."""

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
from cdnkit.units.quantities import read_seconds
from cdnlab.client.viewer import ask
from cdnlab.errors import UNFINISHED, BadUsage, Failed, LabError
from cdnlab.lab.nodes import Listener, credentials, known_nodes, named
from cdnlab.lab.run_folder import find_running
from cdnlab.screen import terminal
from cdnlab.settings.alone import named_log
from cdnlab.settings.complaints import nearest
from edge.purges.log import is_server, open_log
from edge.purges.order import names_target
from edge.purges.ordering import Standing, carried

PATIENCE_S = 70.0
"""Seconds that a node has for an order on its admin listener: the longest `purge_delay`, and some."""

HEALTH_S = 2.0
"""Seconds that a node has to say how it is."""

TAKEN_WITHIN_S = UNTAKEN_S
"""Without --wait: a node that lives has taken the order by then; one without `purge_delay` has carried it out."""


def purge_order(
    *,
    url: str | None = None,
    prefix: str | None = None,
    keys: Sequence[str] = (),
    everything: bool = False,
    soft: bool = False,
    service: str | None = None,
) -> Order:
    """What to purge, as a node takes it; `BadUsage` unless exactly one thing is named. `service`: there alone."""
    for key in keys:
        if not is_surrogate_key(key):
            raise BadUsage(f"--key: found {key!r}, wanted visible ASCII characters; repeat --key for several")
    given = {
        "url": _as_asked("URL", url, "a URL or a path"),
        "prefix": _as_asked("--prefix", prefix, "the beginning of a URL or of a path"),
        "surrogate_keys": list(keys) or None,
        "everything": everything or None,
    }
    what: Order = {name: value for name, value in given.items() if value is not None}
    if len(what) != 1:
        raise BadUsage("wanted exactly one of a URL, --prefix, --key and --all")
    return {**what, "soft": soft} | ({} if service is None else {"service": service})


def _as_asked(where: str, url: str | None, wanted: str) -> str | None:
    """As clients ask for what is typed: octets that no URL has percent-encoded, without a fragment."""
    if url is None:
        return None
    if not names_target(url):
        raise BadUsage(f"{where}: found {url!r}, wanted {wanted}, such as /live/ or http://127.0.0.1:8081/live/")
    # Octets that are no UTF-8 come as lone surrogates: they are encoded as the octets that they were.
    octets = url.partition("#")[0].encode("utf-8", "surrogateescape")
    return quote(octets, safe=string.punctuation)


def patience_of(timeout: str) -> float:
    try:
        return read_seconds(timeout)
    except ValueError as error:
        raise BadUsage(f"--timeout: found {timeout!r}, {error}") from None


def find_log(purge_log: str | None, node: str | None, what: Order, runs: Path) -> tuple[str, list[Listener]]:
    """Where the nodes take their orders from, a file or a server as named, or that of the cluster that runs; and who
    is expected to follow it. `BadUsage` for an order that the cluster has no such node, service or host for."""
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
        raise BadUsage(f"--service: no service {service!r} runs. {nearest(service, list(services), keys=False)}")
    target = what.get("url") or what.get("prefix") or ""
    host = split_url(target)[1]
    if host and services and not Hosts(services).concerned(host):
        known = ", ".join(name for names in services.values() for name in names)
        raise BadUsage(f"no service that runs has the host {host!r}: nothing is stored for it. Hosts: {known}.")
    return str(cluster["purge_log"]), nodes


def purge_all(
    where: str,
    what: Order,
    *,
    nodes: Sequence[Listener],
    node: str | None,
    wait: float | None,
    as_json: bool,
) -> int:
    """Orders, and prints a line for each node; the exit status. `nodes`: those known to run; `wait`: seconds until all
    must be done."""
    progress = Progress(soft=bool(what["soft"]), as_json=as_json)
    expecting = [one.name for one in nodes]

    async def ordered() -> None:
        log = open_log(where)
        only = () if node is None else (node,)
        within = TAKEN_WITHIN_S if wait is None else wait
        try:
            with progress.shown(waiting=wait is not None):
                async for standing in carried(log, [what], only=only, expecting=expecting, within=within):
                    progress.heard(standing)
        finally:
            await log.close()

    try:
        asyncio.run(ordered())
    except KeyboardInterrupt:
        print("the order stands: the nodes carry it out all the same", file=sys.stderr)
        raise
    if not progress.nodes:
        raise BadUsage(f"no node {node or ''}".rstrip() + f" has ever followed the log of purges at {where}")
    for name in [name for name, one in progress.nodes.items() if not one.taken]:
        progress.serving[name] = _not_following([one for one in nodes if one.name == name])
    status = progress.end(waited=wait is not None)
    if not as_json:
        _hint(what, progress, nodes)
    return status


def _not_following(named: Sequence[Listener]) -> str:
    """Of a node that has not taken an order: why it does not follow the log though it serves; "" if it does not serve,
    or nobody can say."""
    for one in named:
        with suppress(LabError, AttributeError):
            purges = ask(f"{one.admin}/healthz", timeout=HEALTH_S).json().get("purges") or {}
            return str(purges.get("trouble") or "it has not read the order yet")
    return ""


def _hint(what: Order, progress: "Progress", nodes: Sequence[Listener]) -> None:
    """On standard error, for surrogate keys that nothing had: those of what is stored that look like them."""
    keys = what.get("surrogate_keys", [])
    if not keys or any(one.purged or not one.done for one in progress.nodes.values()):
        return
    known: set[str] = set()
    for one in nodes:
        with suppress(LabError):
            told = ask(f"{one.admin}/surrogate-keys", headers=credentials(), timeout=HEALTH_S).json()
            known.update(told.get("surrogate_keys", ()))
    for key in keys:
        found = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        meant = f" Did you mean {found[0]!r}?" if found else ""
        print(f"nothing was stored under the surrogate key {key!r}.{meant}", file=sys.stderr)


@dataclass
class Progress:
    """How far the nodes are, as it is printed: finished nodes as lines, what is waited for below them on a terminal."""

    soft: bool
    as_json: bool
    nodes: dict[str, Standing] = field(default_factory=dict)
    serving: dict[str, str] = field(default_factory=dict)
    """Nodes that have not taken the order though they serve, and why; "" for one that does not serve."""
    _start: float = field(default_factory=time.monotonic)
    _seconds: dict[str, float] = field(default_factory=dict)
    _status: Status | None = None

    @contextmanager
    def shown(self, *, waiting: bool) -> Iterator[None]:
        console = terminal.console()
        if not (waiting and console.is_terminal) or self.as_json:
            yield
            return
        with console.status("the order is on its way") as self._status:
            yield

    def heard(self, standing: dict[str, Standing]) -> None:
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
            said = "could not read the order, and has purged all it had"
        elif one.done:
            said = f"{one.purged:>6} purged{' (soft)' if self.soft else ''}  {self._seconds[name] * 1e3:.0f} ms"
        elif one.taken:
            said = "has taken it, and is not done yet"
        elif self.serving.get(name):
            said = f"serves, and has not taken it: {self.serving[name]}"
        else:
            said = "is away: will catch up before it serves"
        print(f"{name:<{width}} {said}", flush=True)

    def end(self, *, waited: bool) -> int:
        """The lines of those who are not done, or all as JSON; the exit status."""
        for name, one in self.nodes.items():
            if not one.done:
                self._line(name, one, len(max(self.nodes, key=len)))
        if self.as_json:
            print(json.dumps({name: self._as_json(name, one) for name, one in self.nodes.items()}, indent=2))
        enough = all(one.obeyed or (one.taken and not waited and not one.unread) for one in self.nodes.values())
        return 0 if enough else UNFINISHED

    def _as_json(self, name: str, one: Standing) -> dict[str, Any]:
        state = "unread" if one.unread else "done" if one.done else "taken" if one.taken else "away"
        state = "not-following" if state == "away" and self.serving.get(name) else state
        seconds = round(self._seconds[name], 6) if one.done else None
        return {"state": state, "purged": one.purged, "seconds": seconds}


def purge_one(admin: str, what: Order, *, as_json: bool) -> int:
    """Orders of one node alone, on its admin listener; it answers when it has carried the order out."""
    progress = Progress(soft=bool(what["soft"]), as_json=as_json)
    answer = ask(
        f"{admin}/purge", method="POST", headers={"Content-Type": "application/json", **credentials()},
        body=json.dumps(what).encode(), timeout=PATIENCE_S,
    )  # fmt: skip
    if answer.status != 200:
        raise Failed(f"{admin}: answers {answer.status}: {answer.text().strip()[:200]}")
    told = answer.json()
    progress.heard({told["node"]: Standing(taken=True, done=True, purged=int(told["purged"]))})
    if not as_json:
        _hint(what, progress, [Listener(told["node"], admin)])
    return progress.end(waited=True)
