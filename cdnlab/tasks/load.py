"""`cdnlab load`: loads the edges of the running cluster, or any edges, with players, and shows the report."""

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from cdnkit.settings.load import Load
from cdnlab.client.signing import signed
from cdnlab.errors import FAILED, BadUsage
from cdnlab.lab.run_folder import RunFolder, find_running
from cdnlab.screen import terminal
from cdnlab.screen.bar import bar
from cdnlab.settings.document import Document, read
from cdnlab.settings.options import checked
from loadtests import launch
from loadtests.identity import Target, networks_of, parse_target

_LONGER = 3600
"""Seconds by which a signed URL outlives the load test: players of a long run fetch it again."""


@dataclass(frozen=True)
class Options:
    """The options of the command line; None for one that was not given."""

    viewers: int | None
    duration: str | None
    stream: str | None
    edges: tuple[str, ...]
    config: Path | None
    out: Path | None
    runs: Path


def run(options: Options, *, as_json: bool, verbose: bool) -> int:
    """Loads the edges; reports, where they are a run's. Returns the exit status."""
    folder = find_running(options.runs) if not options.edges else None
    cluster: dict[str, Any] = folder.cluster() if folder is not None else {"nodes": [], "streams": []}
    document = _document(options, cluster)
    targets = [parse_target(edge) for edge in options.edges] or targets_of(cluster, document)
    name, segment = _stream(options, cluster, document)
    console = terminal.console(stderr=as_json)
    out = (options.out or (folder.path if folder is not None else Path.cwd())) / "load.json"
    load = _load(document.load, options)
    try:
        result = load_edges(
            document, load, targets, out=out, stream=name, segment=segment, console=console, verbose=verbose
        )
    except KeyboardInterrupt:
        if out.exists():
            hint = f"; `cdnlab report {folder.path}` makes the report" if folder is not None else ""
            console.print(f"what the players saw until then is in {out}{hint}", soft_wrap=True)
        raise
    if as_json:
        print(json.dumps(result, indent=2))
    elif folder is not None:
        show_report(folder, console)
    reasons = launch.failures(result)
    if folder is not None and not folder.alive():
        reasons.insert(0, f"the cluster ended during the load test; its logs: {folder.path / 'logs'}")
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


def targets_of(cluster: dict[str, Any], document: Document) -> list[Target]:
    """The edges of a running cluster, with the networks their viewers come from."""
    return [
        Target(node["name"], node["url"], networks_of(tuple(node["countries"]), document.geo.countries))
        for node in cluster["nodes"]
        if node["role"] == "edge"
    ]


def show_report(folder: RunFolder, console: Console) -> None:
    """Writes the run's report and shows its tables."""
    from cdnlab import report

    with bar() as shown:
        reading = shown.add_task("reading the records", total=1.0)

        def on_read(share: float) -> None:
            shown.update(reading, completed=share, description="counting" if share == 1.0 else "reading the records")

        counted = report.build(folder.path, on_read)
    _, page = report.write(folder.path, counted)
    report.show(counted, console)
    console.print(f"report: {page.absolute()}", soft_wrap=True)


def _document(options: Options, cluster: dict[str, Any]) -> Document:
    if options.config is not None:
        return read(options.config).document
    if cluster.get("settings"):
        return read(Path(cluster["settings"])).document
    return Document()


def _stream(options: Options, cluster: dict[str, Any], document: Document) -> tuple[str, float]:
    streams = {one["name"]: float(one["segment"]) for one in cluster["streams"]}
    streams |= {stream.name: float(stream.segment) for stream in document.streams} if not streams else {}
    name = options.stream or next(iter(streams), "live")
    if streams and name not in streams:
        raise BadUsage(f"--stream: found {name!r}, wanted one of {', '.join(streams)}")
    return name, streams.get(name, 4.0)


def _load(base: Load, options: Options) -> Load:
    values = dict(base)
    values |= {} if options.viewers is None else {"viewers": options.viewers}
    values |= {} if options.duration is None else {"duration": options.duration}
    return checked(Load, values)
