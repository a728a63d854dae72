"""`cdnlab report`: the report of a run, from its records."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab report runs/2026-01-31T12-00-00Z[/]")(report)


def report(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Make the report of a run from its records: hit rates, causes of misses, offload."""
    from cdnlab.tasks.report import run as make

    return make(run, as_json=as_json)
