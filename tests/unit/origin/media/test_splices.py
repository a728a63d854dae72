"""SCTE-35 in emsg boxes. The first two sections are those of the HLS draft's example 9.10."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.media.splices import MOST_SPLICES, BadSplice, Point, Splice, splices_of

OUT = bytes.fromhex(
    "FC002F000000000000FF000014056FFFFFF000E081622DCAFF000052636200000000000A0008029896F50000008700000000"
)
BACK = bytes.fromhex("FC002A000000000000FF00000F056FFFFFF000408162802E6100000000000A0008029896F50000008700000000")
NULL = bytes.fromhex("FC301100000000000000FFFFFF0000004F253396")
SCALE = 1_000


def emsg(version: int, seconds: float, section: bytes, scheme: bytes = b"urn:scte:scte35:2013:bin") -> bytes:
    """A box; version 0 counts `seconds` from its fragment's start, version 1 on the track's timeline."""
    names, time = scheme + b"\0\0", round(seconds * SCALE)
    if version == 0:
        body = names + struct.pack(">IIII", SCALE, time, 0xFFFFFFFF, 7)
    else:
        body = struct.pack(">IQII", SCALE, time, 0xFFFFFFFF, 7) + names
    body = bytes([version, 0, 0, 0]) + body + section
    return struct.pack(">I", len(body) + 8) + b"emsg" + body


def signal(kind: int, *, event: int = 9, duration: float | None = None, cancelled: bool = False) -> bytes:
    """A time_signal with a segmentation_descriptor, behind one of another kind."""
    body = b"CUEI" + struct.pack(">I", event)
    if cancelled:
        body += b"\xff"
    else:
        body += b"\x7f" + bytes([0x80 | (0x40 if duration is not None else 0) | 0x3F])
        body += b"" if duration is None else round(duration * 90_000).to_bytes(5)
        body += b"\x09\x03abc" + bytes([kind, 0, 0])
    descriptors = b"\x00\x08CUEI\0\0\0\1" + bytes([2, len(body)]) + body
    command = b"\xfe\x00\x00\x00\x01"
    head = b"\xfc\x30\x00\x00\x00\0\0\0\0\x00\xff\xf0" + bytes([len(command)]) + b"\x06"
    return head + command + struct.pack(">H", len(descriptors)) + descriptors + b"\0\0\0\0"


def insert(flags: int, rest: bytes, *, cancelled: bool = False) -> bytes:
    """A splice_insert of event 5."""
    command = struct.pack(">I", 5) + (b"\xff" if cancelled else b"\x7f" + bytes([flags]) + rest + b"\0\1\0\0")
    return b"\xfc\x30\x00\x00\x00\0\0\0\0\x00\xff\xf0" + bytes([len(command)]) + b"\x05" + command + b"\0\0" + bytes(4)


def read(lead: bytes, start: int) -> list[Splice]:
    """Of boxes that are whole."""
    found = splices_of(lead, Fraction(start))
    assert all(isinstance(one, Splice) for one in found), found
    return [one for one in found if isinstance(one, Splice)]


READ = [  # section, point, event, duration, returns
    (OUT, Point.OUT, 0x6FFFFFF0, 59.9933, False),
    (BACK, Point.IN, 0x6FFFFFF0, None, False),
    (NULL, Point.OTHER, 0, None, False),
    (insert(0xF0, b"\xfe\x00\x29\x32\xe0"), Point.OUT, 5, 30.0, True),  # at once, for 30 s, then back by itself
    (insert(0x90, b"\x02\x01\x02"), Point.OUT, 5, None, False),  # components, at once
    (insert(0x80, b"\x01\x01\xfe\0\0\0\1"), Point.OUT, 5, None, False),  # a component with its time
    (insert(0xC0, b"\x7f"), Point.OUT, 5, None, False),  # a time that is not said
    (insert(0, b"", cancelled=True), Point.CANCEL, 5, None, False),
    (signal(0x34, duration=15.5), Point.OUT, 9, 15.5, False),
    (signal(0x35), Point.IN, 9, None, False),
    (signal(0x22), Point.OUT, 9, None, False),
    (signal(0x10), Point.OTHER, 9, None, False),  # a program starts
    (signal(0x34, cancelled=True), Point.CANCEL, 9, None, False),
]


@pytest.mark.parametrize(("section", "point", "event", "duration", "returns"), READ)
def test_a_section_says_what_begins_or_ends(
    section: bytes, point: Point, event: int, duration: float | None, returns: bool
) -> None:
    (found,) = read(emsg(1, 12.5, section), 99)
    assert (found.point, found.event_id, found.returns, found.section) == (point, event, returns, section)
    assert found.duration == (None if duration is None else pytest.approx(duration, abs=1e-4))
    assert found.at == Fraction(25, 2)


def test_the_time_is_that_of_the_box() -> None:
    assert read(emsg(0, 2.5, OUT), 10)[0].at == Fraction(25, 2)
    prft = struct.pack(">I", 24) + b"prft" + bytes(16)
    other = emsg(1, 1, b"a", scheme=b"urn:mpeg:dash:event:2012")
    both = read(prft + other + emsg(1, 1, OUT) + emsg(0, 1, BACK), 4)
    assert [one.at for one in both] == [1, 5]
    assert splices_of(b"", Fraction(0)) == []
    assert len(splices_of(emsg(1, 1, OUT) * (MOST_SPLICES + 9), Fraction(0))) == MOST_SPLICES


@pytest.mark.parametrize(
    "box", [emsg(0, 1, b""), emsg(0, 1, b"\xfb" + OUT[1:]), emsg(1, 1, OUT[:16]), emsg(1, 1, bytes(5000)),
            emsg(1, 1, signal(0x34)[:-24]), emsg(0, 1, OUT).replace(struct.pack(">I", SCALE), bytes(4))],
)  # fmt: skip
def test_what_is_damaged_is_named(box: bytes) -> None:
    bad, good = splices_of(box + emsg(0, 1, OUT), Fraction(0))
    assert isinstance(bad, BadSplice)
    assert isinstance(good, Splice), "what follows is read all the same"


@given(st.binary(max_size=80), st.sampled_from([OUT, BACK, signal(0x34, duration=1)]), st.integers(0, 60))
def test_whatever_comes_it_is_read_or_named(noise: bytes, section: bytes, at: int) -> None:
    damaged = section[:at] + noise + section[at + len(noise) :]
    for lead in (noise, emsg(0, 1, noise), emsg(1, 1, damaged)):
        assert all(isinstance(one, Splice | BadSplice) for one in splices_of(lead, Fraction(0)))
