"""What an init section says of its track beside its codec: language, name, role, whether it is enabled."""

import struct
from dataclasses import replace

import pytest

from origin.media.boxes import Box
from origin.media.tracks import Kind, Track, read_init
from tests.unit.origin.media.test_fragments import FTYP, box
from tests.unit.origin.media.test_sample_entries import asc, esds, sound

AAC = box(b"mp4a", sound(esds(asc(2, 2))))
WVTT = box(b"wvtt", bytes(8) + box(b"vttC", b"WEBVTT"))


def packed(letters: str) -> int:
    first, second, third = (ord(letter) - 0x60 for letter in letters)
    return first << 10 | second << 5 | third


def full(kind: bytes, payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes((version,)) + flags.to_bytes(3, "big") + payload)


def kind_box(scheme: str, value: str) -> bytes:
    return full(b"kind", f"{scheme}\0{value}\0".encode())


def init(
    entry: bytes = AAC,
    handler: bytes = b"soun",
    *,
    language: int = packed("und"),
    extended: str = "",
    name: bytes = b"SoundHandler\0",
    kinds: bytes = b"",
    enabled: bool = True,
    version: int = 0,
    before: bytes = b"",
    edts: bytes = b"",
) -> Box:
    """`before` stands before its track in the movie."""
    long = version == 1
    tkhd = full(b"tkhd", bytes(16 if long else 8) + struct.pack(">I", 7) + bytes(68), version, int(enabled))
    times = bytes(16 if long else 8) + struct.pack(">I", 48_000) + bytes(8 if long else 4)
    mdhd = full(b"mdhd", times + struct.pack(">2H", language, 0), version)
    hdlr = full(b"hdlr", bytes(4) + handler + bytes(12) + name)
    elng = full(b"elng", f"{extended}\0".encode()) if extended else b""
    stbl = box(b"stbl", full(b"stsd", struct.pack(">I", 1) + entry))
    trak = tkhd + edts + box(b"mdia", mdhd + elng + hdlr + box(b"minf", stbl)) + (box(b"udta", kinds) if kinds else b"")
    data = box(b"moov", before + box(b"trak", trak) + box(b"mvex", full(b"trex", struct.pack(">5I", 7, 1, 0, 0, 0))))
    return Box("moov", len(FTYP), data, 8)


def track(**more: object) -> Track:
    found = read_init(FTYP, init(**more)).track  # type: ignore[arg-type]
    assert found.configuration
    return replace(found, configuration="")


def test_what_it_says_without_more() -> None:
    for version in (0, 1):
        assert track(version=version) == Track(Kind.AUDIO, 7, 48_000, "mp4a.40.2", sample_rate=48_000, channels=2)


LANGUAGES = [  # in mdhd, in elng, BCP 47
    (packed("eng"), "", "en"),
    (packed("fre"), "", "fr"),
    (packed("und"), "", ""),
    (packed("por"), "pt-BR", "pt-BR"),
    (packed("und"), "zh-Hant", "zh-Hant"),
    (0, "", ""),  # QuickTime's English, and what a multiplexer leaves empty
    (0x7FFF, "", ""),
    (packed("eng"), 'e"n', "en"),
]


@pytest.mark.parametrize(("said", "extended", "language"), LANGUAGES)
def test_language(said: int, extended: str, language: str) -> None:
    assert track(language=said, extended=extended).language == language


NAMES = [  # of the handler, label
    (b"Commentary by the director\0", "Commentary by the director"),
    ("Français\0".encode(), "Français"),
    (b"Stereo", "Stereo"),  # without its zero
    (b"SoundHandler\0", ""),
    (b"Core Media Audio\0", ""),
    (b"GPAC ISO Audio Handler\0", ""),
    (b"ETI ISO Audio Media Handler\0", ""),
    (b"ISO Media file produced by Google Inc.\0", ""),
    (b"audio\0", ""),
    (b"\0", ""),
    (b"", ""),
    (b"\xff\xfe\0", "\ufffd\ufffd"),
    (b"x" * 500, "x" * 64),
]


@pytest.mark.parametrize(("name", "label"), NAMES)
def test_names_that_people_gave(name: bytes, label: str) -> None:
    assert track(name=name).label == label


DASH, HTML = "urn:mpeg:dash:role:2011", "about:html-kind"
ROLES = [  # kind boxes, role
    (kind_box(DASH, "commentary"), "commentary"),
    (kind_box(DASH, "main") + kind_box(DASH, "description"), "description"),
    (kind_box(DASH, "main"), "main"),
    (kind_box(HTML, "descriptions"), "description"),
    (kind_box(HTML, "translation"), "dub"),
    (kind_box("urn:example", "x"), ""),
    (kind_box(DASH, 'x"\n'), ""),
    (full(b"kind", b"urn:mpeg:dash:role:2011"), ""),
    (box(b"name", b"x"), ""),
    (kind_box(DASH, "dub") + bytes(4), "dub"),  # QuickTime's end of user data
]


@pytest.mark.parametrize(("kinds", "role"), ROLES)
def test_roles(kinds: bytes, role: str) -> None:
    assert track(kinds=kinds).role == role


def test_a_track_that_is_not_enabled() -> None:
    assert not track(enabled=False).enabled


def test_webvtt() -> None:
    assert track(entry=WVTT, handler=b"text", language=packed("deu")) == Track(
        Kind.TEXT, 7, 48_000, "wvtt", language="de"
    )
