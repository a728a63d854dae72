"""How the body of a `.mp4` begins: the same in whatever pieces it comes."""

import pytest

from origin.media.fragments import LARGEST_INIT
from origin.uploads.opening import Opening, opening
from tests.unit.origin.uploads.test_names import box

BODIES = [  # given a body, then what it is
    (b"", Opening.EMPTY),
    (box("ftyp") + box("moov", b"x" * 700), Opening.HEADER),
    (box("ftyp") + box("free") + box("moov"), Opening.HEADER),
    (box("ftyp") + box("moov") + box("moof") + box("mdat"), Opening.TRACK),
    (box("ftyp") + box("moov") + box("sidx") + box("moof"), Opening.TRACK),
    (box("styp") + box("moof") + box("mdat"), Opening.MEDIA),
    (box("moof") + box("mdat"), Opening.MEDIA),
    # what no object could be, and the track's reader says why
    (b"GET / HTTP/1.1\r\n", Opening.TRACK),
    (b"abc", Opening.TRACK),
    (box("ftyp"), Opening.TRACK),
    (box("ftyp") + box("moov", b"x" * 700)[:-1], Opening.TRACK),
    (b"\0\0\0\x07ftyp", Opening.TRACK),
]


@pytest.mark.parametrize(("body", "what"), BODIES)
def test_bodies(body: bytes, what: Opening) -> None:
    for size in (1, 7, 8, 100, 10_000):
        for end in range(0, len(body) + size, size):
            found = opening(body[:end], ended=end >= len(body))
            if found is not None:
                break
        assert found is what


def test_no_more_is_held_than_a_header_has() -> None:
    assert opening(box("ftyp") + (2**31 - 1).to_bytes(4, "big") + b"moov", ended=False) is None
    endless = box("ftyp") + (2**31 - 1).to_bytes(4, "big") + b"moov" + bytes(LARGEST_INIT)
    assert opening(endless, ended=False) is Opening.TRACK
