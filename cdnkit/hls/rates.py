"""Bit rates of a media playlist as HLS defines them (RFC 8216 4.1), from the sizes and durations of its segments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Piece = tuple[int, float]
"""A segment: its bytes and its seconds."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a rendition takes, bits a second."""

    peak_bps: float
    """The largest rate of neighbouring segments that last about a target duration together."""
    average_bps: float


def measured(segments: Sequence[Piece], target: float) -> Rates:
    """The rates of a playlist's segments, in their order; `target` is the target duration in seconds."""
    average = average_bps(segments)
    peaks = (peak_at_end((segments[at] for at in range(end, -1, -1)), target) for end in range(len(segments)))
    # What is shorter than half a target duration has no set of segments that counts.
    return Rates(max(peaks, default=0.0) or average, average)


def average_bps(segments: Iterable[Piece]) -> float:
    """All bytes by all seconds; 0 where there are none."""
    size, duration = 0, 0.0
    for more, longer in segments:
        size, duration = size + more, duration + longer
    return 8 * size / duration if duration else 0.0


def peak_at_end(newest_first: Iterable[Piece], target: float) -> float:
    """The largest rate of a set of neighbours that ends with the newest; 0 where no set counts.

    A set counts that lasts 0.5 to 1.5 target durations: a short tail by itself is mostly key frame.
    """
    peak, size, duration = 0.0, 0, 0.0
    for more, longer in newest_first:
        size, duration = size + more, duration + longer
        if duration > 1.5 * target:
            break
        if duration >= 0.5 * target:
            peak = max(peak, 8 * size / duration)
    return peak
