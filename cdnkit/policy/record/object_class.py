"""What a response of a stream is: by its Content-Type first, then by its path (RFC 8216 §4, IANA's media types).

The one place that says so: records and reports count by it, and a token goes on to the children of what is a playlist
here, which is then one viewer's alone. A type that says nothing (text/plain, application/octet-stream, none) leaves it
to the path; so does a request whose answer has not come.

cdnlab's own origin uses `multivariant.m3u8`, `media.m3u8`, `init-*.mp4`, `seg-*.m4s`, `part-*.m4s`; the other spellings
are those of common packagers.
"""

import re
from enum import Enum, StrEnum
from functools import lru_cache


class ObjectClass(StrEnum):
    """What a URL of a stream is."""

    MULTIVARIANT = "multivariant"
    MEDIA_PLAYLIST = "media-playlist"
    INIT = "init"
    SEGMENT = "segment"
    PART = "part"
    OTHER = "other"


LONGEST_REMEMBERED = 512
"""A longer path (and type) is looked at anew: 16,384 of 8 KiB would take 128 MiB."""


class Form(Enum):
    """How what a stream is made of is written."""

    HLS = "a playlist"
    DASH = "a manifest"
    MEDIA = "a segment, a part of one, or an init section"
    OTHER = "something else, or not known"


_TYPES = {
    "application/vnd.apple.mpegurl": Form.HLS,  # RFC 8216 §4, as is the next
    "audio/mpegurl": Form.HLS,
    "application/x-mpegurl": Form.HLS,  # older than the RFC, and still sent
    "audio/x-mpegurl": Form.HLS,
    "application/mpegurl": Form.HLS,
    "application/dash+xml": Form.DASH,
    "application/mp4": Form.MEDIA,
}
_NAMES = (
    (re.compile(r".*\.m3u8?", re.IGNORECASE), Form.HLS),
    (re.compile(r".*\.mpd", re.IGNORECASE), Form.DASH),
    (re.compile(r".*\.(m4[sva]|cmf[va]|ts|aac|mp4)", re.IGNORECASE), Form.MEDIA),
)

_MULTIVARIANT = re.compile(r"(multivariant|master|main|index-all)\b.*|manifest\(.*", re.IGNORECASE)
_ONE_RENDITION = re.compile(r"QualityLevels\([^/]*", re.IGNORECASE)
"""A folder of Azure Media Services: `manifest(...)` in it is of one rendition."""
_INIT = re.compile(r"init.*\.(mp4|m4[sva]|cmf[va])|init[^.]*", re.IGNORECASE)
_PART = re.compile(r"(part|.*[._-]part)[._-].*\.(m4[sva]|cmf[va]|ts)", re.IGNORECASE)


def form_of(path: str, content_type: str = "") -> Form:
    """`content_type`: of the answer, with its parameters; "" while there is none."""
    told = content_type.partition(";")[0].strip().lower()
    if (form := _TYPES.get(told)) is not None:
        return form
    if told.startswith(("video/", "audio/")):
        return Form.MEDIA
    name = _name(path)
    return next((form for pattern, form in _NAMES if pattern.fullmatch(name)), Form.OTHER)


def is_playlist(path: str, content_type: str = "") -> bool:
    """It refers to others, in HLS or DASH."""
    return form_of(path, content_type) in (Form.HLS, Form.DASH)


def classify(path: str, content_type: str = "") -> tuple[ObjectClass, str]:
    """(object class, rendition): "/live/720p/seg-3-41.m4s" -> (SEGMENT, "720p")."""
    short = len(path) + len(content_type) <= LONGEST_REMEMBERED
    return (_classify if short else _classify.__wrapped__)(path, content_type)


@lru_cache(maxsize=16_384)
def _classify(path: str, content_type: str) -> tuple[ObjectClass, str]:
    folder, name = path.rpartition("/")[0], _name(path)
    last = folder.rpartition("/")[2]
    rendition = last if folder.count("/") >= 2 else ""
    form = form_of(path, content_type)
    if form is Form.OTHER:
        return ObjectClass.OTHER, ""
    if form is Form.DASH or (form is Form.HLS and _MULTIVARIANT.fullmatch(name) and not _ONE_RENDITION.fullmatch(last)):
        return ObjectClass.MULTIVARIANT, ""
    if form is Form.HLS:
        return ObjectClass.MEDIA_PLAYLIST, rendition
    if _INIT.fullmatch(name):
        return ObjectClass.INIT, rendition
    return (ObjectClass.PART if _PART.fullmatch(name) else ObjectClass.SEGMENT), rendition


def _name(path: str) -> str:
    """The last segment, without its parameters: `x.m3u8;jsessionid=1` is `x.m3u8` (RFC 3986 §3.3)."""
    return path.rpartition("/")[2].partition(";")[0]
