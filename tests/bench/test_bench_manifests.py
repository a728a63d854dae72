"""What a new segment costs the origin in text: the playlist of its track, the stream's own, and the DASH manifest of all."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from origin.dash.mpd import Timing, manifest
from origin.dash.presentation import Presentation
from origin.hls.multivariant import multivariant_playlist
from origin.hls.playlist import media_playlist
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track

NOW = 1_800_000_000.0
TIMING = Timing(update=2, ahead=6.0, depth=1e6, delay=8.0, longest=4.5)


def windows(segments: int) -> dict[str, TrackWindow]:
    """Four rungs and sound, segments of 4 s."""
    found = {}
    for name in ("1080p", "720p", "480p", "360p", "audio-128k"):
        if name.endswith("p"):
            track = Track(Kind.VIDEO, 1, 15_360, "avc1.64001f", width=1280, height=720)
        else:
            track = Track(Kind.AUDIO, 1, 48_000, "mp4a.40.2", sample_rate=48_000, channels=2)
        window = found[name] = TrackWindow(name, track, "0123456789ab", frame_rate=30.0)
        start = 0
        for number in range(segments):
            # Sound is cut at the frame nearest to the pictures' cut: its segments are of two lengths.
            ticks = 4 * 15_360 if name.endswith("p") else 1024 * (188 - number % 2)
            at = start / track.timescale
            entry = Entry(number, 1_800_000_000, 0, at, ticks / track.timescale, NOW + at, 10**6, window.init)
            entry.decode_time, entry.ticks = start, ticks
            window.add(entry, target=4)
            start += ticks
    return found


SIZES = pytest.mark.parametrize("segments", [15, 900], ids=["a minute", "an hour"])


@SIZES
def test_media_playlist(benchmark: BenchmarkFixture, segments: int) -> None:
    window = windows(segments)["720p"]
    assert benchmark(media_playlist, window, 4, ended=False).count("#EXTINF") == segments


def test_multivariant_playlist(benchmark: BenchmarkFixture) -> None:
    listed = list(windows(15).values())
    assert benchmark(multivariant_playlist, listed).count("#EXT-X-STREAM-INF") == 4


@SIZES
@pytest.mark.parametrize("numbers", [False, True], ids=["timeline", "numbers"])
def test_manifest(benchmark: BenchmarkFixture, segments: int, numbers: bool) -> None:
    tracks = windows(segments)
    presentation = Presentation(ahead=TIMING.ahead)
    presentation.settle(tracks, tracks, lambda name, number: True, NOW)
    text = benchmark(manifest, presentation, tracks, TIMING, NOW, published="", ended=False, numbers=numbers)
    benchmark.extra_info["bytes"] = len(text)


def test_settle_one_segment(benchmark: BenchmarkFixture) -> None:
    tracks = windows(900)

    def settle() -> None:
        presentation = Presentation(ahead=TIMING.ahead)
        presentation.settle(tracks, tracks, lambda name, number: True, NOW)

    benchmark(settle)
    benchmark.extra_info["segments"] = 900
