"""`cdnlab up`: everything that a cdn.toml says, at once."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import NEW_RUNS


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab up[/]    [bold]cdnlab up cdn.toml -v[/]    [bold]cdnlab up --source clip.mp4[/]"
    )(up)


def up(
    settings: Annotated[
        Path | None, typer.Argument(help="The settings file. Left out: ./cdn.toml, or the built-in example.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Encode this file (looped live) or URL in place of the first stream's."),
    ] = None,
    runs: Annotated[Path, NEW_RUNS] = Path("runs"),
    within: Annotated[
        float,
        typer.Option("--within", min=0.0, help="Seconds until it must be playable; then it is said."),
    ] = 60.0,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Take free ports in the place of those that are taken.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say more: ffmpeg's command, restarts, progress.")
    ] = False,
) -> int:
    """Run the cluster of a cdn.toml on this machine until Ctrl-C."""
    from cdnlab.tasks.up import run

    return run(settings, source=source, runs=runs, within=within, free_ports=free_ports, verbose=verbose)
