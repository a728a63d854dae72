"""Segments that are served while they grow: a response without a length, sent part by part (DASH, CMAF chunks).

The URL is that of the segment that HLS lists when it is complete, and the bytes are the same. What grows has no `ETag`
and a shorter lifetime, because nobody can promise that it will be completed; a response that cannot be completed ends
with its connection (HTTP/1.1) or stream (HTTP/2), so that no cache takes it for whole.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cdnkit.serving import Left
from origin.dash.growth import Growth, growth_of, read_name
from origin.errors import OriginError
from origin.hls.playlist import MEDIA
from origin.live.stream import Stream
from origin.live.window import TrackWindow
from origin.publishing.catalog import track_type
from origin.publishing.held import Unmet, Wait
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Headers, Resource, cache_control, cross_origin

MOST_SILENT_S = 8.0
"""Without a part for so long, a response ends with its connection. Less than any CDN waits between bytes (Fastly 10 s,
CloudFront 30 s): Fastly takes a body without a length for whole when it has stalled, and would store half a segment."""


class NotCompleted(OriginError):
    """Raised in the middle of a response, so that the server breaks off its connection."""


@dataclass(slots=True)
class Growing:
    """A segment in hand. Whoever gets one closes its `wait`."""

    publisher: Publisher
    stream: Stream
    window: TrackWindow
    path: str
    generation: int
    number: int
    wait: Wait

    def head(self) -> Headers:
        """The fields of its response: no validator and no length, because nothing is known of its end."""
        settings, names = self.publisher.settings, f"{self.stream.name}/{self.window.name}"
        return [
            ("Cache-Control", cache_control(settings.part_lifetime(self.stream.length))),
            ("Surrogate-Key", f"{self.stream.name} {names} segment"),
            ("Content-Type", track_type(self.window.track.kind)),
            *cross_origin(settings.cors),
        ]

    async def begun(self) -> "Growing | Resource | Unmet":
        """Once it has a part: itself, or the whole where it was complete at once; or why it is waited for no longer."""
        while (whole := self.publisher.catalog.get(self.path)) is None:
            growth = growth_of(self.stream, self.window, self.generation, self.number)
            if growth is Growth.GROWING:
                return self
            if growth is Growth.ELSEWHERE:
                lifetime = self.publisher.settings.lifetimes.not_found
                return Unmet(404, "not here, and neither in hand nor next.", lifetime)
            if (unmet := await self.wait.more()) is not None:
                return unmet
        return whole

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Its parts as they become whole; once it is complete, what is left of it. `NotCompleted`: there is no more."""
        folder, sent, index = self.path.rpartition("/")[0], 0, 0
        catalog = self.publisher.catalog
        while True:
            # Asked anew for each piece: a client may have taken the last one slowly.
            if (whole := catalog.get(self.path)) is not None:
                data = catalog.body(self.path, whole)
                data = data or await self.publisher.storage.read(self.path)
                if data is None:
                    raise NotCompleted(f"/{self.path}: cannot be read again")
                if sent < len(data):
                    yield data[sent:]
                return
            if growth_of(self.stream, self.window, self.generation, self.number) is not Growth.GROWING:
                raise NotCompleted(f"/{self.path}: will not be completed")
            if index < len(parts := self.window.in_hand):
                part = catalog.get(f"{folder}/{parts[index].name}")
                if part is None or part.body is None:
                    raise NotCompleted(f"/{self.path}: part {index} is gone")
                yield part.body
                sent, index = sent + part.size, index + 1
                self.wait.renew(MOST_SILENT_S)
            elif (unmet := await self.wait.more()) is not None:
                if self.wait.is_left:
                    raise Left("the client closed the connection")
                raise NotCompleted(f"/{self.path}: {unmet.text}")


async def find_growing(publisher: Publisher, path: str, receive: Receive) -> Growing | Resource | Unmet | None:
    """What answers a request for a segment that is not complete; None: that is none of a stream with parts.

    One that is due soon is waited for, three target durations at most.
    """
    folder, _, file = path.rpartition("/")
    name, _, track = folder.partition("/")
    asked, stream = read_name(file), publisher.streams.get(name)
    rules = None if stream is None else publisher.listing.low_latency(stream)
    window = None if stream is None else stream.windows.get(track)
    if asked is None or stream is None or rules is None or window is None:
        return None
    growing = Growing(
        publisher, stream, window, path, *asked, Wait(publisher, f"{folder}/{MEDIA}", rules.waits, receive)
    )
    found: Growing | Resource | Unmet = growing
    try:
        found = await growing.begun()
    finally:
        if found is not growing:
            growing.wait.close()
    return found


class GrowingResponse(Response):
    """The response to a request for a segment in hand."""

    def __init__(self, growing: Growing, method: str) -> None:
        super().__init__(status_code=200)
        self._growing = growing
        self._head_only = method == "HEAD"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._growing.head()]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            if not self._head_only:
                async with aclosing(self._growing.pieces()) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._growing.wait.close()
