"""From a resource and a request to a response's head: conditional requests and byte ranges (RFC 9110 13, 14).

Pure: tables in the tests hold every case. Resources are immutable values; a live playlist is replaced, not changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Protocol

from origin.publishing.urgency import PLAYLIST

Headers = list[tuple[str, str]]

EXPOSED = "Age, Cache-Status, Content-Length, Content-Range, Date, ETag, Last-Modified, Via, X-Cache"
"""Fields that scripts of other origins may read: a player measures age and finds what the caches did."""

PLAYLISTS = frozenset({"application/vnd.apple.mpegurl", "application/dash+xml"})
TEXT = PLAYLISTS | {"text/vtt", "application/ttml+xml"}
"""Media types of which clients may have gzip (`codings.py`)."""


class Reader(Protocol):
    """Where files are read by name."""

    async def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        """Bytes `first` to before `end`; None: there is no such file. `StorageFailed`: it cannot be read."""


@dataclass(slots=True)
class Stored:
    """A file of the origin's storage."""

    storage: Reader
    name: str


@dataclass(slots=True)
class Resource:
    """What stands behind a URL."""

    media_type: str
    size: int
    etag: str
    """Strong, with its quotes."""
    modified: float
    """Unix seconds."""
    lifetime: float
    surrogate_key: str = ""
    body: bytes | None = None
    path: Path | Stored | None = None
    """Where the bytes lie if they are not in `body`."""
    offset: int = 0
    """Where in `path` they begin."""
    within: str = ""
    """The path of the segment that they are a part of: where it lies in memory, they do."""
    dated: bool = True
    """False where the bytes may change twice within a second: a Last-Modified then says too little to compare by."""
    received: float = 0.0
    """Of media: when the last of it came, Unix seconds; 0: not known. It was published at `modified`."""
    immutable: bool = False
    """The URL has these bytes for ever (RFC 8246)."""
    secret: bool = False
    """No cache may store it: a key."""
    coding: str = ""
    """Content coding of the bytes; "": none."""
    urgency: int | None = None
    """Of media (`urgency.py`); None: not known."""

    @property
    def is_text(self) -> bool:
        """There is a representation of it with a content coding, and one without."""
        return self.media_type in TEXT


@dataclass(slots=True)
class ResponseHead:
    """The status and fields to send, then the resource's bytes `first` to `end` (exclusive), none where both are 0."""

    status: int
    headers: Headers
    first: int = 0
    end: int = 0


def cache_control(lifetime: float, *, immutable: bool = False) -> str:
    return f"public, max-age={int(lifetime)}{', immutable' if immutable else ''}"


def server_timing(received: float, published: float) -> str:
    """How long media took at the origin, in milliseconds, from when its last byte came (W3C Server-Timing).

    It belongs to the media and not to the response: caches may store it.
    """
    took = max(0.0, 1000 * (published - received))
    return f'origin;dur={took:.1f};desc="received {received:.3f}"'


def cross_origin(allowed: str) -> Headers:
    fields = [("Access-Control-Allow-Origin", allowed), ("Access-Control-Expose-Headers", EXPOSED)]
    # One named origin makes no difference between requests, so no Vary: it would split every cache for nothing.
    return fields if allowed else []


def respond(resource: Resource, method: str, request: Mapping[str, str], allowed: str) -> ResponseHead:
    """The response to GET or HEAD for a resource; `request` looks fields up without regard to case."""
    headers: Headers = [
        ("ETag", resource.etag),
        ("Last-Modified", formatdate(resource.modified, usegmt=True)),
        (
            "Cache-Control",
            # `private` for CDNs that heed no `no-store` by default, such as Fastly.
            "private, no-store" if resource.secret else cache_control(resource.lifetime, immutable=resource.immutable),
        ),
        *cross_origin(allowed),
    ]
    if resource.received:
        headers.append(("Server-Timing", server_timing(resource.received, resource.modified)))
    if resource.surrogate_key:
        headers.append(("Surrogate-Key", resource.surrogate_key))
    if resource.is_text:
        headers.append(("Vary", "Accept-Encoding"))
    if (urgency := PLAYLIST if resource.media_type in PLAYLISTS else resource.urgency) is not None:
        headers.append(("Priority", f"u={urgency}"))
    if _unchanged(resource, request):
        return ResponseHead(304, headers)
    headers += [("Content-Type", resource.media_type), ("Accept-Ranges", "bytes")]
    if resource.coding:
        headers.append(("Content-Encoding", resource.coding))
    if method == "GET" and (span := _range(resource, request)) is not None:
        first, end = span
        if first >= end:
            headers += [("Content-Range", f"bytes */{resource.size}"), ("Content-Length", "0")]
            return ResponseHead(416, headers)
        headers += [
            ("Content-Range", f"bytes {first}-{end - 1}/{resource.size}"),
            ("Content-Length", str(end - first)),
        ]
        return ResponseHead(206, headers, first, end)
    headers.append(("Content-Length", str(resource.size)))
    return ResponseHead(200, headers, 0, resource.size if method == "GET" else 0)


_TAGS = re.compile(r'(?:W/)?("[^"]*")')
_WEAK_TAG = re.compile(r'W/"[^"]*"')


def matches(request: Mapping[str, str], etag: str | None) -> bool:
    """Whether a request to replace a resource may go on (RFC 9110 13.1.1, 13.1.2); `etag` None: there is none."""
    if (wanted := request.get("if-match")) is not None:
        return etag is not None and (wanted.strip() == "*" or etag in _TAGS.findall(_WEAK_TAG.sub("", wanted)))
    if (unwanted := request.get("if-none-match")) is not None:
        return etag is None or not (unwanted.strip() == "*" or etag in _TAGS.findall(unwanted))
    return True


def _unchanged(resource: Resource, request: Mapping[str, str]) -> bool:
    """RFC 9110 13.2.2: If-None-Match rules where it is sent, If-Modified-Since only where it is not."""
    tags = request.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or resource.etag in _TAGS.findall(tags)  # weak comparison
    since = _date(request.get("if-modified-since"))
    return since is not None and resource.dated and int(resource.modified) <= since


def _range(resource: Resource, request: Mapping[str, str]) -> tuple[int, int] | None:
    """(first, end) of the one range asked for, end exclusive; empty: not satisfiable; None: send it all.

    Several ranges, other units and malformed ones are ignored, as RFC 9110 14.2 allows.
    """
    match = re.fullmatch(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", request.get("range", ""), re.I)
    if match is None or match[1] == match[2] == "":
        return None
    condition = request.get("if-range")
    if condition is not None:
        date = _date(condition)
        # Strong comparison: a weak tag never matches; a date only if it is exactly ours (RFC 9110 13.1.5).
        if condition != resource.etag and not (resource.dated and date == int(resource.modified)):
            return None
    if match[1] == "":
        first = max(0, resource.size - int(match[2])) if int(match[2]) else resource.size
        return first, resource.size
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return None
    return first, min(resource.size, int(match[2]) + 1) if match[2] else resource.size


def _date(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
