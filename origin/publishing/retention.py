"""What an origin forgets, and how much it holds at most: tracks, streams, init sections, on disk as in memory.

| is forgotten                                    | when                                                              |
|-------------------------------------------------|-------------------------------------------------------------------|
| a segment                                       | it has left the playlist, and its `linger` is over                |
| a key                                           | no segment that can be fetched needs it, and it is not the newest |
| an init section                                 | no segment that can be fetched needs it, and it is not the newest |
| a track nobody posts any more                   | the stream's other tracks have gone on by a whole window          |
| a track without a segment                       | nobody posts it any more                                          |
| a stream                                        | its last track was                                                |
| a recording                                     | nobody has fed it for `recordings.keep`; or all of them have more |
|                                                 | than `recordings.size`, and it is the one that is idle longest    |
| the track, the stream that has waited longest   | there is no room for another one                                  |

A stream that has ended, or whose encoder is away, keeps its last window. A recording makes room for nothing else.
"""

import asyncio
import logging

from cdnkit.hls import I_FRAMES
from origin.errors import NoRoom, TooLarge
from origin.hls.playlist import MEDIA, MULTIVARIANT, init_name
from origin.live.stream import Stream
from origin.live.window import TrackWindow
from origin.publishing.publisher import Publisher

log = logging.getLogger("origin")

SWEEP_S = 5.0
MOST_TRIES = 30
"""Tenths of a second that the deletion of a stream waits for what it had in hand."""


class Retention:
    """Forgets for one publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._overfull = 0
        """Bytes of all recordings, where that is too much and none of them can go."""

    async def keep_sweeping(self) -> None:
        """For as long as the origin serves."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except Exception as error:
                # A track that is forgotten late costs room; an end of the sweeping would cost it for good.
                log.error("sweeping: %s: %s", type(error).__name__, error)

    def has_room(self, name: str, track: str) -> bool:
        """Whether `make_room` would forget nothing."""
        most = self._publisher.settings.ingest_limits
        if (stream := self._publisher.streams.get(name)) is None:
            return len(self._publisher.streams) < most.streams
        return track in stream.tracks or len(stream.tracks) < most.tracks

    async def make_room(self, name: str, track: str) -> None:
        """Make room for a track whose POST begins. `NoRoom`: the limit is reached, and all are in use."""
        streams, most = self._publisher.streams, self._publisher.settings.ingest_limits
        while name not in streams and len(streams) >= most.streams:
            idle = [one for one in streams.values() if self._is_over(one) and not one.playlist_type]
            if not idle:
                raise NoRoom(name, f"{len(streams)} streams", f"at most {most.streams}")
            await self._forget_stream(min(idle, key=lambda one: one.listed_until))
        if name in streams and (posts := streams[name].posts.total()) >= 2 * most.tracks:
            raise NoRoom(name, f"{posts} open requests", f"at most {2 * most.tracks}")
        while (stream := streams.get(name)) and track not in stream.tracks and len(stream.tracks) >= most.tracks:
            taken = stream.tracks_in_use
            spare = [one for one in stream.windows.values() if one.name not in taken and not stream.is_live(one.name)]
            if not spare:
                raise NoRoom(f"{name}/{track}", f"{len(stream.tracks)} tracks", f"at most {most.tracks}")
            await self._forget_track(stream, min(spare, key=lambda window: window.until))

    def is_idle(self, name: str) -> bool:
        """Nobody has fed the stream for `ingest_stalled`."""
        publisher = self._publisher
        stream = publisher.streams[name]
        fed = publisher.clock() - stream.listed_until < publisher.settings.ingest_stalled
        return not fed and self._is_over(stream) and not stream.playlist_type

    async def give_up(self, name: str) -> bool:
        """Forget a stream that is idle, because another one wants its name; False: it is not."""
        if not self.is_idle(name):
            return False
        await self._forget_stream(self._publisher.streams[name])
        return name not in self._publisher.streams

    async def sweep(self) -> None:
        """Forgets what nobody may ask for any more."""
        await self._sweep_recordings()
        for stream in list(self._publisher.streams.values()):
            for window in list(stream.windows.values()):
                await self._sweep_track(stream, window)
            if not stream.windows and self._is_over(stream):
                await self._forget_stream(stream)

    def check_recording(self, stream: Stream) -> None:
        """`TooLarge`: the stream is recorded, and may not go on."""
        if not stream.playlist_type:
            return
        rules = self._publisher.settings.recordings
        begun = [window.listed[0].at for window in stream.windows.values() if window.listed]
        if begun and (lasted := stream.listed_until - min(begun)) >= rules.longest:
            most = f"at most {rules.longest:g} s (origin.recordings.longest)"
            raise TooLarge("the recording", f"{lasted:.0f} s", most)
        if self._overfull:
            most = f"at most {rules.size} (origin.recordings.size)"
            raise TooLarge("the recording", f"{self._overfull} bytes of recordings that are all being made", most)

    async def delete(self, name: str) -> bool:
        """Forget a stream at once, with all its media; False: it is being fed."""
        stream, tries = self._publisher.streams[name], 0
        while not self._is_over(stream):
            # One that has only just begun: in the next second its name can come back.
            if stream.posts or not stream.feeds.is_idle or (tries := tries + 1) > MOST_TRIES:
                return False
            await asyncio.sleep(0.1)
        await self._forget_stream(stream)
        return name not in self._publisher.streams

    async def _sweep_recordings(self) -> None:
        publisher, rules, now = self._publisher, self._publisher.settings.recordings, self._publisher.clock()
        kept = [stream for stream in publisher.streams.values() if stream.playlist_type]
        if rules.keep is not None:
            for stream in kept:
                if now - stream.listed_until > rules.keep and self._is_over(stream):
                    await self.delete(stream.name)
        sizes = {stream.name: size_of(stream) for stream in kept if stream.name in publisher.streams}
        idle = sorted((one for one in kept if one.name in sizes and self._is_over(one)), key=lambda s: s.listed_until)
        while rules.size is not None and sum(sizes.values()) > rules.size and idle:
            if await self.delete(idle[0].name):
                log.warning("%s: deleted: all recordings had more than %d bytes", idle[0].name, rules.size)
            del sizes[idle.pop(0).name]
        total = sum(sizes.values())
        self._overfull = total if rules.size is not None and total > rules.size else 0

    async def _sweep_track(self, stream: Stream, window: TrackWindow) -> None:
        publisher = self._publisher
        async with publisher.lock(stream, window.name):
            now = publisher.clock()
            if stream.windows.get(window.name) is not window:
                return
            if window.listed and not stream.playlist_type and self._is_left_behind(stream, window):
                window.restart(publisher.settings.of_stream(stream.name).linger_after(stream.length), now)
                for name in (MEDIA, I_FRAMES):
                    publisher.catalog.withdraw(f"{stream.name}/{window.name}/{name}")
                publisher.listing.bells.ring(f"{stream.name}/{window.name}/{MEDIA}")
                publisher.listing.relist_stream(stream)
                await publisher.save(stream, window.name)
            await publisher.expire(stream, window, now)
        if not window.listed and not window.gone and not stream.is_live(window.name):
            await self._forget_track(stream, window)

    def _is_left_behind(self, stream: Stream, window: TrackWindow) -> bool:
        """Nobody posts the track, and every track that is posted has gone on by a whole window."""
        others = [one for one in stream.windows.values() if one.listed and stream.is_live(one.name)]
        gone = all(one.listed[0].number >= window.next_number for one in others)
        return bool(others) and gone and not stream.is_live(window.name)

    def _is_over(self, stream: Stream) -> bool:
        # Its name may come back: what it then publishes must be of a generation that was never there.
        busy = stream.posts or any(stream.outbox.values()) or not stream.feeds.is_idle
        return not busy and stream.last_generation < int(self._publisher.clock())

    async def _forget_stream(self, stream: Stream) -> None:
        """Forget a stream that is over, unless a POST comes in between."""
        for window in list(stream.windows.values()):
            await self._forget_track(stream, window)
        if self._is_over(stream) and not stream.windows:
            self._publisher.streams.pop(stream.name, None)
            self._publisher.catalog.withdraw(f"{stream.name}/{MULTIVARIANT}")
            self._publisher.manifests.forget(stream.name)
            await self._publisher.protection.drop(stream.name)
            await self._publisher.dates.forget(stream.name)
            log.info("%s: forgotten", stream.name)

    async def _forget_track(self, stream: Stream, window: TrackWindow) -> None:
        publisher, folder = self._publisher, f"{stream.name}/{window.name}"
        async with publisher.lock(stream, window.name):
            if stream.is_live(window.name) or stream.windows.get(window.name) is not window:
                return
            for remark in stream.forget(window.name):
                log.warning("%s: %s", folder, remark)
            names = {entry.name for entry in window.fetchable()} | {init_name(init) for init in window.inits}
            for name in names | {MEDIA, I_FRAMES} | {part.name for part in window.parts.fetchable()}:
                publisher.catalog.withdraw(f"{folder}/{name}")
            publisher.listing.bells.ring(f"{folder}/{MEDIA}")
            publisher.listing.relist_stream(stream)
            await publisher.delete_folder(folder)
            publisher.protection.drop_track(stream.name, window.name)
            await publisher.protection.forget(stream.name, stream.windows.values())
        publisher.drop_lock(stream, window.name)
        log.info("%s: forgotten", folder)


def size_of(stream: Stream) -> int:
    """Bytes of all its segments."""
    return sum(entry.size for window in stream.windows.values() for entry in window.fetchable() if not entry.gap)
