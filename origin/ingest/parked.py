"""What tracks hold while no request of theirs is open: it counts to the memory of ingest as requests do.

A sender with a request for each segment leaves what ends no segment yet, and what waits for a segment before it. If the
memory is full and a track holds most of it, the track is broken off: what is whole is published, the account names the
rest.
"""

import logging
from collections.abc import Callable

from origin.ingest.memory import Memory
from origin.live.stream import Stream

log = logging.getLogger("origin")


class Parked:
    """The tracks of one origin that hold media without a request. Mutable; one event loop's."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._tracks: dict[tuple[str, str], Stream] = {}

    def park(self, stream: Stream, track: str) -> None:
        """The track's last open request is over."""
        size = stream.memory_of(track)
        if not size:
            self.release(stream, track)
            return
        self._tracks[stream.name, track] = stream
        self._memory.hold((stream.name, track), size, lambda why: self._give_up(stream, track, why))

    def release(self, stream: Stream, track: str) -> None:
        """A request of the track is open, and counts what the track holds; or it holds nothing."""
        if self._tracks.pop((stream.name, track), None) is not None:
            self._memory.release((stream.name, track))

    def tick(self) -> None:
        """Time has passed: tracks may have been broken off, or have published what they held."""
        for key in list(self._tracks):
            if (stream := self._tracks.get(key)) is not None:
                self.park(stream, key[1])

    def _give_up(self, stream: Stream, track: str, why: str) -> None:
        self._tracks.pop((stream.name, track), None)
        log.warning("%s/%s: %s; the track is broken off", stream.name, track, why)
        stream.feeds.interrupt(track, self._clock())
