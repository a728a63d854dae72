"""`cdnlab replay`: a run's records through the same machines, in virtual time."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab replay runs/2026-01-31T12-00-00Z[/]")(replay)


def replay(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Tell a run's records to the same machines again, in virtual time, and compare every outcome."""
    from cdnlab.tasks.replay import run as replay_again

    return replay_again(run, as_json=as_json)
