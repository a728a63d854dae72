"""The settings of content steering: which caches players may use, and in which order."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from cdnkit.units import Seconds, Settings

MOST_PATHWAYS = 32
"""Each is a copy of the multivariant playlist's renditions."""

_BASE = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+", re.ASCII)


def check_base(url: str) -> str:
    """The base URL of a pathway; ValueError for another."""
    url = url.removesuffix("/")
    try:
        parts = urlsplit(url)
        fits = bool(_BASE.fullmatch(url)) and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no IPv6 address, no port
        fits = False
    if not fits:
        raise ValueError(f'found {url!r}, wanted scheme and host of a cache, such as "https://fra.example.com"')
    return url


PathwayId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""A Pathway ID (draft-pantos-content-steering): letters, digits, ".", "-" and "_"."""

BaseUrl = Annotated[str, AfterValidator(check_base)]


class Steering(Settings):
    """Content steering for HLS and DASH: the origin tells players which edge to use, also while they play. `PUT
    /steering` on `ingest` changes it."""

    pathways: dict[PathwayId, BaseUrl] = Field(default={}, max_length=MOST_PATHWAYS)
    """The caches by which viewers reach the streams, by Pathway ID: `{ fra = "https://fra.example.com", nyc =
    "https://nyc.example.com" }`. Left out: the edges of the settings file, at `listen`."""

    priority: tuple[PathwayId, ...] = ()
    """Pathways that players may use, the preferred one first. Left out: all, in the order of `pathways`."""

    ttl: Seconds = Field(default=30.0, ge=1.0, le=3600.0)
    """How often players ask again. A change reaches them within one and a half times this."""

    @model_validator(mode="after")
    def _knows_its_pathways(self) -> Self:
        unknown = [one for one in self.priority if one not in self.pathways]
        if self.pathways and unknown:
            raise ValueError(f"priority: found {unknown[0]!r}; wanted one of {', '.join(self.pathways)}")
        if len(set(self.priority)) < len(self.priority):
            raise ValueError("priority: found a pathway twice; wanted each once")
        return self
