"""Playlists 1, segments 2 to 6, and a higher rung never above a lower one (HLS draft, appendix B.1)."""

from itertools import pairwise

from origin.media.tracks import Kind, Track
from origin.publishing.urgency import PLAYLIST, urgency


def test_every_rung_comes_after_the_lower_ones() -> None:
    sizes = [(16, 16), (320, 180), (640, 360), (854, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160)]
    rungs = [urgency(Track(Kind.VIDEO, 1, 90_000, "avc1", width=width, height=height)) for width, height in sizes]
    assert rungs == [3, 3, 3, 4, 4, 5, 6, 6]
    assert all(lower <= higher for lower, higher in pairwise(rungs))
    upright = [urgency(Track(Kind.VIDEO, 1, 90_000, "avc1", width=height, height=width)) for width, height in sizes]
    assert upright == rungs


def test_sound_and_text_come_before_pictures_and_after_playlists() -> None:
    for kind in (Kind.AUDIO, Kind.TEXT):
        assert PLAYLIST < urgency(Track(kind, 1, 48_000, "mp4a.40.2")) < 3
