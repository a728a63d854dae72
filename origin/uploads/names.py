"""What the path of an uploaded object may be, and what it says: its media type and its class.

Source: DASH-IF live media ingest 1.2, interface 2 (media types by extension; 403 for a wrong path).
"""

import re
from enum import StrEnum

from origin.errors import BadMedia, Refused, printable
from origin.media.boxes import children

HLS = "application/vnd.apple.mpegurl"

TYPES = {
    "m3u8": HLS,
    "mpd": "application/dash+xml",
    # init sections and segments
    "init": "video/mp4",
    "header": "video/mp4",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "cmfv": "video/mp4",
    "m4i": "video/mp4",
    "mp4v": "video/mp4",
    "dash": "video/mp4",
    "m4a": "audio/mp4",
    "mp4a": "audio/mp4",
    "cmfa": "audio/mp4",
    "cmft": "application/mp4",
    "cmfm": "application/mp4",
    "m4s": "video/iso.segment",
    "ts": "video/mp2t",
    "webm": "video/webm",
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "ec3": "audio/eac3",
    "mp3": "audio/mpeg",
    "vtt": "text/vtt",
    "webvtt": "text/vtt",
    "ttml": "application/ttml+xml",
    "key": "application/octet-stream",
    # thumbnails
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
}
"""Media types by extension. What an encoder says in Content-Type is not used: ffmpeg says nothing, and Shaka Packager
says application/octet-stream of everything. Nothing that a browser would run as a page is in it."""

MOST_FOLDERS = 8
LONGEST_PATH = 400

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~+=@:-]{0,199}")
_OUTSIDE = re.compile(r"(^|/)\.\.?(/|$)|%2f|%5c|%2e|%00|\\|\0", re.IGNORECASE)


class Class(StrEnum):
    """What an uploaded object is, as its surrogate key says it."""

    MULTIVARIANT = "multivariant"
    MEDIA_PLAYLIST = "media-playlist"
    MANIFEST = "manifest"
    INIT = "init"
    SEGMENT = "segment"
    KEY = "key"


LISTS = {Class.MULTIVARIANT, Class.MEDIA_PLAYLIST, Class.MANIFEST}
"""Those that list others."""


def check_path(stream: str, path: str, target: str) -> None:
    """`Refused`: no object may have this path. `target`: the URL's path as it was sent, not decoded."""
    where = f"/ingest/{printable(stream)}/{printable(path)}"
    if _OUTSIDE.search(target) or _OUTSIDE.search(path):
        raise Refused(
            403, f"{where}: found a path that leads elsewhere, wanted one without . and .. and encoded slashes."
        )
    if not _STREAM.fullmatch(stream) or stream == "vod":
        wanted = 'letters, digits, - and _ (64 at most, a letter or digit first; "vod" is taken)'
        raise Refused(403, f"{where}: found a stream name that cannot be used, wanted {wanted}.")
    parts = path.split("/")
    if "%" in target or not all(map(_PART.fullmatch, parts)):
        wanted = "folders and a file of letters, digits and ._~+=@:- (a letter, digit or _ first)"
        raise Refused(403, f"{where}: found a name that cannot be used, wanted {wanted}.")
    if len(parts) > MOST_FOLDERS or len(path) > LONGEST_PATH:
        found = f"{len(parts) - 1} folders, {len(path)} characters"
        raise Refused(403, f"{where}: found {found}, wanted at most {MOST_FOLDERS - 1} and {LONGEST_PATH}.")
    if extension(path) not in TYPES:
        known = " ".join(f".{one}" for one in TYPES)
        raise Refused(415, f"{where}: found .{printable(extension(path), 30)}, wanted one of {known}.")


def extension(path: str) -> str:
    """In lower case, without the dot."""
    _, dot, found = path.rpartition("/")[2].rpartition(".")
    return found.lower() if dot else ""


def media_type(path: str) -> str:
    return TYPES[extension(path)]


def class_of(path: str, data: bytes | None) -> Class:
    """The class of an object with these bytes; None: more than any playlist or init section has."""
    match extension(path):
        case "m3u8":
            return Class.MULTIVARIANT if b"#EXT-X-STREAM-INF" in (data or b"") else Class.MEDIA_PLAYLIST
        case "mpd":
            return Class.MANIFEST
        case "key":
            return Class.KEY
        case "init" | "header":
            return Class.INIT
        case _:
            return Class.INIT if data is not None and is_header(data) else Class.SEGMENT


def is_header(data: bytes) -> bool:
    """Whether this is a CMAF header: `ftyp moov`, and no media."""
    if data[4:8] != b"ftyp":
        return False
    try:
        kinds = {kind for kind, _ in children(memoryview(data), "")}
    except BadMedia:
        return False
    return "moov" in kinds and not kinds & {"moof", "mdat"}


def surrogate_key(stream: str, path: str, kind: Class) -> str:
    """`live live/v0 segment`; an object beside the stream's folders has no folder of its own."""
    folder = path.rpartition("/")[0]
    return f"{stream} {stream}/{folder} {kind}" if folder else f"{stream} {kind}"
