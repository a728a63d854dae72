"""What a URL of a stream is, by its shape: object class and rendition, for records and reports.

Only names are read. cdnlab's own origin uses `multivariant.m3u8`, `media.m3u8`, `init-*.mp4`, `seg-*.m4s`,
`part-*.m4s`; the other spellings are those of common packagers. Nothing of caching hangs on this.
"""

import re

from policy.memo import remembered
from policy.record import ObjectClass

_MULTIVARIANT = re.compile(r"(multivariant|master|main|index-all)\b.*\.m3u8|.*\.mpd", re.IGNORECASE)
_INIT = re.compile(r"init.*\.(mp4|m4[sva]|cmf[va])", re.IGNORECASE)
_PART = re.compile(r"(part|.*[._-]part)[._-].*\.(m4[sva]|cmf[va]|ts)", re.IGNORECASE)
_SEGMENT = re.compile(r".*\.(m4[sva]|cmf[va]|ts|aac|mp4)", re.IGNORECASE)


@remembered(16_384)
def classify(path: str) -> tuple[ObjectClass, str]:
    """(object class, rendition): "/live/720p/seg-3-41.m4s" -> (SEGMENT, "720p")."""
    folder, _, name = path.rpartition("/")
    rendition = folder.rpartition("/")[2] if folder.count("/") >= 2 else ""
    if _MULTIVARIANT.fullmatch(name):
        return ObjectClass.MULTIVARIANT, ""
    if name.endswith(".m3u8"):
        return ObjectClass.MEDIA_PLAYLIST, rendition
    for pattern, object_class in (
        (_INIT, ObjectClass.INIT),
        (_PART, ObjectClass.PART),
        (_SEGMENT, ObjectClass.SEGMENT),
    ):
        if pattern.fullmatch(name):
            return object_class, rendition
    return ObjectClass.OTHER, ""
