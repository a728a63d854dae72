"""The H.264 encoders, as descriptions of arguments: x264 on the CPU, NVENC on an NVIDIA card.

Both make the same structure: one closed GOP per segment, its IDR frame exactly at the segment's start, no
keyframe anywhere else, two B-frames, an average and highest rate equal to the rung's and a VBV buffer of two
seconds. So a fallback changes the encoder, and nothing that a player or the origin can see.
"""

import subprocess
from dataclasses import dataclass

from cdnkit.settings.ladder import Rung
from cdnkit.settings.transcode import EncoderName, Preset
from transcode.errors import EncoderRefused
from transcode.ffmpeg import Ffmpeg

_NVENC_PRESET: dict[Preset, str] = {
    "ultrafast": "p1", "superfast": "p2", "veryfast": "p3", "faster": "p4", "fast": "p4",
    "medium": "p5", "slow": "p6", "slower": "p7", "veryslow": "p7",
}  # fmt: skip

_X264_COST: dict[Preset, float] = {
    "ultrafast": 0.5, "superfast": 0.7, "veryfast": 1.0, "faster": 1.5, "fast": 1.7,
    "medium": 1.8, "slow": 3.2, "slower": 4.7, "veryslow": 6.8,
}  # fmt: skip

VBV_SECONDS = 2
"""VBV buffer in seconds of the rung's rate, as in the architecture notes (12M, 24M); Apple advises 1 to 2."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to make H.264."""

    name: str
    """As in the settings: `x264`, `nvenc`."""
    codec: str
    """ffmpeg's name: `libx264`, `h264_nvenc`."""

    def arguments(self, rung: Rung, *, gop_frames: int, preset: Preset) -> list[str]:
        """ffmpeg's output options for one rung, in an order that does not change."""
        gop = str(gop_frames)
        if self.name == "nvenc":
            # Without forced-idr its forced keyframes are plain I-frames, which no player can join at.
            own = ["-preset", _NVENC_PRESET[preset], "-rc", "vbr", "-forced-idr", "1", "-no-scenecut", "1"]
        else:
            own = ["-preset", preset, "-sc_threshold", "0"]
        return [
            "-c:v", self.codec, *own, "-profile:v", "high", "-bf", "2",
            "-g", gop, "-keyint_min", gop, "-flags", "+cgop",
            # By frame count, not by time: 3.84 s has no exact binary fraction, 96 frames have.
            "-force_key_frames", f"expr:gte(n,n_forced*{gop})",
            "-b:v", str(rung.video_bps), "-maxrate", str(rung.video_bps),
            "-bufsize", str(VBV_SECONDS * rung.video_bps),
        ]  # fmt: skip

    def relative_cost(self, preset: Preset) -> float:
        """CPU time as a multiple of x264 `veryfast`: measured with the test card at 720p, rounded up.

        NVENC's tenth is scaling and copying; it is an estimate.
        """
        return 0.1 if self.name == "nvenc" else _X264_COST[preset]


X264 = Encoder("x264", "libx264")
NVENC = Encoder("nvenc", "h264_nvenc")


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether an encoder works here."""

    usable: bool
    reason: str
    """ffmpeg's first error, or "ten frames encoded"."""


def probe_nvenc(ffmpeg: Ffmpeg) -> Probe:
    """Encodes ten frames with NVENC: being compiled in says nothing about card, driver and session limits."""
    if NVENC.codec not in ffmpeg.encoders:
        return Probe(usable=False, reason=f"this ffmpeg ({ffmpeg.version}) is built without {NVENC.codec}")
    rung = Rung("probe", 640, 360, 600_000, 64_000)
    command = [
        ffmpeg.path, "-hide_banner", "-nostdin", "-loglevel", "error",
        "-f", "lavfi", "-i", f"testsrc2=size={rung.width}x{rung.height}:rate=30", "-frames:v", "10",
        "-pix_fmt", "yuv420p", *NVENC.arguments(rung, gop_frames=5, preset="veryfast"), "-f", "null", "-",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Probe(usable=False, reason="ten frames took more than 20 s")
    if done.returncode == 0:
        return Probe(usable=True, reason="ten frames encoded")
    return Probe(usable=False, reason=first_error(done.stderr.splitlines(), done.returncode))


def first_error(lines: list[str], status: int) -> str:
    """The first error line of a failed run: the lines after it ("Error while opening encoder", ...) are its echoes."""
    for line in lines:
        if text := line.strip():
            # "[h264_nvenc @ 0x5581] Cannot load libcuda.so.1": the address is noise, the component is not.
            head, bracket, rest = text.partition("] ")
            return f"{head.lstrip('[').partition(' @')[0]}: {rest}" if bracket and head[0] == "[" else text
    return f"exit status {status} without a word"


def select(wanted: EncoderName, ffmpeg: Ffmpeg) -> tuple[Encoder, str]:
    """The encoder to use and why, in words; `EncoderRefused` if "nvenc" is wanted and does not work."""
    if wanted == "x264":
        return X264, "x264, as asked"
    probe = probe_nvenc(ffmpeg)
    if probe.usable:
        return NVENC, f"NVENC: {probe.reason}"
    if wanted == "nvenc":
        raise EncoderRefused(
            'encoder = "nvenc"',
            f"an NVENC that does not work ({probe.reason})",
            "ten frames to encode",
            'Use encoder = "auto" or "x264", or mend the driver.',
        )
    return X264, f"x264, because NVENC does not work here: {probe.reason}"
