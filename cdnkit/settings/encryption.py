"""The settings of encryption: which streams of the origin, how, and how often the key changes."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field

from cdnkit.settings.encoder_secrets import LARGEST_FILE, BadCredentials
from cdnkit.units import Seconds, Settings

Method = Literal["AES-128", "SAMPLE-AES"]

SHORTEST_SECRET = 16
"""Bytes of a `secret_file`: as many as a key has."""


class Encryption(Settings):
    """How the tracks of some streams are encrypted, `[[origin.encryption]]`; the first one whose `streams` match a
    stream applies. Ready-made objects and VOD files are served as they are."""

    streams: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Names of streams, or patterns such as "paid-*"."""

    method: Method = "SAMPLE-AES"
    """SAMPLE-AES: the samples, by Common Encryption (cbcs), for HLS and DASH; H.264 and any sound. AES-128: whole
    segments, for HLS alone, and not with `part`."""

    rotate: Seconds | None = Field(default=None, ge=1.0)
    """Media time after which the key changes, at the next segment of all tracks. Left out: never."""

    secret_file: Path | None = None
    """File with a secret, at least 16 bytes, from which all keys are derived: the same in each run, and known to a key
    server that has the secret, too. Left out: keys are random."""

    def applies_to(self, stream: str) -> bool:
        return any(fnmatchcase(stream, one) for one in self.streams)

    def beneath(self, folder: Path) -> "Encryption":
        """With its file relative to a folder."""
        return self if self.secret_file is None else self.model_copy(update={"secret_file": folder / self.secret_file})


def read_secret(where: str, file: Path) -> bytes:
    """The secret in a file, without line ends behind it. `BadCredentials` at this setting: it cannot be used."""
    try:
        with file.open("rb") as opened:
            secret = opened.read(LARGEST_FILE + 1).rstrip(b"\r\n")
    except OSError as error:
        raise BadCredentials(where, f"{str(file)!r} ({error.strerror or error})", "a file that can be read") from error
    if not SHORTEST_SECRET <= len(secret) <= LARGEST_FILE:
        wanted = f"a secret of {SHORTEST_SECRET} bytes to {LARGEST_FILE // 1024} KiB"
        raise BadCredentials(where, f"{str(file)!r} ({len(secret)} bytes)", wanted)
    return secret
