"""Which failed attempts get a line of the log: the first of each source and status in a while, and so many of all.

An encoder with an old password tries again every few seconds, and whoever guesses passwords does so by the thousand: a
line each would fill the log and hide the rest of it. Pure: `now` is an argument.
"""

from collections import OrderedDict, deque

from cdnkit.units import source_of

QUIET_S = 600.0
"""A source's further attempts are counted, and its next line says how many there were."""
MOST_SOURCES = 1_000
"""Remembered; the one that was logged longest ago is forgotten."""
MOST_LINES = 20
"""In a minute, of all sources together."""


class FailedAttempts:
    """The attempts of one listener's clients. Mutable; one event loop's."""

    def __init__(self) -> None:
        self._sources: OrderedDict[tuple[str, int], tuple[float, int]] = OrderedDict()
        """Source and status -> when it was logged, and its attempts since then; the longest ago first."""
        self._lines: deque[float] = deque()
        self._unnamed = 0

    def on_attempt(self, address: str, status: int, now: float) -> str | None:
        """One more attempt, refused with `status`. What its line says beside that, "" or more; None: it gets no
        line."""
        source = source_of(address), status
        at, since = self._sources.get(source, (-QUIET_S, 0))
        if now < at + QUIET_S:
            self._sources[source] = at, since + 1
            return None
        while self._lines and self._lines[0] <= now - 60.0:
            self._lines.popleft()
        if len(self._lines) >= MOST_LINES:
            self._unnamed += 1
            return None
        self._lines.append(now)
        self._sources[source] = now, 0
        self._sources.move_to_end(source)
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)
        said = [f"{since} more of this source before"] if since else []
        said += [f"{self._unnamed} of other sources not logged"] if self._unnamed else []
        self._unnamed = 0
        return f" ({', '.join(said)})" if said else ""
