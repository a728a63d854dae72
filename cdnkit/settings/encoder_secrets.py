"""The secrets of encoders, from the settings or from the files that these name.

The origin compares them; the check of a settings file reads them, too, so that a file that cannot be used is known
before anything starts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cdnkit.settings.ingest import PASSWORD, TOKEN, Encoder

LARGEST_FILE = 64 * 1024


@dataclass
class BadCredentials(Exception):
    """An encoder's credentials, a certificate of ingest, or a secret of encryption, that cannot be used."""

    where: str
    """The setting: "encoders.studio.password_file"."""
    found: str
    wanted: str

    exit_status = 2

    def __str__(self) -> str:
        return f"origin.{self.where}: found {self.found}, wanted {self.wanted}."


_FORMS = {"password": PASSWORD, "token": TOKEN}


def secrets_of(name: str, encoder: Encoder, folder: Path = Path()) -> Iterable[tuple[str, str]]:
    """(password or token, the secret) of one encoder; relative files from `folder`. `BadCredentials`: a file
    cannot be read, or holds no secret."""
    for kind, form in _FORMS.items():
        secret, file = getattr(encoder, kind), getattr(encoder, f"{kind}_file")
        if file is not None:
            secret = _read(f"encoders.{name}.{kind}_file", folder / file, kind, form)
        if secret is not None:
            yield kind, secret


def _read(where: str, file: Path, kind: str, form: str) -> str:
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_FILE + 1).decode("ascii").rstrip("\r\n")
    except OSError as error:
        raise BadCredentials(where, f"{str(file)!r} ({error.strerror or error})", "a file that can be read") from error
    except UnicodeDecodeError as error:
        raise BadCredentials(where, f"{str(file)!r} (not ASCII)", f"a {kind}") from error
    if len(text) > LARGEST_FILE or not re.fullmatch(form, text):
        # Never the value itself: it may be the secret with a typing error.
        raise BadCredentials(where, f"{str(file)!r} (no {kind})", f"a {kind} in one line, at least 8 characters")
    return text
