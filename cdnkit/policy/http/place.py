"""Addresses, networks of them, and the place that one stands for.

The shell looks places up in databases; `cdnkit/policy/gate/geo.py` decides what they mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Generic, TypeVar

from cdnkit.policy.http.memo import memoized

Address = IPv4Address | IPv6Address

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is, as far as the databases know; unknown facts are empty."""

    country: str = ""
    """ISO 3166-1 alpha-2: "US"."""
    region: str = ""
    """The first-level subdivision, ISO 3166-2 without its country: "CA" of "US-CA"."""
    asn: int = 0
    """Number of the autonomous system that announces it (RFC 6793); 0: not known."""
    anonymous: bool = False
    """Known as an exit of a VPN, a proxy or Tor."""
    hosting: bool = False
    """Known as a hosting provider's: a machine rather than a person."""
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """(fact, its source), for `explain`: ("country", "iptocc 3.3.170")."""

    @property
    def name(self) -> str:
        """The narrowest name of where it is: "US-CA", "US", or "" when the country is not known."""
        return f"{self.country}-{self.region}" if self.region else self.country


NOWHERE = Place()


@memoized(65_536)
def address_of(text: str) -> Address | None:
    """The address, `::ffff:a.b.c.d` as its IPv4 address (RFC 4291 §2.5.5.2); None when the text is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_public(address: Address) -> bool:
    """Whether the address may be in use on the internet: of any other, databases know nothing."""
    return address.is_global and not address.is_multicast


class NetworkTable(Generic[V]):
    """Networks to values; the longest prefix wins. ValueError names a network that is none."""

    __slots__ = ("_prefixes",)

    def __init__(self, networks: Iterable[tuple[str, V]]) -> None:
        tables: dict[tuple[int, int], dict[int, V]] = {}
        for text, value in networks:
            network = ip_network(text)
            shift = network.max_prefixlen - network.prefixlen
            tables.setdefault((network.version, shift), {})[int(network.network_address) >> shift] = value
        self._prefixes: dict[int, list[tuple[int, dict[int, V]]]] = {
            version: sorted(((s, table) for (v, s), table in tables.items() if v == version), key=lambda one: one[0])
            for version in (4, 6)
        }
        """By IP version: (number of host bits, prefix -> value), the longest prefixes first."""

    def __bool__(self) -> bool:
        return any(self._prefixes.values())

    def get(self, address: Address) -> V | None:
        number = int(address)
        for shift, table in self._prefixes[address.version]:
            value = table.get(number >> shift)
            if value is not None:
                return value
        return None
