"""The cluster of `cdnlab up`: origin, nodes and transcoders as processes, started, kept alive and drained.

All interpreters start at once and load their imports side by side. Each gets its settings when the URL of its parent
is known: the origin first, then the nodes from the origin outwards, and transcoders as soon as the origin takes ingest.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdnkit.policy.rules.service import Service
from cdnkit.settings.edge import Node
from cdnkit.settings.origin import Origin
from cdnkit.settings.transcode import Stream
from cdnkit.units import split_address
from cdnkit.units.secret import hidden
from cdnlab.lab import ports
from cdnlab.lab.disk_watch import DiskWatch
from cdnlab.lab.distribution_rules import node_under, service_under
from cdnlab.lab.door import own_encoders
from cdnlab.lab.process import UNWRITTEN, Child, State
from cdnlab.lab.run_folder import RunFolder
from cdnlab.lab.run_logs import keep_bounded
from cdnlab.settings.addresses import addresses, origin_needed
from cdnlab.settings.document import Document, Loaded

if TYPE_CHECKING:
    from cdnkit.vendors.cloudfront.distribution import Translated
    from cdnlab.control.serve import ControlListener
    from edge.purges.log import PurgeLog

GRACE = {"transcode": 1.6, "node": 0.5, "origin": 0.0}
"""Seconds that each kind has to drain before the processes behind it are drained too."""
LAST_GRACE = 0.7
"""Seconds that the remaining processes then have before they are killed. A listener grants half a second to a response
under way (`cdnkit.serving.listener.GRACE_S`), and a busy machine is slow. The sum stays under the 3 s that Ctrl-C may
take."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a process, for the person who watches the cluster."""

    process: str
    state: State | None
    """The state it entered; None for a message in between."""
    detail: dict[str, Any]


class Cluster:
    """One running cluster."""

    def __init__(self, loaded: Loaded, folder: RunFolder, on_event: Callable[[Event], None]) -> None:
        self.document = loaded.document
        self.folder = folder
        self._public = loaded.public()
        self._settings_file = loaded.path
        self._purge_log = loaded.document.purge_log or str(
            _log_beside_a_store(loaded.document) or folder.purges.absolute()
        )
        self._on_event = on_event
        self._started_at = datetime.now(UTC)
        self._stopped_at: datetime | None = None
        self._control: ControlListener | None = None
        self._distribution: Translated | None = None
        self.purges: PurgeLog | None = None
        """The purge log; from `start` to `stop`."""
        self._encoders = own_encoders(tuple(stream.name for stream in self.document.streams))
        self._disks = DiskWatch(folder, _folders(self.document), lambda name, text: self._report(name, {"text": text}))
        self._watching: list[asyncio.Task[None]] = []
        self.origin = self._child("origin", "origin")
        self.nodes = {node.name: self._child(node.name, "node") for node in self.document.nodes}
        self.transcoders = {
            stream.name: self._child(f"transcode-{stream.name}", "transcode") for stream in self.document.streams
        }

    def children(self) -> list[Child]:
        """All processes, from the origin outwards; without the origin where nothing needs it."""
        document = self.document
        needed = origin_needed(document.origin, document.nodes, document.streams)
        return [*([self.origin] if needed else []), *self.nodes.values(), *self.transcoders.values()]

    async def start(self) -> None:
        """Everything serves when this returns. Raises `PortsTaken` before anything was started, `ChildFailed` after
        everything was stopped again."""
        ports.check(addresses(self.document))
        self.folder.write("cdn.json", self._public)
        for name, work in (("disks", self._disks.keep()), ("logs", keep_bounded(self.folder.logs))):
            self._watching.append(task := asyncio.create_task(work, name=f"watch the {name}"))
            task.add_done_callback(self._watch_ended)
        await self._open_log()
        await asyncio.gather(*(child.spawn() for child in self.children()))
        begun = [asyncio.ensure_future(self._begin_origin())] if self.origin in self.children() else []
        begun += [asyncio.ensure_future(self._begin_node(node)) for node in self.document.nodes]
        begun += [asyncio.ensure_future(self._begin_transcoder(stream)) for stream in self.document.streams]
        try:
            await asyncio.gather(*begun)
        except BaseException:
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            await self.stop()
            raise
        try:
            await self._start_control()
        except BaseException:
            await self.stop()
            raise
        self._write()

    async def _open_log(self) -> None:
        """Opens the purge log before any node needs it. Raises `BadLog` and `LogLost`."""
        from edge.purges.log import is_server, open_log

        self.purges = open_log(self._purge_log)
        try:
            if is_server(self._purge_log):
                await self.purges.followers()  # fails if the server does not answer; other clusters may use the log too
            else:
                await self.purges.keep_only(node.name for node in self.document.nodes)
        except BaseException:
            await self.purges.close()
            raise

    async def _start_control(self) -> None:
        """Called once the nodes serve, so that an order finds all of them in the purge log."""
        from cdnlab.control.fleet import Fleet
        from cdnlab.control.serve import ControlListener

        assert self.purges is not None
        self._control = ControlListener(self.document.control)
        await self._control.start(Fleet(self.purges, self.nodes), self)
        self._on_event(Event("control", State.READY, {"url": self._control.url}))

    async def stop(self) -> None:
        """Drains from the encoders inwards, so that streams end properly; kills what does not exit in time."""
        for task in self._watching:
            task.cancel()
        if self._control is not None:
            await self._control.close()
        for group in (self.transcoders.values(), self.nodes.values(), [self.origin]):
            for child in group:
                child.drain()
            await asyncio.gather(*(child.gone(GRACE[child.kind]) for child in group))
        gone = await asyncio.gather(*(child.gone(LAST_GRACE) for child in self.children()))
        for child, left in zip(self.children(), gone, strict=True):
            if not left:
                self._report(child.name, {"text": "did not exit in time: killed"})
        self.kill()
        await asyncio.gather(*(child.gone(1.0) for child in self.children()))
        if self.purges is not None:
            await self.purges.close()
        self._stopped_at = datetime.now(UTC)
        if (self.folder.path / "cluster.json").exists():
            self._write()

    def kill(self) -> None:
        """Ends every process, and everything they started, at once."""
        for child in self.children():
            child.kill()

    def describe(self) -> dict[str, Any]:
        """The content of `cluster.json`: names, URLs and pids."""
        parents = self.document.parents()
        return {
            "started_at": self._started_at.isoformat(),
            "stopped_at": self._stopped_at.isoformat() if self._stopped_at is not None else None,
            "pid": os.getpid(),
            "settings": None if self._settings_file is None else str(self._settings_file),
            "profile": self.document.profile,
            "control": self._control.url if self._control is not None else None,
            "purge_log": self.purges.where if self.purges is not None else None,
            "origin": {
                "url": self.origin.ready.get("url"),
                "ingest": self.origin.ready.get("ingest"),
                "pid": self.origin.pid,
            },
            "nodes": [
                {
                    "name": node.name,
                    "url": self.nodes[node.name].ready.get("url"),
                    "https": self.nodes[node.name].ready.get("https"),
                    "admin": self.nodes[node.name].ready.get("admin"),
                    "parent": node.parent,
                    "role": "shield" if node.name in parents else "edge",
                    "countries": list(node.countries),
                    "pid": self.nodes[node.name].pid,
                }
                for node in self.document.nodes
            ],
            "services": {name: list(hosts) for name, hosts in self.document.hosts().items()},
            "streams": [
                {
                    "name": stream.name,
                    "playlist": f"/{stream.name}/multivariant.m3u8",
                    "segment": float(stream.segment),
                    "pid": self.transcoders[stream.name].pid,
                }
                for stream in self.document.streams
            ],
        }

    def edge_urls(self) -> dict[str, str]:
        """Node -> URL, for the nodes that viewers use."""
        return {node.name: str(self.nodes[node.name].ready["url"]) for node in self.document.edges()}

    def https_urls(self) -> dict[str, str]:
        """Node -> URL over TLS, for the edges that have one."""
        nodes = self.document.edges()
        ready = {node.name: self.nodes[node.name].ready.get("https") for node in nodes}
        return {name: str(url) for name, url in ready.items() if url is not None}

    def _child(self, name: str, kind: str) -> Child:
        return Child(name, kind, self.folder.log(name), self._on_message)

    def _on_message(self, child: Child, message: dict[str, Any]) -> None:
        if message.get("event") == UNWRITTEN:
            self._disks.unwritten(child.name, Path(message["path"]), message["errno"])
            return
        if message.get("event") == "Behind" and self._disks.trouble:
            return  # the origin waits for its disk, and the encoder for the origin
        self._report(child.name, message)
        # A restarted process has another pid.
        if message.get("state") is State.READY and child.restarts:
            self._write()

    def _report(self, name: str, message: dict[str, Any]) -> None:
        state = message.get("state")
        # If the terminal is gone, or standard output is a file on a full disk, the processes are still kept alive.
        with suppress(OSError, ValueError):
            self._on_event(Event(name, state if isinstance(state, State) else None, message))

    def _watch_ended(self, task: "asyncio.Task[None]") -> None:
        """Nobody awaits the watches: if a fault of ours ended one, reports that."""
        if not task.cancelled() and (error := task.exception()) is not None:
            why = f"{type(error).__name__}: {error}"
            self._report("cluster", {"text": f"a fault in cdnlab itself ended the task to {task.get_name()}: {why}"})

    def _write(self) -> None:
        self._disks.write("cluster.json", self.describe())

    async def _begin_origin(self) -> None:
        origin: Origin = self._encoders.admitted(self.document.origin)
        if "storage" not in origin.model_fields_set:
            origin = origin.model_copy(update={"storage": self.folder.media.absolute()})

        def pin(settings: dict[str, Any], ready: dict[str, Any]) -> None:
            settings["origin"] |= {"listen": _address(ready["url"]), "ingest": _address(ready["ingest"])}

        lengths = self.document.segment_lengths()
        await self.origin.begin({"origin": origin.model_dump(mode="json"), "lengths": lengths}, pin)

    async def _begin_node(self, node: Node) -> None:
        parent, *others = [await self._url_of(parent) for parent in node.parents]

        def pin(settings: dict[str, Any], ready: dict[str, Any]) -> None:
            settings["node"] |= _pinned(ready)

        def before_restart(settings: dict[str, Any], restarts: int) -> None:
            # A record file for each life: its machine starts empty, and so must the machine that replays the file.
            life = f"{node.name}.{restarts + 1}"
            settings["records"] = str(self.folder.records(life).absolute())
            if self._distribution is not None:
                # A replay of this life needs its rules, which are not those of the settings file; without secrets.
                public = hidden(settings["service"], Service)
                self._disks.write(f"services/{life}.json", public)

        settings = {
            "node": node.model_dump(mode="json"),
            "service": self.document.service(node).model_dump(mode="json"),
            "parent": parent,
            "others": others,
            "hostnames": self.document.hostnames,
            "hosted": await self._hosted(node),
            "records": str(self.folder.records(node.name).absolute()),
            "geo": self.document.geo.model_dump(mode="json"),
            "purge_log": self._purge_log,
        }
        await self.nodes[node.name].begin(settings, pin, before_restart)

    async def _hosted(self, node: Node) -> list[dict[str, Any]]:
        """The services of a node beside the first, in the form that its process reads."""
        hosted = []
        for name, one in self.document.services.items():
            parents = [one.origin if one.origin and up == "origin" else await self._url_of(up) for up in node.parents]
            service = self.document.service(node, name).model_dump(mode="json")
            hosted.append({"name": name, "hostnames": one.hostnames, "service": service, "parents": parents})
        return hosted

    def domain(self) -> str:
        """Host and port of the first edge; "" where there is none."""
        return next((_address(url) for url in self.edge_urls().values()), "")

    def https(self) -> bool:
        """Whether every edge has `listen_tls`."""
        return all(node.listen_tls is not None for node in self.document.edges())

    async def check(self, distribution: "Translated") -> None:
        """Raises `Unworkable` for a distribution that no node could serve."""
        from cdnlab.control.takeover import check_origins

        names = ("url", "https", "admin")
        nodes = [child.ready[name] for child in self.nodes.values() for name in names if name in child.ready]
        await check_origins(distribution, {split_address(_address(str(url))) for url in nodes})

    def gates_lost(self, distribution: "Translated") -> list[str]:
        """The checks of viewers that the settings file makes and the distribution does not, in words."""
        from cdnlab.control.takeover import gates_lost

        return gates_lost(self.document.behaviors, distribution)

    async def deploy(self, distribution: "Translated | None") -> None:
        """Puts a distribution in force; None: the settings file. Every node serves by its rules when this returns.

        Each node's process is restarted with the new rules at its old address, from the origin outwards, and with
        nothing stored: the new rules would not find what was stored under the old rules' cache keys.
        """
        if distribution == self._distribution:
            return
        self._distribution = distribution
        self._on_event(Event("control", None, {"text": self._rules_notice()}))
        for tier in self.document.tiers():
            await asyncio.gather(*(self._renew(node) for node in tier))

    def _rules_notice(self) -> str:
        """The line for the terminal that says whose rules are in force from now on."""
        if self._distribution is None:
            return "the settings file is in force again: every node restarts, with nothing stored"
        lost = self.gates_lost(self._distribution)
        return "a distribution is in force in place of the settings file: every node restarts, with nothing stored" + (
            f"; no longer checked: {', '.join(lost)}" if lost else ""
        )

    async def _renew(self, node: Node) -> None:
        parent, *others = [await self._url_of(parent) for parent in node.parents]
        service, changed = self.document.service(node), node
        distribution = self._distribution
        if distribution is not None:
            service = service_under(distribution, service, edge=node.name not in self.document.parents())
            if node.parent not in self.nodes:
                parent, *others = [origin.url for origin in distribution.origins]
                changed = node_under(distribution, node)
        child = self.nodes[node.name]
        values = changed.model_dump(mode="json")
        values |= _pinned(child.ready)
        await child.renew(
            {"node": values, "service": service.model_dump(mode="json"), "parent": parent, "others": others}
        )

    async def _url_of(self, parent: str) -> str:
        """The URL of a parent that settings name, once it serves."""
        if "://" in parent:
            return parent
        upper = self.origin if parent == "origin" else self.nodes[parent]
        await upper.serving()
        return str(upper.ready["url"])

    async def _begin_transcoder(self, stream: Stream) -> None:
        await self.origin.serving()
        settings = {
            "stream": stream.model_dump(mode="json"),
            "ingest": self.origin.ready["ingest"],
            "door": self._encoders.door(self.document.origin),
        }
        await self.transcoders[stream.name].begin(settings, lambda settings, ready: None)


def _folders(document: Document) -> list[Path]:
    """The folders beside the run folder that its processes write to."""
    folders = [node.disk.path for node in document.nodes if node.disk is not None]
    storage = document.origin.storage
    if "storage" in document.origin.model_fields_set and isinstance(storage, Path):
        folders.append(storage)
    return folders


def _log_beside_a_store(document: Document) -> Path | None:
    """The place of a purge log that lasts as long as the nodes' disk stores; None where there is no such store."""
    stores = [node.disk.path for node in document.nodes if node.disk is not None]
    return stores[0].with_name(f"{stores[0].name}-purges.sqlite3") if stores else None


def _pinned(ready: dict[str, Any]) -> dict[str, str]:
    """A node's addresses as settings write them, so that a restarted node keeps them."""
    names = {"listen": "url", "listen_tls": "https", "admin": "admin"}
    return {setting: _address(str(ready[name])) for setting, name in names.items() if name in ready}


def _address(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
