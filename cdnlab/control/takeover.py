"""A distribution in place of the settings file: whether it can work, and which checks of viewers it drops."""

import asyncio
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from cdnkit.policy.rules.service import Behavior
from cdnkit.vendors.cloudfront.distribution import Translated

RESOLVED_WITHIN_S = 5.0
"""Seconds for the name server: the client that creates the distribution waits for it."""


@dataclass
class Unworkable(Exception):
    """A distribution that no node could serve."""

    why: str

    def __str__(self) -> str:
        return self.why


async def check_origins(distribution: Translated, nodes: Collection[tuple[str, int]]) -> None:
    """Raises `Unworkable` for an origin without an address, and for one that is a node of the lab itself.

    `nodes`: hosts and ports where nodes listen. An origin need not respond yet: it may start later.
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
            raise Unworkable(
                f"DomainName: found {parts.netloc!r}, which is a node of this lab: it would fetch from itself"
            )


async def _addresses(host: str, port: int | None) -> set[str]:
    async with asyncio.timeout(RESOLVED_WITHIN_S):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return {str(address[0]) for *_, address in found}


def _meet(target: str, listening: str) -> bool:
    """Whether a connection to one address reaches a listener on the other, at the same port.

    A connection to the unspecified address reaches this machine; a listener on it has all addresses of this machine.
    """
    if target == listening:
        return True
    return not UNSPECIFIED.isdisjoint((target, listening)) and _is_here(target) and _is_here(listening)


UNSPECIFIED = frozenset({"0.0.0.0", "::"})


def _is_here(address: str) -> bool:
    """Whether it is an address of this machine: no other can be bound."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def gates_lost(behaviors: Collection[Behavior], distribution: Translated) -> list[str]:
    """The checks of viewers that the settings file's behaviors make and the distribution does not, a line for each.

    A distribution checks no token, because key groups are refused, and has one geo restriction for all its behaviors.
    """
    lost = [f"token {one.token!r} of behavior {one.path!r}" for one in behaviors if one.token is not None]
    if all(one.geo is None for one in distribution.behaviors):
        lost += [f"geo of behavior {one.path!r}" for one in behaviors if one.geo is not None]
    return lost
