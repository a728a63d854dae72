"""The identity of a virtual viewer: an address in its edge's country, a session id.

On loopback every viewer is 127.0.0.1, which no country is known for. A load test therefore names an address
in `CDNLab-Client-IP`, which a node believes from its trusted networks only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from loadtests.errors import BadTarget

# One network of each country, all of whose addresses the regional registries have allocated there (a test
# asks iptocc). Only labels: nothing is ever sent to them.
NETWORKS: dict[str, str] = {
    "AE": "91.72.0.0/16", "AR": "186.60.0.0/16", "AT": "138.22.0.0/16", "AU": "124.179.0.0/16",
    "BE": "94.111.0.0/16", "BR": "187.39.0.0/16", "CA": "142.52.0.0/16", "CH": "145.232.0.0/16",
    "CL": "186.79.0.0/16", "CN": "116.227.0.0/16", "CO": "186.112.0.0/16", "CZ": "93.171.0.0/16",
    "DE": "89.15.0.0/16", "DK": "87.54.0.0/16", "EG": "154.188.0.0/16", "ES": "85.61.0.0/16",
    "FI": "141.208.0.0/16", "FR": "90.47.0.0/16", "GB": "86.7.0.0/16", "GR": "85.74.0.0/16",
    "HK": "147.8.0.0/16", "HU": "91.104.0.0/16", "ID": "110.139.0.0/16", "IE": "57.222.0.0/16",
    "IL": "89.139.0.0/16", "IN": "117.217.0.0/16", "IT": "91.81.0.0/16", "JP": "133.191.0.0/16",
    "KE": "154.78.0.0/16", "KR": "122.35.0.0/16", "MX": "189.129.0.0/16", "MY": "124.82.0.0/16",
    "NG": "105.118.0.0/16", "NL": "145.23.0.0/16", "NO": "139.114.0.0/16", "NZ": "125.239.0.0/16",
    "PH": "119.93.0.0/16", "PL": "83.238.0.0/16", "PT": "94.62.0.0/16", "RO": "88.158.0.0/16",
    "SA": "89.5.0.0/16", "SE": "95.196.0.0/16", "SG": "43.99.0.0/16", "TH": "124.122.0.0/16",
    "TR": "88.247.0.0/16", "TW": "120.107.0.0/16", "UA": "92.112.0.0/16", "US": "74.17.0.0/16",
    "VN": "113.173.0.0/16", "ZA": "152.109.0.0/16",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """One edge that viewers are sent to."""

    name: str
    url: str
    """Scheme and authority: "http://127.0.0.1:8081"."""
    networks: tuple[str, ...] = ()
    """Its viewers' addresses are taken from these networks; empty: viewers send no address."""


def networks_of(countries: tuple[str, ...], table: Mapping[str, str]) -> tuple[str, ...]:
    """Networks viewers of these countries or regions come from: the lab's own (`table`: CIDR -> place) first.

    Raises `BadTarget` for a country that neither knows.
    """
    found: list[str] = []
    for country in countries:
        own = [network for network, there in table.items() if country in (there, there.partition("-")[0])]
        if not own and country not in NETWORKS:
            wanted = "a country with a network in [geo] countries, or one of " + " ".join(sorted(NETWORKS))
            raise BadTarget("countries", country, wanted)
        found += own or [NETWORKS[country]]
    return tuple(found)


def address(networks: tuple[str, ...], index: int) -> str:
    """The address of viewer `index`, "" without networks; viewers take turns over the networks.

    Neighbours get addresses far apart, and none gets a network or broadcast address where there is room.
    """
    if not networks:
        return ""
    net: IPv4Network | IPv6Network = ip_network(networks[index % len(networks)])
    room = net.num_addresses
    if room <= 2:
        return str(net[index % room])
    # A step with no factor in common with the room visits every address before any comes again.
    return str(net[1 + (index // len(networks)) * 7919 % (room - 2)])


def session_id(seed: int, viewer: str) -> str:
    """A UUID, as CTA-5004 recommends for `sid`; the same for the same seed and viewer."""
    return str(uuid5(UUID(int=seed), viewer))


def _is_listener(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no IPv6 address, no port
        return False


def parse_target(text: str) -> Target:
    """`fra=http://127.0.0.1:8081` or `fra=http://127.0.0.1:8081=89.15.0.0/16,90.47.0.0/16` -> Target."""
    name, _, rest = text.partition("=")
    url, _, networks = rest.partition("=")
    if not name or not _is_listener(url):
        raise BadTarget("--edge", text, "name=url or name=url=network,network, such as fra=http://127.0.0.1:8081")
    chosen = tuple(part for part in networks.split(",") if part)
    for network in chosen:
        try:
            ip_network(network)
        except ValueError as error:
            raise BadTarget(f"--edge {name}", network, "a network such as 203.0.113.0/24") from error
    return Target(name, url.rstrip("/"), chosen)
