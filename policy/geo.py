"""Countries: which one an address belongs to, by a table of networks, and whether a rule serves it."""

from bisect import bisect_right
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from policy.service import Geo


class CountryTable:
    """Networks to ISO 3166-1 codes; the longest prefix wins. ValueError names a network that is none."""

    def __init__(self, networks: Mapping[str, str]) -> None:
        self._tables: dict[int, list[tuple[int, int, int, str]]] = {4: [], 6: []}
        for text, country in networks.items():
            network = ip_network(text)
            first, last = int(network.network_address), int(network.broadcast_address)
            self._tables[network.version].append((first, last, network.prefixlen, country))
        for table in self._tables.values():
            table.sort()

    def country_of(self, address: IPv4Address | IPv6Address) -> str | None:
        table = self._tables[address.version]
        number = int(address)
        # Nested networks begin at or before the address: walk back until none that contains it can follow.
        best: tuple[int, str] | None = None
        for first, last, prefix, country in reversed(table[: bisect_right(table, (number, 2**129, 0, ""))]):
            if first <= number <= last and (best is None or prefix > best[0]):
                best = (prefix, country)
        return best[1] if best else None


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address, `::ffff:a.b.c.d` unwrapped to its IPv4 self; None when it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def why_refused(rule: Geo, country: str) -> str | None:
    """The reason to refuse a viewer from `country` ("" unknown), or None to serve."""
    if not country:
        return "country unknown" if rule.unknown == "deny" else None
    if rule.allow and country not in rule.allow:
        return f"{country} is not allowed"
    if country in rule.deny:
        return f"{country} is denied"
    return None
