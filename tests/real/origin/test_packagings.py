"""A real ffmpeg's fragments of any length, posted and read back frame for frame."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from origin.media.fragments import FragmentReader
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running

pytestmark = pytest.mark.live

SOUND = "sine=r={rate}:d=20"
SILENT = "+cmaf+empty_moov"


def encode(ffmpeg: str, to: Path, *, rate: int, frag_us: int, offset: float = 0.0) -> bytes:
    command = [ffmpeg, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", f"sine=r={rate}:d=20", "-c:a", "aac"]
    command += ["-output_ts_offset", str(offset), "-f", "mp4", "-movflags", "+cmaf+empty_moov"]
    subprocess.run([*command, "-frag_duration", str(frag_us), f"file:{to}"], check=True, timeout=GUARD_S)
    return to.read_bytes()


def encode_pictures(ffmpeg: str, to: Path, *, gop: int, frag_us: int) -> bytes:
    command = [ffmpeg, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=20"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", str(gop), "-keyint_min", str(gop)]
    command += ["-sc_threshold", "0", "-f", "mp4", "-movflags", "+cmaf+empty_moov", "-frag_duration", str(frag_us)]
    subprocess.run([*command, f"file:{to}"], check=True, timeout=GUARD_S)
    return to.read_bytes()


Frames = list[tuple[int, int, bytes]]


def frames(body: bytes) -> Frames:
    """(decode time, composition offset, bytes) of every frame of a body, or of an init section and segments."""
    found: Frames = []
    for fragment in FragmentReader(2**26).feed(body):
        if (table := getattr(fragment, "table", None)) is not None:
            at = fragment.media
            for start, size, shift in zip(fragment.starts(), table.sizes, table.shifts, strict=False):
                found.append((start, shift, fragment.data[at : at + size]))
                at += size
    return found


def published(origin: Running, track: str) -> tuple[Frames, list[float]]:
    """The frames of all that is listed, and the segments' durations."""
    playlist = origin.get(f"r/{track}/media.m3u8").text.splitlines()
    assert "#EXT-X-ENDLIST" in playlist and not any("DISCONTINUITY\n" in line for line in playlist)
    init = next(line for line in playlist if line.startswith("#EXT-X-MAP")).split('"')[1]
    names = [line for line in playlist if line.endswith(".m4s")]
    body = b"".join(origin.get(f"r/{track}/{name}").body for name in (init, *names))
    durations = [float(line[8:].rstrip(",")) for line in playlist if line.startswith("#EXTINF:")]
    return frames(body), durations


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize(
    "frag_us", [20_000, 500_000, 1_990_000, 2_000_000, 3_980_000, 4_020_000, 6_000_000, 60_000_000]
)
def test_sound_in_fragments_of_any_length(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path, rate: int, frag_us: int
) -> None:
    origin = origins(segment=4.0, window=60.0)
    body = encode(ffmpeg, tmp_path / "sound.mp4", rate=rate, frag_us=frag_us)
    assert origin.post("r/audio-64k.cmfa", body).status == 200
    out, durations = published(origin, "audio-64k")
    assert out == frames(body)
    assert durations[:4] == pytest.approx([4.0] * 4, abs=1024 / rate), "on a grid"
    assert sum(durations[:4]) == pytest.approx(16.0, abs=512 / rate)


@pytest.mark.parametrize("offset", [-0.02, 0.0, 0.02])
@pytest.mark.parametrize("frag_us", [500_000, 3_980_000, 6_000_000])
def test_sound_beside_pictures(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path, offset: float, frag_us: int
) -> None:
    """Both start about ten seconds in, the sound a few milliseconds before or after the pictures."""
    origin = origins(segment=4.0, window=60.0)
    sound = encode(ffmpeg, tmp_path / "sound.mp4", rate=48_000, frag_us=frag_us, offset=0.1 + offset)
    pictures = encode_pictures(ffmpeg, tmp_path / "pictures.mp4", gop=50, frag_us=frag_us)
    assert origin.post("r/90p.cmfv", pictures).status == 200
    assert origin.post("r/audio-64k.cmfa", sound).status == 200
    for track, body in (("90p", pictures), ("audio-64k", sound)):
        out, durations = published(origin, track)
        assert out == frames(body), track
        assert max(durations) < 4.5


def test_a_decode_time_before_zero_leaves_out_what_no_fragment_can_say(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path
) -> None:
    """Opus begins 312 samples early, and without shifting, ffmpeg writes 2^64 - 336 into `tfdt` (Jellyfin's 18049)."""
    opus = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "sine=r=48000:d=20",
        "-c:a",
        "libopus",
        "-f",
        "matroska",
    ]
    subprocess.run([*opus, f"file:{tmp_path / 'a.mkv'}"], check=True, timeout=GUARD_S)
    early = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        "-i",
        f"file:{tmp_path / 'a.mkv'}",
        "-c",
        "copy",
        "-copyts",
        "-f",
        "mp4",
    ]
    early += [
        "-avoid_negative_ts",
        "disabled",
        "-movflags",
        "+cmaf+empty_moov+frag_discont",
        "-frag_duration",
        "500000",
    ]
    subprocess.run([*early, f"file:{tmp_path / 'a.cmfa'}"], check=True, timeout=GUARD_S)
    body = (tmp_path / "a.cmfa").read_bytes()
    sent = frames(body)
    assert sent[0][0] == -336
    origin = origins(segment=4.0, window=60.0)
    assert origin.post("r/audio-64k.cmfa", body).status == 200
    assert published(origin, "audio-64k")[0] == sent[1:]
    (track,) = json.loads(origin.get("").text)["streams"][0]["tracks"]
    assert track["samples"] == {"received": len(sent), "published": len(sent) - 1, "refused": 1, "repeated": 0}
