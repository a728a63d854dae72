"""What can go wrong around an edge, with the facts as attributes."""

from dataclasses import dataclass

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.retry import Reach


class EdgeError(Exception):
    """Base of the edge's errors."""


@dataclass
class UpstreamFailed(EdgeError):
    """An exchange with the parent failed."""

    why: Failure
    detail: str = ""
    reach: Reach = Reach.SENT

    def __str__(self) -> str:
        return f"{self.why.value}: {self.detail}" if self.detail else self.why.value


@dataclass
class BadKeyFile(EdgeError):
    """A token's key cannot be read, or is not a key."""

    where: str
    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.path!r} ({self.why}), wanted a key of the token's scheme."


@dataclass
class BadStore(EdgeError):
    """A disk store cannot be used."""

    where: str
    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.path!r} ({self.why}), wanted a folder of this node's own that it may write."


@dataclass
class BadCertificate(EdgeError):
    """A certificate or its key cannot be used."""

    where: str
    path: str
    why: str
    wanted: str = "a certificate and its key in PEM"

    def __str__(self) -> str:
        return f"{self.where}: found {self.path!r} ({self.why}), wanted {self.wanted}."
