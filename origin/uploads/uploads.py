"""The streams that are uploaded object by object: each object is stored whole, then listed, then served.

What is served is what was uploaded, byte for byte. The origin adds what a cache has to know: media type, ETag,
lifetime, surrogate key. A playlist that was sent while an object that it lists was still on its way is held until that
is there: an encoder that opens a connection for each object does not wait for the one before (ffmpeg without
`-http_persistent`), and viewers would get 404 for what the playlist lists.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from cdnkit.settings.origin import Origin
from origin.errors import BadMedia, Refused, StorageFailed
from origin.publishing.catalog import Catalog
from origin.publishing.responses import Resource
from origin.storage.folder import storage_failed
from origin.uploads.files import ObjectFiles, Spool
from origin.uploads.lists import LARGEST_LIST, Listing, read_playlist
from origin.uploads.mpd import read_mpd
from origin.uploads.names import LISTS, Class, class_of, extension, media_type, surrogate_key
from origin.uploads.objects import ObjectStream, StoredObject, Upload

log = logging.getLogger("origin")

WAIT_S = 5.0
"""The longest that a playlist is held. An upload that takes longer than a segment lasts has failed for live viewers."""
SWEEP_S = 5.0
MOST_TRASH = 1_000
"""Files of replaced objects that are kept until the next sweep, for viewers whose response is just beginning."""


Check = Callable[[StoredObject | None], None]


class Uploads:
    """All uploaded streams of one origin."""

    def __init__(self, settings: Origin, catalog: Catalog, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.streams: dict[str, ObjectStream] = {}
        self.trouble = ""
        """What went wrong with storage last, until an object is stored again."""
        self._catalog = catalog
        self._folder = settings.storage if isinstance(settings.storage, Path) else None
        """None: objects cannot be stored in a bucket."""
        self._files = ObjectFiles(self._folder or Path())
        self._locks: dict[str, asyncio.Lock] = {}
        self._over: dict[Upload, asyncio.Event] = {}
        self._trash: list[Path] = []

    # ---- the life of the origin --------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Serves what an earlier run stored. `StorageFailed`: the folder cannot be used."""
        if self._folder is None:
            return
        for name, stored in await asyncio.to_thread(self._files.open):
            stream = self.streams.setdefault(name, ObjectStream(name, self.settings.uploads, 0.0))
            listing = None
            if stored.kind in LISTS:
                try:
                    listing = _read(name, stored.path, await self.read(stream, stored))
                except (StorageFailed, BadMedia) as error:
                    log.error("%s/%s: cannot be read (%s); it is served all the same", name, stored.path, error)
            stream.restore(stored, listing)
            stream.last_change = max(stream.last_change, stored.stored_at)
            self._offer(stream, stored, None)
        for stream in self.streams.values():
            log.info("%s: resumed with %d uploaded objects", stream.name, len(stream.objects))

    def close(self) -> None:
        self._files.close()

    async def keep_sweeping(self) -> None:
        """For as long as the origin serves."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except Exception as error:
                # An object that goes late costs room; an end of the sweeping would cost it for good.
                log.error("sweeping: %s: %s", type(error).__name__, error)

    async def sweep(self) -> None:
        """Deletes what no playlist lists any more, and streams without objects."""
        await self.empty_trash()
        linger = self.settings.linger_after(self.settings.segment)
        for stream in list(self.streams.values()):
            async with self._lock(stream):
                gone = stream.expired(self.clock(), linger)
                await self._erase(stream, gone)
            if gone:
                log.info("%s: %d uploaded objects that no playlist lists are deleted", stream.name, len(gone))
            self._forget_empty(stream)

    async def failed(self, error: StorageFailed) -> None:
        """An object could not be stored. What no path means any more goes at once: the disk may be full."""
        self.trouble = str(error)
        await self.empty_trash()

    async def empty_trash(self) -> None:
        trash, self._trash = self._trash, []
        await asyncio.to_thread(self._files.delete, trash)

    # ---- streams -----------------------------------------------------------------------------------------------

    def is_idle(self, stream: ObjectStream) -> bool:
        """Nobody has uploaded to it for so long that its encoder is taken to be away."""
        return not stream.open and self.clock() - stream.last_change >= self.settings.ingest_stalled

    async def stream(self, name: str) -> ObjectStream:
        """The stream of this name, new if need be. `Refused`: one too many, or objects cannot be stored."""
        if self._folder is None:
            wanted = "tracks (interface 1): with origin.storage in S3, ready-made objects are not taken"
            raise Refused(403, f"{name}: found an object, wanted {wanted}.")
        most = self.settings.uploads.streams
        while name not in self.streams and len(self.streams) >= most:
            idle = [one for one in self.streams.values() if self.is_idle(one)]
            if not idle:
                found = f"{len(self.streams)} uploaded streams, all in use"
                raise Refused(507, f"{name}: found {found}, wanted at most {most} (origin.uploads.streams).")
            await self.forget(min(idle, key=lambda one: one.last_change).name)
        return self.streams.setdefault(name, ObjectStream(name, self.settings.uploads, self.clock()))

    async def forget(self, name: str) -> None:
        """Deletes a stream, unless something is being uploaded to it."""
        stream = self.streams[name]
        if not stream.open:
            async with self._lock(stream):
                await self._erase(stream, list(stream.objects.values()))
            self._forget_empty(stream)

    def _forget_empty(self, stream: ObjectStream) -> None:
        if not stream.objects and not stream.open and self.streams.get(stream.name) is stream:
            del self.streams[stream.name]
            self._locks.pop(stream.name, None)
            self._files.delete_folder(stream.name)
            log.info("%s: forgotten", stream.name)

    # ---- objects -----------------------------------------------------------------------------------------------

    def begin(self, stream: ObjectStream, path: str) -> tuple[Upload, Spool]:
        """A PUT begins; `over` must follow. `Refused`: there is no room for one more."""
        upload = stream.begin(path, self.clock())
        self._over[upload] = asyncio.Event()
        return upload, self._files.spool(stream.name)

    async def take(self, stream: ObjectStream, upload: Upload, spool: Spool, data: bytes) -> None:
        """A piece of its body. `Refused`: it passes a bound; `StorageFailed`."""
        stream.take(upload, len(data), largest=self.largest(upload.path))
        spool.add(data)
        if spool.full:
            await asyncio.to_thread(spool.flush)

    def largest(self, path: str) -> int:
        """The most bytes of an object at this path."""
        is_list = extension(path) in ("m3u8", "mpd")
        return min(LARGEST_LIST, self.settings.uploads.largest) if is_list else self.settings.uploads.largest

    async def store(
        self, stream: ObjectStream, upload: Upload, spool: Spool, check: Check = lambda there: None
    ) -> bool:
        """The body ended properly: its object is served. True: there was none at this path.

        `check` refuses where what is there may not be replaced. `BadMedia`: its name says that it is a playlist, and it
        is none; `StorageFailed`.
        """
        data, path = spool.data, upload.path
        kind = class_of(path, data)
        listing = None
        if kind in LISTS:
            assert data is not None, "playlists are held whole"
            listing = await asyncio.to_thread(_read, stream.name, path, data)
            await self._await_listed(stream, upload, listing)
        await asyncio.to_thread(spool.close)
        stored = StoredObject(path, spool.file, spool.size, spool.etag, kind, self.clock())
        async with self._lock(stream):
            if upload.overtaken:
                spool.discard()
                return False
            check(stream.objects.get(path))
            await asyncio.to_thread(self._files.record, stream.name, stored)
            replaced = stream.finish(upload, stored, listing, self.clock())
            self._offer(stream, stored, data)
        self.trouble = ""
        if replaced is None:
            return True
        await self._discard(self._files.path(stream.name, replaced.file))
        if kind in (Class.INIT, Class.SEGMENT) and replaced.etag != stored.etag:
            log.warning(
                "%s/%s: replaced by other bytes; caches may serve the old ones for %g s (origin.lifetimes.uploaded)",
                stream.name, path, self.settings.lifetimes.uploaded,
            )  # fmt: skip
        return False

    def over(self, stream: ObjectStream, upload: Upload) -> None:
        """The PUT is over, whichever way."""
        stream.over(upload)
        self._over.pop(upload).set()
        self._forget_empty(stream)

    async def delete(self, stream: ObjectStream, path: str) -> bool:
        """True: there was an object at this path. `StorageFailed`: it is there still."""
        async with self._lock(stream):
            gone = [stream.objects[path]] if path in stream.objects else []
            await self._erase(stream, gone)
            stream.delete(path, self.clock())  # a PUT of this path that is under way comes too late
        self._forget_empty(stream)
        return bool(gone)

    async def read(self, stream: ObjectStream, stored: StoredObject) -> bytes:
        """An object's bytes. `StorageFailed`."""
        path = self._files.path(stream.name, stored.file)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise storage_failed(path, error) from error

    # ---- the rest ----------------------------------------------------------------------------------------------

    async def _await_listed(self, stream: ObjectStream, upload: Upload, listing: Listing) -> None:
        awaited = [self._over[earlier] for earlier in stream.awaited(upload, listing)]
        try:
            async with asyncio.timeout(WAIT_S):
                for over in awaited:
                    await over.wait()
        except TimeoutError:
            log.warning("%s/%s: listed before all that it lists has come", stream.name, upload.path)

    def _lock(self, stream: ObjectStream) -> asyncio.Lock:
        """One writer a stream at a time: what the index says is what is served."""
        return self._locks.setdefault(stream.name, asyncio.Lock())

    async def _erase(self, stream: ObjectStream, gone: list[StoredObject]) -> None:
        """Under the lock: neither viewers nor a restart find these any more."""
        if not gone:
            return
        await asyncio.to_thread(self._files.erase, stream.name, gone)
        for one in gone:
            stream.forget(one)
            self._catalog.withdraw(f"{stream.name}/{one.path}")
        await self._discard(*(self._files.path(stream.name, one.file) for one in gone))

    async def _discard(self, *files: Path) -> None:
        """Deletes files that no path means any more, at the next sweep: a response may have begun with one."""
        self._trash += files
        if len(self._trash) > MOST_TRASH:
            await self.empty_trash()

    def _offer(self, stream: ObjectStream, stored: StoredObject, data: bytes | None) -> None:
        resource = Resource(
            media_type=media_type(stored.path),
            size=stored.size,
            etag=stored.etag,
            modified=stored.stored_at,
            lifetime=self._lifetime(stored, stream.listings.get(stored.path)),
            surrogate_key=surrogate_key(stream.name, stored.path, stored.kind),
            path=self._files.path(stream.name, stored.file),
            dated=False,
            secret=stored.kind is Class.KEY,
        )
        self._catalog.offer(f"{stream.name}/{stored.path}", resource, data)

    def _lifetime(self, stored: StoredObject, listing: Listing | None) -> float:
        if stored.kind not in LISTS:
            return self.settings.lifetimes.uploaded
        if listing is not None and listing.ended:
            return self.settings.lifetimes.ended
        target = listing.target if listing is not None else 0.0
        return self.settings.playlist_lifetime(target or self.settings.segment)


def _read(stream: str, path: str, data: bytes) -> Listing:
    return read_mpd(stream, path, data) if extension(path) == "mpd" else read_playlist(stream, path, data)
