"""Samples as elementary streams: start codes, parameter sets and AUDs where they belong, and ADTS headers."""

from fractions import Fraction

import pytest

from origin.errors import BadMedia, NotSupported
from origin.media.samples import box
from origin.mpegts.elementary import H264, Aac, _audio_config, read_codec
from tests.unit.origin.media.test_fragments import FTYP

SPS, PPS, IDR, SLICE, SEI = b"\x67one", b"\x68two", b"\x65key", b"\x41rest", b"\x06sei"
CODEC = H264(4, (SPS, PPS), 2)
AUD = b"\x09\xf0"


def sample(*units: bytes, size: int = 4) -> memoryview:
    return memoryview(b"".join(len(unit).to_bytes(size, "big") + unit for unit in units))


UNITS = [  # given a key frame or not of these NAL units, wanted these
    (True, (IDR,), (AUD, SPS, PPS, IDR)),
    (True, (SEI, IDR, IDR), (AUD, SPS, PPS, SEI, IDR, IDR)),  # before SEI, which may speak of the sets
    (False, (SLICE,), (AUD, SLICE)),
    (True, (b"\x67own", b"\x68own", IDR), (AUD, b"\x67own", b"\x68own", IDR)),  # avc3, or both
    (True, (IDR, b"\x67nxt", b"\x68nxt"), (AUD, SPS, PPS, IDR, b"\x67nxt", b"\x68nxt")),  # the next one's, at the end
    (True, (b"\x67own", IDR), (AUD, SPS, PPS, b"\x67own", IDR)),  # one that keeps its PPS in the init section
    (True, (b"\x09\x10", IDR), (AUD, SPS, PPS, IDR)),  # never two AUDs: QuickTime shows frames out of order
    (False, (b"\x09\x30\x80", SLICE), (AUD, SLICE)),  # one of 3 bytes, as Edius writes it
    (False, (SLICE, b"", b"\x0cfill"), (AUD, SLICE, b"\x0cfill")),
]


@pytest.mark.parametrize(("key", "units", "wanted"), UNITS)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_an_access_unit(key: bool, units: tuple[bytes, ...], wanted: tuple[bytes, ...], size: int) -> None:
    codec = H264(size, (SPS, PPS), 2)
    assert b"".join(codec.access_unit(sample(*units, size=size), key=key)) == b"".join(b"\0\0\0\1" + u for u in wanted)


@pytest.mark.parametrize("data", [b"\0\0\0\5abcd", b"\0\0", b"\0\0\0\1"])
def test_a_nal_unit_that_is_cut(data: bytes) -> None:
    with pytest.raises(BadMedia):
        list(CODEC.access_unit(memoryview(data), key=False))


CONFIGS = [  # given AudioSpecificConfig, wanted ADTS header of a frame of 100 bytes, seconds of a frame
    ("1190", "fff14c800d7ffc", Fraction(1024, 48_000)),  # LC, 48 kHz, stereo
    ("1210", "fff150800d7ffc", Fraction(1024, 44_100)),
    ("1188", "fff14c400d7ffc", Fraction(1024, 48_000)),  # mono
    ("11b0", "fff14d800d7ffc", Fraction(1024, 48_000)),  # 5.1
    ("2b098800", "fff158400d7ffc", Fraction(1024, 24_000)),  # HE-AAC: of 24 kHz beneath it, mono
    ("eb098800", "fff158400d7ffc", Fraction(1024, 24_000)),  # HE-AAC v2
]


@pytest.mark.parametrize(("config", "header", "frame"), CONFIGS)
def test_adts(config: str, header: str, frame: Fraction) -> None:
    codec = _audio_config(bytes.fromhex(config))
    head, data = codec.adts(memoryview(bytes(100)))
    assert (bytes(head).hex(), len(data), codec.frame) == (header, 100, frame)


UNFIT = [  # AudioSpecificConfigs that ADTS cannot say
    "1180",  # channels that a program_config_element says
    "1194",  # frames of 960 samples
    "1790",  # a sample rate as a number
    "f946",  # xHE-AAC
    "0000",
    "",
]


@pytest.mark.parametrize("config", UNFIT)
def test_what_adts_cannot_say(config: str) -> None:
    with pytest.raises(NotSupported):
        _audio_config(bytes.fromhex(config))


def test_a_frame_too_long_for_its_header() -> None:
    codec = Aac(0, Fraction(1, 50))
    assert len(b"".join(codec.adts(memoryview(bytes(8184))))) == 8191
    with pytest.raises(BadMedia):
        list(codec.adts(memoryview(bytes(8185))))


RECORDS = [  # given what stands behind the profile in avcC, wanted parameter sets
    (0x64, b"\xff\xe1\0\4\x67one\1\0\4\x68two", (SPS, PPS)),
    (0x64, b"\xff\xe1\0\4\x67one\1\0\4\x68two\xfd\xf8\xf8\1\0\4\x6dext", (SPS, b"\x6dext", PPS)),
    (0x64, b"\xff\xe2\0\4\x67one\0\4\x67six\2\0\4\x68two\0\4\x68ten", (SPS, b"\x67six", PPS, b"\x68ten")),
    (0x42, b"\xff\xe1\0\4\x67one\1\0\4\x68two\xff\xff\xff\xff\xff", (SPS, PPS)),  # what is not of this profile
    (0x64, b"\xff\xe0", ()),  # avc3
]


@pytest.mark.parametrize(("profile", "rest", "sets"), RECORDS)
def test_parameter_sets_of_a_record(profile: int, rest: bytes, sets: tuple[bytes, ...]) -> None:
    data = box(b"stsd", bytes(8) + box(b"avc1", bytes(78) + box(b"avcC", bytes((1, profile, 0, 31)) + rest)))
    for outer in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        data = box(outer, data)
    assert read_codec(FTYP + data) == H264(4, sets, None)


@pytest.mark.parametrize("kind", [b"Opus", b"av01", b"hvc1", b"ac-3", b"wvtt"])
def test_codecs_that_a_transport_stream_has_not_here(kind: bytes) -> None:
    data = box(b"stsd", bytes(8) + box(kind, bytes(60)))
    for outer in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        data = box(outer, data)
    with pytest.raises(NotSupported, match=r"wanted H\.264 \(avc1, avc3\) or AAC"):
        read_codec(FTYP + data)
