"""The class of a stream's response, as records and reports count it (`cdnkit/policy/http/content.py` has its format).

cdnlab's own origin uses `multivariant.m3u8`, `media.m3u8`, `init-*.mp4`, `seg-*.m4s`, `part-*.m4s`, for MPEG-TS
`multivariant-ts.m3u8`, `ts.m3u8`, `seg-*.ts`, and for subtitles `vtt.m3u8`, `seg-*.vtt`; the other names are those of
common packagers.
"""

import re
from enum import StrEnum
from functools import lru_cache

from cdnkit.policy.http.content import Form, form_of, name_of


class ObjectClass(StrEnum):
    """The class of a URL of a stream."""

    MULTIVARIANT = "multivariant"
    MEDIA_PLAYLIST = "media-playlist"
    INIT = "init"
    SEGMENT = "segment"
    PART = "part"
    OTHER = "other"


LONGEST_REMEMBERED = 512
"""Characters of path and type. The class of longer ones is not cached: 16,384 of 8 KiB would take 128 MiB."""


_MULTIVARIANT = re.compile(r"(multivariant|master|main|index-all)\b.*|manifest\(.*", re.IGNORECASE)
_ONE_RENDITION = re.compile(r"QualityLevels\([^/]*", re.IGNORECASE)
"""A folder of Azure Media Services: `manifest(...)` in it is for one rendition."""
_INIT = re.compile(r"init.*\.(mp4|m4[sva]|cmf[va])|init[^.]*", re.IGNORECASE)
_PART = re.compile(r"(part|.*[._-]part)[._-].*\.(m4[sva]|cmf[va]|ts)", re.IGNORECASE)


def classify(path: str, content_type: str = "") -> tuple[ObjectClass, str]:
    """(object class, rendition): "/live/720p/seg-3-41.m4s" -> (SEGMENT, "720p")."""
    short = len(path) + len(content_type) <= LONGEST_REMEMBERED
    return (_classify if short else _classify.__wrapped__)(path, content_type)


@lru_cache(maxsize=16_384)
def _classify(path: str, content_type: str) -> tuple[ObjectClass, str]:
    return _shared(*_class_of(path, content_type))


@lru_cache(maxsize=1024)
def _shared(object_class: ObjectClass, rendition: str) -> tuple[ObjectClass, str]:
    """One tuple for the many paths of a rendition: a collector of cycles walks over all."""
    return object_class, rendition


def _class_of(path: str, content_type: str) -> tuple[ObjectClass, str]:
    folder, name = path.rpartition("/")[0], name_of(path)
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
