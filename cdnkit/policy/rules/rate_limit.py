"""`rate_limit`: how many requests one client may make."""

from typing import Self

from pydantic import Field, model_validator

from cdnkit.units import Seconds, Settings
from cdnkit.units.quantities import write_seconds


class RateLimit(Settings):
    """How many requests one client may make. A client is an IPv4 address or an IPv6 /64 network."""

    requests: int = Field(ge=1, le=1_000_000)
    """Requests allowed in each `per`, spread evenly."""

    per: Seconds = Field(default=1.0, gt=0, le=86_400)
    """The period that `requests` refers to."""

    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests allowed at once after a pause. Left out: as many as `requests`."""

    penalty: Seconds = Field(default=0.0, le=3600)
    """How long a client that exceeded the limit is refused, however few requests it makes meanwhile (Fastly's penalty
    box)."""

    @model_validator(mode="after")
    def _longer_than_a_token(self) -> Self:
        if self.penalty and self.penalty < self.per / self.requests:
            found = f"penalty is {write_seconds(self.penalty)}"
            raise ValueError(f"{found}; wanted penalty >= per / requests, since a client waits that long in any case")
        return self

    @property
    def words(self) -> str:
        """ "100 requests in 1s"."""
        return f"{self.requests} requests in {write_seconds(self.per)}"
