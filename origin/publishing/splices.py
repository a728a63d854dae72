"""Splices that encoders send in `emsg` boxes: gathered from the segments that are listed, for the date ranges.

Mutable; one event loop's.
"""

import logging
from collections import defaultdict
from fractions import Fraction

from cachetools import LRUCache

from origin.hls.schedule import Schedule, Span
from origin.hls.splices import with_splices
from origin.live.segmenter import Segment
from origin.live.window import Entry
from origin.media.splices import BadSplice, Splice, splices_of

log = logging.getLogger("origin")

MOST_PENDING = 256
"""Of a stream."""
_MOST_LINES = 256
"""Lines of the log that are remembered: every track brings the same splices."""


class Splices:
    """Of one origin, by stream."""

    def __init__(self) -> None:
        self._pending: defaultdict[str, list[tuple[Splice, float]]] = defaultdict(list)
        self._lines: LRUCache[str, None] = LRUCache(_MOST_LINES)

    def gather(self, stream: str, timescale: int, entry: Entry, segment: Segment) -> None:
        """A segment is listed; with the splices in it."""
        for fragment in segment.fragments:
            if not fragment.lead:
                continue
            for one in splices_of(fragment.data[: fragment.lead], Fraction(fragment.start, timescale)):
                if isinstance(one, BadSplice):
                    self._complain(stream, f"SCTE-35: found {one}, wanted a whole splice_info_section in emsg.")
                    continue
                if len(self._pending[stream]) >= MOST_PENDING:
                    self._complain(stream, f"SCTE-35: found more than {MOST_PENDING} splices at once, wanted fewer.")
                    break
                self._pending[stream].append((one, entry.at + float(one.at - Fraction(entry.start))))

    def pending(self, stream: str) -> list[tuple[Splice, float]]:
        """Those that are to be listed, each with its date in Unix seconds."""
        return list(self._pending.get(stream, ()))

    def listed(self, stream: str, dated: list[tuple[Splice, float]]) -> None:
        """These are, or cannot be."""
        left = [one for one in self._pending.pop(stream, ()) if one not in dated]
        if left:
            self._pending[stream] = left

    def added(
        self, schedule: Schedule, stream: str, dated: list[tuple[Splice, float]], span: Span, now: float
    ) -> Schedule:
        """The schedule with these; the log says which cannot be."""
        return with_splices(schedule, dated, span, now, lambda text: self._complain(stream, text))

    def _complain(self, stream: str, text: str) -> None:
        if (line := f"{stream}: {text}") not in self._lines:
            self._lines[line] = None
            log.warning("%s", line)
