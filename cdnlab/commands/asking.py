"""`explain`, `purge`, `sign`: asking a cluster that runs, one URL at a time."""

from pathlib import Path
from typing import Annotated

import typer

RUNS = typer.Option("--runs", help="Where the run folders are; the newest that still runs is asked.")
NODE = typer.Option("--node", help="The node to ask; by default the one the URL names.")
ADMIN = typer.Option("--admin", help="URL of a node's admin listener, for one that `cdnlab up` did not start.")
PURGE_LOG = typer.Option(
    "--purge-log", envvar="CDNLAB_PURGE_LOG", metavar="FILE|URL",
    help="Where the nodes take orders from, as their settings name it; by default the running cluster's.",
)  # fmt: skip
JSON = typer.Option("--json", help="JSON, for scripts.")


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab explain http://127.0.0.1:8081/live/multivariant.m3u8[/]    "
        "[bold]cdnlab explain /live/480p/media.m3u8 --node fra -H 'Range: bytes=0-99'[/]"
    )(explain)
    app.command(
        epilog="Examples: [bold]cdnlab purge http://127.0.0.1:8081/live/480p/media.m3u8[/]    "
        "[bold]cdnlab purge --key live --soft[/]"
    )(purge)
    app.command(epilog="Example: [bold]cdnlab sign http://127.0.0.1:8081/live/multivariant.m3u8 --for 1h[/]")(sign)


def explain(
    url: Annotated[str, typer.Argument(help="A URL at an edge, or its path with --node.")],
    node: Annotated[str | None, NODE] = None,
    admin: Annotated[str | None, ADMIN] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A field of the request, such as 'Range: bytes=0-99'.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="The request's method.")] = "GET",
    client: Annotated[str | None, typer.Option("--client-ip", "--from", help="The viewer's IP address.")] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show tokens, cookies and credentials, too; wants the node's admin_token.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Ask an edge what it would do with a URL now, and why."""
    from cdnlab import asking

    listener = asking.find(url, node=node, admin=admin, runs=runs)
    return asking.explain(listener, url, header or [], method=method, client_ip=client, as_json=as_json, reveal=reveal)


def purge(
    url: Annotated[str | None, typer.Argument(help="The URL to purge.")] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Purge every URL that begins so: /live/480p/ or a whole URL.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="Purge every response with this surrogate key; repeat it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Purge all there is.")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="Make it stale instead of removing it.")] = False,
    service: Annotated[
        str | None,
        typer.Option("--service", help='Only of this \\[service.NAME], or of "default", the one at the top.'),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all are done, or --timeout is over.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="With --wait: for how long.")] = "30s",
    node: Annotated[str | None, typer.Option("--node", help="Only this node; by default all.")] = None,
    purge_log: Annotated[str | None, PURGE_LOG] = None,
    admin: Annotated[str | None, ADMIN] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Purge stored responses by URL, by prefix, by surrogate key, or all of them, on every node.

    A line for each node: what it had, and when it was done. A node that is away catches up before it serves.
    Exit status 3 if a node has not taken the order within a second, or cannot read it; with --wait, if one has not
    carried it out.
    """
    from cdnlab import purging
    from cdnlab.viewer import admin_url

    what = purging.purge_order(
        url=url, prefix=prefix, keys=key or (), everything=everything, soft=soft, service=service
    )
    patience = purging.patience_of(timeout)
    if admin is not None:
        return purging.purge_one(admin_url(admin), what, as_json=as_json)
    where, nodes = purging.find_log(purge_log, node, what, runs)
    return purging.purge_all(
        where, what, nodes=nodes, node=node, wait=patience if wait else None,
        as_json=as_json,
    )  # fmt: skip


def sign(
    url: Annotated[str, typer.Argument(help="The URL a viewer will ask for.")],
    config: Annotated[Path, typer.Option("--config", help="The settings file with the token.")] = Path("cdn.toml"),
    ttl: Annotated[str, typer.Option("--ttl", "--for", help="How long the URL is good.")] = "1h",
    starts_in: Annotated[
        str | None, typer.Option("--starts-in", help="It is not good before so long from now.")
    ] = None,
    path: Annotated[str | None, typer.Option("--path", help="What it is good for: a glob such as '/live/*'.")] = None,
    ip: Annotated[str | None, typer.Option("--ip", help="The address (or network) it is good for.")] = None,
    country: Annotated[list[str] | None, typer.Option("--country", help="A country it is good for; repeat it.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="Sign with this \\[token.NAME] whatever the behaviors ask.")
    ] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", help="Without settings: fastly, cloudfront, akamai, jwt or cat.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The file with the key that signs.")] = None,
    key_id: Annotated[str | None, typer.Option("--key-id", help="Its id: CloudFront's key-pair id, CAT's kid.")] = None,
    param: Annotated[str | None, typer.Option("--param", help="With --scheme: the query parameter's name.")] = None,
    hash_name: Annotated[
        str | None, typer.Option("--hash", help="CloudFront's Hash-Algorithm: SHA1 or SHA256.")
    ] = None,
    cookies: Annotated[
        bool, typer.Option("--cookies", help="Print a Cookie field's value instead of the URL.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Sign a URL: with the token its behavior asks for, or by a scheme and a key."""
    from cdnlab import signing
    from cdnlab.errors import BadUsage

    if hash_name not in (None, "SHA1", "SHA256"):
        raise BadUsage(f"--hash: found {hash_name!r}, wanted SHA1 or SHA256")
    flags = signing.Flags(
        config, token, scheme, key, key_id, param, ttl, starts_in, path, ip, tuple(country or ()), hash_name, cookies,
        as_json,
    )  # fmt: skip
    return signing.run(url, flags)
