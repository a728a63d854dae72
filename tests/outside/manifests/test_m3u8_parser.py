"""Playlists by npm's m3u8-parser, which Video.js reads HLS with. `make manifests` installs and runs it."""

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from origin.hls.multivariant import multivariant_playlist
from origin.hls.playlist import media_playlist
from origin.live.session import State
from origin.live.window import TrackWindow
from origin.media.tracks import InitSection
from origin.mpegts.playlists import ts_media_playlist
from origin.webvtt.subtitles import vtt_media_playlist
from tests.unit.origin.hls.test_low_latency import PART, TARGET, Origin, audio, video
from tests.unit.origin.live.test_stream_frames import NOW

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or not (HERE / "node_modules" / "m3u8-parser").is_dir(),
        reason="`make manifests` installs it",
    ),
]


def read(text: str) -> dict[str, Any]:
    """The manifest of the parser, which has nothing to complain of."""
    done = subprocess.run(
        ["node", "read_playlist.mjs"], cwd=HERE, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["warnings"] == []
    return found


def broken() -> Origin:
    """A stream whose encoder was killed after four seconds, and began anew."""
    origin, pictures, sound = Origin(), video(4), audio(4)
    origin.run(pictures, sound)
    origin.end(pictures, sound, how=State.BROKEN)
    for again in (video(12), audio(12)):
        init = InitSection(f"again {again.name}".encode(), again.track)
        again.session = origin.stream.begin(again.name, init, NOW + 100, lambda: None)
        origin.publish()
        origin.run(again, until=17)
    return origin


def check(found: dict[str, Any], window: TrackWindow, *, suffix: str, maps: bool) -> None:
    assert found["mediaSequence"] == window.listed[0].number
    assert found["discontinuitySequence"] == window.listed[0].discontinuity
    assert found["targetDuration"] == TARGET
    assert not found.get("endList")
    whole = [one for one in found["segments"] if "uri" in one]
    assert [one["uri"] for one in whole] == [one.name.replace(".m4s", suffix) for one in window.listed]
    for segment, entry in zip(whole, window.listed, strict=True):
        assert segment["duration"] == pytest.approx(entry.duration, abs=1e-6)
        assert segment["programDateTime"] / 1000 == pytest.approx(entry.at, abs=0.001)
        if maps:
            assert segment["map"]["uri"] == f"init-{entry.init}.mp4"
    breaks = [i for i, (one, other) in enumerate(pairwise(whole), 1) if one["timeline"] != other["timeline"]]
    assert len(breaks) == 1 and found["discontinuityStarts"] == breaks


@pytest.mark.parametrize("name", ["360p", "audio-64k"])
def test_every_segment_is_where_we_say_behind_a_break(name: str) -> None:
    window = broken().stream.windows[name]
    text = media_playlist(window, TARGET, ended=False)
    check(read(text), window, suffix=".m4s", maps=True)
    check(read(ts_media_playlist(text)), window, suffix=".ts", maps=False)
    check(read(vtt_media_playlist(text)), window, suffix=".vtt", maps=False)


def test_low_latency_tags() -> None:
    origin = Origin().run(video(30), audio(30), until=22.6)
    window = origin.stream.windows["360p"]
    lines = origin.playlist()
    found = read("\n".join(lines) + "\n")
    assert found["partTargetDuration"] == pytest.approx(PART)
    assert found["serverControl"]["partHoldBack"] == pytest.approx(3 * PART)
    assert found["serverControl"]["canBlockReload"] is True
    listed = [part["uri"] for segment in found["segments"] for part in segment.get("parts", ())]
    in_hand = [part["uri"] for part in found["preloadSegment"]["parts"]]
    assert listed + in_hand == [
        line.partition('URI="')[2].partition('"')[0] for line in lines if line.startswith("#EXT-X-PART:")
    ]
    assert in_hand == [part.name for part in window.in_hand]
    (hint,) = found["preloadSegment"]["preloadHints"]
    assert hint["uri"] == window.parts.hint
    assert [report["uri"] for report in found["renditionReports"]] == ["../audio-64k/media.m3u8"]
    skipped = read("\n".join(origin.playlist(delta=True)) + "\n").get("skip")
    assert skipped is None or skipped["skippedSegments"] > 0


def test_the_multivariant_playlist() -> None:
    windows = broken().stream.windows
    found = read(multivariant_playlist(windows.values()))
    (variant,) = found["playlists"]
    assert variant["uri"] == "360p/media.m3u8"
    (group,) = found["mediaGroups"]["AUDIO"].values()
    (sound,) = group.values()
    assert (sound["uri"], sound["default"]) == ("audio-64k/media.m3u8", True)
    assert variant["attributes"]["BANDWIDTH"] >= int(variant["attributes"]["AVERAGE-BANDWIDTH"]) > 0
