"""When a track's media came: the instant at which all of it was there up to a decode time. Pure.

Fragments are divided, joined and held before they go out, so that none of them can be asked when it came.
"""

from bisect import bisect_left
from collections import deque

MOST_ARRIVALS = 4_096
"""Fragments of a track that are remembered until their segment is cut: a minute of one a picture, at 60 pictures a
second."""


class Arrivals:
    """Of one track on one timeline."""

    def __init__(self) -> None:
        self._ends: deque[int] = deque(maxlen=MOST_ARRIVALS)
        self._instants: deque[float] = deque(maxlen=MOST_ARRIVALS)

    def arrived(self, end: int, now: float) -> None:
        """The media up to `end`, in ticks, is there; what is there already is not counted."""
        if not self._ends or end > self._ends[-1]:
            self._ends.append(end)
            self._instants.append(now)

    def of(self, end: int) -> float:
        """When all of the media up to `end` was there, Unix seconds; 0: that is not known."""
        index = bisect_left(self._ends, end)
        return self._instants[index] if index < len(self._instants) else 0.0

    def of_segment(self, end: int) -> float:
        """The same for a segment that ends there; nothing before its end is asked about again."""
        instant = self.of(end)
        while self._ends and self._ends[0] < end:
            self._ends.popleft()
            self._instants.popleft()
        return instant
