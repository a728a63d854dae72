"""`edge`, `origin`, `transcode`: one part by itself, in the foreground."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

JSON = typer.Option("--json", help="One JSON object a line, for scripts.")
PURGE_LOG = typer.Option(
    "--purge-log", envvar="CDNLAB_PURGE_LOG", metavar="FILE|URL",
    help="Take orders to purge from here: a file, or a Redis server; by default as --config says.",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: [bold]cdnlab edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000 "
        "--profile cloudfront[/]"
    )(edge)
    app.command(epilog="Example: [bold]cdnlab origin --listen 0.0.0.0:9000 --storage /srv/media[/]")(origin)
    app.command(epilog="Example: [bold]cdnlab transcode clip.mp4 --out vod/clip[/]")(transcode)


def edge(
    origin: Annotated[
        str | None, typer.Option("--origin", help="URL of the origin, any HTTP server; or of a shield.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", help="Where viewers come; 127.0.0.1:8080 by default.")
    ] = None,
    admin: Annotated[str | None, typer.Option("--admin", help="Where purge, explain and health are served.")] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="rfc9111, cloudfront or fastly; rfc9111 by default.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A cdn.toml: behaviors, tokens, countries, nodes.")
    ] = None,
    node: Annotated[str | None, typer.Option("--node", help="Be this \\[\\[node]] of the settings file.")] = None,
    purge_log: Annotated[str | None, PURGE_LOG] = None,
    records: Annotated[Path | None, typer.Option("--records", help="Write the record of every request here.")] = None,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Run one edge by itself in front of any HTTP origin: one process, in the foreground."""
    from cdnkit.vendors import profile_of
    from cdnlab.alone import edge_settings, named_log
    from cdnlab.foreground import Ready, serve_here
    from edge.serve import serve

    alone = edge_settings(origin=origin, listen=listen, admin=admin, profile=profile, config=config, node=node)
    log = alone.purge_log if purge_log is None else named_log(purge_log)

    async def server(shutdown: asyncio.Event, ready: Ready) -> None:
        await serve(
            alone.node, alone.service, parent=alone.parent, records=records, shutdown=shutdown, ready=ready,
            others=alone.others, hostnames=alone.hostnames, hosted=alone.hosted, geo=alone.geo,
            purge_log=log, profile=profile_of(alone.service),
        )  # fmt: skip

    return serve_here(server, as_json=as_json)


def origin(
    listen: Annotated[str | None, typer.Option("--listen", help="Where caches and players come.")] = None,
    ingest: Annotated[str | None, typer.Option("--ingest", help="Where encoders post.")] = None,
    storage: Annotated[Path | None, typer.Option("--storage", help="The folder that holds segments.")] = None,
    vod: Annotated[Path | None, typer.Option("--vod", help="A folder served as it is, under /vod/.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A cdn.toml: its \\[origin] is where these start from.")
    ] = None,
    ingest_hosts: Annotated[
        list[str] | None,
        typer.Option("--ingest-hosts", help="A name by which encoders reach it, beside addresses; repeat it."),
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Let whoever reaches --ingest make the origin slow or fail: /faults.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Run the origin by itself: what stands behind the real CDN in production."""
    from cdnlab.alone import origin_settings
    from cdnlab.foreground import Ready, serve_here
    from origin.serve import serve

    settings = origin_settings(
        listen=listen, ingest=ingest, ingest_hosts=ingest_hosts, storage=storage, vod=vod, config=config
    )

    async def server(shutdown: asyncio.Event, ready: Ready) -> None:
        await serve(settings, shutdown=shutdown, ready=ready, faults=faults)

    return serve_here(server, as_json=as_json)


def transcode(
    clip: Annotated[Path, typer.Argument(help="The media file.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it must not exist, or be empty.")],
    ladder: Annotated[
        str, typer.Option("--ladder", help="Rungs such as 720p,360p; auto: all that do not upscale.")
    ] = "auto",
    segment: Annotated[str, typer.Option("--segment", help="Segment length.")] = "4s",
    encoder: Annotated[str, typer.Option("--encoder", help="auto, nvenc or x264.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write over a folder that is there.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print ffmpeg's command.")] = False,
) -> int:
    """Transcode a file to a ladder of HLS renditions (VOD)."""
    from cdnlab.vod import run

    return run(clip, out, ladder=ladder, segment=segment, encoder=encoder, force=force, verbose=verbose)
