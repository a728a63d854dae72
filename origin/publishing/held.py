"""Requests that come too early, and are held: media playlists and hinted parts (RFC 8216 2nd ed. 6.2.5.2, 6.2.6).

`origin/hls/blocking.py` decides; this waits, until the deadline, and answers with what the catalog has then.
"""

import asyncio
from dataclasses import dataclass, replace

from starlette.types import Receive

from cdnkit.hls import I_FRAMES
from origin.hls.blocking import Answer, BadDirectives, decide, read_directives
from origin.hls.i_frames import shown_i_frames
from origin.hls.low_latency import LowLatency
from origin.hls.playlist import MEDIA
from origin.live.window import TrackWindow
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Resource
from origin.publishing.waiting import MOST_WAITING, Waited, left

STALLED_LIFETIME = 1.0
"""Of a 503 in caches. The draft gives 4 target durations to failures of blocking requests; of this one that would keep
every player away for so long after the encoder has come back."""


@dataclass(slots=True)
class Unmet:
    """A request that gets no resource."""

    status: int
    text: str
    lifetime: float
    """In caches; seconds."""


Found = Resource | Unmet | None
"""None: there is no such resource, as far as low latency is concerned."""


class Held:
    """The requests of one origin; those of a stream without parts are answered at once."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def find(self, path: str, query: str, receive: Receive) -> Found:
        """What answers a request for `path`, a stream's; it may take three target durations."""
        folder, _, file = path.rpartition("/")
        stream = self._publisher.streams.get(path.partition("/")[0])
        rules = None if stream is None else self._publisher.listing.low_latency(stream)
        if rules is None or not (file in (MEDIA, I_FRAMES) or file.startswith("part-")):
            return self._publisher.catalog.get(path)
        waiting = Wait(self._publisher, f"{folder}/{MEDIA}", rules.waits, receive)
        try:
            if file in (MEDIA, I_FRAMES):
                return await self._playlist(path, query, rules, waiting)
            return await self._part(path, rules, waiting)
        finally:
            waiting.close()

    def _window(self, folder: str) -> TrackWindow | None:
        stream, _, track = folder.partition("/")
        found = self._publisher.streams.get(stream)
        return None if found is None else found.windows.get(track)

    async def _playlist(self, path: str, query: str, rules: LowLatency, waiting: "Wait") -> Found:
        asked = read_directives(query)
        if isinstance(asked, BadDirectives):
            return Unmet(400, f"{asked}.", rules.failed_playlist_lifetime)
        while True:
            whole = self._publisher.catalog.get(path)
            folder, _, file = path.rpartition("/")
            window = self._window(folder)
            shown = None if window is None else shown_i_frames(window) if file == I_FRAMES else window.parts.shown
            if whole is None or shown is None:
                return Unmet(404, "not here.", rules.failed_playlist_lifetime) if asked.blocks else None
            ended = self._publisher.streams[path.partition("/")[0]].ended
            answer = decide(asked, shown, rules, ended=ended)
            if isinstance(answer, BadDirectives):
                return Unmet(400, f"{answer}.", rules.failed_playlist_lifetime)
            if answer is Answer.NOW:
                resource = (
                    self._publisher.catalog.delta(path, dates=asked.skip_dates) if asked.skip else None
                ) or whole
                blocked = asked.blocks and not ended
                return replace(resource, lifetime=rules.blocked_lifetime) if blocked else resource
            if (unmet := await waiting.more()) is not None:
                return unmet

    async def _part(self, path: str, rules: LowLatency, waiting: "Wait") -> Found:
        folder, _, file = path.rpartition("/")
        while True:
            window = self._window(folder)
            if (part := self._publisher.catalog.get(path)) is not None or window is None:
                return part
            if window.parts.hint != file:
                return Unmet(404, "not here, and not hinted at.", rules.failed_part_lifetime)
            if await waiting.more() is not None:
                return Unmet(404, "not here in time.", rules.failed_part_lifetime)


class Wait:
    """One request's, over all the changes that it waits for: `longest` seconds in all, unless it is renewed."""

    def __init__(self, publisher: Publisher, bell: str, longest: float, receive: Receive) -> None:
        self._bells = publisher.listing.bells
        self._bell = bell
        self._longest = longest
        self._receive = receive
        self._left: asyncio.Task[None] | None = None
        self._deadline = 0.0

    async def more(self) -> Unmet | None:
        """Until the playlist has changed; otherwise why it is waited for no longer."""
        if self._bells.count >= MOST_WAITING:
            return Unmet(503, f"{self._bells.count} requests wait, wanted at most {MOST_WAITING}.", STALLED_LIFETIME)
        if self._left is None:
            self._left = asyncio.create_task(left(self._receive))
            self._deadline = asyncio.get_running_loop().time() + self._longest
        match await self._bells.wait(self._bell, self._left, self._deadline):
            case Waited.RUNG:
                return None
            case Waited.LEFT:
                return Unmet(503, "nobody waits any more.", 0.0)
            case Waited.STOPPED:
                return Unmet(503, "the origin is shutting down.", 0.0)
            case Waited.LATE:
                return Unmet(503, f"nothing new for {self._longest:g} s.", STALLED_LIFETIME)

    @property
    def is_left(self) -> bool:
        """Whoever asked has gone."""
        return self._left is not None and self._left.done()

    def renew(self, longest: float) -> None:
        """Something has come: from now on it waits for so many seconds more."""
        self._longest = longest
        self._deadline = asyncio.get_running_loop().time() + longest

    def close(self) -> None:
        if self._left is not None:
            self._left.cancel()
