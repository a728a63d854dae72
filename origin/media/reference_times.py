"""Producer reference times: which instant an encoder says its media belongs to (`prft`, ISO/IEC 14496-12 8.16.5)."""

import struct
from dataclasses import dataclass
from typing import Literal

_NTP_EPOCH_S = 2_208_988_800
"""From 1900, where NTP counts from, to 1970."""
_WHAT: dict[int, Literal["encoder", "captured"]] = {0: "encoder", 24: "captured"}
"""Flags of a `prft` whose instant DASH can tell (ISO/IEC 23009-1 5.12.2): input to the encoder, and capture. Others are
those of the encoder's output, of a file: later by an unknown time."""


@dataclass(frozen=True, slots=True)
class ReferenceTime:
    """One instant on two clocks."""

    wall: float
    """Unix seconds, by the encoder's clock."""
    media: int
    """In ticks of the track's timescale."""
    what: Literal["encoder", "captured"]
    """When: as the frame was put into the encoder, or as it was captured."""


def reference_time(lead: bytes) -> ReferenceTime | None:
    """Of the first `prft` that can be used among the boxes before a fragment; they are whole, as they were read."""
    at = 0
    while at + 8 <= len(lead):
        size, kind = struct.unpack_from(">I4s", lead, at)
        box = lead[at : at + size]
        if kind == b"prft" and len(box) >= (32 if box[8:9] == b"\1" else 28):
            what = _WHAT.get(int.from_bytes(box[9:12], "big"))
            if what is not None:
                ntp, media = struct.unpack_from(">QQ" if box[8] == 1 else ">QI", box, 16)
                return ReferenceTime(ntp / 2**32 - _NTP_EPOCH_S, media, what)
        if size < 8:  # of 64 bits, or to the end: no `prft` is so long
            return None
        at += size
    return None
