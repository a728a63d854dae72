"""What this machine has: the ffmpeg, NVENC or why not, sources or why not."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.settings.discretion import hiding, shown
from cdnkit.settings.transcode import Stream
from transcode import child, encoders, ffmpeg, source
from transcode.child import Exit
from transcode.errors import EncoderRefused, FfmpegMissing, SourceError
from transcode.ffmpeg import Ffmpeg
from transcode.plan import prepare, usable_cores

Clip = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes an executable that prints `text`, whatever it is asked."""

    def make(text: str, name: str = "ffmpeg") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_the_ffmpeg_found_says_what_it_is(ffmpeg: Ffmpeg) -> None:
    assert Path(ffmpeg.path).is_file()
    assert ffmpeg.version[:1] in "n6789N1"
    assert {"libx264", "aac"} <= ffmpeg.encoders
    assert "scale" in ffmpeg.filters


MODULES = " V..... libx264 x\n A..... aac x"
BINARIES = [
    # says                                             then
    (f"ffmpeg version 6.1.1-3ubuntu5 Copyright\n{MODULES}", None),
    (f"ffmpeg version n9.0.2-17-g2a57 Copyright\n{MODULES}", None),
    (f"ffmpeg version 10.0 Copyright\n{MODULES}", None),
    (f"ffmpeg version N-112233-gabc\nlibavutil      58. 29.100 / 58. 29.100\n{MODULES}", None),
    (f"ffmpeg version N-100000-gabc\nlibavutil      57. 28.100 / 57\n{MODULES}", "version N-100000-gabc"),
    (f"ffmpeg version 5.1.6-0+deb12u1 Copyright\n{MODULES}", "version 5.1.6-0+deb12u1"),
    ("ffmpeg version 7.1\n A..... aac x", "version 7.1 without libx264"),
    ("avconv version 9", "a program that says 'avconv version 9'"),
]


@pytest.mark.parametrize(("says", "found"), BINARIES)
def test_which_binaries_will_do(says: str, found: str | None, program: Callable[[str], str]) -> None:
    if found is None:
        assert ffmpeg.inspect(program(says)).version in says
        return
    with pytest.raises(FfmpegMissing) as refused:
        ffmpeg.inspect(program(says))
    assert refused.value.found == found
    assert "wanted ffmpeg 6 or newer with libx264 and aac" in str(refused.value)
    assert "CDNLAB_FFMPEG" in str(refused.value)


def test_a_binary_that_fails_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries: libx.so' >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(FfmpegMissing, match=r"exit status 127 \(error while loading shared libraries"):
        ffmpeg.inspect(str(broken))
    with pytest.raises(FfmpegMissing, match="no such file"):
        ffmpeg.inspect(str(tmp_path / "nothing"))


def test_the_order_of_search(monkeypatch: pytest.MonkeyPatch, program: Callable[..., str], tmp_path: Path) -> None:
    good = program(f"ffmpeg version 8.0\n{MODULES}", "good")
    old = program("ffmpeg version 4.4")  # `ffmpeg`, on PATH
    monkeypatch.delenv("CDNLAB_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert ffmpeg.find().found_in == "imageio-ffmpeg", "one too old on PATH is passed over"
    program(f"ffmpeg version 7.1\n{MODULES}")
    assert ffmpeg.find().found_in == "PATH"
    monkeypatch.setenv("CDNLAB_FFMPEG", good)
    assert (ffmpeg.find().path, ffmpeg.find().found_in) == (good, "CDNLAB_FFMPEG")
    program("ffmpeg version 4.4", "good")
    with pytest.raises(FfmpegMissing, match=r"CDNLAB_FFMPEG .*: found version 4\.4"):
        ffmpeg.find()  # what was named is never passed over in silence
    monkeypatch.delenv("CDNLAB_FFMPEG")
    program("ffmpeg version 4.4")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(FfmpegMissing, match=r"PATH .*: version 4\.4"):
        ffmpeg.find()
    Path(old).unlink()
    with pytest.raises(FfmpegMissing, match="none in CDNLAB_FFMPEG"):
        monkeypatch.setenv("PATH", str(tmp_path))
        ffmpeg.find()


def test_nvenc_is_decided_by_a_real_encode(ffmpeg: Ffmpeg) -> None:
    probe = encoders.probe_nvenc(ffmpeg)
    encoder, why = encoders.select("auto", ffmpeg)
    if probe.usable:
        assert encoder is encoders.NVENC
        return
    assert probe.reason
    assert "0x" not in probe.reason, "the line that tells, without addresses"
    assert encoder is encoders.X264
    assert probe.reason in why
    with pytest.raises(EncoderRefused) as refused:
        encoders.select("nvenc", ffmpeg)
    assert probe.reason in str(refused.value)


def test_nvenc_that_is_not_compiled_in(ffmpeg: Ffmpeg) -> None:
    without = replace(ffmpeg, encoders=ffmpeg.encoders - {"h264_nvenc"})
    assert encoders.probe_nvenc(without).reason.endswith("is built without h264_nvenc")


def test_x264_asked_for_probes_nothing() -> None:
    assert encoders.select("x264", Ffmpeg("/nowhere", "0"))[0] is encoders.X264


TELLING = [
    (["[h264_nvenc @ 0x55] Cannot load libcuda.so.1", "Error opening"], "h264_nvenc: Cannot load libcuda.so.1"),
    (["", "Unknown encoder 'h264_nvenc'"], "Unknown encoder 'h264_nvenc'"),
    ([], "exit status 1 without a word"),
]


@pytest.mark.parametrize(("lines", "told"), TELLING)
def test_the_telling_line(lines: list[str], told: str) -> None:
    assert encoders.first_error(lines, 1) == told


def test_a_file_as_probed(clip: Clip) -> None:
    probed = source.probe(str(clip("a.mp4", seconds=2, size="320x180", rate="25")))
    assert (probed.kind, probed.size, probed.frame_rate) == ("file", (320, 180), 25.0)
    assert probed.duration == pytest.approx(2.0, abs=0.05)
    assert probed.audio_index is not None


SHAPES = [
    (("-vf", "setsar=4/3"), (320, 180), (427, 180)),  # anamorphic: shown wider than stored
    (("-vf", "transpose=1"), (320, 180), (180, 320)),
]


@pytest.mark.parametrize(("more", "stored", "shown"), SHAPES)
def test_the_size_is_the_size_shown(
    more: tuple[str, ...], stored: tuple[int, int], shown: tuple[int, int], clip: Clip
) -> None:
    made = clip("a.mp4", size=f"{stored[0]}x{stored[1]}", sound=False, more=more)
    assert source.probe(str(made)).size == shown


def test_a_phone_turned_upright(clip: Clip, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    import subprocess

    flat, upright = clip("flat.mp4", size="320x180"), tmp_path / "upright.mp4"
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-display_rotation", "90", "-i", flat, "-c", "copy", upright],
        stdin=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    assert source.probe(str(upright)).size == (180, 320)


def test_a_name_that_looks_like_a_protocol(clip: Clip) -> None:
    assert source.probe(str(clip("srt:clip.mp4"))).kind == "file"


def test_sources_that_are_refused(clip: Clip, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(b"not a film" * 100)
    whole = clip("whole.mp4")
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # its moov stands at the end
    (tmp_path / "empty.mp4").touch()
    for path, found in [
        (tmp_path / "none.mp4", "nothing at "),
        (tmp_path, "a folder"),
        (clip("sound.m4a", picture=False), "no video, only audio"),
        (garbage, "cannot be read as media (Invalid data found"),
        (headless, "cannot be read as media"),
        (tmp_path / "empty.mp4", "cannot be read as media"),
        ("http://127.0.0.1:9/live.mp4", "cannot be read as media (Connection refused)"),
        ("gopherx://h/x", "cannot be read as media (Protocol not found)"),
    ]:
        with pytest.raises(SourceError) as refused:
            source.probe(str(path))
        said = str(refused.value)
        assert str(path) in said
        assert found in said
        assert 'wanted "testcard", a media file with video, or a URL' in said


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(SourceError) as refused:
        source.probe("http://me:hunter2@127.0.0.1:9/live.mp4")
    assert "source http://me:***@127.0.0.1:9/live.mp4: found" in str(refused.value)


def test_ffmpegs_own_words_repeat_no_password(ffmpeg: Ffmpeg) -> None:
    url = "http://me:hunter2@127.0.0.1:9/live.mp4?a=1&Token=abcd-5ec4e7"
    command = [ffmpeg.path, "-hide_banner", "-loglevel", "level+warning", "-i", url, "-f", "null", "-"]
    told: list[str] = []

    async def run() -> Exit:
        return await child.run(
            command, on_event=lambda event: told.append(str(event)), on_report=lambda _: None, hide=hiding(url)
        )

    gone = asyncio.run(run())
    said = "\n".join([*told, *gone.errors])
    assert gone.status != 0 and len(told) > 1 and "hunter2" not in said and "5ec4e7" not in said
    assert "http://me:***@127.0.0.1:9/live.mp4?a=1&Token=***" in said


SHOWN = [  # a source, as people are shown it
    ("testcard", "testcard"),
    ("/films/a?token=b@c:d.mp4", "/films/a?token=***"),
    ("srt://h:9000?passphrase=secret&latency=200", "srt://h:9000?passphrase=***&latency=200"),
    ("rtsp://user@camera/", "rtsp://user@camera/"),
    ("rtsp://:@camera/", "rtsp://:***@camera/"),
    ("http://h/a?keyframe=1&monkey=2", "http://h/a?keyframe=1&monkey=2"),
]


@pytest.mark.parametrize(("url", "said"), SHOWN)
def test_a_source_as_it_is_shown(url: str, said: str) -> None:
    assert shown(url) == said
    assert hiding(url)(f"a: {url}") == f"a: {said}"


def test_a_cover_picture_is_no_video(clip: Clip, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    import subprocess

    sound, cover = clip("song.mp3", picture=False), tmp_path / "cover.png"
    song = tmp_path / "covered.mp3"
    base = [ffmpeg.path, "-v", "error", "-nostdin"]
    for more in (
        ["-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1", "-update", "1", cover],
        ["-i", sound, "-i", cover, "-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v", "attached_pic", song],
    ):
        subprocess.run([*base, *more], stdin=subprocess.DEVNULL, check=True, timeout=60)
    with pytest.raises(SourceError, match="no video, only audio"):
        source.probe(str(song))


def test_without_pyav_a_file_is_refused_with_the_way_to_get_it(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    made = clip("a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SourceError, match=r"pip install 'cdnlab\[media\]'"):
        source.probe(str(made))
    assert source.probe("testcard") is source.TESTCARD


def test_the_plan_says_why(clip: Clip) -> None:
    small = prepare(Stream(source=str(clip("a.mp4", size="640x360", sound=False)), ladder=["720p", "360p"]))
    assert [rung.name for rung in small.rungs] == ["360p"]
    assert "left out 720p: the source is 640x360" in " ".join(small.notices)
    assert "silence" in " ".join(small.notices)
    assert usable_cores() >= 1


def test_the_burnt_in_clock(ffmpeg: Ffmpeg, monkeypatch: pytest.MonkeyPatch) -> None:
    if source.find_font() is None or "drawtext" not in ffmpeg.filters:
        assert "drawtext" not in source.testcard_graph(ffmpeg, (640, 360), 30)
    else:
        assert "gmtime" in source.testcard_graph(ffmpeg, (640, 360), 30)
    monkeypatch.setattr(source, "find_font", lambda: None)
    assert "drawtext" not in source.testcard_graph(ffmpeg, (640, 360), 30)
