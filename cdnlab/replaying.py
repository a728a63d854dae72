"""`cdnlab replay`: a run's records told again to the same machines, in virtual time; every outcome must agree."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from cdnlab.document import Document
from cdnlab.errors import FAILED, BadUsage
from replay import read_trace, replay_node
from replay.node import Replayed
from vendors import PROFILES

SHOWN = 10
"""Differences shown of each node; the rest are counted."""


def run(folder: Path, *, as_json: bool) -> int:
    """Replays every node of a run; FAILED when a line came out otherwise than it did live."""
    document = _document(folder)
    services = {node.name: document.service(node) for node in document.nodes}
    results: dict[str, Replayed] = {}
    for file in sorted((folder / "records").glob("*.jsonl")):
        # A node that was restarted has a file, and a machine, for each of its lives: fra.jsonl, fra.2.jsonl.
        name = file.stem.partition(".")[0]
        if name not in services:
            raise BadUsage(f"{file}: found records of {name!r}, wanted a node of {folder / 'cdn.json'}")
        results[file.stem] = replay_node(read_trace(file), services[name], PROFILES[document.profile])
    if not results:
        raise BadUsage(f"{folder}: no records/<node>.jsonl there, so nothing to replay")
    if as_json:
        print(json.dumps({name: _told(result) for name, result in results.items()}, indent=2))
    else:
        _show(results)
    return FAILED if any(result.differences for result in results.values()) else 0


def _document(folder: Path) -> Document:
    """The settings as run. Secrets are not among them, nor needed: the records hold the gate's verdicts."""
    file = folder / "cdn.json"
    try:
        return Document.model_validate(json.loads(file.read_text()))
    except FileNotFoundError:
        raise BadUsage(f"{folder}: no cdn.json there, so no run of `cdnlab up`") from None
    except (OSError, ValueError, ValidationError) as error:
        raise BadUsage(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None


def _told(result: Replayed) -> dict[str, Any]:
    return {
        "requests": result.requests,
        "outcomes": {outcome.value: count for outcome, count in result.outcomes.items()},
        "differences": [str(difference) for difference in result.differences],
    }


def _show(results: dict[str, Replayed]) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False)
    for column in ("node", "requests", "differences", "outcomes"):
        table.add_column(column, justify="right" if column in ("requests", "differences") else "left")
    for name, result in results.items():
        outcomes = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(result.outcomes.items()))
        table.add_row(name, str(result.requests), str(len(result.differences)), outcomes)
    console.print(table)
    for name, result in results.items():
        for difference in result.differences[:SHOWN]:
            console.print(f"{name}: {difference}", highlight=False, markup=False, soft_wrap=True)
        if len(result.differences) > SHOWN:
            console.print(f"{name}: and {len(result.differences) - SHOWN} more")
