"""`cdnlab doctor`: what this machine has, and what is missing."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab doctor[/]")(doctor)


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Settings file whose geo databases to check; ./cdn.toml by default, if it exists."
        ),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Show what this machine has, and how to install what is missing."""
    from cdnlab.tasks.doctor import run

    return run(config, as_json=as_json)
