"""From settings to a plan: which ffmpeg, encoder, source and rungs, and why each."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from cdnkit.settings.ladder import LADDER, Rung, Track, choose, tracks
from cdnkit.settings.transcode import Stream
from transcode import encoders, ffmpeg, source
from transcode.encoders import Encoder
from transcode.ffmpeg import Ffmpeg
from transcode.source import Source


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the command is made of; nothing in it is looked up again."""

    stream: Stream
    ffmpeg: Ffmpeg
    source: Source
    encoder: Encoder
    rungs: tuple[Rung, ...]
    """Tallest first; at least one."""
    notices: tuple[str, ...] = ()
    """What was decided and why, one sentence each."""

    @property
    def tracks(self) -> tuple[Track, ...]:
        return tracks(self.rungs, self.stream.shared_audio_bps)


def prepare(stream: Stream) -> Plan:
    """Finds the ffmpeg, probes source and encoder, chooses the rungs. Blocks for up to some seconds.

    Raises `FfmpegMissing`, `SourceError`, `EncoderRefused`.
    """
    binary = ffmpeg.find()
    probed = source.probe(stream.source)
    encoder, why = encoders.select(stream.encoder, binary)
    cores = usable_cores()
    rungs = choose(
        stream.ladder,
        source=probed.size,
        cores=cores,
        frame_rate=stream.frame_rate,
        relative_cost=encoder.relative_cost(stream.preset),
    )
    return Plan(stream, binary, probed, encoder, rungs, (why, *_notices(stream, probed, rungs, cores)))


def _notices(stream: Stream, probed: Source, rungs: tuple[Rung, ...], cores: int) -> list[str]:
    remarks: list[str] = []
    names = ", ".join(rung.name for rung in rungs)
    if stream.ladder == "auto":
        remarks.append(f"ladder: {names}, what a quarter of {cores} core{'s'[: cores > 1]} keeps up with")
    else:
        tall = [rung.name for rung in LADDER if rung.name in stream.ladder and rung not in rungs]
        tall = [name for name in tall if name not in {rung.name for rung in rungs}]
        if tall:
            size = f"{probed.width}x{probed.height}"
            remarks.append(f"ladder: {names}; left out {', '.join(tall)}: the source is {size}, nothing is upscaled")
    if probed.audio_index is None:
        remarks.append("the source has no audio: silence is encoded")
    return remarks


def usable_cores() -> int:
    """Cores this process may use: its affinity, and a container's CPU quota (cgroup v2) rounded up."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    return max(1, cores)
