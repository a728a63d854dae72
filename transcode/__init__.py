"""The encoder's side: one source in, a ladder of renditions out, as CMAF to an origin or as HLS to a
folder."""

from cdnkit.settings.ladder import LADDER, Rung, Track, choose, tracks
from cdnkit.settings.transcode import Stream
from transcode.errors import EncoderRefused, FfmpegMissing, OutputError, SourceError, TranscodeError

__all__ = [
    "LADDER",
    "EncoderRefused",
    "FfmpegMissing",
    "OutputError",
    "Rung",
    "SourceError",
    "Stream",
    "Track",
    "TranscodeError",
    "choose",
    "tracks",
]
