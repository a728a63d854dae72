"""Stores what a stream has numbered, then lists it: never the other way round.

For each segment: its file is written whole, the window takes it, the state that survives a restart is saved, and only
then is the playlist replaced. Playlists are built when a window changes and served from memory.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256

from cachetools import LRUCache

from origin.errors import StorageFailed
from origin.playlist import MEDIA, MULTIVARIANT, init_name, media_playlist, multivariant_playlist
from origin.responses import Resource
from origin.settings import Origin
from origin.storage import Storage
from origin.stream import Numbered, State, Stream
from origin.tracks import Kind
from origin.window import Entry, TrackWindow

log = logging.getLogger("origin")

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
STATE = "state.json"


def track_type(kind: Kind) -> str:
    return "video/mp4" if kind is Kind.VIDEO else "audio/mp4"


class Publisher:
    """The streams of one origin: their machines, their files and what their URLs answer."""

    def __init__(
        self, settings: Origin, clock: Callable[[], float], lengths: Mapping[str, float] | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.storage = Storage(settings.storage)
        self.streams: dict[str, Stream] = {}
        self.resources: dict[str, Resource] = {}
        """What each path answers, without its leading slash: `live/720p/seg-1-0.m4s`."""
        self.trouble: str = ""
        """What went wrong with storage last, until a segment is stored again."""
        self._lengths = dict(lengths or {})
        self._bodies: LRUCache[str, bytes] = LRUCache(max(1, settings.memory), getsizeof=len)
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def stream(self, name: str) -> Stream:
        """The stream of this name, new if need be."""
        if name not in self.streams:
            length = self._lengths.get(name, self.settings.segment)
            target = self.settings.target_duration(length)
            self.streams[name] = Stream(name, length=length, target=target, largest=self.settings.largest)
        return self.streams[name]

    @contextmanager
    def posting(self, name: str) -> Iterator[Stream]:
        """The stream of this name while a POST to it is open; one that got no init section goes with its last POST."""
        stream = self.stream(name)
        stream.posts += 1
        try:
            yield stream
        finally:
            stream.posts -= 1
            if not stream.posts and not stream.windows and not stream.outbox:
                del self.streams[name]

    async def resume(self) -> None:
        """Takes up the streams of an earlier run. `StorageFailed`: the folder cannot be used."""
        await asyncio.to_thread(self.storage.prepare)
        for name, track in await asyncio.to_thread(self.storage.find, STATE):
            stream = self.stream(name)
            try:
                saved = await asyncio.to_thread(self.storage.read, f"{name}/{track}/{STATE}")
                stream.resume(track, json.loads(saved or b""))
            except (StorageFailed, ValueError, KeyError, TypeError, AttributeError) as error:
                log.error("%s/%s/%s: cannot be read (%r); the track begins anew", name, track, STATE, error)
        for stream in list(self.streams.values()):
            if not stream.windows:
                del self.streams[stream.name]
                continue
            for window in stream.windows.values():
                self._offer_saved(stream, window)
                self._relist(stream, window)
            self._relist_stream(stream)
            log.info("%s: resumed at media sequence number %d", stream.name, stream.next_number)

    def _offer_saved(self, stream: Stream, window: TrackWindow) -> None:
        now = self.clock()
        for entry in window.fetchable():
            name = f"{stream.name}/{window.name}/{entry.name}"
            if entry.gap:
                continue
            init = f"{stream.name}/{window.name}/{init_name(entry.init)}"
            if init not in self.resources and (data := self.storage.read(init)):
                self._offer_init(stream, window, entry.init, data, now)
            if init in self.resources and self.storage.has(name, entry.size):
                self._offer_segment(stream, window, entry, None, entry.at)
            else:
                log.error("%s: missing from storage; listed as a gap", name)
                entry.gap = True
        # Segments that were written and never listed: the origin was killed between the two.
        known = {entry.name for entry in window.fetchable()}
        folder = f"{stream.name}/{window.name}"
        for left in self.storage.names(folder):
            if left.startswith("seg-") and left not in known:
                self.storage.delete(f"{folder}/{left}")

    async def drain(self, stream: Stream) -> None:
        """Stores and lists everything the stream has numbered."""
        await asyncio.gather(*(self._drain(stream, name) for name, box in stream.outbox.items() if box))

    async def _drain(self, stream: Stream, name: str) -> None:
        async with self._lock(stream, name):
            changed = False
            while stream.outbox[name]:
                # Left in the box until it is listed: whoever waits for the lock then finds it empty, and knows.
                await self._publish(stream, name, stream.outbox[name][0])
                stream.outbox[name].popleft()
                changed = True
            if changed:
                window = stream.windows[name]
                await self._save(stream, name)
                self._relist(stream, window)
                self._relist_stream(stream)

    def _lock(self, stream: Stream, track: str) -> asyncio.Lock:
        """One writer a track at a time."""
        return self._locks.setdefault((stream.name, track), asyncio.Lock())

    async def _publish(self, stream: Stream, track: str, item: Numbered) -> None:
        now = self.clock()
        if item.init is not None:
            name = f"{stream.name}/{track}/{init_name(item.init.id)}"
            await self._write(name, item.init.data)
            window = stream.windows.get(track)
            if window is None:
                window = stream.windows[track] = TrackWindow(track, item.init.track, item.init.id)
            window.track, window.init = item.init.track, item.init.id
            self._offer_init(stream, window, item.init.id, item.init.data, now)
            return
        window, entry = stream.windows[track], item.entry
        assert entry is not None
        if item.segment is not None:
            data = item.segment.data
            name = f"{stream.name}/{track}/{entry.name}"
            if await self._write(name, data):
                self.trouble = ""
                self._offer_segment(stream, window, entry, data, now)
                if window.track.kind is Kind.VIDEO:
                    samples = sum(fragment.samples for fragment in item.segment.fragments)
                    window.frame_rate = samples / entry.duration
            else:
                # Players skip a gap and go on; a segment that is listed and absent stalls them.
                entry.gap = True
        linger = self.settings.linger_after(stream.length)
        if window.listed and entry.number != window.next_number:
            window.restart(linger, now)
        window.add(entry, target=stream.target)
        window.slide(max(self.settings.window, 3 * stream.target), linger, now)
        for expired in window.expire(now):
            name = f"{stream.name}/{track}/{expired.name}"
            self.resources.pop(name, None)
            self._bodies.pop(name, None)
            await asyncio.to_thread(self.storage.delete, name)

    async def _write(self, name: str, data: bytes) -> bool:
        try:
            await asyncio.to_thread(self.storage.write, name, data)
        except StorageFailed as error:
            log.error("%s", error)
            self.trouble = str(error)
            return False
        return True

    async def _save(self, stream: Stream, track: str) -> None:
        """Under the track's lock: an older state never overwrites a newer one."""
        state = json.dumps(stream.to_json(track), separators=(",", ":")).encode()
        await self._write(f"{stream.name}/{track}/{STATE}", state)

    async def close(self, stream: Stream) -> None:
        """A POST is over: stores and lists what it left, and whether the stream has ended."""
        await self.drain(stream)
        for track, window in list(stream.windows.items()):
            async with self._lock(stream, track):
                await self._save(stream, track)
                self._relist(stream, window)
        self._relist_stream(stream)

    def _offer_init(self, stream: Stream, window: TrackWindow, init: str, data: bytes, now: float) -> None:
        name = f"{stream.name}/{window.name}/{init_name(init)}"
        if name in self.resources:
            return
        self.resources[name] = Resource(
            media_type=track_type(window.track.kind),
            size=len(data),
            etag=f'"{init}"',
            modified=now,
            lifetime=self.settings.lifetimes.init,
            surrogate_key=f"{stream.name} {stream.name}/{window.name} init",
            body=data,
            immutable=True,
        )

    def _offer_segment(self, stream: Stream, window: TrackWindow, entry: Entry, data: bytes | None, now: float) -> None:
        name = f"{stream.name}/{window.name}/{entry.name}"
        if data is not None and len(data) <= self._bodies.maxsize:
            self._bodies[name] = data
        self.resources[name] = Resource(
            media_type=track_type(window.track.kind),
            size=entry.size,
            etag=f'"{entry.generation:x}-{entry.number:x}-{entry.size:x}"',
            modified=now,
            lifetime=self.settings.lifetimes.segment,
            surrogate_key=f"{stream.name} {stream.name}/{window.name} segment",
            path=self.storage.path(name),
            immutable=True,
        )

    def body(self, name: str, resource: Resource) -> bytes | None:
        """The resource's bytes if they are in memory."""
        return resource.body if resource.body is not None else self._bodies.get(name)

    def _relist(self, stream: Stream, window: TrackWindow) -> None:
        if not window.listed:
            return
        text = media_playlist(window, stream.target, ended=stream.ended)
        keys = f"{stream.name} {stream.name}/{window.name} media-playlist"
        self._offer_playlist(stream, f"{stream.name}/{window.name}/{MEDIA}", text, keys)

    def _relist_stream(self, stream: Stream) -> None:
        """The multivariant playlist, once every track that is being sent has its first segment."""
        current = stream.generation.sessions if stream.generation else {}
        live = {name for name, session in current.items() if session.state is State.LIVE}
        listed = [window for window in stream.windows.values() if window.listed]
        # A player that came between the first video segment and the first audio segment would stay mute for
        # good. A track that sends nothing while the others go on is not waited for.
        late = live - {window.name for window in listed}
        if not listed or (late and max(len(window.listed) for window in listed) < 3):
            return
        # After a restart with fewer rungs, those that are no longer sent are not offered to new players.
        if any(session.index for session in current.values()):
            listed = [window for window in listed if window.name in current] or listed
        text = multivariant_playlist(listed)
        self._offer_playlist(stream, f"{stream.name}/{MULTIVARIANT}", text, f"{stream.name} multivariant")

    def _offer_playlist(self, stream: Stream, name: str, text: str, keys: str) -> None:
        body = text.encode()
        etag = f'"{sha256(body).hexdigest()[:16]}"'
        lifetime = self.settings.lifetimes.ended if stream.ended else self.settings.playlist_lifetime(stream.length)
        old = self.resources.get(name)
        if old is not None and old.etag == etag and old.lifetime == lifetime:
            return
        self.resources[name] = Resource(
            media_type=PLAYLIST_TYPE,
            size=len(body),
            etag=etag,
            modified=self.clock(),
            lifetime=lifetime,
            surrogate_key=keys,
            body=body,
            dated=False,
        )
