"""gzip of text: playlists, manifests and subtitles are sent so to clients that accept it (HLS draft, appendix B.1).

A body is compressed when a request first asks for it so, and its gzip is kept as long as there is room: requests for
one playlist, such as a thousand blocking reloads that wake at one instant, cost one compression. Bodies are known by
path and strong ETag, and are never the same under both. Media is not compressed: it is already.
"""

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from cachetools import LRUCache

from origin.publishing.bodies import read_whole
from origin.publishing.responses import Resource

ROOM = 16 * 2**20
"""Bytes of all gzip that is kept: a stream's playlists take some kilobytes."""
SMALLEST = 256
"""A smaller body fits into one packet as it is."""
LARGEST = 2 * 2**20
"""A larger body is sent as it is; an uploaded playlist has at most so much."""
_AT_ONCE = 64 * 2**10
"""A larger body is compressed in a thread: it takes milliseconds, in which nobody else would be served."""
_ENTRY = 256
"""Bytes, about, that an entry takes besides its gzip."""
LEVEL = 6
"""zlib's default: 3 kB of playlist become 0.4 kB in 0.07 ms, 110 kB become 1.1 kB in 0.3 ms. 1 makes the latter twice
as large, 9 hardly smaller."""


def accepts_gzip(accepted: str | None) -> bool:
    """Whether a client with this Accept-Encoding is sent gzip (RFC 9110 12.5.3): it takes it, and likes it best.

    A member that cannot be read does not count. Where it accepts neither gzip nor `identity`, it is sent `identity`.
    """
    weights: dict[str, float] = {}
    for member in (accepted or "").lower().split(","):
        coding, *parameters = (part.strip() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value.strip())
        if coding:
            weights["gzip" if coding == "x-gzip" else coding] = weight
    gzipped = weights.get("gzip", weights.get("*", 0.0))
    return gzipped > 0 and gzipped >= weights.get("identity", 0.0)


def _weight(value: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


class Gzipped:
    """What of one origin's text is kept as gzip. Mutable; one event loop's."""

    def __init__(self) -> None:
        self._made: LRUCache[tuple[str, str], bytes] = LRUCache(ROOM, getsizeof=_room_of)
        """By path and ETag; empty: gzip is no smaller."""
        self._making: dict[tuple[str, str], asyncio.Task[bytes]] = {}

    async def chosen(
        self, path: str, resource: Resource, body: bytes | None, request: Mapping[str, str]
    ) -> tuple[Resource, bytes | None]:
        """The representation that a request is sent, and its bytes where they are in memory.

        A request for a range is sent the bytes as they are: half of a gzip is of no use. OSError: it cannot be read.
        """
        if not resource.is_text or not SMALLEST <= resource.size <= LARGEST or "range" in request:
            return resource, body
        if not accepts_gzip(request.get("accept-encoding")):
            return resource, body
        coded = await self._gzip((path, resource.etag), resource, body)
        if not coded:
            return resource, body
        etag = f'"{sha256(coded).hexdigest()[:16]}"'  # of these bytes: another zlib's are others
        return replace(resource, size=len(coded), etag=etag, body=coded, coding="gzip"), coded

    async def _gzip(self, key: tuple[str, str], resource: Resource, body: bytes | None) -> bytes:
        if (made := self._made.get(key)) is not None:
            return made
        if body is not None and len(body) <= _AT_ONCE:
            self._made[key] = made = _compress(body)
            return made
        if (making := self._making.get(key)) is None:
            making = self._making[key] = asyncio.create_task(self._make(key, resource, body))
            making.add_done_callback(lambda _: self._making.pop(key, None))
        # Whoever asked first may leave: others wait for the same one.
        return await asyncio.shield(making)

    async def _make(self, key: tuple[str, str], resource: Resource, body: bytes | None) -> bytes:
        if body is None:
            body = await read_whole(resource)
            assert body is not None
        # A file that was written anew in the meantime has another ETag: this one's bytes are gone.
        made = await asyncio.to_thread(_compress, body) if len(body) == resource.size else b""
        if len(body) == resource.size:
            self._made[key] = made
        return made


def _room_of(made: bytes) -> int:
    return len(made) + _ENTRY


def _compress(body: bytes) -> bytes:
    """Its gzip; nothing where that is no smaller."""
    coded = gzip.compress(body, LEVEL, mtime=0)
    return coded if len(coded) < len(body) else b""
