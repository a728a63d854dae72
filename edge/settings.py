"""What one cache node needs to know: where it listens, whom it asks, how long it waits."""

from ipaddress import ip_network
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from units import Bytes, ListenAddress, Seconds, Settings


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

    purge_delay: Seconds = Field(default=0.0, le=60.0)
    """How long after it was told the node carries a purge out: a real CDN's takes time to reach every node, Fastly's
    some 150 ms, CloudFront's seconds to minutes. The order is answered once it is carried out."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose `CDNLab-Client-IP` header is believed: how a load test stands in for viewers elsewhere."""

    @field_validator("trusted")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.largest > self.memory:
            raise ValueError("wanted largest <= memory")
        return self
