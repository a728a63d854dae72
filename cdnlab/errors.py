"""The errors that a person at the keyboard sees, and the exit status that a script sees."""

from dataclasses import dataclass, field

FAILED = 1
"""The command was tried, and failed."""

USAGE = 2
"""The command was not tried: the command line, the settings or the machine forbid it."""

UNFINISHED = 3
"""The purge order is in the log, and not yet carried out everywhere."""

INTERRUPTED = 130
"""Ctrl-C: 128 + SIGINT, as shells count it."""


class LabError(Exception):
    """Base of this package's errors. `str()` is the whole message for a terminal."""

    exit_status = FAILED


@dataclass(frozen=True)
class Complaint:
    """One thing wrong with a settings file."""

    line: int
    column: int
    where: str
    """The setting as people write its path: `behavior[1].ttl.min`."""
    found: str
    wanted: str
    hint: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.where}: found {self.found}, wanted {self.wanted}"
            if self.found
            else f"{self.where}: wanted {self.wanted}"
        )
        return f"{text}. {self.hint}" if self.hint else text


@dataclass
class BadDocument(LabError):
    """Everything wrong with one settings file, in the order of its lines."""

    file: str
    complaints: list[Complaint] = field(default_factory=list)

    exit_status = USAGE

    def __str__(self) -> str:
        return "\n".join(f"{self.file}:{one.line}:{one.column}: {one}" for one in self.complaints)


@dataclass
class BadUsage(LabError):
    """The command line is wrong, or names something that does not exist."""

    message: str
    hint: str = ""

    exit_status = USAGE

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}".rstrip()


@dataclass
class Failed(LabError):
    """Something was tried and did not work."""

    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}".rstrip()


@dataclass
class MissingExtra(LabError):
    """A command needs packages of an extra that is not installed."""

    module: str
    extra: str

    exit_status = USAGE

    def __str__(self) -> str:
        wanted = f"pip install 'cdnlab[{self.extra}]'"
        return f"this command needs the Python package {self.module!r}, which is not installed.\n{wanted}"


EXTRA_OF = {
    "av": "media",
    "imageio_ffmpeg": "ffmpeg",
    "iptocc": "geo",
    "maxminddb": "geo",
    "jwt": "tokens",
    "cwt": "tokens",
    "cbor2": "tokens",
    "locust": "load",
    "gevent": "load",
    "duckdb": "report",
    "plotly": "report",
    "brotli": "compress",
    "aiocache": "shared",
    "redis": "shared",
    "aiobotocore": "s3",
}
"""Top-level module -> the extra of cdnlab that installs it."""


def missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """The error that names the extra with the module that could not be imported; None if no extra has it."""
    module = (error.name or "").partition(".")[0]
    return MissingExtra(module, EXTRA_OF[module]) if module in EXTRA_OF else None


_REFUSALS = frozenset(
    {
        "PortInUse",
        "BadDatabase",
        "BadCertificate",
        "BadKeyFile",
        "BadStore",
        "BadLog",
        "BadTarget",
        "LocustMissing",
        "FfmpegMissing",
        "SourceError",
        "EncoderRefused",
    }
)
"""Errors of the other packages that mean USAGE: the settings or the machine forbid it."""


def exit_status(error: BaseException) -> int:
    """The exit status for an error."""
    status = getattr(error, "exit_status", None)
    if isinstance(status, int):
        return status
    return USAGE if type(error).__name__ in _REFUSALS else FAILED
