"""What can go wrong before and while viewers watch: each error says where, what was found, what was wanted."""

from dataclasses import dataclass


class LoadError(Exception):
    """Base of this package's errors."""


@dataclass
class BadPlaylist(LoadError):
    """A playlist that breaks RFC 8216."""

    line: int
    """Counted from 1; 0 when no one line is to blame."""
    found: str
    wanted: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "playlist"
        return f"{where}: found {self.found!r}, wanted {self.wanted}"


@dataclass
class BadTarget(LoadError):
    """An edge, network, mix or count the load test cannot be run with."""

    where: str
    found: object
    wanted: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found!r}, wanted {self.wanted}"


class LocustMissing(LoadError):
    """locust is an extra."""

    def __str__(self) -> str:
        return "locust is not installed; the load test needs it: pip install 'cdnlab[load]'"


@dataclass
class LoadFailed(LoadError):
    """The locust process ended without leaving its results."""

    exit_code: int
    last_lines: str

    def __str__(self) -> str:
        errors = self.last_lines or "(nothing on its standard error)"
        return f"the load generator ended with {self.exit_code} and left no results; its last lines:\n{errors}"
