"""Who asks, and from which country: the client's address and what it tells.

A table of the settings' own rules first; then `iptocc` (country of allocation, data inside) where it is installed.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network

from policy.geo import CountryTable, address_of

logger = logging.getLogger("cdnlab.edge")

CLIENT_IP = "cdnlab-client-ip"
"""A request field by which a load test stands in for a viewer elsewhere; believed from trusted networks only."""


class Countries:
    """Addresses to ISO 3166-1 codes, "" where none is known."""

    def __init__(self, networks: Mapping[str, str], trusted: Sequence[str]) -> None:
        self._table = CountryTable(networks)
        self._trusted = [ip_network(network) for network in trusted]
        self._allocated = _iptocc()
        self.country_of = lru_cache(maxsize=65_536)(self._country_of)
        self.is_trusted = lru_cache(maxsize=4096)(self._is_trusted)

    def client(self, peer: str, claimed: str | None) -> str:
        """The address a request counts for: its peer's, or the one a trusted peer names."""
        if claimed is None or not self.is_trusted(peer):
            return peer
        address = address_of(claimed.strip())
        return peer if address is None else str(address)

    def _is_trusted(self, peer: str) -> bool:
        address = address_of(peer)
        return address is not None and any(address in network for network in self._trusted)

    def _country_of(self, ip: str) -> str:
        address = address_of(ip)
        if address is None:
            return ""
        found = self._table.country_of(address)
        if found is None and self._allocated is not None and address.is_global:
            found = self._allocated(str(address))
        return found or ""


def _iptocc() -> Callable[[str], str | None] | None:
    try:
        from iptocc import country_code
    except ImportError:
        logger.info("geo: iptocc is not installed (pip install 'cdnlab[geo]'): only the settings' table is known")
        return None
    found: Callable[[str], str | None] = country_code
    return found
