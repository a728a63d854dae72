"""What can go wrong before or while encoding: each error says where, what was found, and what was wanted."""


class TranscodeError(Exception):
    """Base of this package's errors."""

    def __init__(self, where: str, found: str, wanted: str, hint: str = "") -> None:
        super().__init__(where, found, wanted, hint)
        self.where = where
        self.found = found
        self.wanted = wanted
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}, wanted {self.wanted}. {self.hint}".rstrip(" ")


class FfmpegMissing(TranscodeError):
    """No ffmpeg on this machine is new enough and has the encoders needed."""


class SourceError(TranscodeError):
    """The source does not exist, cannot be read, or has no video."""


class EncoderRefused(TranscodeError):
    """The encoder asked for by name does not work here."""


class OutputError(TranscodeError):
    """The folder for a VOD rendition cannot take it, or ffmpeg failed while writing it."""
