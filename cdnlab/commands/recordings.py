"""`cdnlab recordings`: what an origin has recorded: listed, trimmed, deleted."""

from pathlib import Path
from typing import Annotated

import typer

from cdnlab.commands.options import JSON, RUNS


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]cdnlab recordings[/]    "
        "[bold]cdnlab recordings trim news-1 goal --from 2026-11-29T17:00:00Z --to 2026-11-29T17:01:30Z[/]    "
        "[bold]cdnlab recordings delete news-1[/]"
    )(recordings)


def recordings(
    action: Annotated[str, typer.Argument(help="list, trim or delete.")] = "list",
    name: Annotated[str | None, typer.Argument(help="The stream. With list: only this one.")] = None,
    new: Annotated[str | None, typer.Argument(help="With trim: the name of the VOD.")] = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", help="With trim: a date-time with its zone; 90s: from the beginning; -90s: from the end."
        ),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="With trim: likewise; by default the end.")] = None,
    ingest: Annotated[
        str | None,
        typer.Option("--ingest", envvar="CDNLAB_INGEST", help="URL of the origin's ingest; by default the cluster's."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME=FILE", help="An encoder, and the file with its password."),
    ] = None,
    token: Annotated[
        Path | None, typer.Option("--token-file", help="The file with an encoder's bearer token, in place of --user.")
    ] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """List what an origin has of its streams, trim a VOD out of one, or delete one.

    Trimming takes whole segments, all that overlap the time: the result says where it begins and ends.
    Where the origin asks for credentials, an encoder's are wanted that may publish the stream.
    The exit status is 1 if the origin refuses.
    """
    from cdnlab.tasks.recordings import run

    return run(
        action, name, new, begin=begin, end=end, ingest=ingest, user=user, token=token, runs=runs, as_json=as_json
    )
