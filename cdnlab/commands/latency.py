"""`cdnlab latency`: how late a viewer is, and which stage takes how long."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON, RUNS


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab latency live[/]    [bold]cdnlab latency live --protocol ll-dash[/]    "
        "[bold]cdnlab latency https://cdn.example.com/live/multivariant.m3u8 --json[/]"
    )(latency)


def latency(
    what: Annotated[str, typer.Argument(metavar="STREAM|URL", help="A stream of the running cluster, or a URL.")],
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="hls, ll-hls or ll-dash; by default the lowest latency that the URL offers."),
    ] = None,
    node: Annotated[str | None, typer.Option("--node", help="The edge to watch; by default the first one.")] = None,
    units: Annotated[int, typer.Option("--units", min=1, max=100, help="Segments or parts to measure.")] = 10,
    timeout: Annotated[str, typer.Option("--timeout", help="The longest time for all of it.")] = "90s",
    runs: Annotated[Path, RUNS] = Path("runs"),
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Measure the latency of a live stream, stage by stage: encoder, origin, each tier, player.

    Asks the origin, each shield and the edge for the same segments or parts at the same time.
    The player is one that keeps exactly the distance from the live edge that the playlist or manifest asks for.
    At a URL outside the running cluster, all tiers together are one stage.
    The exit status is 1 if it could not be measured in time.
    The clocks of the encoder, the origin and this machine must agree.
    """
    from cdnlab.settings.options import seconds
    from cdnlab.tasks.latency import run

    within = seconds("--timeout", timeout)
    return run(what, node=node, protocol=protocol, units=units, within=within, runs=runs, as_json=as_json)
