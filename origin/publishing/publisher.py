"""Stores what a stream has numbered, then lists it: never the other way round.

For each segment: its file is written whole, the window takes it, the state that survives a restart is saved, and only
then is the playlist replaced. Playlists are built when a window changes and served from memory.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from cdnkit.settings.origin import Origin
from origin.errors import BadMedia, Refused, StorageFailed
from origin.hls.playlist import init_name
from origin.hls.schedule import Schedule, Span
from origin.live.i_frames import i_frames_of
from origin.live.parts import Part
from origin.live.session import State
from origin.live.stream import Stream
from origin.live.window import Numbered, TrackWindow
from origin.media.tracks import InitSection, Kind
from origin.publishing.catalog import Catalog
from origin.publishing.date_ranges import DateRanges, Edit
from origin.publishing.files import EVENT, STATE
from origin.publishing.hands import Hands
from origin.publishing.listing import Listing
from origin.publishing.manifests import Manifests
from origin.publishing.protection import Protection
from origin.publishing.resumption import resume
from origin.publishing.splices import Splices
from origin.publishing.steering import SteeringState
from origin.storage.backlog import Backlog
from origin.storage.opening import store_of

log = logging.getLogger("origin")


class Publisher:
    """The streams of one origin: their machines, their files and what their URLs answer."""

    def __init__(
        self, settings: Origin, clock: Callable[[], float], lengths: Mapping[str, float] | None = None
    ) -> None:
        """`lengths`: segment lengths of streams that have one of their own."""
        self.settings = settings
        self.lengths = lengths or {}
        self.clock = clock
        self.storage = Backlog(store_of(settings), settings.storage_memory, clock)
        self.catalog = Catalog(settings, self.storage, clock)
        self.steering = SteeringState(settings.steering, self.storage, clock)
        self.manifests = Manifests(settings, self.catalog, clock, self.steering)
        self.protection = Protection(settings, self.storage, self.catalog, clock)
        self.dates = DateRanges(self.storage, clock)
        self.hands = Hands(self.storage, settings.largest)
        self.splices = Splices()
        self.streams: dict[str, Stream] = {}
        self.trouble: str = ""
        """What went wrong with storage last, until a segment is stored again."""
        self.ended: str = ""
        """Which work in the background has ended although the origin serves, and why."""
        self.listing = Listing(
            settings, self.catalog, self.manifests, self.protection, self.dates, self.steering, clock
        )
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def stream(self, name: str) -> Stream:
        """The stream of this name, new if need be."""
        if name not in self.streams:
            length = self.lengths.get(name, self.settings.segment)
            target = self.settings.target_duration(length)
            self.streams[name] = Stream(
                name,
                length=length,
                target=target,
                largest=self.settings.largest,
                part=self.settings.part,
                stalled=max(self.settings.ingest_stalled, 2 * length),
            )
            if self.settings.recordings.records(name):
                self.streams[name].playlist_type = EVENT
        return self.streams[name]

    @contextmanager
    def posting(self, name: str, track: str) -> Iterator[Stream]:
        """The stream of this name while a POST to it is open; one that got no init section goes with its last POST."""
        stream = self.stream(name)
        stream.posts[track] += 1
        try:
            yield stream
        finally:
            stream.posts -= Counter((track,))
            self._drop_empty(stream)

    def _drop_empty(self, stream: Stream) -> None:
        """A stream that got no fragment goes with those that might have sent one."""
        empty = not stream.posts and stream.generation is None and not stream.windows and stream.feeds.is_idle
        if empty and self.streams.get(stream.name) is stream:
            del self.streams[stream.name]

    async def resume(self) -> None:
        """Takes up the streams of an earlier run. `StorageFailed`: the storage cannot be used."""
        await self.storage.store.prepare()
        await resume(self)

    async def delete_folder(self, folder: str) -> None:
        """Removes all files of a track, its state first."""
        await self.storage.delete([f"{folder}/{STATE}"])
        await self.storage.clear(f"{folder}/")

    async def tick(self, stream: Stream) -> None:
        """What time brings to a stream: a few times a second."""
        before = stream.feeds.live
        stream.feeds.tick(self.clock())
        await self.settle(stream, before)
        self._drop_empty(stream)

    async def settle(self, stream: Stream, before: Set[str]) -> None:
        """Some time has passed, or a request; `before`: the tracks that were fed then."""
        over = before - stream.feeds.live
        if not over:
            await self.drain(stream)
            return
        for track in sorted(over):
            log.info("%s/%s: %s", stream.name, track, stream.feeds.state_of(track).value)
        await self.close(stream)

    async def drain(self, stream: Stream) -> None:
        """Stores and lists everything the stream has numbered."""
        self._complain(stream)
        while stream.without_parts:
            log.warning(
                "%s/%s: no part of 85 to 100 %% of %g s can be made of its fragments: whole segments only",
                stream.name, stream.without_parts.popleft(), self.settings.part or 0,
            )  # fmt: skip
        await asyncio.gather(*(self._drain(stream, name) for name, box in stream.outbox.items() if box))
        self._complain(stream)
        await self._update_dates(stream)

    def _complain(self, stream: Stream) -> None:
        """Logs what is wrong with the media."""
        for name, account in stream.accounts.items():
            while account.complaints:
                log.warning("%s/%s: %s", stream.name, name, account.complaints.popleft())

    async def _update_dates(self, stream: Stream) -> None:
        """Date ranges leave with the segments that they map to, and come with the splices of an encoder."""
        due = self.splices.pending(stream.name)
        if not due and not self.dates.is_due(stream):
            return

        def edit(before: Schedule, span: Span, now: float) -> Schedule:
            return self.splices.added(before.slid(span, now), stream.name, due, span, now)

        try:
            await self.change_dates(stream, edit)
            self.splices.listed(stream.name, due)
        except (Refused, StorageFailed) as error:
            log.error("%s", error)  # and once more with the next segment

    async def steer(self, values: Mapping[str, Any] | None) -> None:
        """Changes where players are sent, in all streams; None: nowhere. `Refused`, `StorageFailed`: nothing did."""
        await self.steering.change(values)
        for stream in self.streams.values():
            self.listing.relist_stream(stream)

    async def change_dates(self, stream: Stream, edit: Edit) -> None:
        """Saves other date ranges of a stream, then lists them in all its media playlists at one instant (6.2.4).

        `Refused`: the edit is; `StorageFailed`: nothing has changed.
        """
        async with self.dates.lock(stream.name), AsyncExitStack() as locks:
            if (schedule := await self.dates.save(stream, edit)) is None:
                return
            tracks = sorted(stream.windows)
            for track in tracks:
                await locks.enter_async_context(self.lock(stream, track))
            self.dates.show(stream.name, schedule)
            for window in (stream.windows[track] for track in tracks if track in stream.windows):
                self.listing.relist(stream, window)
            self.listing.relist_stream(stream)

    async def _drain(self, stream: Stream, name: str) -> None:
        async with self.lock(stream, name):
            changed = stored = False
            # The box is gone where the track was forgotten in the meantime.
            while box := stream.outbox.get(name):
                # An item stays in the box until it is listed: who waits for the lock may trust an empty box.
                await self._publish(stream, name, box[0])
                changed = True
                stored |= box.popleft().part is None
            if name not in stream.windows:
                return  # encrypted, and its first key has yet to come
            if stored:
                self.manifests.settle(stream)
                await self.save(stream, name)
                await self.hands.clean(stream, name)
            if changed:
                self.listing.relist(stream, stream.windows[name])
            if stored:
                self.listing.relist_stream(stream)

    def lock(self, stream: Stream, track: str) -> asyncio.Lock:
        """One writer a track at a time."""
        return self._locks.setdefault((stream.name, track), asyncio.Lock())

    def drop_lock(self, stream: Stream, track: str) -> None:
        """The track has been forgotten."""
        if not stream.is_live(track):
            self._locks.pop((stream.name, track), None)

    async def _publish(self, stream: Stream, track: str, item: Numbered) -> None:
        now = self.clock()
        if item.init is not None:
            if self.protection.begin(stream.name, track, item.init):
                await self._publish_init(stream, track, item.init)
            return
        data = await self._protect(stream, track, item)
        if (window := stream.windows.get(track)) is None:
            return  # no init section, and so no window, as long as its first key cannot be stored
        entry = item.entry
        if item.part is not None:
            if data is not None:
                item.part.size = len(data)
                await self._store_hand(stream, track)
                self._publish_part(stream, window, item.part, data)
            return
        assert entry is not None
        if item.segment is not None:
            if data is not None and await self._write(f"{stream.name}/{track}/{entry.name}", data):
                entry.size = len(data)
                self.trouble = ""
                self.catalog.offer_segment(stream.name, track, window.track, entry, data, now)
                self.splices.gather(stream.name, window.track.timescale, entry, item.segment)
                self.catalog.fold_parts(stream.name, track, entry.name, window.parts.of(entry.number))
                if window.track.kind is Kind.VIDEO:
                    window.measure_frame_rate(entry, item.segment)
                    if not entry.key:  # its byte ranges are encrypted, with the rest of the segment or by themselves
                        entry.i_frames = i_frames_of(item.segment, window.track.timescale)
            else:
                # Players skip a gap and go on; a segment that is listed and absent stalls them.
                entry.gap = True
                if (account := stream.accounts.get(track)) is not None:
                    account.withdraw(window.track, item.segment.fragments, "they could not be stored")
        settings = self.settings.of_stream(stream.name)
        linger, most = settings.linger_after(stream.length), settings.most_segments(stream.length)
        if item.segment is not None and not (window.listed and window.listed[-1].generation == entry.generation):
            window.find_reference(item.segment)
        if window.listed and entry.number != window.next_number:
            window.restart(linger, now)
        window.add(entry, target=stream.target)
        if not stream.playlist_type:  # its encoder is refused when it has lasted too long
            window.slide(settings.window_of(stream.target), linger, now, most)
        self._slide_parts(stream, window, now)
        await self.expire(stream, window, now)

    async def acknowledge(self, name: str, track: str) -> None:
        """Return once all that came of a track outlives this machine. `StorageFailed`: it does not."""
        if (stream := self.streams.get(name)) is None:
            return
        async with self.lock(stream, track):
            await self._store_hand(stream, track)
        await self.storage.settle(f"{name}/")

    async def _store_hand(self, stream: Stream, track: str) -> None:
        """Under the track's lock."""
        if track in stream.windows:
            secret = self.settings.encryption_of(stream.name) is not None
            await self.hands.store(stream, track, secret=secret)

    async def _protect(self, stream: Stream, track: str, item: Numbered) -> bytes | None:
        """The bytes to publish of a segment or part, with its key and init section; None: it must not be published."""
        try:
            init = await self.protection.prepare(stream.name, track, item)
            if init is not None and ((window := stream.windows.get(track)) is None or window.init != init.id):
                await self._publish_init(stream, track, init)
            return await self.protection.encrypt(stream.name, track, item)
        except StorageFailed as error:
            log.error("%s", error)
            self.trouble = str(error)
            window = stream.windows.get(track)
            if item.entry is not None and window is not None and window.listed:
                # Of a gap, nothing is fetched: tags that change for it would name what is not there.
                item.entry.init, item.entry.key = window.listed[-1].init, window.listed[-1].key
        except BadMedia as error:
            name = (item.part or item.entry or stream).name
            log.error("%s/%s/%s: cannot be encrypted, and is not published: %s", stream.name, track, name, error)
        return None

    def _publish_part(self, stream: Stream, window: TrackWindow, part: Part, data: bytes) -> None:
        if not window.listed:
            window.next_number = max(window.next_number, part.number)
        if part.number != window.next_number:
            return  # a window that begins anew begins with a whole segment
        if part.index != len(window.in_hand):
            return  # one before it could not be encrypted: only the whole segment can be listed
        lifetime = self.settings.part_lifetime(stream.length)
        self.catalog.offer_part(stream.name, window.name, window.track, part, data, lifetime)
        window.parts.add(part)
        self._slide_parts(stream, window, self.clock())

    def _slide_parts(self, stream: Stream, window: TrackWindow, now: float) -> None:
        if (rules := self.listing.low_latency(stream)) is None:
            return
        window.slide_parts(rules.parts_for, now + self.settings.part_linger(stream.length))
        session = stream.generation.sessions.get(window.name) if stream.generation else None
        if session is not None and session.state is State.LIVE:
            window.parts.expect(window.next_number, session.generation.id, stream.length)

    async def _publish_init(self, stream: Stream, track: str, init: InitSection) -> None:
        window = stream.windows.get(track)
        if window is None:
            # What lies there is of a track that was forgotten, or could not be read.
            await self.delete_folder(f"{stream.name}/{track}")
            window = stream.windows[track] = TrackWindow(track, init.track, init.id)
        stored = await self._write(f"{stream.name}/{track}/{init_name(init.id)}", init.data)
        before, window.track, window.init = window.init, init.track, init.id
        window.tracks = {one: track for one, track in window.tracks.items() if one in window.inits}
        window.tracks[init.id] = init.track
        self.catalog.offer_init(stream.name, track, init.track, init.id, init.data, stored=stored)
        await self._discard(stream, window, [], {before})

    async def expire(self, stream: Stream, window: TrackWindow, now: float) -> None:
        """Under the track's lock: removes the segments that are no longer fetchable."""
        expired = window.expire(now, self.settings.of_stream(stream.name).most_segments(stream.length))
        first = next((entry.number for entry in window.fetchable()), 0)
        for part in window.parts.expire(now, first):
            self.catalog.withdraw(f"{stream.name}/{window.name}/{part.name}")
        await self._discard(stream, window, [entry.name for entry in expired], {entry.init for entry in expired})
        await self.protection.forget(stream.name, stream.windows.values())

    async def _discard(self, stream: Stream, window: TrackWindow, names: list[str], inits: set[str]) -> None:
        """Removes segments, and those of `inits` that no segment needs any more, from memory and storage."""
        if inits - {window.init}:
            names = [*names, *(init_name(init) for init in inits - window.inits)]
        paths = [f"{stream.name}/{window.name}/{name}" for name in names]
        for path in paths:
            self.catalog.withdraw(path)
        await self.storage.delete(paths)

    async def _write(self, name: str, data: bytes) -> bool:
        try:
            await self.storage.publish(name, data)
        except StorageFailed as error:
            if not self.trouble:
                log.error("%s", error)
            self.trouble = str(error)
            return False
        return True

    async def save(self, stream: Stream, track: str) -> None:
        """Saves the track's state. Under its lock, so that an older state never overwrites a newer one."""
        revision = self.manifests.revision(stream)
        values = {**stream.to_json(track), "dash": self.manifests.to_json(stream), "saved_at": self.clock()}
        await self._write(f"{stream.name}/{track}/{STATE}", json.dumps(values, separators=(",", ":")).encode())
        self.manifests.saved(stream, revision)

    async def close(self, stream: Stream) -> None:
        """A POST is over: stores and lists what it left, and whether the stream has ended."""
        await self.drain(stream)
        self.manifests.settle(stream)
        for track, window in list(stream.windows.items()):
            async with self.lock(stream, track):
                if stream.windows.get(track) is window:
                    await self.save(stream, track)
                    self.listing.relist(stream, window)
        self.listing.relist_stream(stream)
