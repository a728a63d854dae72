"""What a sample entry says of its track (ISO/IEC 14496-12 8.5.2): codec, size, channels, declared bit rates.

Codec names are those of RFC 6381, from the bitstream's own configuration records: `avc1.64001f` from avcC and
`hvc1.1.6.L93.b0` from hvcC (ISO/IEC 14496-15 5.3.3.1, E.3), `mp4a.40.2` from the esds descriptors (ISO/IEC 14496-1
7.2.6), `av01.0.04M.08` from av1C (AV1 in ISOBMFF 5). AC-3's are ETSI TS 102 366 annex F, Opus's are lower case, which
is what browsers know.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cdnkit.hls import video_range
from origin.errors import BadMedia, NotSupported
from origin.media.boxes import Fields, children
from origin.media.h264 import transfer_characteristics


@dataclass(slots=True)
class SampleEntry:
    """What is known of the samples."""

    codec: str
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    max_bps: int = 0
    average_bps: int = 0
    """The bit rates that the encoder declares; 0: it does not."""
    video_range: str = ""
    length_size: int = 0
    """Bytes of the length before each NAL unit; 0: the samples are no NAL units."""


Boxes = dict[str, memoryview]


def read_sample_entry(handler: bytes, kind: str, entry: memoryview, where: str) -> SampleEntry:
    """The sample entry `kind` of a track with this handler. `NotSupported`: this origin cannot publish it."""
    reader = _READERS.get((handler, kind))
    if reader is None:
        found = f"sample entry {kind!r} of handler {handler.decode('latin-1')!r}"
        wanted = "H.264 (avc1, avc3), HEVC (hvc1, hev1), AV1 (av01), AAC or MP3 (mp4a), Opus, AC-3 or WebVTT (wvtt)"
        raise NotSupported(where, found, f"{wanted}, not encrypted")
    return reader(kind, Fields(entry, f"{where}/{kind}"))


def _boxes(fields: Fields) -> Boxes:
    found: Boxes = {}
    try:
        for kind, payload in children(fields.rest(), fields.where):
            found.setdefault(kind, payload)
    except BadMedia:
        pass  # QuickTime ends the boxes of an entry with four bytes of zero
    return found


def _record(boxes: Boxes, kind: str, fields: Fields) -> Fields:
    """The configuration record of this name."""
    if kind not in boxes:
        raise BadMedia(fields.where, f"no {kind}", f"{kind} in it")
    return Fields(boxes[kind], f"{fields.where}/{kind}")


def _declare(read: SampleEntry, boxes: Boxes, fields: Fields) -> SampleEntry:
    """Adds what a BitRateBox says (ISO/IEC 14496-12 8.5.2.2)."""
    if "btrt" in boxes:
        _, max_bps, average_bps = _record(boxes, "btrt", fields).words(3)
        read.max_bps, read.average_bps = max_bps or read.max_bps, average_bps or read.average_bps
    return read


def _pictures(kind: str, fields: Fields) -> SampleEntry:
    fields.take(24)
    width, height = fields.uint(2), fields.uint(2)
    fields.take(50)
    boxes = _boxes(fields)
    transfer = 2
    if kind.startswith("avc"):
        codec, length_size, transfer = _avc(kind, _record(boxes, "avcC", fields))
    elif kind.startswith("h"):
        codec, length_size = _hevc(kind, _record(boxes, "hvcC", fields))
    else:
        codec, length_size = _av1(_record(boxes, "av1C", fields)), 0
    if bytes(boxes.get("colr", b"")[:4]) == b"nclx":
        colours = _record(boxes, "colr", fields)
        colours.take(6)
        transfer = colours.uint(2)
    read = SampleEntry(codec, width, height, video_range=video_range(transfer), length_size=length_size)
    return _declare(read, boxes, fields)


def _avc(kind: str, fields: Fields) -> tuple[str, int, int]:
    fields.take(1)
    profile, compatibility, level = fields.take(3)
    length_size = (fields.uint(1) & 3) + 1
    transfer = 2
    if fields.uint(1) & 0x1F:
        transfer = transfer_characteristics(bytes(fields.take(fields.uint(2))))
    return f"{kind}.{profile:02x}{compatibility:02x}{level:02x}", length_size, transfer


def _hevc(kind: str, fields: Fields) -> tuple[str, int]:
    fields.take(1)
    first = fields.uint(1)
    space, tier, profile = " ABC"[first >> 6].strip(), "LH"[first >> 5 & 1], first & 0x1F
    compatibility = int(f"{fields.uint(4):032b}"[::-1], 2)
    constraints = bytes(fields.take(6)).rstrip(b"\0")
    level = fields.uint(1)
    fields.take(8)
    length_size = (fields.uint(1) & 3) + 1
    parts = [kind, f"{space}{profile}", f"{compatibility:x}", f"{tier}{level}", *(f"{one:x}" for one in constraints)]
    return ".".join(parts), length_size


def _av1(fields: Fields) -> str:
    fields.take(1)
    first, second = fields.take(2)
    depth = 8 if not second & 0x40 else 12 if second & 0x20 else 10
    return f"av01.{first >> 5}.{first & 0x1F:02}{'H' if second & 0x80 else 'M'}.{depth:02}"


def _sound(kind: str, fields: Fields) -> SampleEntry:
    fields.take(16)
    channels = fields.uint(2)
    fields.take(6)
    sample_rate = fields.uint(4) >> 16  # 16.16 fixed point
    boxes = _boxes(fields)
    match kind:
        case "mp4a":
            read = _aac(_record(boxes, "esds", fields))
        case "Opus":
            record = _record(boxes, "dOps", fields)
            record.take(1)
            read = SampleEntry("opus", channels=record.uint(1))
        case "ac-3":
            read = SampleEntry("ac-3", channels=_ac3_channels(_record(boxes, "dac3", fields).uint(3) >> 10))
        case _:
            read = SampleEntry("ec-3", channels=_eac3_channels(_record(boxes, "dec3", fields)))
    read.channels = read.channels or channels
    read.sample_rate = sample_rate
    return _declare(read, boxes, fields)


_OBJECT_TYPES = (0x66, 0x67, 0x68, 0x69, 0x6B)
"""Besides that of MPEG-4 AAC: AAC of MPEG-2, and MP3 (mp4ra.org). Vorbis, DTS and others come in `mp4a`, too."""


def _aac(fields: Fields) -> SampleEntry:
    fields.take(4)
    _enter(fields, 3)  # ES_Descriptor
    fields.take(2)
    flags = fields.uint(1)
    fields.take(2 if flags & 0x80 else 0)
    if flags & 0x40:
        fields.take(fields.uint(1))
    fields.take(2 if flags & 0x20 else 0)
    _enter(fields, 4)  # DecoderConfigDescriptor
    object_type = fields.uint(1)
    fields.take(4)
    max_bps, average_bps = fields.words(2)
    if object_type not in (0x40, *_OBJECT_TYPES):
        raise NotSupported(
            fields.where, f"object type {object_type:#04x}", "AAC (0x40, 0x66 to 0x68) or MP3 (0x69, 0x6b)"
        )
    if object_type != 0x40:
        return SampleEntry(f"mp4a.{object_type:02x}", max_bps=max_bps, average_bps=average_bps)
    _enter(fields, 5)  # DecoderSpecificInfo: an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1)
    config = bytes(fields.rest()[:8]).ljust(8, b"\0")
    if len(fields.rest()) < 2:
        fields.take(2)  # says what is wrong
    bits, left = int.from_bytes(config, "big"), 64 - 5
    audio_object_type = bits >> left
    if audio_object_type == 31:
        left -= 6
        audio_object_type = 32 + (bits >> left & 0x3F)
    left -= 4
    if bits >> left & 0xF == 0xF:  # the sample rate follows as a number
        left -= 24
    # 1 to 6 are numbers of channels, 7 is 7.1; 0 says them elsewhere. Many muxers write 2 into every sample entry.
    channels = (0, 1, 2, 3, 4, 5, 6, 8)[bits >> left - 4 & 7]
    return SampleEntry(f"mp4a.40.{audio_object_type}", channels=channels, max_bps=max_bps, average_bps=average_bps)


def _enter(fields: Fields, wanted: int) -> None:
    """Into a descriptor: its tag, then a length of up to four bytes of seven bits."""
    tag = fields.uint(1)
    if tag != wanted:
        raise BadMedia(fields.where, f"descriptor {tag}", f"descriptor {wanted}")
    for _ in range(4):
        if not fields.uint(1) & 0x80:
            return


def _ac3_channels(bits: int) -> int:
    """The channels of acmod, and the one that lfeon, the last bit, adds."""
    return (2, 1, 2, 3, 3, 4, 4, 5)[bits >> 1 & 7] + (bits & 1)


def _eac3_channels(fields: Fields) -> int:
    """Of the first independent substream, and of the dependent ones that widen it (ETSI TS 102 366 F.6)."""
    fields.take(2)
    bits = fields.uint(3)
    channels = _ac3_channels(bits >> 8)
    if bits >> 1 & 0xF:
        places = (bits & 1) << 8 | fields.uint(1)  # chan_loc, the highest bit first: LFE2 ... Lc/Rc
        channels += sum(1 + (place in _PAIRS) for place in range(9) if places >> place & 1)
    return channels


_PAIRS = (0, 1, 4, 5, 6)
"""Bits of chan_loc that stand for two loudspeakers: Lc/Rc, Lrs/Rrs, Lsd/Rsd, Lw/Rw, Lvh/Rvh."""


def _text(kind: str, fields: Fields) -> SampleEntry:
    fields.take(8)
    boxes = _boxes(fields)
    return _declare(SampleEntry(kind), boxes, fields)


_READERS: dict[tuple[bytes, str], Callable[[str, Fields], SampleEntry]] = {
    **dict.fromkeys([(b"vide", kind) for kind in ("avc1", "avc3", "hvc1", "hev1", "av01")], _pictures),
    **dict.fromkeys([(b"soun", kind) for kind in ("mp4a", "Opus", "ac-3", "ec-3")], _sound),
    (b"text", "wvtt"): _text,
}
