"""`cdnlab load`: the running cluster's edges, or any, loaded with players; what they saw, and the report of it."""

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console

from cdnkit.settings.load import Load
from cdnlab.client.signing import signed
from cdnlab.errors import FAILED, BadUsage
from cdnlab.lab.run_folder import RunFolder, find_running
from cdnlab.screen import terminal
from cdnlab.settings.document import Document, read
from loadtests import launch
from loadtests.identity import Target, networks_of, parse_target

_LONGER = 3600
"""Seconds a signed URL outlives the load test: players of a long run come back to it."""


@dataclass(frozen=True)
class Wishes:
    """The command line's, None where it is silent."""

    viewers: int | None
    duration: str | None
    stream: str | None
    edges: tuple[str, ...]
    config: Path | None
    out: Path | None
    runs: Path


def run(wishes: Wishes, *, as_json: bool, verbose: bool) -> int:
    """Loads, and reports where the run's records are at hand; the exit status."""
    folder = find_running(wishes.runs) if not wishes.edges else None
    told: dict[str, Any] = folder.cluster() if folder is not None else {"nodes": [], "streams": []}
    document = _document(wishes, told)
    targets = [parse_target(edge) for edge in wishes.edges] or targets_of(told, document)
    name, segment = _stream(wishes, told, document)
    console = terminal.console(stderr=as_json)
    out = (wishes.out or (folder.path if folder is not None else Path.cwd())) / "load.json"
    load = _load(document.load, wishes)
    try:
        result = load_edges(
            document, load, targets, out=out, stream=name, segment=segment, console=console, verbose=verbose
        )
    except KeyboardInterrupt:
        if out.exists():
            hint = f"; `cdnlab report {folder.path}` makes the report" if folder is not None else ""
            console.print(f"what was seen until then is in {out}{hint}", soft_wrap=True)
        raise
    if as_json:
        print(json.dumps(result, indent=2))
    elif folder is not None:
        show_report(folder, console)
    reasons = launch.failures(result)
    if folder is not None and not folder.alive():
        reasons.insert(0, f"the cluster ended meanwhile; its logs: {folder.path / 'logs'}")
    for reason in reasons:
        console.print(f"failed: {reason}", style="red", soft_wrap=True)
    return FAILED if reasons else 0


def load_edges(
    document: Document,
    load: Load,
    targets: list[Target],
    *,
    out: Path,
    stream: str,
    segment: float,
    console: Console,
    verbose: bool = False,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Runs the players to the end and returns load.json's content; warnings go to the console."""
    path = f"/{stream}/multivariant.m3u8"
    expires_at = int(time.time() + load.duration) + _LONGER
    result = launch.run(
        load, targets, out=out, stream_url=path, segment=segment, console=console, verbose=verbose,
        stop=stop, token=urlsplit(signed(document, path, expires_at=expires_at)).query,
    )  # fmt: skip
    for warning in launch.warnings(result):
        console.print(f"warning: {warning}", style="yellow")
    return result


def targets_of(told: dict[str, Any], document: Document) -> list[Target]:
    """The edges of a running cluster, with the networks their viewers come from."""
    return [
        Target(node["name"], node["url"], networks_of(tuple(node["countries"]), document.geo.countries))
        for node in told["nodes"]
        if node["role"] == "edge"
    ]


def show_report(folder: RunFolder, console: Console) -> Path:
    """Writes the run's report, shows its tables, and returns the page's path."""
    from cdnlab import report

    written = report.write(folder.path)
    report.show(report.build(folder.path), console)
    page = next(path for path in written if path.suffix == ".html")
    console.print(f"report: {page.absolute()}", soft_wrap=True)
    return page


def _document(wishes: Wishes, told: dict[str, Any]) -> Document:
    if wishes.config is not None:
        return read(wishes.config).document
    if told.get("settings"):
        return read(Path(told["settings"])).document
    return Document()


def _stream(wishes: Wishes, told: dict[str, Any], document: Document) -> tuple[str, float]:
    streams = {one["name"]: float(one["segment"]) for one in told["streams"]}
    streams |= {stream.name: float(stream.segment) for stream in document.streams} if not streams else {}
    name = wishes.stream or next(iter(streams), "live")
    if streams and name not in streams:
        raise BadUsage(f"--stream: found {name!r}, wanted one of {', '.join(streams)}")
    return name, streams.get(name, 4.0)


def _load(base: Load, wishes: Wishes) -> Load:
    values = dict(base)
    values |= {} if wishes.viewers is None else {"viewers": wishes.viewers}
    values |= {} if wishes.duration is None else {"duration": wishes.duration}
    try:
        return Load.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ").replace("Input should be", "wanted")
        raise BadUsage(f"--{first['loc'][0]}: found {first['input']!r}, {message}") from None
