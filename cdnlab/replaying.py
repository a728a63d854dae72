"""`cdnlab replay`: a run's records told again to the same machines, in virtual time; every outcome must agree."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cdnlab import terminal
from cdnlab.document import Document
from cdnlab.errors import FAILED, BadUsage
from edge.serve import records_of
from policy.hosting import DEFAULT
from policy.profile import Profile
from policy.service import Service
from replay import BadTrace, Replayed, read_trace, replay_node
from vendors import profile_of

SHOWN = 10
"""Differences shown of each node; the rest are counted."""


@dataclass
class Told:
    """What came of one file, and how long it took."""

    replayed: Replayed
    reading: float
    """Seconds."""
    replaying: float

    @property
    def pace(self) -> int:
        """Requests replayed a second, the reading left out."""
        return round(self.replayed.requests / self.replaying) if self.replaying else 0


def run(folder: Path, *, as_json: bool) -> int:
    """Replays every node of a run; FAILED when a line came out otherwise than it did live."""
    document = _document(folder)
    services = {
        records_of(Path(node.name), name).name: document.service(node, name)
        for node in document.nodes
        for name in (DEFAULT, *document.services)
    }
    files = sorted((folder / "records").glob("*.jsonl"))
    if not files:
        raise BadUsage(f"{folder}: no records/<node>.jsonl there, so nothing to replay")
    results: dict[str, Told] = {}
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = terminal.console(stderr=True)
    # It is there at once, and gone when all is told: a short run shows nothing of it.
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        for file in files:
            # A node that was restarted has a file, and a machine, for each of its lives: fra.jsonl, fra.2.jsonl.
            name = file.stem.partition(".")[0]
            if name not in services:
                raise BadUsage(f"{file}: found records of {name!r}, wanted a node of {folder / 'cdn.json'}")
            service = _service(folder, file.stem) or services[name]
            results[file.stem] = _one(file, service, profile_of(service), bar)
    if as_json:
        print(json.dumps({name: _as_json(told) for name, told in results.items()}, indent=2))
    else:
        _show(results)
    return FAILED if any(told.replayed.differences for told in results.values()) else 0


def _document(folder: Path) -> Document:
    """The settings as run. Secrets are not among them, nor needed: the records hold the gate's verdicts."""
    file = folder / "cdn.json"
    try:
        return Document.model_validate(json.loads(file.read_text()))
    except FileNotFoundError:
        raise BadUsage(f"{folder}: no cdn.json there, so no run of `cdnlab up`") from None
    except (OSError, ValueError, ValidationError) as error:
        raise BadUsage(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None


def _service(folder: Path, life: str) -> Service | None:
    """The rules of one life of a node, where a distribution of the control API set them; None: the settings file's."""
    file = folder / "services" / f"{life}.json"
    try:
        return Service.model_validate(json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadUsage(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None


def _one(file: Path, service: Service, profile: Profile, bar: Progress) -> Told:
    reading = bar.add_task(f"{file.stem}: reading", total=file.stat().st_size)
    start = time.perf_counter()
    try:
        trace = read_trace(file, read=lambda size: bar.advance(reading, size))
    except BadTrace as error:
        raise BadUsage(str(error)) from None
    read = time.perf_counter()
    telling = bar.add_task(f"{file.stem}: replaying", total=len(trace))
    replayed = replay_node(trace, service, profile, lambda done: bar.update(telling, completed=done))
    return Told(replayed, read - start, time.perf_counter() - read)


def _as_json(told: Told) -> dict[str, Any]:
    result = told.replayed
    return {
        "requests": result.requests,
        "outcomes": {outcome.value: count for outcome, count in result.outcomes.items()},
        "differences": [str(difference) for difference in result.differences],
        "seconds": {"reading": round(told.reading, 6), "replaying": round(told.replaying, 6)},
        "requests_per_second": told.pace,
    }


def _show(results: dict[str, Told]) -> None:
    console = terminal.console()
    table = Table(box=None, pad_edge=False)
    for column in ("node", "requests", "requests/s", "differences", "outcomes"):
        table.add_column(column, justify="left" if column in ("node", "outcomes") else "right")
    for name, told in results.items():
        result = told.replayed
        outcomes = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(result.outcomes.items()))
        table.add_row(name, str(result.requests), f"{told.pace:,}", str(len(result.differences)), outcomes)
    console.print(table)
    for name, told in results.items():
        differences = told.replayed.differences
        for difference in differences[:SHOWN]:
            console.print(f"{name}: {difference}", soft_wrap=True)
        if len(differences) > SHOWN:
            console.print(f"{name}: and {len(differences) - SHOWN} more")
