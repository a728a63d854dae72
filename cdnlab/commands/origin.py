"""`cdnlab origin`: the origin by itself, in the foreground."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON_LINES


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab origin --listen 0.0.0.0:9000 --storage /srv/media[/]")(origin)


def origin(
    listen: Annotated[str | None, typer.Option("--listen", help="Address for caches and players.")] = None,
    ingest: Annotated[str | None, typer.Option("--ingest", help="Address for encoders.")] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="FOLDER|URL", help="Folder for segments, or s3://BUCKET/PREFIX.")
    ] = None,
    vod: Annotated[Path | None, typer.Option("--vod", help="Folder to serve unchanged under /vod/.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file whose \\[origin] applies where no option does.")
    ] = None,
    ingest_hosts: Annotated[
        list[str] | None,
        typer.Option("--ingest-hosts", help="A host name by which encoders reach it, besides IP addresses; repeat it."),
    ] = None,
    ingest_tls: Annotated[
        str | None,
        typer.Option("--ingest-tls", metavar="local|CERT,KEY", help="HTTPS for encoders: the local CA, or PEM files."),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder", metavar="NAME=FILE", help="Who may publish, and the file with the password; repeat it."
        ),
    ] = None,
    anybody_may_publish: Annotated[
        bool,
        typer.Option("--anybody-may-publish", help="Ask no encoder for credentials, not even beyond loopback."),
    ] = False,
    faults: Annotated[
        bool,
        typer.Option("--faults", help="Serve /faults on --ingest, which makes the origin slow or fail on request."),
    ] = False,
    as_json: Annotated[bool, JSON_LINES] = False,
) -> int:
    """Run the origin by itself, as it would run behind a real CDN in production."""
    from cdnlab.lab.foreground import Ready, serve_here
    from cdnlab.settings.alone import origin_settings
    from origin.serve import serve

    settings, lengths = origin_settings(
        listen=listen,
        ingest=ingest,
        ingest_hosts=ingest_hosts,
        ingest_tls=ingest_tls,
        encoders=encoder,
        anybody_may_publish=anybody_may_publish,
        storage=storage,
        vod=vod,
        config=config,
    )

    async def server(shutdown: asyncio.Event, ready: Ready) -> None:
        await serve(settings, lengths=lengths, shutdown=shutdown, ready=ready, faults=faults)

    return serve_here(server, as_json=as_json)
