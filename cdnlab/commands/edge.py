"""`cdnlab edge`: one edge by itself, in the foreground."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON_LINES

PURGE_LOG = typer.Option(
    "--purge-log", envvar="CDNLAB_PURGE_LOG", metavar="FILE|URL",
    help="The purge log to follow: a file or a Redis server; by default the one in --config.",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: [bold]cdnlab edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000 "
        "--profile cloudfront[/]"
    )(edge)


def edge(
    origin: Annotated[
        str | None, typer.Option("--origin", help="URL of the origin (any HTTP server) or of a shield.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", help="Address for viewers; 127.0.0.1:8080 by default.")
    ] = None,
    admin: Annotated[str | None, typer.Option("--admin", help="Address for purge, explain and health.")] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Vendor profile: rfc9111 (default), cloudfront or fastly.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file with behaviors, tokens, countries and nodes.")
    ] = None,
    node: Annotated[str | None, typer.Option("--node", help="Run this \\[\\[node]] of the settings file.")] = None,
    purge_log: Annotated[str | None, PURGE_LOG] = None,
    records: Annotated[
        Path | None, typer.Option("--records", help="File to which to write a record of every request.")
    ] = None,
    as_json: Annotated[bool, JSON_LINES] = False,
) -> int:
    """Run one edge in front of any HTTP origin, as one process in the foreground."""
    from cdnkit.vendors import profile_of
    from cdnlab.lab.foreground import Ready, serve_here
    from cdnlab.settings.alone import edge_settings, named_log
    from edge.collector import settled
    from edge.serve import serve

    alone = edge_settings(origin=origin, listen=listen, admin=admin, profile=profile, config=config, node=node)
    log = alone.purge_log if purge_log is None else named_log(purge_log)

    async def server(shutdown: asyncio.Event, ready: Ready) -> None:
        await serve(
            alone.node, alone.service, parent=alone.parent, records=records, shutdown=shutdown, ready=settled(ready),
            others=alone.others, hostnames=alone.hostnames, hosted=alone.hosted, geo=alone.geo,
            purge_log=log, profile=profile_of(alone.service),
        )  # fmt: skip

    return serve_here(server, as_json=as_json)
