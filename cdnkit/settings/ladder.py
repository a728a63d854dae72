"""The ladder: which renditions a stream has, their sizes and bit rates, and which audio goes with which.

Values only, no I/O, so that the origin can use the same track names. The video bit rate is also a rung's VBV limit
(see `encoders`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rung:
    """One video rendition of the ladder and the audio bit rate that suits it."""

    name: str
    """Its track name: `720p`."""
    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    video_bps: int
    """Average and highest video bit rate, bits per second."""
    audio_bps: int
    """Audio bit rate, bits per second."""


@dataclass(frozen=True, slots=True)
class Track:
    """One CMAF track: one encoder output, one POST to the origin."""

    name: str
    """`720p`, `audio-128k`: a path segment in every URL of the track."""
    kind: Literal["video", "audio"]
    bitrate_bps: int
    rung: Rung | None = None
    """The rung of a video track; None for audio."""

    @property
    def file_name(self) -> str:
        """Track name with CMAF's extension for its kind (ISO/IEC 23000-19): `720p.cmfv`,
        `audio-128k.cmfa`."""
        return f"{self.name}.{'cmfv' if self.kind == 'video' else 'cmfa'}"


LADDER: tuple[Rung, ...] = (
    Rung("2160p", 3840, 2160, 12_000_000, 192_000),
    Rung("1440p", 2560, 1440, 6_000_000, 192_000),
    Rung("1080p", 1920, 1080, 4_000_000, 128_000),
    Rung("720p", 1280, 720, 2_500_000, 128_000),
    Rung("480p", 854, 480, 1_000_000, 96_000),
    Rung("360p", 640, 360, 600_000, 64_000),
)
"""The default preset, tallest first."""

_BY_NAME = {rung.name: rung for rung in LADDER}

RUNG_NAMES: tuple[str, ...] = tuple(rung.name for rung in LADDER)

PIXELS_PER_CORE = 60_000_000
"""Pixels a second that one core encodes with x264 `veryfast`, with room to spare.

Measured: 69 to 86 million on one 2020s server core with the test card, which is kinder than most footage.
"""

ENCODER_SHARE = Fraction(1, 4)
"""Share of the cores that `auto` gives to the encoder; origin, shield, edges and viewers use the rest."""


def choose(
    wanted: Literal["auto"] | Sequence[str] = "auto",
    *,
    source: tuple[int, int] | None = None,
    cores: int = 2,
    frame_rate: int = 30,
    relative_cost: float = 1.0,
) -> tuple[Rung, ...]:
    """The rungs to encode, tallest first; never none.

    `source` is (width, height) in square pixels, None for one of any size (the test card). No rung is taller
    than the source, and widths follow its aspect ratio; a source smaller than the smallest wanted rung
    gives one rung of its own size and the bit rates of the preset's next smaller one. `auto` fills a quarter
    of `cores` from the smallest rung up, with `PIXELS_PER_CORE` divided by `relative_cost` (an encoder's
    CPU time as a multiple of x264 `veryfast`): 1 core 360p, 2 cores 480p, 4 cores 720p, 8 cores 1080p, 16
    cores 1440p, 32 cores 2160p, at 30 frames a second.

    Raises ValueError for a name that is not in the ladder.
    """
    if wanted == "auto":
        named = LADDER
    else:
        unknown = [name for name in wanted if name not in RUNG_NAMES]
        if unknown or not wanted:
            raise ValueError(f"{', '.join(map(repr, unknown)) or 'no rung'}: wanted some of {', '.join(RUNG_NAMES)}")
        named = tuple(rung for rung in LADDER if rung.name in wanted)

    rungs = named if source is None else tuple(_fit(rung, source) for rung in named if rung.height <= source[1])
    if not rungs:
        assert source is not None
        return (_own_rung(source),)
    return rungs if wanted != "auto" else _affordable(rungs, cores, frame_rate, relative_cost)


def _affordable(rungs: tuple[Rung, ...], cores: int, frame_rate: int, relative_cost: float) -> tuple[Rung, ...]:
    budget = float(cores * ENCODER_SHARE) * PIXELS_PER_CORE / relative_cost
    kept: list[Rung] = []
    for rung in reversed(rungs):
        budget -= rung.width * rung.height * frame_rate
        if kept and budget < 0:
            break
        kept.append(rung)
    return tuple(reversed(kept))


def _fit(rung: Rung, source: tuple[int, int]) -> Rung:
    width, height = source
    # A source of the ladder's own shape keeps the ladder's own width: 854x480 is not quite 16:9.
    if abs(width / height - rung.width / rung.height) < 0.01 and rung.width <= width:
        return rung
    return Rung(rung.name, _even(rung.height * width / height), rung.height, rung.video_bps, rung.audio_bps)


def _own_rung(source: tuple[int, int]) -> Rung:
    nearest = next((rung for rung in LADDER if rung.height <= source[1]), LADDER[-1])
    # Rounding up would be upscaling, by one row of pixels.
    width, height = (max(2, size - size % 2) for size in source)
    return Rung(f"{height}p", width, height, nearest.video_bps, nearest.audio_bps)


def _even(pixels: float) -> int:
    """H.264 in 4:2:0 has no odd sizes."""
    return max(2, 2 * round(pixels / 2))


def audio_name(bitrate_bps: int) -> str:
    """The name of the audio track of a bit rate: 128000 -> `audio-128k`."""
    return f"audio-{round(bitrate_bps / 1000)}k"


def audio_of(rung: Rung, shared_audio_bps: int | None = None) -> str:
    """The name of the audio track that plays with `rung`."""
    return audio_name(rung.audio_bps if shared_audio_bps is None else shared_audio_bps)


def tracks(rungs: Iterable[Rung], shared_audio_bps: int | None = None) -> tuple[Track, ...]:
    """Every track of a stream: one per rung, then one per distinct audio bit rate, highest first."""
    rungs = tuple(rungs)
    rates = {rung.audio_bps for rung in rungs} if shared_audio_bps is None else {shared_audio_bps}
    video = tuple(Track(rung.name, "video", rung.video_bps, rung) for rung in rungs)
    audio = tuple(Track(audio_name(rate), "audio", rate) for rate in sorted(rates, reverse=True))
    return video + audio


def rate_in_name(name: str) -> int:
    """The bit rate that a track's name says, bits per second: a rung's, or that at the end of `audio-128k`; else 0.

    For an origin that has only what was posted to it.
    """
    if (rung := _BY_NAME.get(name)) is not None:
        return rung.video_bps
    _, dash, digits = name.removesuffix("k").rpartition("-")
    return int(digits) * 1000 if dash and name.endswith("k") and re.fullmatch("[1-9][0-9]{0,3}", digits) else 0


def suited_audio_bps(name: str, height: int) -> int:
    """The audio bit rate that suits a video: its rung's, by its name; else that of the rung of its height or below."""
    own = _BY_NAME.get(name) or next((rung for rung in LADDER if rung.height <= height), LADDER[-1])
    return own.audio_bps
