"""A file to a folder, by a real ffmpeg: whole or not at all."""

import asyncio
import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from math import ceil
from pathlib import Path

import m3u8
import pytest

from cdnkit.settings.transcode import Stream
from tests.kit.captions import with_captions
from tests.kit.late import GUARD_S
from tests.real.transcode.boxes import fragments, inside, timescale
from transcode.command import START
from transcode.completeness import lacking
from transcode.errors import OutputError, SourceError
from transcode.events import Event, Notice, Progress, Started
from transcode.ffmpeg import Ffmpeg
from transcode.vod import MULTIVARIANT, transcode

pytestmark = pytest.mark.live

Clip = Callable[..., Path]


def stream(source: Path | str, **more: object) -> Stream:
    return Stream(source=str(source), preset="ultrafast", encoder="x264", segment=1, **more)


def run(source: Stream, out: Path, **more: object) -> list[Event]:
    events: list[Event] = []
    playlist = asyncio.run(transcode(source, out, on_event=events.append, **more))
    assert playlist == out / MULTIVARIANT
    return events


@pytest.fixture(scope="module")
def rendition(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("vod")
    clip = folder / "clip.mp4"
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-f", "lavfi", "-t", "3", "-i", "testsrc2=size=854x480:rate=25",
         "-f", "lavfi", "-t", "3", "-i", "sine=sample_rate=44100", "-preset", "ultrafast", clip],
        stdin=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    return folder / "out", run(stream(clip), folder / "out")


def test_the_whole_ladder_up_to_the_source(rendition: tuple[Path, list[Event]]) -> None:
    out, _ = rendition
    assert sorted(one.name for one in out.iterdir()) == [
        "360p", "480p", "audio-64k", "audio-96k", "manifest.mpd", MULTIVARIANT
    ]  # fmt: skip
    assert not out.with_name("out.partial").exists()


def test_the_multivariant_playlist_says_what_there_is(rendition: tuple[Path, list[Event]]) -> None:
    found = m3u8.load(str(rendition[0] / MULTIVARIANT))
    assert [(one.uri, one.stream_info.resolution, one.stream_info.audio) for one in found.playlists] == [
        ("480p/media.m3u8", (854, 480), "audio-96k"),
        ("360p/media.m3u8", (640, 360), "audio-64k"),
    ]
    assert [(one.group_id, one.name, one.uri, one.default, one.channels) for one in found.media] == [
        ("audio-96k", "audio", "audio-96k/media.m3u8", "YES", "2"),
        ("audio-64k", "audio", "audio-64k/media.m3u8", "YES", "2"),
    ]
    for one in found.playlists:
        assert one.stream_info.frame_rate == 30.0
        assert re.fullmatch(r"avc1\.[0-9a-f]{6},mp4a\.40\.2", one.stream_info.codecs)
        assert one.stream_info.closed_captions == "NONE"


def test_4_3_6_each_segment_has_a_key_frame_that_can_be_fetched_alone(
    rendition: tuple[Path, list[Event]], ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    out = rendition[0]
    found = m3u8.load(str(out / MULTIVARIANT))
    assert [one.uri for one in found.iframe_playlists] == ["480p/iframes.m3u8", "360p/iframes.m3u8"]
    for one in found.iframe_playlists:
        listed, media = m3u8.load(str(out / one.uri)), m3u8.load(str(out / one.uri.replace("iframes", "media")))
        assert listed.is_i_frames_only and listed.is_endlist and listed.playlist_type == "vod"
        assert [(each.uri, each.duration) for each in listed.segments] == [
            (each.uri, each.duration) for each in media.segments
        ]
        sizes = []
        for each in listed.segments:
            size, offset = map(int, each.byterange.split("@"))
            folder = out / Path(one.uri).parent
            piece = tmp_path / "piece.mp4"
            data = (folder / each.uri).read_bytes()[offset : offset + size]
            piece.write_bytes((folder / each.init_section.uri).read_bytes() + data)
            command = [ffmpeg.path, "-v", "error", "-i", piece, "-fps_mode", "passthrough", "-f", "framehash", "-"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert len([line for line in done.stdout.splitlines() if not line.startswith("#")]) == 1, done.stderr
            assert "decode" not in done.stderr
            sizes.append(size)
        info = one.iframe_stream_info
        assert info.average_bandwidth == ceil(8 * sum(sizes) / sum(each.duration for each in media.segments))


def test_4_4_6_2_the_rates_are_those_of_all_segments(rendition: tuple[Path, list[Event]]) -> None:
    """Read anew: the largest rate of a segment of each of the two tracks, and all bytes by all seconds."""
    out = rendition[0]

    def measured(uri: str) -> tuple[float, float]:
        segments = [
            (8 * (out / uri).with_name(one.uri).stat().st_size, one.duration)
            for one in m3u8.load(str(out / uri)).segments
        ]
        # The target duration is a second: a segment is a whole set, and so is one with what the sound has left at its end.
        runs = [segments[first:end] for end in range(1, len(segments) + 1) for first in range(end)]
        sets = [tuple(map(sum, zip(*run, strict=True))) for run in runs]
        peak = max(bits / seconds for bits, seconds in sets if 0.5 <= seconds <= 1.5)
        return peak, sum(bits for bits, _ in segments) / sum(seconds for _, seconds in segments)

    for one in m3u8.load(str(out / MULTIVARIANT)).playlists:
        video, audio = measured(one.uri), measured(f"{one.stream_info.audio}/media.m3u8")
        assert one.stream_info.bandwidth == pytest.approx(video[0] + audio[0], rel=0.002)
        assert one.stream_info.average_bandwidth == pytest.approx(video[1] + audio[1], abs=2)


def test_sound_and_picture_begin_together_for_players_that_ignore_edit_lists(
    rendition: tuple[Path, list[Event]],
) -> None:
    """The time of a track's first sample, without `elst`; AAC begins a frame early, with its priming."""
    begins = {}
    for track in ("480p", "360p", "audio-96k", "audio-64k"):
        init = next((rendition[0] / track).glob("init*.mp4")).read_bytes()
        assert list(inside(init, "moov/trak/edts/elst")) == []
        first = fragments((rendition[0] / track / "seg-0.m4s").read_bytes())[0]
        ticks = first.first_decode_time + (first.composition_offsets or [0])[0]
        begins[track] = Fraction(ticks + (0 if track.endswith("p") else 1024), timescale(init))
    assert set(begins.values()) == {Fraction(START)}


def test_captions_of_the_source_are_declared(clip: Clip, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """The encoder keeps them; a playlist that says NONE hides them (shaka-packager 986)."""
    plain, captioned, source = clip("plain.h264", sound=False), tmp_path / "captioned.h264", tmp_path / "captioned.mp4"
    captioned.write_bytes(with_captions(plain.read_bytes()))
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-r", "30", "-i", captioned, "-c", "copy", source],
        check=True,
        timeout=60,
    )
    run(stream(source), tmp_path / "out")
    found = m3u8.load(str(tmp_path / "out" / MULTIVARIANT))
    assert [(one.type, one.instream_id) for one in found.media if one.type != "AUDIO"] == [("CLOSED-CAPTIONS", "CC1")]
    assert {one.stream_info.closed_captions for one in found.playlists} == {'"captions"'}


def test_segments_are_cut_at_the_same_times_in_every_rung(rendition: tuple[Path, list[Event]]) -> None:
    for rung in ("480p", "360p"):
        playlist = (rendition[0] / rung / "media.m3u8").read_text()
        assert playlist.count("#EXTINF:1.000000,") == 3
        assert "#EXT-X-ENDLIST" in playlist
    for number in range(3):
        first = {
            fragments((rendition[0] / rung / f"seg-{number}.m4s").read_bytes())[0].first_decode_time
            for rung in ("480p", "360p")
        }
        assert len(first) == 1


def test_progress_goes_up_to_one(rendition: tuple[Path, list[Event]]) -> None:
    made = [event for event in rendition[1] if isinstance(event, Progress)]
    fractions = [event.fraction for event in made]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert fractions.count(1.0) == 1, "1 is said once, when it is in its place"
    assert made[-1].eta == 0


def test_ffmpeg_plays_it_without_an_error_line(rendition: tuple[Path, list[Event]], ffmpeg: Ffmpeg) -> None:
    done = subprocess.run(
        [ffmpeg.path, "-v", "warning", "-nostdin", "-i", rendition[0] / MULTIVARIANT, "-map", "0:v", "-map", "0:a",
         "-progress", "pipe:1", "-f", "null", "-"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert "frame=90" in done.stdout, "three seconds at 30 frames a second"


def test_a_clip_without_sound_has_silent_audio_of_its_length(clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    events = run(stream(clip("mute.mp4", seconds=2, sound=False)), out)
    assert any(isinstance(event, Notice) and "silence" in event.text for event in events)
    lengths = [
        float(line[8:-1])
        for line in next(out.glob("audio-*/media.m3u8")).read_text().splitlines()
        if line.startswith("#EXTINF:")
    ]
    assert sum(lengths) == pytest.approx(2, abs=0.1)


def test_a_source_smaller_than_every_rung_keeps_its_size(clip: Clip, tmp_path: Path) -> None:
    run(stream(clip("tiny.mp4", size="178x100")), tmp_path / "out")
    assert "RESOLUTION=178x100" in (tmp_path / "out" / MULTIVARIANT).read_text()


def test_the_test_card_needs_an_end(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="duration"):
        run(stream("testcard", ladder=["360p"]), tmp_path / "out")
    run(stream("testcard", ladder=["360p"], duration=1), tmp_path / "out")
    assert (tmp_path / "out" / "360p" / "media.m3u8").read_text().count("#EXTINF:1.000000,") == 1


def test_a_folder_in_use_is_refused_and_left_alone(clip: Clip, tmp_path: Path) -> None:
    source = clip("a.mp4")
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    for force in (False, True):
        with pytest.raises(OutputError, match=r"found letter\.txt in it, wanted an empty folder"):
            run(stream(source), other, force=force)
    assert (other / "letter.txt").read_text() == "dear"

    with pytest.raises(OutputError, match="found a file"):
        run(stream(source), source)
    with pytest.raises(OutputError, match="the source in it"):
        run(stream(source), tmp_path, force=True)


def test_force_replaces_an_earlier_rendition_only(clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(stream(clip("a.mp4", seconds=2)), out)
    with pytest.raises(OutputError, match="With force it is replaced"):
        run(stream(clip("b.mp4")), out)
    assert (out / "180p" / "seg-1.m4s").exists()
    run(stream(clip("b.mp4")), out, force=True)
    assert not (out / "180p" / "seg-1.m4s").exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "out"]


async def _cancelled(source: Stream, out: Path) -> None:
    started = asyncio.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, Progress) and event.frame:
            started.set()

    task = asyncio.create_task(transcode(source, out, on_event=on_event))
    async with asyncio.timeout(GUARD_S):
        await started.wait()
    assert out.with_name("out.partial").exists()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_run_cleans_up(tmp_path: Path) -> None:
    asyncio.run(_cancelled(stream("testcard", ladder=["360p"], duration=600), tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


async def _two_at_once(source: Stream, out: Path) -> str:
    started = asyncio.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, Started):
            started.set()

    task = asyncio.create_task(transcode(source, out, on_event=on_event))
    async with asyncio.timeout(GUARD_S):
        await started.wait()
    with pytest.raises(OutputError) as refused:
        await transcode(source, out)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return str(refused.value)


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    said = asyncio.run(_two_at_once(stream("testcard", ladder=["360p"], duration=600), tmp_path / "out"))
    assert "another transcode" in said


def test_what_a_killed_run_left_is_cleared(clip: Clip, tmp_path: Path) -> None:
    left = tmp_path / "out.partial" / "1080p"
    left.mkdir(parents=True)
    (left / "seg-0.m4s").write_bytes(b"half")
    run(stream(clip("a.mp4")), tmp_path / "out")
    assert not (tmp_path / "out" / "1080p").exists()


def test_a_truncated_file_is_noted(clip: Clip, tmp_path: Path) -> None:
    whole = clip("whole.mp4", seconds=4, size="640x360", more=("-movflags", "faststart"))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    events = run(stream(cut), tmp_path / "out")
    assert any(isinstance(event, Notice) and "may be cut short" in event.text for event in events)


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(OutputError, match="a full disk"):
            run(stream("testcard", ladder=["360p"], duration=20), small / "out")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda track: (track / "media.m3u8").unlink(), "a/media.m3u8 is missing"),
        (lambda track: _edit(track, "#EXT-X-ENDLIST", ""), "a/media.m3u8 has no #EXT-X-ENDLIST"),
        (lambda track: (track / "seg-0.m4s").write_bytes(b"\0\0\0\x10mdat"), "a/seg-0.m4s is cut short"),
        (lambda track: (track / "seg-0.m4s").write_bytes(b""), "a/seg-0.m4s is cut short"),
        (lambda track: (track / "seg-0.m4s").unlink(), "a/seg-0.m4s is cut short"),
        (lambda track: _edit(track, "#EXTINF:2.0,", "#EXTINF:1.0,"), "a/media.m3u8 is 1.0 s long, not 2.0 s"),
    ],
)
def test_what_a_rendition_lacks(harm: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    track = tmp_path / "a"
    track.mkdir()
    (track / "media.m3u8").write_text("#EXTM3U\n#EXTINF:2.0,\nseg-0.m4s\n#EXT-X-ENDLIST\n")
    (track / "seg-0.m4s").write_bytes(b"\0\0\0\x08moof\0\0\0\x0cmdat1234")
    assert lacking(tmp_path, [["a/media.m3u8"]], 2.0) == []
    harm(track)
    assert lacking(tmp_path, [["a/media.m3u8"]], 2.0) == [said]


def _edit(track: Path, old: str, new: str) -> None:
    playlist = track / "media.m3u8"
    playlist.write_text(playlist.read_text().replace(old, new))
