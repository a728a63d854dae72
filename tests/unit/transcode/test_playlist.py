"""A media playlist of VOD, letter by letter."""

from fractions import Fraction

import pytest

from cdnkit.hls import Start
from transcode.playlist import Listed, Resource, media_playlist, target_duration

RANGES = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-START:TIME-OFFSET=-2
#EXT-X-MAP:URI="a.m4a",BYTERANGE="700@0"
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:09.979Z
#EXTINF:2.005333,
#EXT-X-BYTERANGE:1000@780
a.m4a
#EXTINF:0.013333,
#EXT-X-BYTERANGE:90@1780
a.m4a
#EXT-X-ENDLIST
"""


def test_a_playlist_of_byte_ranges() -> None:
    segments = [
        Listed(Resource("a.m4a", 1000, 780), Fraction(96_256, 48_000)),
        Listed(Resource("a.m4a", 90, 1780), Fraction(640, 48_000)),
    ]
    begins = Fraction(478_976, 48_000)
    text = media_playlist(Resource("a.m4a", 700, 0), segments, target=2, begins=begins, start=Start(-2.0))
    assert text == RANGES


TARGETS = [  # durations, target duration
    (["0.3"], 1),
    (["2", "2.499"], 2),
    (["2.5"], 3),  # halves round up (4.4.3.1)
]


@pytest.mark.parametrize(("durations", "target"), TARGETS)
def test_each_duration_rounds_to_the_target_duration_at_most(durations: list[str], target: int) -> None:
    assert target_duration([Fraction(one) for one in durations]) == target
