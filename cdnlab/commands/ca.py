"""`cdnlab ca`: the local certificate authority."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab ca --issue cdn.localhost[/]")(ca)


def ca(
    issue: Annotated[
        list[str] | None,
        typer.Option("--issue", help="Write a certificate for this host, for a program that is not ours."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that --issue writes to.")] = Path(),
    remove: Annotated[bool, typer.Option("--remove", help="Take the CA away for good.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for scripts.")] = False,
) -> None:
    """Make the local CA that signs for `listen_tls`, or show where it is and how clients come to trust it."""
    from cdnlab.tasks.ca import run

    run(tuple(issue or ()), out, remove=remove, as_json=as_json)
