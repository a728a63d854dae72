"""The settings of ingest: the encoders that may publish, their credentials, and how much of the origin they may use."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from cdnkit.units import Bytes, Secret, Settings

EncoderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]
"""A user's name in Basic credentials: without a colon, which ends it there (RFC 7617 §2)."""

PASSWORD = r"^[!-~]([ -~]{6,}[!-~])$"
TOKEN = r"^[A-Za-z0-9._~+/-]{8,}=*$"
"""A bearer token (RFC 6750 §2.1)."""


class Encoder(Settings):
    """An encoder that may publish: what it proves its identity with, and its streams. Any one of its credentials will
    do. NAME is its user name."""

    password: Secret | None = Field(default=None, pattern=PASSWORD)
    """Password for Basic authentication, at least 8 characters. Prefer `password_file`, or `${ENVIRONMENT_VARIABLE}`,
    to a secret in this file."""

    password_file: Path | None = None
    """File with the password."""

    token: Secret | None = Field(default=None, pattern=TOKEN)
    """Bearer token, sent as `Authorization: Bearer TOKEN`; at least 8 characters."""

    token_file: Path | None = None
    """File with the token."""

    certificate: str | None = Field(default=None, min_length=1)
    """A name in the encoder's client certificate (subject alternative name or common name), which an authority of
    `ingest_client_ca` has signed."""

    streams: tuple[str, ...] = Field(default=("*",), min_length=1)
    """The streams that it may publish: names, or patterns such as "news-*". An encoder that has "*" may also switch
    faults on."""

    @model_validator(mode="after")
    def _proves_itself(self) -> Self:
        for name in ("password", "token"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"found {name} and {name}_file; wanted one of them")
        if self == Encoder.model_construct(streams=self.streams):
            raise ValueError("wanted a password, a password_file, a token, a token_file or a certificate")
        return self

    def beneath(self, folder: Path) -> "Encoder":
        """With its files relative to a folder."""
        files = {name: getattr(self, name) for name in ("password_file", "token_file")}
        return self.model_copy(update={name: folder / file for name, file in files.items() if file is not None})


class IngestLimits(Settings):
    """How much of the origin its encoders may use. What goes beyond gets 429."""

    streams: int = Field(default=1_000, ge=1)
    """The most streams. For one more, the stream that has been idle longest is deleted; if all are in use, the new one
    is refused."""

    tracks: int = Field(default=64, ge=1)
    """The most tracks in a stream. A ladder has ten, with sound in many languages perhaps thirty. At most twice as many
    requests to one stream are open."""

    requests: int = Field(default=4_000, ge=1)
    """The most open requests."""

    connections: int = Field(default=1_000, ge=1)
    """The most open connections from one address."""

    memory: Bytes = Field(default=512 * 2**20, ge=2**20)
    """The most memory for media that is no segment, and in no file, yet, of all open requests together. If it is full,
    the request that holds most of it is refused."""
