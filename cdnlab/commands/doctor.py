"""`cdnlab doctor`: what this machine has, and what it lacks."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab doctor[/]")(doctor)


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings whose geo databases to look at; cdn.toml if it is here.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Say what this machine has, and what to do about what is missing."""
    from cdnlab.tasks.doctor import run

    return run(config, as_json=as_json)
