"""`up` and `demo`: everything at once."""

from pathlib import Path
from typing import Annotated

import typer

RUNS = typer.Option("--runs", help="The folder that run folders are made in.")


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab up[/]    [bold]cdnlab up cdn.toml -v[/]    [bold]cdnlab up --source clip.mp4[/]"
    )(up)
    app.command(epilog="Example: [bold]cdnlab demo --duration 30s[/]")(demo)


def up(
    settings: Annotated[
        Path | None, typer.Argument(help="The settings file. Left out: ./cdn.toml, or the built-in example.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Encode this file (looped live) or URL in place of the first stream's."),
    ] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
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
    from cdnlab.up import run

    return run(settings, source=source, runs=runs, within=within, free_ports=free_ports, verbose=verbose)


def demo(
    duration: Annotated[str, typer.Option("--duration", help="How long the viewers watch.")] = "30s",
    viewers: Annotated[int, typer.Option("--viewers", min=1, help="Viewers at each edge.")] = 50,
    runs: Annotated[Path, RUNS] = Path("runs"),
    stay: Annotated[
        bool | None, typer.Option("--stay/--no-stay", help="Stay up until Ctrl-C; by default when on a terminal.")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
) -> int:
    """A live test card through a shield and two edges, a hundred viewers, and the hit-rate report."""
    from cdnlab.demo import run

    return run(duration=duration, viewers=viewers, runs=runs, stay=stay, verbose=verbose)
