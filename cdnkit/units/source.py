"""Which client addresses count as one source: what a bound on one client is a bound on."""

from ipaddress import IPv6Address, ip_address


def source_of(address: str) -> str:
    """Who an address belongs to: itself, or for IPv6 the network of 64 bits that one site has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return address
