"""How many viewers come, how fast, what they watch and how much they keep in hand."""

from pydantic import Field, field_validator

from cdnkit.units import Seconds, Settings


class Load(Settings):
    """A load test: players spread over the edges."""

    viewers: int = Field(default=50, ge=1)
    """Players at each edge."""

    duration: Seconds = Field(default=30.0, gt=0)
    """How long they watch, the ramp included."""

    ramp: Seconds | None = None
    """Time over which they arrive. Left out: one segment, so that their requests spread evenly over it."""

    mix: tuple[float, ...] = Field(default=(0.6, 0.3, 0.1), min_length=1)
    """Share of viewers on each rendition, best first; weights need not add up to 1. Assumed: use yours."""

    buffer: Seconds = Field(default=30.0, gt=0)
    """A player stops asking for segments when it holds so much media (hls.js: 30 s)."""

    start_behind: float = Field(default=3.0, ge=0)
    """Where a player starts: target durations before the live edge (RFC 8216 section 6.3.3: three)."""

    timeout: Seconds = Field(default=10.0, gt=0)
    """A request without an answer for so long has failed."""

    @field_validator("mix")
    @classmethod
    def _weights(cls, mix: tuple[float, ...]) -> tuple[float, ...]:
        if any(weight < 0 for weight in mix) or sum(mix) <= 0:
            raise ValueError("wanted weights of at least 0, one of them more, such as [0.6, 0.3, 0.1]")
        return mix
