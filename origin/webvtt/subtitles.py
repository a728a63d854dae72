"""What answers requests for subtitles as WebVTT text, of tracks that are there as fragmented MP4.

    /{stream}/{track}/vtt.m3u8    /{stream}/{track}/seg-{generation}-{number}.vtt

A playlist is the other one's text, without init sections: blocking reloads, delta updates and keys are as they are
there. A segment is made when it is requested, which takes less than a millisecond; at most `MOST_AT_ONCE` are made at a
time.
"""

import asyncio
import logging
import re
from dataclasses import replace
from hashlib import sha256

from starlette.types import Receive

from origin.encryption.ciphers import decrypt_whole, encrypt_whole
from origin.errors import BadMedia
from origin.hls.playlist import MEDIA, VTT_MEDIA, init_name
from origin.live.window import TrackWindow
from origin.media.tracks import Kind
from origin.publishing.bodies import read_whole
from origin.publishing.held import Held, Unmet
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Resource
from origin.webvtt.cues import webvtt_segment

log = logging.getLogger("origin")

MEDIA_TYPE = "text/vtt"
MOST_AT_ONCE = 2

_SEGMENT = re.compile(r"seg-([0-9]{1,19})-([0-9]{1,19})\.vtt")
_NAME = re.compile(r"^(seg-[0-9]+-[0-9]+)\.m4s$", re.MULTILINE)
_MAP = re.compile(r"^#EXT-X-MAP:.*\n", re.MULTILINE)

Found = Resource | Unmet | None


def vtt_media_playlist(text: str) -> str:
    """The playlist of WebVTT segments beside this one of fragmented MP4."""
    return _NAME.sub(r"\1.vtt", _MAP.sub("", text))


class Subtitles:
    """The WebVTT of one origin."""

    def __init__(self, publisher: Publisher, held: Held) -> None:
        self._publisher = publisher
        self._held = held
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def find(self, path: str, query: str, receive: Receive) -> Found:
        """What answers a request for this path; None: it is none of ours, or of nothing that is there."""
        match path.split("/"):
            case [stream, track, file] if file == VTT_MEDIA and self._window(stream, track) is not None:
                found = await self._held.find(f"{stream}/{track}/{MEDIA}", query, receive)
                return _playlist(found) if isinstance(found, Resource) else found
            case [stream, track, file] if (match := _SEGMENT.fullmatch(file)) is not None:
                window = self._window(stream, track)
                return None if window is None else await self._segment(path, window, int(match[1]), int(match[2]))
        return None

    def _window(self, stream: str, track: str) -> TrackWindow | None:
        found = self._publisher.streams.get(stream)
        window = None if found is None else found.windows.get(track)
        return window if window is not None and window.track.kind is Kind.TEXT else None

    async def _segment(self, path: str, window: TrackWindow, generation: int, number: int) -> Found:
        fmp4, folder = f"{path.removesuffix('.vtt')}.m4s", path.rpartition("/")[0]
        listed = (one for one in window.fetchable() if (one.generation, one.number) == (generation, number))
        source, entry = self._publisher.catalog.get(fmp4), next(listed, None)
        if source is None or entry is None:
            return None
        async with self._free:
            try:
                head, data = await self._bytes(f"{folder}/{init_name(entry.init)}"), await self._bytes(fmp4)
                if head is None or data is None:
                    return None
                secret = self._publisher.protection.secret(path.partition("/")[0], entry.key) if entry.key else b""
                if secret is None:
                    return None
                most = 2 * self._publisher.settings.largest
                body = await asyncio.to_thread(_made, head, data, number, secret, most)
            except OSError as error:
                log.error("%s: %s", path, error)
                return Unmet(500, "the origin cannot read its segment.", 0.0)
            except (BadMedia, ValueError) as error:  # ValueError: it cannot be decrypted
                log.error("%s: not as WebVTT: %s", path, error)
                return Unmet(404, f"not as WebVTT: {error}", self._publisher.settings.lifetimes.not_found)
        return _resource(source, body, MEDIA_TYPE)

    async def _bytes(self, path: str) -> bytes | None:
        """Of a resource in the catalog; OSError: it cannot be read."""
        catalog = self._publisher.catalog
        if (resource := catalog.get(path)) is None:
            return None
        if (data := catalog.body(path, resource)) is not None:
            return data
        return await read_whole(resource)


def _made(head: bytes, data: bytes, number: int, secret: bytes, most: int) -> bytes:
    """The WebVTT segment; with a secret, of an encrypted one, and encrypted alike (METHOD=AES-128)."""
    if not secret:
        return webvtt_segment(head, data, most)
    return encrypt_whole(webvtt_segment(head, decrypt_whole(data, secret, number), most), secret, number)


def _playlist(source: Resource) -> Resource:
    assert source.body is not None
    return _resource(source, vtt_media_playlist(source.body.decode()).encode(), source.media_type)


def _resource(source: Resource, body: bytes, media_type: str) -> Resource:
    """What caches treat as they do the one that it was made of."""
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    return replace(source, media_type=media_type, size=len(body), etag=etag, body=body, path=None)
