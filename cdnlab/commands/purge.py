"""`cdnlab purge`: a purge order for the nodes of a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import ADMIN, JSON, RUNS

PURGE_LOG = typer.Option(
    "--purge-log", envvar="CDNLAB_PURGE_LOG", metavar="FILE|URL",
    help="The purge log that the nodes follow, as in their settings; by default the running cluster's.",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab purge http://127.0.0.1:8081/live/480p/media.m3u8[/]    "
        "[bold]cdnlab purge --key live --soft[/]"
    )(purge)


def purge(
    url: Annotated[str | None, typer.Argument(help="The URL to purge.")] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", help="Purge every URL with this prefix: a path such as /live/480p/, or a whole URL."),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="Purge every response with this surrogate key; repeat it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Purge everything.")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="Mark responses stale instead of removing them.")] = False,
    service: Annotated[
        str | None,
        typer.Option("--service", help='Purge only this \\[service.NAME], or "default" for the one at the top.'),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every node has carried it out, at most --timeout.")
    ] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="With --wait: the longest time to wait.")] = "30s",
    node: Annotated[str | None, typer.Option("--node", help="Purge only this node; by default all.")] = None,
    purge_log: Annotated[str | None, PURGE_LOG] = None,
    admin: Annotated[str | None, ADMIN] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Purge stored responses by URL, by prefix, by surrogate key, or all of them, on every node.

    Prints a line per node: how many responses were purged, and how long it took.
    A node that is down catches up before it serves.
    The exit status is 3 if a node did not read the order within a second or cannot read it.
    With --wait it is 3 if a node did not carry out the order in time.
    """
    from cdnlab.client.viewer import admin_url
    from cdnlab.settings.options import seconds
    from cdnlab.tasks.purge import find_log, purge_by_log, purge_node, purge_order

    what = purge_order(url=url, prefix=prefix, keys=key or (), everything=everything, soft=soft, service=service)
    within = seconds("--timeout", timeout)
    if admin is not None:
        return purge_node(admin_url(admin), what, as_json=as_json)
    where, nodes = find_log(purge_log, node, what, runs)
    return purge_by_log(
        where, what, nodes=nodes, node=node, wait=within if wait else None,
        as_json=as_json,
    )  # fmt: skip
