"""WebVTT in CMAF (ISO/IEC 14496-30), as an encoder of subtitles sends it: no ffmpeg writes it."""

from dataclasses import dataclass
from itertools import pairwise

from origin.media.samples import Samples, box
from tests.unit.origin.media.test_tracks import init, packed

TIMESCALE = 48_000
"""Ticks a second, of `init`."""
_TRACK = 7


@dataclass(frozen=True)
class Shown:
    """A cue; times in seconds."""

    start: float
    end: float
    text: str
    identifier: str = ""
    settings: str = ""

    @property
    def box(self) -> bytes:
        named = box(b"iden", self.identifier.encode()) if self.identifier else b""
        placed = box(b"sttg", self.settings.encode()) if self.settings else b""
        return box(b"vttc", named + placed + box(b"payl", self.text.encode()))


def text_init(header: str = "WEBVTT", language: str = "deu") -> bytes:
    entry = box(b"wvtt", bytes(8) + box(b"vttC", header.encode()))
    return b"\0\0\0\x18ftypcmfc\0\0\0\0cmfciso6" + init(entry, b"text", language=packed(language), name=b"\0").data


def text_fragment(cues: list[Shown], start: float, end: float) -> bytes:
    """What is shown from `start` to `end` seconds: a sample for each stretch, empty where no cue is shown."""
    bounds = {start, end} | {at for cue in cues for at in (cue.start, cue.end) if start < at < end}
    edges = sorted(round(at * TIMESCALE) for at in bounds)
    media = []
    for first in edges[:-1]:
        at = first / TIMESCALE
        media.append(b"".join(one.box for one in cues if one.start <= at < one.end) or box(b"vtte", b""))
    durations = tuple(later - one for one, later in pairwise(edges))
    zeros = (0,) * len(media)
    samples = Samples(durations, tuple(map(len, media)), zeros, zeros)
    return samples.written(_TRACK, edges[0], b"".join(media))
