"""Sample entries, written field by field: codecs as RFC 6381 names them, channels, declared rates, ranges."""

import struct

import pytest

from origin.errors import BadMedia, NotSupported
from origin.media.sample_entries import SampleEntry, read_sample_entry
from tests.unit.origin.media.test_fragments import box
from tests.unit.origin.media.test_h264 import parameter_set

BTRT = box(b"btrt", struct.pack(">3I", 0, 3_000_000, 2_500_000))


def pictures(*boxes: bytes) -> bytes:
    return bytes(24) + struct.pack(">2H", 1280, 720) + bytes(50) + b"".join(boxes)


def sound(*boxes: bytes, channels: int = 2) -> bytes:
    return bytes(16) + struct.pack(">2H", channels, 16) + bytes(4) + struct.pack(">I", 48_000 << 16) + b"".join(boxes)


def avcc(sps: bytes = b"", length_size: int = 4) -> bytes:
    sets = struct.pack(">BH", 0xE1, len(sps)) + sps if sps else b"\xe0"
    return box(b"avcC", bytes((1, 0x64, 0, 0x1F, 0xFC | length_size - 1)) + sets)


def nclx(transfer: int) -> bytes:
    return box(b"colr", b"nclx" + struct.pack(">3HB", 9, transfer, 9, 0))


def hvcc(first: int, compatibility: int, constraints: bytes, level: int) -> bytes:
    head = bytes((1, first)) + compatibility.to_bytes(4, "big") + constraints.ljust(6, b"\0") + bytes((level,))
    return box(b"hvcC", head + bytes(8) + b"\xff\0")


def esds(config: bytes, object_type: int = 0x40, rates: tuple[int, int] = (0, 0)) -> bytes:
    specific = bytes((5, len(config))) + config
    decoder = bytes((object_type, 0x15, 0, 0, 0)) + struct.pack(">2I", *rates) + specific
    inner = bytes((4, len(decoder))) + decoder
    return box(b"esds", bytes(4) + bytes((3, 0x80, 0x80, 3 + len(inner))) + b"\0\1\0" + inner)


def asc(object_type: int, channels: int, rate: int = 3) -> bytes:
    """An AudioSpecificConfig; `rate` 15: the sample rate follows as a number."""
    bits = f"{object_type:05b}" if object_type < 31 else f"{31:05b}{object_type - 32:06b}"
    bits += f"{rate:04b}" + (f"{48_000:024b}" if rate == 15 else "") + f"{channels:04b}000"
    return int(bits.ljust((len(bits) + 7) // 8 * 8, "0"), 2).to_bytes((len(bits) + 7) // 8, "big")


VIDEO = [  # kind, boxes, codec, VIDEO-RANGE, length_size
    ("avc1", [avcc()], "avc1.64001f", "", 4),
    ("avc3", [avcc(length_size=2)], "avc3.64001f", "", 2),
    ("avc1", [avcc(parameter_set(18))], "avc1.64001f", "HLG", 4),
    ("avc1", [avcc(parameter_set(1)), nclx(16)], "avc1.64001f", "PQ", 4),  # the box overrides the bitstream
    ("avc1", [avcc(), nclx(1)], "avc1.64001f", "SDR", 4),
    ("avc1", [avcc(), nclx(2)], "avc1.64001f", "", 4),
    ("avc1", [avcc(), box(b"colr", b"nclc" + bytes(6))], "avc1.64001f", "", 4),
    ("avc1", [avcc(), bytes(4)], "avc1.64001f", "", 4),  # QuickTime's end of the list
    ("hvc1", [hvcc(0x01, 0x60000000, b"\xb0", 93)], "hvc1.1.6.L93.b0", "", 4),
    ("hev1", [hvcc(0x62, 0x20000000, b"\xb0\x00\x01", 153), nclx(16)], "hev1.A2.4.H153.b0.0.1", "PQ", 4),
    ("av01", [box(b"av1C", b"\x81\x04\x0c\0")], "av01.0.04M.08", "", 0),
    ("av01", [box(b"av1C", b"\x81\x0d\xcc\0")], "av01.0.13H.10", "", 0),
    ("av01", [box(b"av1C", b"\x81\x48\x6c\0")], "av01.2.08M.12", "", 0),
]


@pytest.mark.parametrize(("kind", "boxes", "codec", "said", "length_size"), VIDEO)
def test_video(kind: str, boxes: list[bytes], codec: str, said: str, length_size: int) -> None:
    read = read_sample_entry(b"vide", kind, memoryview(pictures(*boxes, BTRT if boxes[-1] != bytes(4) else b"")), "x")
    assert (read.codec, read.video_range, read.length_size) == (codec, said, length_size)
    assert (read.width, read.height) == (1280, 720)
    assert (read.max_bps, read.average_bps) == ((3_000_000, 2_500_000) if boxes[-1] != bytes(4) else (0, 0))


AUDIO = [  # kind, boxes, codec, CHANNELS
    ("mp4a", [esds(asc(2, 2))], "mp4a.40.2", 2),
    ("mp4a", [esds(asc(2, 6))], "mp4a.40.2", 6),  # though the entry says 2, as many multiplexers write
    ("mp4a", [esds(asc(2, 7))], "mp4a.40.2", 8),
    ("mp4a", [esds(asc(2, 0))], "mp4a.40.2", 2),
    ("mp4a", [esds(asc(5, 1))], "mp4a.40.5", 1),
    ("mp4a", [esds(asc(42, 2))], "mp4a.40.42", 2),
    ("mp4a", [esds(asc(2, 6, rate=15))], "mp4a.40.2", 6),
    ("mp4a", [esds(b"\0\0", object_type=0x6B)], "mp4a.6b", 2),
    ("mp4a", [esds(b"\0\0", object_type=0x67)], "mp4a.67", 2),
    ("Opus", [box(b"dOps", b"\0\x06" + bytes(9))], "opus", 6),
    ("ac-3", [box(b"dac3", (0b00_01000_000_111_1_01111_00000).to_bytes(3, "big"))], "ac-3", 6),
    ("ac-3", [box(b"dac3", (0b00_01000_000_010_0_01111_00000).to_bytes(3, "big"))], "ac-3", 2),
    ("ec-3", [box(b"dec3", b"\0\0" + (0b00_10000_0_0_000_111_1_000_0000_0).to_bytes(3, "big"))], "ec-3", 6),
    ("ec-3", [box(b"dec3", b"\0\0" + (0b00_10000_0_0_000_111_1_000_0001_0).to_bytes(3, "big") + b"\x02")], "ec-3", 8),
]


@pytest.mark.parametrize(("kind", "boxes", "codec", "channels"), AUDIO)
def test_audio(kind: str, boxes: list[bytes], codec: str, channels: int) -> None:
    read = read_sample_entry(b"soun", kind, memoryview(sound(*boxes)), "x")
    assert (read.codec, read.channels, read.sample_rate) == (codec, channels, 48_000)


@pytest.mark.parametrize("object_type", [0xA9, 0xDD, 0x6A, 0x20, 0])
def test_what_else_comes_in_mp4a_is_no_aac(object_type: int) -> None:
    """DTS, Vorbis, pictures: no player knows them by the CODECS that they would get."""
    entry = memoryview(sound(esds(b"\0\0", object_type=object_type)))
    with pytest.raises(NotSupported, match=rf"found object type {object_type:#04x}, wanted AAC \("):
        read_sample_entry(b"soun", "mp4a", entry, "x")


def test_rates_of_the_esds_and_of_btrt() -> None:
    def read(*boxes: bytes) -> tuple[int, int]:
        entry = read_sample_entry(b"soun", "mp4a", memoryview(sound(*boxes)), "x")
        return entry.max_bps, entry.average_bps

    described = esds(asc(2, 2), rates=(130_000, 128_000))
    assert read(described) == (130_000, 128_000)
    assert read(described, box(b"btrt", struct.pack(">3I", 0, 150_000, 0))) == (150_000, 128_000)


def test_text() -> None:
    assert read_sample_entry(b"text", "wvtt", memoryview(bytes(8) + box(b"vttC", b"WEBVTT")), "x") == SampleEntry(
        "wvtt"
    )


REFUSED = [
    (b"vide", "encv"),
    (b"soun", "enca"),
    (b"vide", "vp09"),
    (b"soun", "avc1"),
    (b"subt", "stpp"),
    (b"text", "tx3g"),
]


@pytest.mark.parametrize(("handler", "kind"), REFUSED)
def test_what_cannot_be_published_is_refused_by_name(handler: bytes, kind: str) -> None:
    with pytest.raises(
        NotSupported, match=f"found sample entry '{kind}' of handler '{handler.decode()}', wanted H.264"
    ):
        read_sample_entry(handler, kind, memoryview(pictures()), "x")


def test_a_missing_record_is_named() -> None:
    with pytest.raises(BadMedia, match="x/avc1: found no avcC, wanted avcC in it"):
        read_sample_entry(b"vide", "avc1", memoryview(pictures(BTRT)), "x")
    with pytest.raises(BadMedia, match="descriptor 4"):
        read_sample_entry(b"soun", "mp4a", memoryview(sound(box(b"esds", bytes(4) + b"\3\3\0\0\0\5"))), "x")
    with pytest.raises(BadMedia, match="bytes, wanted at least"):
        read_sample_entry(b"soun", "mp4a", memoryview(sound(esds(b""))), "x")
