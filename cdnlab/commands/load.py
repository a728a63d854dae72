"""`cdnlab load`: players at the edges of the running cluster."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab load --viewers 200 --duration 2m[/]")(load)


def load(
    viewers: Annotated[int | None, typer.Option("--viewers", min=1, help="Viewers at each edge.")] = None,
    duration: Annotated[str | None, typer.Option("--duration", help="How long they watch.")] = None,
    stream: Annotated[str | None, typer.Option("--stream", help="The stream; the first one by default.")] = None,
    edge: Annotated[
        list[str] | None, typer.Option("--edge", help="Load this edge, NAME=URL, in place of the running cluster's.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings with \\[load] and tokens; by default the cluster's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for load.json; the run's by default.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Where the run folders are.")] = Path("runs"),
    as_json: Annotated[bool, JSON] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print locust's command.")] = False,
) -> int:
    """Load the running cluster with players, then report."""
    from cdnlab.tasks.load import Options, run

    options = Options(viewers, duration, stream, tuple(edge or ()), config, out, runs)
    return run(options, as_json=as_json, verbose=verbose)
