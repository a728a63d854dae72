"""What answers requests for HLS with MPEG-TS segments, of streams that are there as fMP4.

    /{stream}/multivariant-ts.m3u8    /{stream}/{track}/ts.m3u8    /{stream}/{track}/seg-{generation}-{number}.ts

A segment is made when it is first requested, not when it is published: that costs twice as much as publishing it does
(3 ms for 1.2 MB), caches ask for it once, and a stream that nobody watches so costs nothing. `MOST_AT_ONCE` are made
at a time, each of at most twice `largest` bytes; those made last are kept in a quarter of `memory`.
"""

import asyncio
import logging
import re
from dataclasses import replace
from hashlib import sha256

from cachetools import LRUCache

from origin.errors import BadMedia
from origin.hls.playlist import MEDIA, MULTIVARIANT, init_name
from origin.live.window import TrackWindow
from origin.mpegts.elementary import Codec, read_codec
from origin.mpegts.playlists import (
    TS_MEDIA,
    TS_MULTIVARIANT,
    is_encrypted,
    named_in,
    ts_media_playlist,
    ts_multivariant_playlist,
)
from origin.mpegts.segments import remux
from origin.publishing.bodies import read_whole
from origin.publishing.held import Unmet
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Resource

log = logging.getLogger("origin")

MEDIA_TYPE = "video/mp2t"
"""Of sound alone, too (RFC 8216 10)."""
MOST_AT_ONCE = 2
_MOST_UNFIT = 4096
_MOST_CODECS = 1024

_SEGMENT = re.compile(r"seg-([0-9]{1,19})-([0-9]{1,19})\.ts")

Found = Resource | Unmet | None


class Alternative:
    """The MPEG-TS of one origin. Mutable: what was made last; one event loop's."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._most = 2 * publisher.settings.largest
        self._made: LRUCache[str, Resource] = LRUCache(
            max(1, publisher.settings.memory // 4), getsizeof=lambda one: one.size
        )
        self._making: dict[str, asyncio.Task[Found]] = {}
        self._free = asyncio.Semaphore(MOST_AT_ONCE)
        self._unfit: LRUCache[str, str] = LRUCache(_MOST_UNFIT)
        """Why a segment could not be made, by path."""
        self._codecs: LRUCache[str, Codec | None] = LRUCache(_MOST_CODECS)
        """By path of the init section; None: nothing that a transport stream has here."""

    async def find(self, path: str) -> Found:
        """What answers a request for this path; None: it is none of ours, or of nothing that is there."""
        match path.split("/"):
            case [stream, file] if file == TS_MULTIVARIANT:
                return await self._multivariant(stream)
            case [stream, track, file] if file == TS_MEDIA:
                return await self._media(stream, track)
            case [stream, track, file] if (match := _SEGMENT.fullmatch(file)) is not None:
                return await self._segment(path, stream, track, int(match[1]), int(match[2]))
        return None

    def _window(self, stream: str, track: str) -> TrackWindow | None:
        found = self._publisher.streams.get(stream)
        return None if found is None else found.windows.get(track)

    # ---- playlists ---------------------------------------------------------------------------------------------------

    def _encrypted(self, stream: str, track: str) -> bool:
        source = self._publisher.catalog.get(f"{stream}/{track}/{MEDIA}")
        return source is not None and source.body is not None and is_encrypted(source.body.decode())

    async def _media(self, stream: str, track: str) -> Found:
        window = self._window(stream, track)
        if window is None or await self._codec(stream, track, window.init) is None:
            return None
        source = self._publisher.catalog.get(f"{stream}/{track}/{MEDIA}")
        if source is None or source.body is None or is_encrypted(text := source.body.decode()):
            return None
        folder = f"{stream}/{track}/"
        unfit = {path.removeprefix(folder) for path in self._unfit if path.startswith(folder)}
        return _playlist(source, ts_media_playlist(text, unfit))

    async def _multivariant(self, stream: str) -> Found:
        source = self._publisher.catalog.get(f"{stream}/{MULTIVARIANT}")
        if source is None or source.body is None:
            return None
        tracks = []
        for name in sorted(named_in(source.body.decode())):
            window = self._window(stream, name)
            if window is not None and window.listed and not self._encrypted(stream, name):
                codec = await self._codec(stream, name, window.init)
                if codec is not None:
                    tracks.append((window, codec))
        if not tracks:
            return None
        return _playlist(source, self._publisher.steering.steered(ts_multivariant_playlist(tracks), stream))

    # ---- segments ----------------------------------------------------------------------------------------------------

    async def _segment(self, path: str, stream: str, track: str, generation: int, number: int) -> Found:
        if (source := self._publisher.catalog.get(f"{path.removesuffix('.ts')}.m4s")) is None:
            self._made.pop(path, None)
            return None
        if (made := self._made.get(path)) is not None:
            return made
        if (why := self._unfit.get(path)) is not None:
            return Unmet(404, f"not as MPEG-TS: {why}", self._publisher.settings.lifetimes.not_found)
        window = self._window(stream, track)
        entries = window.fetchable() if window is not None else ()
        entry = next((one for one in entries if (one.generation, one.number) == (generation, number)), None)
        if entry is None or self._encrypted(stream, track):
            return None
        making = self._making.get(path)
        if making is None:
            making = asyncio.create_task(self._make(path, source, stream, track, entry.init, number))
            self._making[path] = making
            making.add_done_callback(lambda _: self._making.pop(path, None))
        # Whoever asked first may leave: others wait for the same one.
        return await asyncio.shield(making)

    async def _make(self, path: str, source: Resource, stream: str, track: str, init: str, number: int) -> Found:
        async with self._free:
            codec = await self._codec(stream, track, init)
            if codec is None:
                return self._refuse(path, "not H.264 or AAC.")
            try:
                head = await self._bytes(f"{stream}/{track}/{init_name(init)}")
                data = await self._bytes(f"{path.removesuffix('.ts')}.m4s")
                if head is None or data is None:
                    return None
                body = await asyncio.to_thread(remux, head, codec, data, number, self._most)
            except OSError as error:
                log.error("%s: %s", path, error)
                return Unmet(500, "the origin cannot read its segment.", 0.0)
            except BadMedia as error:
                return self._refuse(path, str(error))
        made = replace(source, media_type=MEDIA_TYPE, size=len(body), etag=_etag(body), body=body, path=None)
        if made.size <= self._made.maxsize:
            self._made[path] = made
        return made

    def _refuse(self, path: str, why: str) -> Unmet:
        """The segment is a gap from now on, and the log says why."""
        log.error("%s: not as MPEG-TS, listed as a gap: %s", path, why)
        self._unfit[path] = why
        return Unmet(404, f"not as MPEG-TS: {why}", self._publisher.settings.lifetimes.not_found)

    async def _codec(self, stream: str, track: str, init: str) -> Codec | None:
        """What an init section says; None: no codec of a transport stream, or the section is gone."""
        path = f"{stream}/{track}/{init_name(init)}"
        if path not in self._codecs:
            try:
                if (data := await self._bytes(path)) is None:
                    return None
                self._codecs[path] = read_codec(data)
            except OSError as error:
                log.error("%s: %s", path, error)
                return None
            except BadMedia as error:
                log.info("%s: not as MPEG-TS: %s", path, error)
                self._codecs[path] = None
        return self._codecs[path]

    async def _bytes(self, path: str) -> bytes | None:
        """Of a resource in the catalog; OSError: it cannot be read."""
        catalog = self._publisher.catalog
        if (resource := catalog.get(path)) is None:
            return None
        if (data := catalog.body(path, resource)) is not None:
            return data
        return await read_whole(resource)


def _playlist(source: Resource, text: str) -> Resource:
    """A playlist that caches treat as they do the one that it was made of."""
    body = text.encode()
    return replace(source, size=len(body), etag=_etag(body), body=body)


def _etag(body: bytes) -> str:
    return f'"{sha256(body).hexdigest()[:16]}"'
