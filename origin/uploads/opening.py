"""How the body of `{name}.mp4` begins: as a track does (interface 1), or as an object (interface 2)."""

import struct
from enum import Enum

from origin.media.fragments import LARGEST_INIT

_HEADER = struct.Struct(">I4s")
_BEFORE_MEDIA = {b"ftyp", b"moov", b"free", b"skip", b"uuid", b"meta"}
_MEDIA = {b"styp", b"sidx", b"moof", b"mdat", b"prft", b"emsg"}


class Opening(Enum):
    """What the first boxes are."""

    EMPTY = "empty"
    HEADER = "header"  # a CMAF header, and the body has ended
    TRACK = "track"  # a CMAF header, and media; or nothing that an object could be
    MEDIA = "media"  # without a header


def opening(data: bytes | bytearray, *, ended: bool) -> Opening | None:
    """What a body that begins with `data` is; None: more of it will tell. `ended`: this is all of it."""
    if not data:
        return Opening.EMPTY if ended else None
    kinds: set[bytes] = set()
    at = 0
    while len(data) - at >= 8:
        size, kind = _HEADER.unpack_from(data, at)
        if kind in _MEDIA:
            return Opening.TRACK if b"moov" in kinds else Opening.MEDIA
        if kind not in _BEFORE_MEDIA or size < 8:
            return Opening.TRACK
        kinds.add(kind)
        at += size
    if ended:
        return Opening.HEADER if at == len(data) and b"moov" in kinds else Opening.TRACK
    return Opening.TRACK if len(data) > LARGEST_INIT else None
