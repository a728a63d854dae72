"""What a worker is handed by its lead: settings as the lead read them, and what is shared, by file descriptor."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.settings.edge import Node, Whereabouts
from cdnkit.vendors import PROFILES
from edge.errors import EdgeError
from edge.services import Hosted


@dataclass
class UnknownProfile(EdgeError):
    """A profile that only this process knows: it has functions, which are handed to no other."""

    name: str

    def __str__(self) -> str:
        return f"workers: found the profile {self.name!r}, wanted one of {', '.join(PROFILES)}"


@dataclass(frozen=True)
class Commissioned:
    """One of the node's services."""

    name: str
    hostnames: tuple[str, ...]
    service: Service
    """With the node's part of the rules."""
    profile: str
    """Its name."""
    keys: dict[str, dict[str, str]]
    records: Path | None
    """The lead's file."""

    @classmethod
    def of(cls, one: Hosted, keys: dict[str, dict[str, str]], records: Path | None) -> "Commissioned":
        profile: Profile = one.profile
        if PROFILES.get(profile.name) is not profile:
            raise UnknownProfile(profile.name)
        return cls(one.name, one.hostnames, one.service, profile.name, keys, records)


@dataclass(frozen=True)
class Given:
    """What a lead makes its workers' commissions of."""

    node: Node
    geo: Whereabouts
    services: tuple[Commissioned, ...]
    clock: Callable[[], float]
    alt_svc: str
    """Sent with responses over TLS."""
    doors: tuple[tuple[socket.socket, ...], ...]
    """Of each worker, its listening sockets: for HTTP, and, if there is one, for HTTPS."""
    page: int
    """Descriptor of the memory with the changes."""


@dataclass(frozen=True)
class Commission:
    """All that a worker needs."""

    number: int
    """The lead is 1."""
    node: Node
    geo: Whereabouts
    services: tuple[Commissioned, ...]
    clock: Callable[[], float]
    """The lead's: a `Clock` goes on in another process where it was."""
    alt_svc: str
    blind: bytes
    """With what the lead blinds secrets in records: marks are equal where the secrets were."""
    log_level: int
    uvloop: bool
    doors: tuple[int, ...]
    """Descriptors of the listening sockets."""
    page: int
    """Descriptor of the memory with the changes."""
    link: int
    """Descriptor of the socket to the lead."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (self.link, self.page, *self.doors)
