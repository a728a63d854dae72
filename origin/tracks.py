"""What an init section says about its track: the `moov` box (ISO/IEC 14496-12 8.2), read for HLS attributes.

Codec names are those of RFC 6381, from the bitstream's own configuration records: `avc1.64001f` from avcC
(ISO/IEC 14496-15 5.3.3.1), `mp4a.40.2` from the esds descriptors (ISO/IEC 14496-1 7.2.6).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from origin.boxes import Box, Fields, children
from origin.errors import BadMedia, NotSupported


class Kind(StrEnum):
    """What a track carries."""

    VIDEO = "video"
    AUDIO = "audio"


@dataclass(slots=True)
class Track:
    """One track as its init section describes it."""

    kind: Kind
    track_id: int
    timescale: int
    """Ticks a second of decode times and durations."""
    codec: str
    """RFC 6381 name for CODECS."""
    width: int = 0
    height: int = 0
    """Video: coded size in pixels."""
    sample_rate: int = 0
    channels: int = 0
    """Audio."""
    default_duration: int = 0
    default_size: int = 0
    default_flags: int = 0
    """What trex says of samples whose fragment does not."""


@dataclass(slots=True)
class InitSection:
    """`ftyp` and `moov` as received, and what they say."""

    data: bytes
    track: Track
    id: str = field(init=False)
    """Named after its content: equal bytes, equal name."""

    def __post_init__(self) -> None:
        self.id = sha256(self.data).hexdigest()[:12]


def read_init(ftyp: bytes, moov: Box) -> InitSection:
    """The init section these two boxes make. `BadMedia`: not exactly one H.264 or AAC track."""
    where = f"byte {moov.offset}, moov"
    traks: list[memoryview] = []
    defaults: dict[int, tuple[int, int, int]] = {}
    fragmented = False
    for kind, payload in children(moov.payload, where):
        if kind == "trak":
            traks.append(payload)
        elif kind == "mvex":
            fragmented = True
            for inner, trex in children(payload, f"{where}/mvex"):
                if inner == "trex":
                    fields = Fields(trex, f"{where}/mvex/trex")
                    fields.take(4)
                    track_id, _, duration, size, flags = fields.words(5)
                    defaults[track_id] = (duration, size, flags)
    if len(traks) != 1:
        raise BadMedia(where, f"{len(traks)} tracks", "one track a request")
    if not fragmented:
        raise NotSupported(where, "no mvex", "fragmented MP4 (ffmpeg: -movflags cmaf+empty_moov)")
    track = _read_trak(traks[0], f"{where}/trak")
    track.default_duration, track.default_size, track.default_flags = defaults.get(track.track_id, (0, 0, 0))
    return InitSection(ftyp + moov.data, track)


def _only(data: memoryview, path: str, where: str) -> memoryview:
    """The payload of the first box on a path such as `mdia/minf/stbl/stsd`."""
    for step in path.split("/"):
        for kind, payload in children(data, where):
            if kind == step:
                data = payload
                break
        else:
            raise BadMedia(where, f"no {step}", f"{path} in it")
        where = f"{where}/{step}"
    return data


def _read_trak(trak: memoryview, where: str) -> Track:
    tkhd = Fields(_only(trak, "tkhd", where), f"{where}/tkhd")
    version, _ = tkhd.version_and_flags()
    tkhd.take(16 if version == 1 else 8)
    track_id = tkhd.uint(4)
    mdhd = Fields(_only(trak, "mdia/mdhd", where), f"{where}/mdia/mdhd")
    version, _ = mdhd.version_and_flags()
    mdhd.take(16 if version == 1 else 8)
    timescale = mdhd.uint(4)
    if timescale == 0:
        raise BadMedia(mdhd.where, "timescale 0", "ticks a second")
    hdlr = Fields(_only(trak, "mdia/hdlr", where), f"{where}/mdia/hdlr")
    hdlr.take(8)
    handler = bytes(hdlr.take(4))
    stsd = Fields(_only(trak, "mdia/minf/stbl/stsd", where), f"{where}/mdia/minf/stbl/stsd")
    stsd.take(8)
    entries = list(children(stsd.rest(), stsd.where))
    if len(entries) != 1:
        raise BadMedia(stsd.where, f"{len(entries)} sample entries", "one")
    kind, entry = entries[0]
    fields = Fields(entry, f"{stsd.where}/{kind}")
    if handler == b"vide" and kind in ("avc1", "avc3"):
        fields.take(24)
        width, height = fields.uint(2), fields.uint(2)
        fields.take(50)
        codec = _avc_codec(kind, Fields(_only(fields.rest(), "avcC", fields.where), f"{fields.where}/avcC"))
        return Track(Kind.VIDEO, track_id, timescale, codec, width=width, height=height)
    if handler == b"soun" and kind == "mp4a":
        fields.take(16)
        channels = fields.uint(2)
        fields.take(6)
        sample_rate = fields.uint(4) >> 16  # 16.16 fixed point
        codec = _mp4a_codec(Fields(_only(fields.rest(), "esds", fields.where), f"{fields.where}/esds"))
        return Track(Kind.AUDIO, track_id, timescale, codec, sample_rate=sample_rate, channels=channels)
    found = f"sample entry {kind!r} of handler {handler.decode('latin-1')!r}"
    raise NotSupported(stsd.where, found, "H.264 (avc1, avc3) or AAC (mp4a), not encrypted")


def _avc_codec(kind: str, fields: Fields) -> str:
    fields.take(1)
    profile, compatibility, level = fields.take(3)
    return f"{kind}.{profile:02x}{compatibility:02x}{level:02x}"


def _mp4a_codec(fields: Fields) -> str:
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
    if object_type != 0x40:
        return f"mp4a.{object_type:02x}"
    fields.take(12)
    _enter(fields, 5)  # DecoderSpecificInfo: an AudioSpecificConfig
    bits = fields.uint(2)
    audio_object_type = bits >> 11
    if audio_object_type == 31:
        audio_object_type = 32 + ((bits >> 5) & 0x3F)
    return f"mp4a.40.{audio_object_type}"


def _enter(fields: Fields, wanted: int) -> None:
    """Into a descriptor: its tag, then a length of up to four bytes of seven bits."""
    tag = fields.uint(1)
    if tag != wanted:
        raise BadMedia(fields.where, f"descriptor {tag}", f"descriptor {wanted}")
    for _ in range(4):
        if not fields.uint(1) & 0x80:
            return
