"""`cdnlab demo`: a stream, a cluster, viewers and the report, without any preparation."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import NEW_RUNS


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab demo --duration 30s[/]")(demo)


def demo(
    duration: Annotated[str, typer.Option("--duration", help="How long the viewers watch.")] = "30s",
    viewers: Annotated[int, typer.Option("--viewers", min=1, help="Viewers at each edge.")] = 50,
    runs: Annotated[Path, NEW_RUNS] = Path("runs"),
    stay: Annotated[
        bool | None, typer.Option("--stay/--no-stay", help="Keep running until Ctrl-C; the default on a terminal.")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print more.")] = False,
) -> int:
    """Stream a live test card through a shield and two edges to a hundred viewers, and report the hit rates."""
    from cdnlab.tasks.demo import run

    return run(duration=duration, viewers=viewers, runs=runs, stay=stay, verbose=verbose)
