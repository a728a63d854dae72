"""What can go wrong at the origin, each with where, what was found and what was wanted."""

from dataclasses import dataclass
from typing import ClassVar

from cdnkit.units import visible


def printable(text: str, most: int = 300) -> str:
    """A text that a client chose, made safe for a log and a terminal: one line of at most `most` characters."""
    return visible(text) if len(text) <= most else f"{visible(text[:most])}..."


class OriginError(Exception):
    """The base of this package's errors; `str()` of one is a sentence for a person."""


@dataclass
class BadMedia(OriginError):
    """Bytes that are not the media they should be."""

    status: ClassVar[int] = 400
    """With which a request that brought them is refused (DASH-IF ingest 1.2)."""

    where: str
    """Byte offset in the request body and the box there: `byte 2048, moof/traf/trun`."""
    found: str
    wanted: str

    def __str__(self) -> str:
        return printable(f"{self.where}: found {self.found}, wanted {self.wanted}.", 600)


class NeedsInit(BadMedia):
    """A fragment without its init section: the source is to send that again."""

    status = 412


class NotSupported(BadMedia):
    """Media of a container or a codec that is not taken."""

    status = 415


class TooLarge(BadMedia):
    """More bytes, or samples, than are taken at once."""

    status = 413


@dataclass
class NoRoom(OriginError):
    """One stream, track or request too many."""

    status: ClassVar[int] = 429

    where: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}, all in use, wanted {self.wanted}."


@dataclass
class StorageFailed(OriginError):
    """A file that could not be written; what was stored before is untouched."""

    where: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}, wanted {self.wanted}."


class Refused(OriginError):
    """An ingest request that is refused, with a status and a sentence for the person behind the encoder."""

    def __init__(self, status: int, text: str, **fields: str | tuple[str, ...]) -> None:
        """`fields`: fields of the response, such as `allow="PUT"`, `retry_after="1"`; a tuple has a line for each."""
        super().__init__(text)
        self.status = status
        self.fields = [
            (name.replace("_", "-"), value)
            for name, values in fields.items()
            for value in ((values,) if isinstance(values, str) else values)
        ]
