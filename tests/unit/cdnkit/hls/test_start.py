"""Where a player is to begin (HLS draft 4.4.2.2)."""

import pytest

from cdnkit.hls import Start

FITS = [  # offset, of a playlist of so many seconds, whose last so many are too near, lies where it may
    (0.0, 60.0, 0.0, True),
    (60.0, 60.0, 0.0, True),
    (60.1, 60.0, 0.0, False),
    (-60.0, 60.0, 0.0, True),
    (-60.1, 60.0, 0.0, False),
    (-12.0, 60.0, 12.0, True),
    (-11.9, 60.0, 12.0, False),
    (48.0, 60.0, 12.0, True),
    (48.1, 60.0, 12.0, False),
    (0.0, 8.0, 12.0, False),  # a stream that has just begun
]


@pytest.mark.parametrize(("offset", "length", "hold_back", "wanted"), FITS)
def test_4_4_2_2_an_offset_lies_within_the_playlist(
    offset: float, length: float, hold_back: float, wanted: bool
) -> None:
    assert Start(offset).fits(length, hold_back) is wanted


TAGS = [
    (Start(0.0), "#EXT-X-START:TIME-OFFSET=0"),
    (Start(12.0), "#EXT-X-START:TIME-OFFSET=12"),
    (Start(-0.5, precise=True), "#EXT-X-START:TIME-OFFSET=-0.5,PRECISE=YES"),
    (Start(1e-7), "#EXT-X-START:TIME-OFFSET=0"),  # a decimal number has no exponent (4.2)
    (Start(1_000_000.0), "#EXT-X-START:TIME-OFFSET=1000000"),
]


@pytest.mark.parametrize(("start", "tag"), TAGS)
def test_the_tag(start: Start, tag: str) -> None:
    assert start.line == tag
