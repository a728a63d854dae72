"""`load`, `report`, `cdnkit.replay`, `doctor`: measuring, and looking at what was measured."""

from pathlib import Path
from typing import Annotated

import typer

JSON = typer.Option("--json", help="JSON, for scripts.")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab load --viewers 200 --duration 2m[/]")(load)
    app.command(epilog="Example: [bold]cdnlab report runs/2026-01-31T12-00-00Z[/]")(report)
    app.command(epilog="Example: [bold]cdnlab replay runs/2026-01-31T12-00-00Z[/]")(replay)
    app.command(epilog="Example: [bold]cdnlab doctor[/]")(doctor)


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
    from cdnlab.loading import Wishes, run

    wishes = Wishes(viewers, duration, stream, tuple(edge or ()), config, out, runs)
    return run(wishes, as_json=as_json, verbose=verbose)


def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Make the report of a run again: hit rates, causes of misses, offload."""
    from cdnlab.reporting import run as make

    return make(run, as_json=as_json)


def replay(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Tell a run's records to the same machines again, in virtual time, and compare every outcome."""
    from cdnlab.replaying import run as tell_again

    return tell_again(run, as_json=as_json)


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings whose geo databases to look at; cdn.toml if it is here.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Say what this machine has, and what to do about what is missing."""
    from cdnlab.doctor import run

    return run(config, as_json=as_json)
