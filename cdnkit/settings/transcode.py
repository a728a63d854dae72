"""The settings of one live stream: what comes in, which renditions go out, and how they are cut."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from cdnkit.settings import discretion
from cdnkit.settings.ladder import RUNG_NAMES
from cdnkit.units import BitsPerSecond, Offset, Seconds, Settings
from cdnkit.units.secret import Redaction

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
EncoderName = Literal["auto", "nvenc", "x264"]
SourceUrl = Annotated[str, Redaction(discretion.shown, partly=True)]


class Stream(Settings):
    """One live stream and how it is encoded."""

    name: str = Field(default="live", pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)
    """The stream's name: the first part of every URL path it is served under."""

    source: SourceUrl = Field(default="testcard", min_length=1)
    """"testcard", the path of a media file, or a URL that ffmpeg can read (rtmp://, srt://, rtsp://,
    https://)."""

    ladder: Literal["auto"] | tuple[str, ...] = "auto"
    """Rungs to encode: "auto" (as many as a quarter of the CPU cores can encode in real time), or a list from 2160p,
    1440p, 1080p, 720p, 480p, 360p. A rung taller than the source is left out: nothing is upscaled."""

    encoder: EncoderName = "auto"
    """"auto": NVENC if a trial encode of ten frames succeeds, else x264. "nvenc" and "x264" allow no other encoder."""

    preset: Preset = "veryfast"
    """x264's trade of speed against quality; with NVENC, the nearest of p1 to p7."""

    frame_rate: int = Field(default=30, ge=1, le=120)
    """Frames a second in every rung, a whole number; the source is converted to it."""

    segment: Seconds = Field(default=4.0, ge=0.5, le=30)
    """Segment duration, a whole number of frames. Every rung has a key frame at exactly this interval. Apple recommends
    6 s."""

    part: Seconds = Field(default=0.5, ge=0.04)
    """The longest video fragment pushed to the origin: the most that the origin lags behind the encoder."""

    audio: Literal["per-rung"] | BitsPerSecond = "per-rung"
    """"per-rung": each rung has the audio bit rate of the ladder. A bit rate: one audio rendition for all rungs."""

    loop: bool = True
    """A file restarts at its end, and the stream's timeline continues. False: the stream ends with the file."""

    duration: Seconds | None = Field(default=None, gt=0)
    """End the stream after this much media. Left out: the stream runs until it is stopped or its source ends."""

    @field_validator("ladder", mode="before")
    @classmethod
    def _known_rungs(cls, ladder: object) -> object:
        if ladder == "auto":
            return ladder
        known = f'wanted "auto" or a list of some of {", ".join(RUNG_NAMES)}'
        if isinstance(ladder, str) or not isinstance(ladder, list | tuple) or not ladder:
            raise ValueError(known)
        unknown = [name for name in ladder if name not in RUNG_NAMES]
        if unknown:
            raise ValueError(f"no rung {', '.join(map(repr, unknown))}; {known}")
        if len(set(ladder)) < len(ladder):
            raise ValueError("wanted each rung once")
        return ladder

    @field_validator("audio", mode="after")
    @classmethod
    def _audible(cls, audio: str | int) -> str | int:
        if isinstance(audio, int) and not 16_000 <= audio <= 512_000:
            raise ValueError('wanted "per-rung" or an AAC bit rate from 16kbit to 512kbit')
        return audio

    @model_validator(mode="after")
    def _cuts_on_frames(self) -> Self:
        frames = self.segment * self.frame_rate
        if abs(frames - round(frames)) > 1e-6:
            raise ValueError(
                f"segment {self.segment:g} s at {self.frame_rate} frames a second is {frames:g} frames; "
                "wanted a whole number"
            )
        if self.part > self.segment:
            raise ValueError(f"part is {self.part:g} s, segment {self.segment:g} s; wanted part <= segment")
        return self

    @property
    def gop_frames(self) -> int:
        """Frames of one segment, and of one closed GOP."""
        return round(self.segment * self.frame_rate)

    @property
    def shared_audio_bps(self) -> int | None:
        """The one audio bit rate, or None when each rung has its own."""
        return None if self.audio == "per-rung" else self.audio


class Packaging(Settings):
    """How a VOD is laid out in its folder."""

    single_file: bool = False
    """One file for each track, of which playlists and MPD name byte ranges; False: a file for each segment."""

    start: Offset | None = None
    """Where players begin (EXT-X-START): seconds from the beginning or, negative, from the end. Left out: their own
    choice."""

    start_precise: bool = False
    """Players show nothing of a segment that is before `start`."""
