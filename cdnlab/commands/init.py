"""`cdnlab init`: a commented settings file to start from."""

import os
import stat
from pathlib import Path
from typing import Annotated

import typer

from cdnlab.errors import BadUsage


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab init && cdnlab up[/]")(init)


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("cdn.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented cdn.toml that has every setting, with its default."""
    from cdnlab.settings.example import text

    try:
        with open(path, "w" if force else "x", encoding="utf-8", opener=_for_its_owner) as file:
            file.write(text())
    except FileExistsError:
        raise BadUsage(f"{path}: exists already", "Use --force to overwrite it, or name another file.") from None
    except OSError as error:
        raise BadUsage(f"{path}: {error.strerror or error}") from None
    print(f"{path} written. Next: cdnlab up {path if str(path) != 'cdn.toml' else ''}".rstrip())


def _for_its_owner(path: str, flags: int) -> int:
    """Open a file that only its owner may read, since it holds a key."""
    file = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(file).st_mode):  # one that was there may be a terminal
        os.fchmod(file, 0o600)
    return file
