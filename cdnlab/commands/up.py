"""`cdnlab up`: the whole cluster of a cdn.toml."""

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
        Path | None, typer.Argument(help="Settings file; by default ./cdn.toml, else the built-in example.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Encode this file (looped) or URL in place of the first stream's source."),
    ] = None,
    runs: Annotated[Path, NEW_RUNS] = Path("runs"),
    within: Annotated[
        float,
        typer.Option(
            "--within",
            min=0.0,
            help="Seconds within which the stream should be playable; after that, a warning is printed.",
        ),
    ] = 60.0,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Use free ports in place of those already in use.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print more: ffmpeg's command, restarts, progress.")
    ] = False,
) -> int:
    """Run the cluster that a cdn.toml describes on this machine, until Ctrl-C."""
    from cdnlab.tasks.up import run

    return run(settings, source=source, runs=runs, within=within, free_ports=free_ports, verbose=verbose)
