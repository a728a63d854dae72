"""`cdnlab explain`: what a running node would do with a URL, and why."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import ADMIN, JSON, RUNS

NODE = typer.Option("--node", help="The node to query; by default the one that the URL's host names.")


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab explain http://127.0.0.1:8081/live/multivariant.m3u8[/]    "
        "[bold]cdnlab explain /live/480p/media.m3u8 --node fra -H 'Range: bytes=0-99'[/]"
    )(explain)


def explain(
    url: Annotated[str, typer.Argument(help="A URL at an edge, or with --node its path.")],
    node: Annotated[str | None, NODE] = None,
    admin: Annotated[str | None, ADMIN] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", help="A request header field, such as 'Range: bytes=0-99'; repeat it."),
    ] = None,
    method: Annotated[str, typer.Option("--method", help="The request method.")] = "GET",
    client: Annotated[str | None, typer.Option("--client-ip", "--from", help="The viewer's IP address.")] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Also show tokens, cookies and credentials; requires the node's admin_token."),
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Show what an edge would do with a request for a URL now, and why."""
    from cdnlab.lab import nodes
    from cdnlab.tasks.explain import run

    listener = nodes.find(url, node=node, admin=admin, runs=runs)
    return run(listener, url, header or [], method=method, client_ip=client, as_json=as_json, reveal=reveal)
