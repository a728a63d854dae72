"""How the lab's own encoders get into its origin: by a token of this run's, which is in no file and no argument."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from cdnkit.serving.authority import files_in
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.ingest import Encoder
from cdnkit.settings.origin import Origin


@dataclass(frozen=True)
class OwnEncoders:
    """The encoders of one run of a cluster."""

    streams: tuple[str, ...]
    """The streams that they publish."""
    token: str

    def admitted(self, origin: Origin) -> Origin:
        """The origin's settings with these among its encoders, where it asks for credentials at all."""
        if not (origin.encoders and self.streams):
            return origin
        own = {f"cdnlab-{secrets.token_hex(4)}": Encoder(token=self.token, streams=self.streams)}
        return origin.model_copy(update={"encoders": {**origin.encoders, **own}})

    def door(self, origin: Origin) -> dict[str, str | None] | None:
        """What an encoder's process needs to publish; None: nothing."""
        trust = _trust(origin)
        if not origin.encoders and trust is None:
            return None
        token = self.token if origin.encoders else None
        return {"token": token, "trust": None if trust is None else str(trust)}


def own_encoders(streams: tuple[str, ...]) -> OwnEncoders:
    """With a new token."""
    return OwnEncoders(streams, secrets.token_urlsafe(32))


def _trust(origin: Origin) -> Path | None:
    """The file that proves the origin's certificate; None: it has none."""
    match origin.ingest_tls:
        case None:
            return None
        case "local":
            return files_in(authority_folder())[0]
        case pair:
            return pair.certificate
