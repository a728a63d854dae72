"""The date ranges of an origin's streams: saved, then listed.

`origin/hls/schedule.py` decides; the publisher lists what is shown here. Mutable; one event loop's.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable

from origin.errors import Refused, StorageFailed
from origin.hls.schedule import Schedule, Span
from origin.live.stream import Stream
from origin.storage.backlog import Backlog

log = logging.getLogger("origin")

SAVED = "date-ranges.json"
"""In the folder of a stream. No track has a dot in its name."""

Edit = Callable[[Schedule, Span, float], Schedule]
"""Another schedule from this one, what is listed, and the time. The same object: nothing is to change."""


def span_of(stream: Stream) -> Span | None:
    """What the media playlists list; None: nothing."""
    listed = [window for window in stream.windows.values() if window.listed]
    if not listed:
        return None
    return Span(min(one.listed[0].at for one in listed), max(one.until for one in listed))


class DateRanges:
    """By stream."""

    def __init__(self, storage: Backlog, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._clock = clock
        self._shown: dict[str, Schedule] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, stream: str) -> asyncio.Lock:
        """One edit of a stream at a time."""
        return self._locks[stream]

    def of(self, stream: str) -> Schedule:
        """What the playlists of a stream list."""
        return self._shown.get(stream) or Schedule()

    def is_due(self, stream: Stream) -> bool:
        """Whether a date range is to leave."""
        schedule, span = self._shown.get(stream.name), span_of(stream)
        return schedule is not None and span is not None and schedule.slid(span, self._clock()) is not schedule

    async def save(self, stream: Stream, edit: Edit) -> Schedule | None:
        """Under the stream's lock: the edited schedule, saved and not shown yet. None: nothing is to change.

        `Refused`, `StorageFailed`: it stays as it is.
        """
        before, span = self.of(stream.name), span_of(stream)
        if span is None:
            raise Refused(404, f"{stream.name}: found no segment yet, wanted a stream that is published.")
        if (after := edit(before, span, self._clock())) is before:
            return None
        data = json.dumps(after.to_json(), separators=(",", ":")).encode()
        await self._storage.write(f"{stream.name}/{SAVED}", data)
        return after

    def show(self, stream: str, schedule: Schedule) -> None:
        """Every playlist that is made from now on has this one."""
        self._shown[stream] = schedule

    async def resume(self, stream: str) -> None:
        """Takes up what `save` left."""
        try:
            if (saved := await self._storage.read(f"{stream}/{SAVED}")) is not None:
                self._shown[stream] = Schedule.from_json(json.loads(saved))
        except (StorageFailed, ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("%s/%s: cannot be read (%r); the stream has no date ranges", stream, SAVED, error)

    async def forget(self, stream: str) -> None:
        """The stream has been forgotten."""
        self._locks.pop(stream, None)
        if self._shown.pop(stream, None) is not None:
            await self._storage.delete([f"{stream}/{SAVED}"])
