"""A distribution in the place of the settings file: whether it can work, and which gates of the file it opens."""

import asyncio
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from cdnkit.policy.rules.service import Behavior
from cdnkit.vendors.cloudfront.distribution import Translated

RESOLVED_WITHIN_S = 5.0
"""Seconds that a name server has: the client who created the distribution waits for it."""


@dataclass
class Unworkable(Exception):
    """A distribution that no node could serve by."""

    why: str

    def __str__(self) -> str:
        return self.why


async def check_origins(distribution: Translated, nodes: Collection[tuple[str, int]]) -> None:
    """Raises `Unworkable` for an origin without an address, and for one that is a node of the lab itself.

    `nodes`: hosts and ports where nodes listen. That nobody answers at an origin yet is no reason: it may be started.
    """
    for origin in distribution.origins:
        parts = urlsplit(origin.url)
        try:
            found = await _addresses(parts.hostname or "", parts.port)
        except (OSError, UnicodeError, TimeoutError) as error:
            why = getattr(error, "strerror", None) or str(error) or f"no answer within {RESOLVED_WITHIN_S:g} s"
            raise Unworkable(f"DomainName: found {parts.hostname!r}, which has no address here: {why}") from None
        there = [one for host, port in nodes if port == parts.port for one in await _addresses(host, port)]
        if any(_meet(one, other) for one in found for other in there):
            raise Unworkable(f"DomainName: found {parts.netloc!r}, which is a node of this lab: it would ask itself")


async def _addresses(host: str, port: int | None) -> set[str]:
    async with asyncio.timeout(RESOLVED_WITHIN_S):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return {str(address[0]) for *_, address in found}


def _meet(asked: str, listening: str) -> bool:
    """Whether who connects to one address comes to who listens on the other, at the same port.

    To connect to the unspecified address is to come to this machine; to listen on it is to be at all of its addresses.
    """
    if asked == listening:
        return True
    return not UNSPECIFIED.isdisjoint((asked, listening)) and _is_here(asked) and _is_here(listening)


UNSPECIFIED = frozenset({"0.0.0.0", "::"})


def _is_here(address: str) -> bool:
    """Whether it is one of this machine's own: no other can be bound."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def gates_lost(behaviors: Collection[Behavior], distribution: Translated) -> list[str]:
    """What viewers had to show by the settings file's behaviors, and have not by the distribution's, a line for each.

    A distribution asks for no token, as key groups are refused; and it has one rule of places for all of its behaviors.
    """
    lost = [f"token {one.token!r} of behavior {one.path!r}" for one in behaviors if one.token is not None]
    if all(one.geo is None for one in distribution.behaviors):
        lost += [f"geo of behavior {one.path!r}" for one in behaviors if one.geo is not None]
    return lost
