"""Samples as elementary streams: H.264 with start codes (ITU-T H.264 annex B), AAC in ADTS (ISO/IEC 14496-3 1.A.2).

An fMP4 keeps the parameter sets and the audio configuration in its init section. A transport stream has none, so they
go before each key frame and into each frame's header.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from origin.errors import BadMedia, NotSupported
from origin.media.boxes import Fields, children
from origin.media.h264 import reordered_frames

_START_CODE = b"\0\0\0\1"
_AUD = _START_CODE + b"\x09\xf0"
"""An access unit delimiter; primary_pic_type 7 allows all slices."""
_SLICES = frozenset({1, 2, 5})
_HIGH = frozenset({100, 110, 122, 144})
"""Profiles whose configuration record has more."""
_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_LONGEST_FRAME = 2**13 - 1
"""aac_frame_length has 13 bits; its header counts."""


@dataclass(frozen=True, slots=True)
class H264:
    """How the samples of a video track become access units."""

    length_size: int
    sets: tuple[bytes, ...]
    """SPS, their extensions, PPS."""
    reordered: int | None
    """How many frames may be decoded before one that is shown earlier; None: not known."""

    stream_type = 0x1B
    stream_id = 0xE0

    def access_unit(self, sample: memoryview, *, key: bool) -> Iterator[bytes | memoryview]:
        """The sample with start codes: an AUD, its NAL units, and before a key frame's the parameter sets.

        A key frame that has both kinds before its first slice gets no more. Some encoders put the next one's last.
        """
        units = list(self._units(sample))
        kinds = [unit[0] & 0x1F for unit in units]
        before = set(kinds[: next((at for at, kind in enumerate(kinds) if kind in _SLICES), None)])
        yield _AUD
        if key and not before >= {7, 8}:
            for one in self.sets:
                yield _START_CODE
                yield one
        for unit in units:
            if unit[0] & 0x1F != 9:
                yield _START_CODE
                yield unit

    def _units(self, sample: memoryview) -> Iterator[memoryview]:
        at, end, size = 0, len(sample), self.length_size
        while at < end:
            length = int.from_bytes(sample[at : at + size], "big")
            at += size
            if at + length > end:
                raise BadMedia(f"byte {at} of a sample", f"a NAL unit of {length} bytes", f"at most {end - at}")
            if length:
                yield sample[at : at + length]
            at += length


@dataclass(frozen=True, slots=True)
class Aac:
    """How the samples of an AAC track become ADTS frames."""

    head: int
    """adts_fixed_header and what follows it, with a frame length of 0: 56 bits."""
    frame: Fraction
    """Seconds."""

    stream_type = 0x0F
    stream_id = 0xC0

    def adts(self, sample: memoryview) -> Iterator[bytes | memoryview]:
        """The frame with its header."""
        length = len(sample) + 7
        if length > _LONGEST_FRAME:
            raise BadMedia("a sample", f"{len(sample)} bytes of AAC", f"at most {_LONGEST_FRAME - 7}")
        yield (self.head | length << 13).to_bytes(7, "big")
        yield sample


Codec = H264 | Aac


def read_codec(init: bytes) -> Codec:
    """What the init section of a track says. `NotSupported`: a transport stream is not made of it here."""
    kind, entry = _sample_entry(memoryview(init))
    match kind:
        case "avc1" | "avc3":
            return _avc(Fields(_box(entry[78:], "avcC"), "avcC"))
        case "mp4a":
            return _aac(Fields(_box(entry[28:], "esds"), "esds"))
    raise NotSupported("init section", f"sample entry {kind!r}", "H.264 (avc1, avc3) or AAC (mp4a) for MPEG-TS")


def _box(data: memoryview, path: str) -> memoryview:
    for step in path.split("/"):
        found = (payload for kind, payload in children(data, "init section") if kind == step)
        if (payload := next(found, None)) is None:
            raise BadMedia("init section", f"no {step}", path)
        data = payload
    return data


def _sample_entry(init: memoryview) -> tuple[str, memoryview]:
    stsd = _box(init, "moov/trak/mdia/minf/stbl/stsd")
    return next(children(stsd[8:], "stsd"))


def _avc(record: Fields) -> H264:
    _, profile, *_ = record.take(4)
    length_size = (record.uint(1) & 3) + 1
    sps = [bytes(record.take(record.uint(2))) for _ in range(record.uint(1) & 0x1F)]
    pps = [bytes(record.take(record.uint(2))) for _ in range(record.uint(1) if record.rest() else 0)]
    extensions: list[bytes] = []
    if profile in _HIGH and len(record.rest()) >= 4:  # chroma format, bit depths (ISO/IEC 14496-15 5.3.3.1)
        record.take(3)
        extensions = [bytes(record.take(record.uint(2))) for _ in range(record.uint(1))]
    depths = [reordered_frames(one) for one in sps]
    known = [depth for depth in depths if depth is not None]
    return H264(length_size, (*sps, *extensions, *pps), max(known) if known else None)


def _aac(esds: Fields) -> Aac:
    esds.take(4)
    _enter(esds, 3)
    esds.take(2)
    flags = esds.uint(1)
    esds.take(2 if flags & 0x80 else 0)
    if flags & 0x40:
        esds.take(esds.uint(1))
    esds.take(2 if flags & 0x20 else 0)
    _enter(esds, 4)
    if (kind := esds.uint(1)) != 0x40:
        raise NotSupported("esds", f"object type {kind:#x}", "AAC (0x40) for MPEG-TS")
    esds.take(12)
    _enter(esds, 5)
    return _audio_config(bytes(esds.rest()[:8]))


def _enter(fields: Fields, wanted: int) -> None:
    if (tag := fields.uint(1)) != wanted:
        raise BadMedia(fields.where, f"descriptor {tag}", f"descriptor {wanted}")
    for _ in range(4):
        if not fields.uint(1) & 0x80:
            return


def _audio_config(config: bytes) -> Aac:
    """Of an AudioSpecificConfig (1.6.2.1). With SBR or PS, ADTS says what is beneath them, as broadcasts do."""
    bits, left = int.from_bytes(config.ljust(8, b"\0"), "big"), 64

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & ((1 << count) - 1)

    kind, rate, channels = take(5), take(4), take(4)
    if kind in (5, 29):
        take(4)
        kind = take(5)
    short = take(1)  # frames of 960 samples
    if not 1 <= kind <= 4 or rate >= len(_RATES) or not 1 <= channels <= 7 or short:
        found = f"AAC object type {kind}, rate index {rate}, channel configuration {channels}, short frames {short}"
        raise NotSupported("AudioSpecificConfig", found, "what ADTS can say: types 1 to 4, a usual rate, 1 to 7, 0")
    head = 0xFFF1 << 40 | (kind - 1) << 38 | rate << 34 | channels << 30 | 0x7FF << 2
    return Aac(head, Fraction(1024, _RATES[rate]))
