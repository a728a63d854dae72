"""The settings of a load test: how many viewers, how fast they arrive, what they watch, how much they buffer."""

from pydantic import Field, field_validator

from cdnkit.units import Seconds, Settings


class Load(Settings):
    """A load test: players spread over the edges."""

    viewers: int = Field(default=50, ge=1)
    """Players at each edge."""

    duration: Seconds = Field(default=30.0, gt=0)
    """How long the players watch, the ramp included."""

    ramp: Seconds | None = None
    """Time over which the players arrive. Left out: one segment, so that their requests spread evenly over it."""

    mix: tuple[float, ...] = Field(default=(0.6, 0.3, 0.1), min_length=1)
    """Share of viewers on each rendition, best first; the weights need not add up to 1. The default is an assumption:
    use your own figures."""

    buffer: Seconds = Field(default=30.0, gt=0)
    """A player requests no further segments while it holds this much media (hls.js: 30 s)."""

    start_behind: float = Field(default=3.0, ge=0)
    """How far behind the live edge a player starts, in target durations (RFC 8216 section 6.3.3: three)."""

    timeout: Seconds = Field(default=10.0, gt=0)
    """A request without a response within this time has failed."""

    @field_validator("mix")
    @classmethod
    def _weights(cls, mix: tuple[float, ...]) -> tuple[float, ...]:
        if any(weight < 0 for weight in mix) or sum(mix) <= 0:
            raise ValueError("wanted weights of at least 0, one of them above 0, such as [0.6, 0.3, 0.1]")
        return mix
