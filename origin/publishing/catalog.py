"""The resource behind each path of a live stream, and which bodies lie in memory. The rest is read from storage."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from cachetools import LRUCache

from cdnkit.settings.origin import Origin
from origin.hls.playlist import MEDIA, MULTIVARIANT, init_name
from origin.live.parts import Part
from origin.live.window import Entry
from origin.media.tracks import Kind, Track
from origin.publishing.responses import Reader, Resource, Stored
from origin.publishing.urgency import urgency

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
MANIFEST_TYPE = "application/dash+xml"


def _etag(body: bytes) -> str:
    return f'"{sha256(body).hexdigest()[:16]}"'


def track_type(kind: Kind) -> str:
    return {Kind.VIDEO: "video/mp4", Kind.AUDIO: "audio/mp4", Kind.TEXT: "application/mp4"}[kind]


class Catalog:
    """Resources by path, without its leading slash: `live/720p/seg-1-0.m4s`. Mutable; one event loop's."""

    def __init__(self, settings: Origin, storage: Reader, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._storage = storage
        self._clock = clock
        self._resources: dict[str, Resource] = {}
        self._bodies: LRUCache[str, bytes] = LRUCache(max(1, settings.memory), getsizeof=len)
        self._deltas: dict[str, tuple[Resource, Resource]] = {}
        """Of media playlists that have them, by the playlist's path: without old segments; without old date ranges,
        too."""

    def get(self, path: str) -> Resource | None:
        return self._resources.get(path)

    def body(self, path: str, resource: Resource) -> bytes | None:
        """The resource's bytes if they are in memory."""
        if resource.body is not None or not resource.within:
            return resource.body if resource.body is not None else self._bodies.get(path)
        whole = self._bodies.get(resource.within)
        return None if whole is None else whole[resource.offset : resource.offset + resource.size]

    def withdraw(self, path: str) -> None:
        """The path answers 404 from now on."""
        self._resources.pop(path, None)
        self._bodies.pop(path, None)
        self._deltas.pop(path, None)

    def offer(self, path: str, resource: Resource, data: bytes | None) -> None:
        """The path answers with this resource from now on; `data`: its bytes, if they are at hand."""
        self._resources[path] = resource
        self._bodies.pop(path, None)
        if data is not None:
            self._remember(path, data)

    def offer_init(self, stream: str, name: str, track: Track, init: str, data: bytes, *, stored: bool) -> None:
        """`stored`: the bytes can be read again when memory has no room for them."""
        path = f"{stream}/{name}/{init_name(init)}"
        if path in self._resources:
            return
        if stored:
            self._remember(path, data)
        self._resources[path] = Resource(
            media_type=track_type(track.kind),
            size=len(data),
            etag=f'"{init}"',
            modified=self._clock(),
            lifetime=self._settings.lifetimes.init,
            surrogate_key=f"{stream} {stream}/{name} init",
            body=None if stored else data,
            path=Stored(self._storage, path),
            immutable=True,
            urgency=urgency(track),
        )

    def offer_segment(
        self, stream: str, name: str, track: Track, entry: Entry, data: bytes | None, modified: float
    ) -> None:
        path = f"{stream}/{name}/{entry.name}"
        if data is not None:
            self._remember(path, data)
        self._resources[path] = Resource(
            media_type=track_type(track.kind),
            size=entry.size,
            etag=f'"{entry.generation:x}-{entry.number:x}-{entry.size:x}"',
            modified=modified,
            lifetime=self._settings.lifetimes.segment,
            received=entry.received if data is not None else 0.0,
            surrogate_key=f"{stream} {stream}/{name} segment",
            path=Stored(self._storage, path),
            immutable=True,
            urgency=urgency(track),
        )

    def offer_part(self, stream: str, name: str, track: Track, part: Part, data: bytes, lifetime: float) -> None:
        """A part of a segment that is not complete: its bytes are held until `fold_parts`."""
        self._resources[f"{stream}/{name}/{part.name}"] = Resource(
            media_type=track_type(track.kind),
            size=len(data),
            etag=f'"{part.generation:x}-{part.number:x}-{part.index:x}-{part.size:x}"',
            modified=self._clock(),
            lifetime=lifetime,
            received=part.received,
            surrogate_key=f"{stream} {stream}/{name} part",
            body=data,
            immutable=True,
            urgency=urgency(track),
        )

    def fold_parts(self, stream: str, name: str, segment: str, parts: list[Part]) -> None:
        """The segment of this name is stored: its parts are read from it, and need no memory of their own."""
        offset = 0
        for part in parts:
            path, within = f"{stream}/{name}/{part.name}", f"{stream}/{name}/{segment}"
            self._resources[path] = replace(
                self._resources[path], body=None, path=Stored(self._storage, within), offset=offset, within=within
            )
            offset += part.size

    def delta(self, path: str, *, dates: bool) -> Resource | None:
        """The delta update of the media playlist at `path`; the whole one where nothing can be left out.

        `dates`: without old date ranges, too.
        """
        found = self._deltas.get(path)
        return found[dates] if found else self._resources.get(path)

    def offer_media_playlist(
        self,
        stream: str,
        name: str,
        text: str,
        lifetime: float,
        deltas: tuple[str, str] | None = None,
        *,
        file: str = MEDIA,
    ) -> None:
        """`deltas`: its delta updates, the second one without old date ranges; None: it has none."""
        path = f"{stream}/{name}/{file}"
        self._offer_playlist(path, text, lifetime, f"{stream} {stream}/{name} media-playlist")
        self._deltas.pop(path, None)
        if deltas is not None:
            segments, dates = (one.encode() for one in deltas)
            whole = self._resources[path]
            self._deltas[path] = (
                replace(whole, size=len(segments), etag=_etag(segments), body=segments),
                replace(whole, size=len(dates), etag=_etag(dates), body=dates),
            )

    def offer_multivariant_playlist(self, stream: str, text: str, lifetime: float) -> None:
        self._offer_playlist(f"{stream}/{MULTIVARIANT}", text, lifetime, f"{stream} multivariant")

    def offer_manifest(self, stream: str, name: str, text: str, lifetime: float) -> None:
        """A DASH manifest."""
        self._offer_playlist(f"{stream}/{name}", text, lifetime, f"{stream} manifest", MANIFEST_TYPE)

    def _offer_playlist(
        self, path: str, text: str, lifetime: float, keys: str, media_type: str = PLAYLIST_TYPE
    ) -> None:
        body = text.encode()
        etag = _etag(body)
        old = self._resources.get(path)
        if old is not None and old.etag == etag and old.lifetime == lifetime:
            return
        self._resources[path] = Resource(
            media_type=media_type,
            size=len(body),
            etag=etag,
            modified=self._clock(),
            lifetime=lifetime,
            surrogate_key=keys,
            body=body,
            dated=False,
        )

    def _remember(self, path: str, data: bytes) -> None:
        if len(data) <= self._bodies.maxsize:
            self._bodies[path] = data
