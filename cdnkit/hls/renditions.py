"""What a multivariant playlist is made of: one value for each track of a stream, live or VOD."""

from dataclasses import dataclass

from cdnkit.hls.rates import Rates


@dataclass(frozen=True, slots=True)
class Rendition:
    """One track."""

    name: str
    """Of the track: no other track of the stream has it."""
    uri: str
    """Of its media playlist, relative to the multivariant playlist."""
    codec: str
    """RFC 6381."""
    rates: Rates


@dataclass(frozen=True, slots=True)
class IFrames:
    """A video's I-frame playlist (`i_frames.py`)."""

    uri: str
    """Relative to the multivariant playlist."""
    rates: Rates


@dataclass(frozen=True, slots=True)
class Video(Rendition):
    """Pictures."""

    width: int
    height: int
    frame_rate: float = 0.0
    """The highest; 0: not known."""
    video_range: str = ""
    """SDR, HLG or PQ; "": not known."""
    audio_bps: int | None = None
    """The bit rate of the sound that suits it; None: the richest that there is."""
    i_frames: IFrames | None = None
    """None: it has no I-frame playlist."""


@dataclass(frozen=True, slots=True)
class Alternative(Rendition):
    """What a viewer chooses by language and name: sound, subtitles."""

    language: str = ""
    """BCP 47; "": not known."""
    label: str = ""
    """A name for people, from the encoder; "": it gives none."""
    role: str = ""
    """DASH's word (ISO/IEC 23009-1 5.8.5.5), such as `main`, `commentary`, `description`; "": none is given."""


@dataclass(frozen=True, slots=True)
class Audio(Alternative):
    """Sound."""

    channels: int = 2
    declared_bps: int = 0
    """What its encoder was set to: tells encodings of one rendition apart. 0: not known."""
    enabled: bool = True
    """False: the encoder says that it is not to be played by default."""


@dataclass(frozen=True, slots=True)
class Subtitles(Alternative):
    """Text in tracks of its own."""


def video_range(transfer: int) -> str:
    """VIDEO-RANGE of a TransferCharacteristics code point (ITU-T H.273); "" where the HLS draft names none for it."""
    if transfer in (1, 6, 13, 14, 15):
        return "SDR"
    return {16: "PQ", 18: "HLG"}.get(transfer, "")
