"""Programs of others that read a URL, and what each of them decoded: the times of its pictures and of its sound.

| program | how it tells | pace |
|---|---|---|
| ffmpeg | its `framecrc` muxer: a line for each picture and each frame of sound | of playing, where the stream is live |
| mpv | the same muxer, of its encoding mode | as fast as it can |
| GStreamer, stored | a Matroska file of small raw pictures, which ffmpeg then lists | as fast as it can |
| GStreamer, live | its sinks' messages, of which some are lost: their number is only a count that the sinks keep to | of playing |
| streamlink | a file that it has ffmpeg make without decoding, which ffmpeg then lists | as fast as it can |
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from tests.outside.players.stage import RATE
from transcode.ffmpeg import find

STREAMLINK = Path(__file__).parent / ".venv" / "bin" / "streamlink"
PATIENCE_S = 60
"""For one run: a stored minute takes seconds, a live one as long as it is."""
SOUND_RATE = 48_000
SOUND_FRAME = 1024

_INIT_AGAIN = ["Found duplicated MOOV Atom"]
"""It reads the init section again each time it reloads a live playlist."""
_BROKEN_OFF = ["Packet corrupt", "Invalid NAL unit size", "missing picture in access unit", "PES packet size mismatch"]
"""It looks into all renditions, and leaves those that it does not play in the middle of a segment."""
KNOWN = {"ffmpeg": [*_INIT_AGAIN, *_BROKEN_OFF, "Last message repeated"], "mpv": _INIT_AGAIN}
"""Warnings that say nothing of the media."""


@dataclass
class Decoded:
    """What one program made of a URL. Times are in seconds, in order of presentation."""

    status: int
    complaints: list[str]
    """Its warnings and errors, without those that are known."""
    pictures: list[float] = field(default_factory=list)
    sound: list[float] = field(default_factory=list)
    """Where each frame of sound begins."""
    sound_end: float = 0.0


def _run(command: list[str], known: list[str]) -> Decoded:
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )
    lines = re.split(r"[\r\n]+", done.stderr)
    return Decoded(done.returncode, [one for one in lines if one.strip() and not any(word in one for word in known)])


def _ffmpeg(*arguments: str) -> list[str]:
    return [str(find().path), "-nostdin", "-hide_banner", "-v", "warning", "-y", *arguments]


def _listed(decoded: Decoded, listing: Path) -> Decoded:
    """With what a file of `framecrc` says: `stream, dts, pts, duration, size, crc`, in ticks of the stream."""
    ticks: dict[str, Fraction] = {}
    kinds: dict[str, str] = {}
    for line in listing.read_text().splitlines() if listing.exists() else ():
        if match := re.match(r"#tb (\d): (\d+/\d+)", line):
            ticks[match[1]] = Fraction(match[2])
        elif match := re.match(r"#media_type (\d): (\w+)", line):
            kinds[match[1]] = match[2]
        elif not line.startswith("#"):
            stream, _, pts, duration, *_ = (word.strip() for word in line.split(","))
            at = float(int(pts) * ticks[stream])
            if kinds[stream] == "video":
                decoded.pictures.append(at)
            else:
                decoded.sound.append(at)
                decoded.sound_end = at + float(int(duration) * ticks[stream])
    decoded.pictures.sort()
    return decoded


def ffmpeg(url: str, seconds: float | None, folder: Path) -> Decoded:
    listing = folder / "frames"
    live = ["-re"] if seconds else []
    enough = ["-t", str(seconds)] if seconds else []
    command = _ffmpeg(*live, "-i", url, "-map", "0:v:0", "-map", "0:a:0", *enough, "-f", "framecrc", str(listing))
    return _listed(_run(command, KNOWN["ffmpeg"]), listing)


def mpv(url: str, seconds: float | None, folder: Path) -> Decoded:
    listing = folder / "frames"
    command = ["mpv", "--no-config", "--msg-level=all=warn", "--of=framecrc", f"--o={listing}"]
    command += ["--ovc=rawvideo", "--oac=pcm_s16le", *([f"--length={seconds:g}"] if seconds else []), url]
    return _listed(_run(command, KNOWN["mpv"]), listing)


def gstreamer(url: str, seconds: float | None, folder: Path) -> Decoded:
    return _gstreamer_live(url, seconds) if seconds else _gstreamer_stored(url, folder)


def _gstreamer_stored(url: str, folder: Path) -> Decoded:
    file, listing = folder / "decoded.mkv", folder / "frames"
    pipeline = f"matroskamux name=m ! filesink location={file} uridecodebin3 name=d uri={url}"
    pipeline += " d. ! video/x-raw ! queue ! videoscale ! video/x-raw,width=64,height=36 ! videoconvert"
    pipeline += (
        " ! video/x-raw,format=I420 ! m. d. ! audio/x-raw ! queue ! audioconvert ! audio/x-raw,format=S16LE ! m."
    )
    decoded = _run(["gst-launch-1.0", "-q", *pipeline.split()], [])
    if decoded.status == 0:
        copy = ["-copyts", "-i", str(file), "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "framecrc", str(listing)]
        subprocess.run(_ffmpeg(*copy), check=True, capture_output=True, timeout=PATIENCE_S)
    return _listed(decoded, listing)


_SINK_TOLD = re.compile(r"GstFakeSink:(\w): last-message = chain .*? pts: (\d+):(\d+):([\d.]+),")


def _gstreamer_live(url: str, seconds: float) -> Decoded:
    """Ends well only if both sinks had as many buffers as `seconds` take."""
    pictures, frames = round(seconds * RATE), round(seconds * SOUND_RATE / SOUND_FRAME)
    pipeline = f"uridecodebin3 name=d uri={url}"
    for name, kind, count in (("v", "video", pictures), ("a", "audio", frames)):
        pipeline += f" d. ! {kind}/x-raw ! queue ! fakesink name={name} sync=true silent=false num-buffers={count}"
    command = ["gst-launch-1.0", "-v", *pipeline.split()]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )
    times: dict[str, set[float]] = {"v": set(), "a": set()}
    for name, hours, minutes, rest in _SINK_TOLD.findall(done.stdout):
        times[name].add(int(hours) * 3600 + int(minutes) * 60 + float(rest))
    sound = sorted(times["a"])
    decoded = Decoded(done.returncode, [line for line in done.stderr.splitlines() if line.strip()])
    decoded.pictures, decoded.sound = sorted(times["v"]), sound
    decoded.sound_end = sound[-1] + SOUND_FRAME / SOUND_RATE if sound else 0.0
    return decoded


def streamlink(url: str, seconds: float | None, folder: Path) -> Decoded:
    file, listing = folder / "stream.mkv", folder / "frames"
    protocol = "dash" if url.endswith(".mpd") else "hls"
    command = [str(STREAMLINK), "--no-config", "--no-plugin-sideloading", "--loglevel", "warning", "--force"]
    command += ["--ffmpeg-ffmpeg", str(find().path), "--output", str(file)]
    command += [*(["--stream-segmented-duration", f"{seconds:g}"] if seconds else []), f"{protocol}://{url}", "best"]
    decoded = _run(command, [])
    if decoded.status == 0:
        listed = _ffmpeg("-i", str(file), "-map", "0:v", "-map", "0:a", "-f", "framecrc", str(listing))
        done = subprocess.run(listed, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
        decoded.complaints += done.stderr.splitlines()
    return _listed(decoded, listing)


READERS: dict[str, Callable[[str, float | None, Path], Decoded]] = {
    "ffmpeg": ffmpeg,
    "mpv": mpv,
    "GStreamer": gstreamer,
    "streamlink": streamlink,
}


def missing(program: str) -> str:
    """Why a program cannot be run here; "": it can."""
    match program:
        case "mpv" if shutil.which("mpv") is None:
            return "there is no mpv"
        case "GStreamer":
            if shutil.which("gst-launch-1.0") is None:
                return "there is no gst-launch-1.0 (gstreamer1.0-tools)"
            for element in ("hlsdemux2", "dashdemux2", "souphttpsrc", "avdec_h264", "avdec_aac", "matroskamux"):
                if subprocess.run(["gst-inspect-1.0", "--exists", element], timeout=PATIENCE_S).returncode:
                    return f"GStreamer has no {element} (gstreamer1.0-plugins-good, gstreamer1.0-libav; 1.22 or newer)"
        case "streamlink" if not STREAMLINK.exists():
            return "`make players` installs streamlink"
    return ""
