"""A VOD in segments and in single files: the same media, said alike by playlists, MPD and index, and played by ffmpeg."""

import asyncio
import re
import struct
import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from cdnkit.settings.transcode import Packaging, Stream
from tests.kit.dash_invariants import read_mpd
from tests.kit.late import GUARD_S
from tests.real.transcode.boxes import boxes, fragments, inside, timescale
from transcode import vod
from transcode.command import START
from transcode.completeness import lacking
from transcode.errors import OutputError
from transcode.events import Event, Notice
from transcode.ffmpeg import Ffmpeg
from transcode.vod import MULTIVARIANT, transcode

pytestmark = pytest.mark.live

TRACKS = {"480p": "480p.mp4", "360p": "360p.mp4", "audio-96k": "audio-96k.m4a", "audio-64k": "audio-64k.m4a"}


def make(source: Path | str, out: Path, how: Packaging, **more: object) -> list[Event]:
    stream = Stream(source=str(source), preset="ultrafast", encoder="x264", segment=1, loop=False, **more)
    events: list[Event] = []
    asyncio.run(transcode(stream, out, packaging=how, on_event=events.append))
    return events


@pytest.fixture(scope="module")
def folders(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same three seconds in segments, and in single files."""
    folder = tmp_path_factory.mktemp("vod")
    clip = folder / "clip.mp4"
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-f", "lavfi", "-t", "3", "-i", "testsrc2=size=854x480:rate=30",
         "-f", "lavfi", "-t", "3", "-i", "sine=sample_rate=44100", "-preset", "ultrafast", clip],
        stdin=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    make(clip, folder / "segments", Packaging())
    make(clip, folder / "single", Packaging(single_file=True, start=-1, start_precise=True))
    return folder / "segments", folder / "single"


def test_a_single_file_has_a_files_init_section_index_and_fragments_and_nothing_else(
    folders: tuple[Path, Path],
) -> None:
    assert sorted(one.name for one in folders[1].iterdir()) == [*sorted(TRACKS), "manifest.mpd", MULTIVARIANT]
    for track, name in TRACKS.items():
        lists = ["iframes.m3u8", "media.m3u8"] if name.endswith(".mp4") else ["media.m3u8"]
        assert sorted(one.name for one in (folders[1] / track).iterdir()) == sorted([name, *lists])
        kinds = [kind for kind, _, _ in boxes((folders[1] / track / name).read_bytes())]
        assert re.fullmatch("ftyp moov sidx( free moof mdat)+", " ".join(kinds))


def test_key_frames_are_the_same_bytes_in_both_forms(folders: tuple[Path, Path]) -> None:
    for track in (one for one, name in TRACKS.items() if name.endswith(".mp4")):
        found = []
        for folder in folders:
            listed = m3u8.load(str(folder / track / "iframes.m3u8"))
            ranges = [(one.uri, *map(int, one.byterange.split("@"))) for one in listed.segments]
            found.append([(folder / track / uri).read_bytes()[at : at + size] for uri, size, at in ranges])
            init = listed.segments[0].init_section
            size = int((init.byterange or "0@0").partition("@")[0]) or None
            found[-1].append((folder / track / init.uri).read_bytes()[:size])
        assert found[0] == found[1]
        assert all(one[4:8] == b"moof" for one in found[0][:-1])


@pytest.mark.parametrize("track", TRACKS)
def test_every_range_of_a_playlist_is_the_segment_of_the_other_form(folders: tuple[Path, Path], track: str) -> None:
    """Explicit offsets, one behind the other, to the file's end (4.4.4.2); the version that they need (7).

    Ranges do not touch: ffmpeg 9.0.2 would join them, and play the first alone.
    """
    whole, parts = ((one / track) for one in (folders[1], folders[0]))
    text = (whole / "media.m3u8").read_text()
    playlist = m3u8.loads(text)
    data = (whole / TRACKS[track]).read_bytes()
    assert int(playlist.version) >= 6
    length, offset = map(int, playlist.segment_map[0].byterange.split("@"))
    assert offset == 0
    assert data[:length] == (parts / "init.mp4").read_bytes()
    at = length + struct.unpack_from(">I", data, length)[0]  # behind the index
    for number, segment in enumerate(playlist.segments):
        size, offset = map(int, segment.byterange.split("@"))
        at += 8
        assert (segment.uri, offset) == (TRACKS[track], at)
        separate = (parts / f"seg-{number}.m4s").read_bytes()
        assert data[at : at + size] == separate[separate.index(b"moof") - 4 :]
        at += size
    assert at == len(data)
    durations = [one.duration for one in m3u8.load(str(parts / "media.m3u8")).segments]
    assert [one.duration for one in playlist.segments] == durations


@pytest.mark.parametrize("track", TRACKS)
def test_the_index_says_what_is_in_the_file(folders: tuple[Path, Path], track: str) -> None:
    data = (folders[1] / track / TRACKS[track]).read_bytes()
    first, last = next(inside(data, "sidx"))
    version, reference, scale, earliest, behind, _, count = struct.unpack_from(">B3xIIQQHH", data, first)
    assert (version, reference, scale, behind) == (1, 1, timescale(data), 0)
    assert Fraction(earliest, scale) == (START if track.endswith("p") else START - Fraction(1024, 48_000))
    at, due = last, earliest
    for number in range(count):
        size, ticks, sap = struct.unpack_from(">III", data, first + 32 + 12 * number)
        inner = fragments(data[at : at + size])
        assert sap == 0x90000000
        assert inner[0].starts_with_keyframe
        assert (
            inner[0].first_decode_time == due == inner[0].first_decode_time + (inner[0].composition_offsets or [0])[0]
        )
        assert sum(sum(one.durations) for one in inner) == ticks
        at, due = at + size, due + ticks
    assert at == len(data)


def test_the_mpd_lists_the_segments_that_the_playlists_list(folders: tuple[Path, Path]) -> None:
    mpd = read_mpd((folders[0] / "manifest.mpd").read_text())
    assert mpd.static and mpd.attributes["profiles"] == "urn:mpeg:dash:profile:isoff-live:2011"
    # Sound may last a moment longer than the pictures do: all of it is in the Period.
    assert 3 <= mpd.seconds("mediaPresentationDuration") < 3.03
    assert [(one.start, one.duration) for one in mpd.periods] == [(0, mpd.seconds("mediaPresentationDuration"))]
    for one in mpd.periods[0].representations:
        listed = m3u8.load(str(folders[0] / one.id / "media.m3u8")).segments
        assert [one.url(segment.number) for segment in one.segments] == [f"{one.id}/{entry.uri}" for entry in listed]
        assert [float(segment.duration) for segment in one.segments] == pytest.approx(
            [entry.duration for entry in listed], abs=1e-6
        )
        assert one.offset == START
        assert one.segments[0].start == (START if one.id.endswith("p") else START - Fraction(1024, 48_000))


def test_both_mpds_are_read_by_mpegdash(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        mpd = MPEGDASHParser.parse((folder / "manifest.mpd").read_text())
        video, audio = mpd.periods[0].adaptation_sets
        assert [one.id for one in video.representations] == ["480p", "360p"]
        assert [one.id for one in audio.representations] == ["audio-96k", "audio-64k"]
        assert [(one.frame_rate, one.codecs[:5]) for one in video.representations] == [("30", "avc1.")] * 2
        assert [one.audio_channel_configurations[0].value for one in audio.representations] == ["2", "2"]
        assert [one.roles[0].value for one in (video, audio)] == ["main", "main"]
    for one in (*video.representations, *audio.representations):
        base = one.segment_bases[0]
        data = (folders[1] / one.base_urls[0].base_url_value).read_bytes()
        first, last = map(int, base.index_range.split("-"))
        assert data[first + 4 : first + 8] == b"sidx" and last + 1 - first == int.from_bytes(data[first : first + 4])
        assert base.initializations[0].range == f"0-{first - 1}"
        assert base.presentation_time_offset == START * base.timescale


def test_tracks_align_by_their_dates(folders: tuple[Path, Path]) -> None:
    """A player that takes each track's first sample for its zero plays sound a frame of priming late."""
    for folder in folders:
        for track, name in TRACKS.items():
            playlist = m3u8.load(str(folder / track / "media.m3u8"))
            data = b"".join(
                (folder / track / one).read_bytes()
                for one in ([name] if folder == folders[1] else ["init.mp4", "seg-0.m4s"])
            )
            first = Fraction(fragments(data)[0].first_decode_time, timescale(data))
            date = playlist.segments[0].program_date_time
            assert date.timestamp() == pytest.approx(float(first), abs=0.0006)


def test_a_start_is_in_every_media_playlist(folders: tuple[Path, Path]) -> None:
    for track in TRACKS:
        start = m3u8.load(str(folders[1] / track / "media.m3u8")).start
        assert (start.time_offset, start.precise) == (-1.0, "YES")
        assert m3u8.load(str(folders[0] / track / "media.m3u8")).start is None


@pytest.mark.parametrize("name", [MULTIVARIANT, "manifest.mpd"])
def test_ffmpeg_plays_both_without_an_error_line(folders: tuple[Path, Path], name: str, ffmpeg: Ffmpeg) -> None:
    """All renditions at once: where ffmpeg 9.0.2 leaves some out, it loses part of a range, of its own VODs, too."""
    for folder in folders:
        done = subprocess.run(
            [ffmpeg.path, "-v", "warning", "-nostdin", "-i", folder / name, "-map", "0",
             "-progress", "pipe:1", "-f", "null", "-"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        assert "frame=90" in done.stdout


def test_a_start_beyond_the_end_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    for start in (-3.0, 3.0):
        with pytest.raises(OutputError, match=r"wanted an offset within the 2\.0 s"):
            make("testcard", tmp_path / "out", Packaging(start=start), ladder=["360p"], duration=2)
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_what_was_made_does_not_reach_is_left_out_and_noted(
    clip: Callable[..., Path], tmp_path: Path
) -> None:
    whole = clip("whole.mp4", seconds=4, size="640x360", more=("-movflags", "faststart"))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    events = make(cut, tmp_path / "out", Packaging(start=3.5))
    assert any(isinstance(event, Notice) and "no start at 3.5 s" in event.text for event in events)
    assert "EXT-X-START" not in (tmp_path / "out/360p/media.m3u8").read_text()


def test_the_language_of_the_sound_is_said(clip: Callable[..., Path], tmp_path: Path) -> None:
    make(clip("clip.mp4", more=("-metadata:s:a", "language=deu")), tmp_path / "out", Packaging())
    (media,) = m3u8.load(str(tmp_path / "out" / MULTIVARIANT)).media
    assert (media.language, media.name) == ("de", "Deutsch")
    assert 'contentType="audio" lang="de" mimeType="audio/mp4"' in (tmp_path / "out/manifest.mpd").read_text()


UNEQUAL = [  # seconds of pictures and of sound, the file's extension, said
    (2, 4, "mp4", "the pictures end before the sound: the last one stays"),
    (4, 2, "mp4", "the sound ends before the pictures: silence follows"),
    (4, 2, "ts", "the sound ends before the pictures: silence follows"),
]


@pytest.mark.parametrize(("pictures", "sound", "extension", "said"), UNEQUAL)
def test_what_ends_first_is_filled(
    pictures: int, sound: int, extension: str, said: str, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    """A player stops where the first of the two ends."""
    clip = tmp_path / f"clip.{extension}"
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-f", "lavfi", "-t", str(pictures), "-i", "testsrc2=size=854x480:rate=30",
         "-f", "lavfi", "-t", str(sound), "-i", "sine", "-preset", "ultrafast", clip],
        stdin=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    events = make(clip, tmp_path / "out", Packaging())
    assert any(isinstance(event, Notice) and event.text == said for event in events)
    for track in TRACKS:
        durations = [one.duration for one in m3u8.load(str(tmp_path / "out" / track / "media.m3u8")).segments]
        assert sum(durations) == pytest.approx(4, abs=0.1)


def test_a_file_whose_header_says_no_ends_is_written_as_it_is(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    clip = tmp_path / "clip.mkv"
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-f", "lavfi", "-t", "3", "-i", "testsrc2=size=640x360:rate=30",
         "-f", "lavfi", "-t", "1", "-i", "sine", "-preset", "ultrafast", clip],
        stdin=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    make(clip, tmp_path / "out", Packaging())
    mpd = read_mpd((tmp_path / "out/manifest.mpd").read_text())
    assert mpd.seconds("mediaPresentationDuration") == 3


def test_what_a_single_file_lacks(folders: tuple[Path, Path], tmp_path: Path) -> None:
    track = tmp_path / "480p"
    track.mkdir()
    data = (folders[1] / "480p/480p.mp4").read_bytes()
    (track / "480p.mp4").write_bytes(data)
    playlist = (folders[1] / "480p/media.m3u8").read_text()
    (track / "media.m3u8").write_text(playlist)
    assert lacking(tmp_path, [["480p/media.m3u8"]], 3.0) == []
    (track / "480p.mp4").write_bytes(data[:-1])
    assert lacking(tmp_path, [["480p/media.m3u8"]], 3.0) == ["480p/480p.mp4 is cut short"]
    (track / "480p.mp4").write_bytes(data)
    first = m3u8.loads(playlist).segments[0].byterange
    size, offset = map(int, first.split("@"))
    (track / "media.m3u8").write_text(playlist.replace(first, f"{size - 1}@{offset}"))
    assert lacking(tmp_path, [["480p/media.m3u8"]], 3.0) == [
        f"480p/480p.mp4 has no boxes at bytes {offset} to {offset + size - 1}"
    ]


async def _cancelled_while_it_is_packaged(source: Stream, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    package = vod.package

    def halting(*arguments: Any) -> list[str]:
        *most, check = arguments

        def halt() -> None:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(GUARD_S)
            check()

        return package(*most, halt)

    monkeypatch.setattr(vod, "package", halting)
    task = asyncio.create_task(transcode(source, out, packaging=Packaging(single_file=True)))
    async with asyncio.timeout(GUARD_S):
        await begun.wait()
    for _ in range(2):  # a hand on Ctrl-C
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done(), "the thread still has the folder"
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_between_encoder_and_end_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Stream(source="testcard", preset="ultrafast", encoder="x264", segment=1, ladder=["360p"], duration=2)
    asyncio.run(_cancelled_while_it_is_packaged(source, tmp_path / "out", monkeypatch))
    assert list(tmp_path.iterdir()) == []
