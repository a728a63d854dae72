"""`init`, `schema`, `ca`: the settings file and what it names, before anything runs."""

import os
import stat
from pathlib import Path
from typing import Annotated

import typer

from cdnlab.errors import BadUsage


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab init && cdnlab up[/]")(init)
    app.command(epilog="Example: [bold]cdnlab schema > cdn.schema.json[/]")(schema)
    app.command(epilog="Example: [bold]cdnlab ca --issue cdn.localhost[/]")(ca)


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("cdn.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented cdn.toml: every setting there is, with its default."""
    from cdnlab.example import text

    try:
        with open(path, "w" if force else "x", encoding="utf-8", opener=_for_its_owner) as file:
            file.write(text())
    except FileExistsError:
        raise BadUsage(f"{path}: there already", "Use --force to write over it, or name another file.") from None
    except OSError as error:
        raise BadUsage(f"{path}: {error.strerror or error}") from None
    print(f"{path} written. Next: cdnlab up {path if str(path) != 'cdn.toml' else ''}".rstrip())


def _for_its_owner(path: str, flags: int) -> int:
    """Opens a file that nobody else may read: it holds a key."""
    file = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(file).st_mode):  # one that was there may be a terminal
        os.fchmod(file, 0o600)
    return file


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The settings reference, as in docs/settings.md.")
    ] = False,
) -> None:
    """Print the JSON Schema of cdn.toml, for editors that complete and check TOML."""
    import json

    from cdnlab import schema as made

    print(made.markdown() if markdown else json.dumps(made.json_schema(), indent=2))


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
    from cdnlab.trust import run

    run(tuple(issue or ()), out, remove=remove, as_json=as_json)
