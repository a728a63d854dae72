"""`cdnlab replay`: gives a run's records to the same machines again, in virtual time, and compares every outcome."""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.progress import Progress
from rich.table import Table

from cdnkit.policy.gate.hosts import DEFAULT
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.replay import BadTrace, Missing, Replayed, read_trace, replay_node
from cdnkit.units import visible
from cdnkit.vendors import profile_of
from cdnlab.errors import FAILED, BadUsage
from cdnlab.lab.run_folder import read_json
from cdnlab.report.words import when
from cdnlab.screen import terminal
from cdnlab.screen.bar import bar
from cdnlab.settings.document import Document
from edge.record_files import Life, lives_of
from edge.serve import records_of

SHOWN = 10
"""Differences shown for each node; the rest are only counted."""


@dataclass
class NodeReplay:
    """The replay of one life of a node, and how long it took."""

    replayed: Replayed
    reading: float
    """Seconds."""
    replaying: float
    begins: float | None = None
    """The instant of the oldest record."""
    missing: dict[Missing, int] = field(default_factory=dict)
    """Why records are missing -> how many."""

    @property
    def pace(self) -> int:
        """Requests replayed in a second, without the time to read them."""
        return round(self.replayed.requests / self.replaying) if self.replaying else 0


def run(folder: Path, *, as_json: bool) -> int:
    """Replays every node of a run. Returns FAILED when an outcome differs from the live one."""
    document = _document(folder)
    services = {
        records_of(Path(node.name), name).name: document.service(node, name)
        for node in document.nodes
        for name in (DEFAULT, *document.services)
    }
    # A restarted node has record files for each of its lives, fra.jsonl and fra.2.jsonl, and each life a machine.
    named = sorted((folder / "records").glob("*.jsonl"))
    lives = lives_of(path for path in named if path.is_file())
    for path in named:
        if not path.is_file():
            print(f"records/{visible(path.name)}: not a file, left out", file=sys.stderr)
    if not lives:
        raise BadUsage(f"{folder}: found no records/<node>.jsonl, so there is nothing to replay")
    results: dict[str, NodeReplay] = {}
    with bar(hidden=as_json) as shown:
        for life in lives:
            if life.node not in services:
                found = f"found records of {life.node!r}, wanted a node of {folder / 'cdn.json'}"
                raise BadUsage(f"{visible(str(life.all_files[0]))}: {found}")
            service = _service(folder, life.name) or services[life.node]
            results[life.name] = _replay(life, service, profile_of(service), shown)
    if as_json:
        print(json.dumps({name: _as_json(node) for name, node in results.items()}, indent=2))
    else:
        _show(results)
    return FAILED if any(node.replayed.differed for node in results.values()) else 0


def _document(folder: Path) -> Document:
    """The settings as run, without secrets. None is needed: the records hold what the gate decided."""
    file = folder / "cdn.json"
    try:
        return Document.model_validate(read_json(file))
    except FileNotFoundError:
        raise BadUsage(f"{folder}: found no cdn.json, wanted the folder of a run of `cdnlab up`") from None
    except (OSError, ValueError, ValidationError) as error:
        raise BadUsage(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None


def _service(folder: Path, life: str) -> Service | None:
    """The rules of one life of a node that a distribution of the control API set; None: those of the settings file."""
    file = folder / "services" / f"{life}.json"
    try:
        return Service.model_validate(read_json(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadUsage(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None


def _replay(life: Life, service: Service, profile: Profile, shown: Progress) -> NodeReplay:
    reading = shown.add_task(f"{life.name}: reading", total=sum(file.stat().st_size for file in life.all_files))
    start = time.perf_counter()
    try:
        trace = read_trace(*life.files, workers=life.workers, read=lambda size: shown.advance(reading, size))
        read = time.perf_counter()
        replaying = shown.add_task(f"{life.name}: replaying", total=len(trace))
        replayed = replay_node(trace, service, profile, lambda done: shown.update(replaying, completed=done))
    except BadTrace as error:
        raise BadUsage(visible(str(error))) from None
    missing = {why: lines for why in Missing if (lines := trace.missing(why))}
    return NodeReplay(replayed, read - start, time.perf_counter() - read, trace.begins, missing)


def _notes(node: NodeReplay) -> list[str]:
    """What a reader must know before trusting the figures."""
    notes = [f"{'1 record' if lines == 1 else f'{lines:,} records'} {why.value}" for why, lines in node.missing.items()]
    if Missing.OLD in node.missing:
        notes.append(f"replayed from {when(node.begins)} on")
    if node.replayed.not_compared:
        notes.append(
            f"{node.replayed.not_compared:,} of {node.replayed.requests:,} requests not compared: their outcome "
            "depends on records that are missing"
        )
    return notes


def _as_json(node: NodeReplay) -> dict[str, Any]:
    result = node.replayed
    return {
        "requests": result.requests,
        "outcomes": {outcome.value: count for outcome, count in result.outcomes.items()},
        "differences": [str(difference) for difference in result.differences],
        "differed": result.differed,
        "not_compared": result.not_compared,
        "missing": {why.name.lower(): lines for why, lines in node.missing.items()},
        "begins": node.begins,
        "seconds": {"reading": round(node.reading, 6), "replaying": round(node.replaying, 6)},
        "requests_per_second": node.pace,
    }


def _show(results: dict[str, NodeReplay]) -> None:
    console = terminal.console()
    table = Table(box=None, pad_edge=False)
    for column in ("node", "requests", "requests/s", "differences", "outcomes"):
        table.add_column(column, justify="left" if column in ("node", "outcomes") else "right")
    for name, node in results.items():
        result = node.replayed
        outcomes = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(result.outcomes.items()))
        table.add_row(name, str(result.requests), f"{node.pace:,}", str(result.differed), outcomes)
    console.print(table)
    for name, node in results.items():
        for note in _notes(node):
            console.print(f"{name}: {note}", soft_wrap=True)
    for name, node in results.items():
        differences = node.replayed.differences
        for difference in differences[:SHOWN]:
            console.print(f"{name}: {visible(str(difference))}", soft_wrap=True)
        if node.replayed.differed > SHOWN:
            console.print(f"{name}: and {node.replayed.differed - SHOWN} more")
