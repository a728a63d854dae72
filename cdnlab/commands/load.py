"""`cdnlab load`: a load test of the running cluster's edges."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab load --viewers 200 --duration 2m[/]")(load)


def load(
    viewers: Annotated[int | None, typer.Option("--viewers", min=1, help="Viewers at each edge.")] = None,
    duration: Annotated[str | None, typer.Option("--duration", help="How long the players watch.")] = None,
    stream: Annotated[
        str | None, typer.Option("--stream", help="The stream to play; by default the first one.")
    ] = None,
    edge: Annotated[
        list[str] | None,
        typer.Option("--edge", help="An edge to load, NAME=URL, in place of the running cluster's edges; repeat it."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file with \\[load] and tokens; by default the cluster's own."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for load.json; by default the run folder.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="The folder that holds the run folders.")] = Path("runs"),
    as_json: Annotated[bool, JSON] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print Locust's command.")] = False,
) -> int:
    """Run a load test with players against the running cluster, then report."""
    from cdnlab.tasks.load import Options, run

    options = Options(viewers, duration, stream, tuple(edge or ()), config, out, runs)
    return run(options, as_json=as_json, verbose=verbose)
