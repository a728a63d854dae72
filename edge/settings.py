"""What one cache node needs to know: where it listens, whom it asks, how long it waits."""

from ipaddress import ip_network
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from policy.client import ClientField
from policy.geo import Kind, kind_of
from units import Bytes, ListenAddress, Seconds, Settings


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f'{error}; wanted networks such as "203.0.113.0/24"') from error
    return networks


class Whereabouts(Settings):
    """Where addresses are: databases, and tables of the lab's own, so that a laptop can have viewers in many countries.

    A table's word comes before a database's, and the longest prefix in a table wins.
    """

    databases: tuple[str, ...] = ("iptocc",)
    """What is asked, in this order: "iptocc" (country of allocation; the `geo` extra), and paths of MMDB files such as
    GeoLite2-City.mmdb. The first that knows a fact tells it."""

    countries: dict[str, str] = {}
    """Country of each network, ISO 3166-1 alpha-2, or region, ISO 3166-2: `{"203.0.113.0/24" = "DE"}`, `"US-CA"`."""

    asns: dict[str, int] = {}
    """Autonomous system of each network: `{"203.0.113.0/24" = 64500}`."""

    anonymous: tuple[str, ...] = ()
    """Networks that are exits of VPNs, proxies or Tor."""

    hosting: tuple[str, ...] = ()
    """Networks that are hosting providers'."""

    _networks = field_validator("anonymous", "hosting")(_networks)

    @field_validator("countries")
    @classmethod
    def _places(cls, countries: dict[str, str]) -> dict[str, str]:
        _networks(tuple(countries))
        for network, place in countries.items():
            if kind_of(place) not in (Kind.COUNTRY, Kind.REGION):
                raise ValueError(
                    f'{network} is in {place!r}; wanted an upper-case ISO 3166 code such as "DE" or "US-CA"'
                )
        return countries

    @field_validator("asns")
    @classmethod
    def _numbers(cls, asns: dict[str, int]) -> dict[str, int]:
        _networks(tuple(asns))
        for network, asn in asns.items():
            if not 0 < asn < 2**32:
                raise ValueError(f"{network} is in {asn}; wanted the number of an autonomous system, such as 64500")
        return asns


class Timeouts(Settings):
    """How long the node waits for its parent. CloudFront waits 10/30/30 s, Fastly 1/15/10 s."""

    connect: Seconds = 2.0
    """For the TCP connection."""

    first_byte: Seconds = 15.0
    """From the request's last byte to the response's first."""

    between_bytes: Seconds = 10.0
    """Between two reads of a body."""


class Node(Settings):
    """One cache node: an edge, or a shield when other nodes name it as their parent."""

    name: str = Field(pattern=r"[a-z][a-z0-9-]*", max_length=32)
    """Its name in `Via`, `Cache-Status`, records and reports."""

    listen: ListenAddress = "127.0.0.1:0"
    """Where viewers (or child nodes) reach it; port 0 takes any free port."""

    admin: ListenAddress = "127.0.0.1:0"
    """Where purge, explain and health are served. Keep it on loopback."""

    parent: str = "origin"
    """"origin", the name of another node, or a URL."""

    countries: tuple[str, ...] = ()
    """Countries whose viewers the load test sends here; empty: any."""

    memory: Bytes = 512 * 2**20
    """Room for stored responses; the least recently used go first."""

    largest: Bytes = 64 * 2**20
    """A larger response streams through and is not stored."""

    timeouts: Timeouts = Timeouts()
    """How long it waits for its parent."""

    connections: int = Field(default=256, ge=1)
    """Connections kept to the parent at most; fills beyond wait their turn."""

    parent_http: Literal["1.1", "2", "auto"] = "1.1"
    """How it speaks to its parent: "2" is HTTP/2 (over TLS by ALPN), "auto" lets TLS negotiate."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that are believed when they name the address of the viewer for whom they ask: load tests, proxies in
    front, and, at a shield, its edges."""

    client_from: tuple[ClientField, ...] | None = None
    """Fields in which `trusted` networks name it; the first that a request has counts. Name only what the proxies in
    front write themselves: what they pass on is the viewer's own. Left out: "CDNLab-Client-IP", and at a shield also
    "X-Forwarded-For", which its edges write."""

    _networks = field_validator("trusted")(_networks)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.largest > self.memory:
            raise ValueError("wanted largest <= memory")
        return self
