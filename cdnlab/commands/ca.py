"""`cdnlab ca`: the local certificate authority."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab ca --issue cdn.localhost[/]")(ca)


def ca(
    issue: Annotated[
        list[str] | None,
        typer.Option("--issue", help="Write a certificate for this host, for use by another program."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder to which --issue writes.")] = Path(),
    remove: Annotated[bool, typer.Option("--remove", help="Delete the CA.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Create the local CA that signs certificates for `listen_tls`, or show its files and how clients trust it."""
    from cdnlab.tasks.ca import run

    run(tuple(issue or ()), out, remove=remove, as_json=as_json)
