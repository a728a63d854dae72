"""Tracks of any kind from a real ffmpeg: languages, codecs, captions, subtitles, edit lists; what players then find."""

import re
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from origin.media.fragments import Fragment, FragmentReader
from tests.kit.captions import with_captions
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running
from tests.real.transcode.boxes import fragments, inside, timescale
from tests.unit.origin.media.test_tracks import WVTT, init, packed

pytestmark = pytest.mark.live

CMAF = ("-f", "mp4", "-movflags", "+cmaf+empty_moov+delay_moov", "-use_editlist", "0", "-frag_duration", "500000")
PICTURES = ("-f", "lavfi", "-t", "4", "-i", "testsrc2=s=160x90:r=25")
SOUND = ("-f", "lavfi", "-t", "4", "-i", "sine=r=48000")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p", "-g", "25", "-sc_threshold", "0")


def make(ffmpeg: str, to: Path, *arguments: str) -> bytes:
    command = [ffmpeg, "-nostdin", "-v", "error", "-y", *arguments, f"file:{to}"]
    subprocess.run(command, check=True, timeout=GUARD_S, capture_output=True)
    return to.read_bytes() if to.is_file() else b""


def multivariant(origin: Running) -> m3u8.M3U8:
    return m3u8.loads(origin.get("r/multivariant.m3u8").text)


def play(ffmpeg: str, origin: Running, *maps: str) -> str:
    """What ffmpeg says of all that it maps."""
    command = [ffmpeg, "-nostdin", "-v", "warning", "-i", f"{origin.url}/r/multivariant.m3u8"]
    done = subprocess.run(
        [*command, *(word for one in maps for word in ("-map", one)), "-progress", "pipe:1", "-f", "null", "-"],
        capture_output=True, text=True, timeout=GUARD_S, check=True,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture
def pictures(ffmpeg: str, tmp_path: Path) -> bytes:
    return make(
        ffmpeg, tmp_path / "v.mp4", *PICTURES, *X264, "-b:v", "300k", "-maxrate", "400k", "-bufsize", "800k", *CMAF
    )


def test_languages_names_and_roles_are_renditions_of_one_group(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path, pictures: bytes
) -> None:
    origin = origins()
    tracks = {
        "anything": ("-metadata:s:a:0", "language=eng"),
        "b": ("-metadata:s:a:0", "language=fre"),
        "c": ("-metadata:s:a:0", "language=eng", "-disposition:a:0", "visual_impaired"),
        "d": ("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "handler_name=The director"),
    }
    assert origin.post("r/cam.cmfv", pictures).status == 200
    for name, more in tracks.items():
        sound = make(ffmpeg, tmp_path / name, *SOUND, "-c:a", "aac", "-b:a", "64k", *more, *CMAF)
        assert origin.post(f"r/{name}.cmfa", sound).status == 200
    found = multivariant(origin)
    assert [(one.name, one.language, one.uri, one.default, one.autoselect) for one in found.media] == [
        ("English", "en", "anything/media.m3u8", "YES", "YES"),
        ("français", "fr", "b/media.m3u8", "NO", "YES"),
        ("The director", "en", "d/media.m3u8", "NO", "NO"),
        ("English (description)", "en", "c/media.m3u8", "NO", "YES"),
    ]
    (variant,) = found.playlists
    assert variant.stream_info.codecs.endswith(",mp4a.40.2") and variant.stream_info.closed_captions == "NONE"
    assert variant.stream_info.frame_rate == 25.0
    assert variant.stream_info.bandwidth >= 464_000, "what the encoders declare"
    assert "frame=100" in play(ffmpeg, origin, "0:v", "0:a:0", "0:a:1", "0:a:2", "0:a:3")


SOUNDS = [  # encoder, CODECS, CHANNELS
    (("libopus", "-ac", "2"), "opus", "2"),
    (("ac3", "-ac", "6"), "ac-3", "6"),
    (("eac3", "-ac", "2"), "ec-3", "2"),
    (("aac", "-ac", "6"), "mp4a.40.2", "6"),
]


@pytest.mark.parametrize(("encoder", "codec", "channels"), SOUNDS)
def test_codecs_of_sound(
    origins: Callable[..., Running],
    ffmpeg: str,
    tmp_path: Path,
    pictures: bytes,
    encoder: tuple[str, ...],
    codec: str,
    channels: str,
) -> None:
    origin = origins()
    assert origin.post("r/cam.cmfv", pictures).status == 200
    assert origin.post("r/s.cmfa", make(ffmpeg, tmp_path / "s", *SOUND, "-c:a", *encoder, *CMAF)).status == 200
    found = multivariant(origin)
    assert found.playlists[0].stream_info.codecs.split(",")[1] == codec
    assert [one.channels for one in found.media] == [channels]
    assert "frame=100" in play(ffmpeg, origin, "0:v", "0:a")


VIDEOS = [  # encoder, CODECS
    (("libx265", "-x265-params", "log-level=none:keyint=25:min-keyint=25", "-tag:v", "hvc1"), r"hvc1\.1\.6\.L\d+\.90"),
    (("libaom-av1", "-cpu-used", "8", "-g", "25"), r"av01\.0\.00M\.08"),
]


@pytest.mark.parametrize(("encoder", "codec"), VIDEOS)
def test_codecs_of_pictures(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path, encoder: tuple[str, ...], codec: str
) -> None:
    origin = origins()
    assert origin.post("r/cam.cmfv", make(ffmpeg, tmp_path / "v", *PICTURES, "-c:v", *encoder, *CMAF)).status == 200
    (variant,) = multivariant(origin).playlists
    assert re.fullmatch(codec, variant.stream_info.codecs)
    assert "frame=100" in play(ffmpeg, origin, "0:v")


def test_a_codec_that_cannot_be_published_is_415(origins: Callable[..., Running], ffmpeg: str, tmp_path: Path) -> None:
    body = make(ffmpeg, tmp_path / "s", *SOUND, "-c:a", "flac", "-strict", "-2", *CMAF)
    reply = origins().post("r/s.cmfa", body)
    assert reply.status == 415 and "found sample entry 'fLaC'" in reply.text, reply.text


RANGES = [("bt709", "SDR"), ("arib-std-b67", "HLG"), ("smpte2084", "PQ")]


@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize(("transfer", "said"), RANGES)
def test_video_range_by_the_box_or_by_the_bitstream(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path, transfer: str, said: str, box: bool
) -> None:
    origin = origins()
    colours = ("-vf", f"setparams=color_trc={transfer}:color_primaries=bt2020:colorspace=bt2020nc")
    body = make(ffmpeg, tmp_path / "v", *PICTURES, *colours, *X264, *CMAF)
    assert b"colrnclx" in body
    if not box:
        body = body.replace(b"colrnclx", b"freenclx")
    assert origin.post("r/cam.cmfv", body).status == 200
    assert multivariant(origin).playlists[0].stream_info.video_range == said


def test_captions_in_the_pictures(origins: Callable[..., Running], ffmpeg: str, tmp_path: Path) -> None:
    origin = origins()
    (tmp_path / "captioned.h264").write_bytes(
        with_captions(make(ffmpeg, tmp_path / "v.h264", *PICTURES, *X264, "-bf", "0"))
    )
    body = make(ffmpeg, tmp_path / "v", "-r", "25", "-i", str(tmp_path / "captioned.h264"), "-c", "copy", *CMAF)
    assert origin.post("r/cam.cmfv", body).status == 200
    found = multivariant(origin)
    assert [(one.type, one.group_id, one.instream_id) for one in found.media] == [
        ("CLOSED-CAPTIONS", "captions", "CC1")
    ]
    assert found.playlists[0].stream_info.closed_captions == '"captions"'


def subtitles(seconds: int) -> bytes:
    """WebVTT in CMAF (ISO/IEC 14496-30), a cue a second: no ffmpeg writes it."""
    head = init(WVTT, b"text", language=packed("deu"), name=b"\0")
    body = b"\0\0\0\x18ftypcmfc\0\0\0\0cmfciso6" + head.data
    for second in range(seconds):
        sample = _box(b"vttc", _box(b"payl", f"Sekunde {second}".encode()))
        traf = _box(b"tfhd", struct.pack(">II", 0x020000, 7)) + _box(b"tfdt", struct.pack(">II", 0, 48_000 * second))
        length = 8 + 16 + 8 + len(traf) + 8 + 20
        run = struct.pack(">IIiII", 0x301, 1, length + 8, 48_000, len(sample))
        moof = _box(b"moof", _box(b"mfhd", struct.pack(">II", 0, second)) + _box(b"traf", traf + _box(b"trun", run)))
        assert len(moof) == length
        body += moof + _box(b"mdat", sample)
    return body


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def test_subtitles_pass_through(origins: Callable[..., Running], pictures: bytes) -> None:
    origin = origins()
    body = subtitles(4)
    assert origin.post("r/cam.cmfv", pictures).status == 200
    assert origin.post("r/untertitel.cmft", body).status == 200
    found = multivariant(origin)
    assert [(one.type, one.name, one.language, one.uri) for one in found.media] == [
        ("SUBTITLES", "Deutsch", "de", "untertitel/vtt.m3u8")
    ]
    assert found.playlists[0].stream_info.subtitles == "subtitles"
    assert found.playlists[0].stream_info.codecs.endswith(",wvtt")
    playlist = m3u8.loads(origin.get("r/untertitel/media.m3u8").text)
    assert [one.duration for one in playlist.segments] == pytest.approx([1.0] * 4) and playlist.is_endlist
    names = [playlist.segments[0].init_section.uri, *(one.uri for one in playlist.segments)]
    replies = [origin.get(f"r/untertitel/{name}") for name in names]
    assert {reply.headers["content-type"] for reply in replies} == {"application/mp4"}
    assert b"".join(reply.body for reply in replies) == body


def test_edit_lists_of_ffmpegs_hls_muxer(origins: Callable[..., Running], ffmpeg: str, tmp_path: Path) -> None:
    """Its pictures and its sound begin together only for players that read edit lists (shaka-player 5445)."""
    make(
        ffmpeg, tmp_path / "%v/x.m3u8", *PICTURES, *SOUND, *X264, "-c:a", "aac", "-map", "0:v", "-map", "1:a",
        "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
        "-var_stream_map", "v:0,agroup:a a:0,agroup:a", "-hls_segment_filename", str(tmp_path / "%v/%d.m4s"),
    )  # fmt: skip
    origin = origins()
    begins: dict[str, Fraction] = {}
    for number, (file, priming) in enumerate([("cam.cmfv", 0), ("sound.cmfa", 1024)]):
        folder = tmp_path / str(number)
        segments = sorted(folder.glob("*.m4s"), key=lambda path: int(path.stem))
        body = next(folder.glob("init*.mp4")).read_bytes() + b"".join(one.read_bytes() for one in segments)
        assert list(inside(body, "moov/trak/edts/elst")), "what this test is about"
        assert origin.post(f"r/{file}", body).status == 200
        track = file.partition(".")[0]
        playlist = m3u8.loads(origin.get(f"r/{track}/media.m3u8").text)
        names = [playlist.segments[0].init_section.uri, *(one.uri for one in playlist.segments)]
        out = b"".join(origin.get(f"r/{track}/{name}").body for name in names)
        assert list(inside(out, "moov/trak/edts")) == []
        first = fragments(out)[0]
        ticks = first.first_decode_time + (first.composition_offsets or [0])[0] + priming
        begins[track] = Fraction(ticks, timescale(out))
        sent = [one for one in FragmentReader(2**26).feed(body) if isinstance(one, Fragment)]
        got = [one for one in FragmentReader(2**26).feed(out) if isinstance(one, Fragment)]
        assert sum(one.samples for one in got) == sum(one.samples for one in sent)
    assert abs(begins["cam"] - begins["sound"]) < Fraction(1, 500)
    assert "frame=100" in play(ffmpeg, origin, "0:v", "0:a")
