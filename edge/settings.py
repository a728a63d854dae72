"""What one cache node needs to know: where it listens, whom it asks, how long it waits."""

from ipaddress import ip_network
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

import listening
from policy.limits import RequestLimits
from units import Bytes, ListenAddress, Seconds, Settings


class Timeouts(Settings):
    """How long the node waits for its parent. CloudFront waits 10/30/30 s, Fastly 1/15/10 s."""

    connect: Seconds = 2.0
    """For the TCP connection."""

    first_byte: Seconds = 15.0
    """From the request's last byte to the response's first."""

    between_bytes: Seconds = 10.0
    """Between two reads of a body."""


class Limits(listening.Limits):
    """How much of the node one client may take; docs/limits.md says what happens beyond, and what others do."""

    url: Bytes = Field(default=8 * 2**10, ge=256)
    """Path and query of a request; a longer one is refused with 414. CloudFront and Fastly take 8 KiB."""

    fields: int = Field(default=100, ge=10)
    """Field lines of a request; more are refused with 431. Apache takes 100, HAProxy 101, Varnish 64, Fastly 255."""

    content: Bytes = 2**30
    """A request's content; a larger one is refused with 413. It is passed on as it comes and never held, so it may be
    large; nginx takes 1 MiB unless told."""

    content_pause: Seconds = Field(default=60.0, gt=0)
    """How long a request's content may pause; beyond, 408. As nginx's `client_body_timeout`."""

    def of_requests(self) -> RequestLimits:
        """Those that the policy judges by."""
        return RequestLimits(url=self.url, head=self.head, fields=self.fields, content=self.content)


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

    limits: Limits = Limits()
    """How much one client may take, and how long."""

    connections: int = Field(default=256, ge=1)
    """Connections kept to the parent at most; fills beyond wait their turn."""

    parent_http: Literal["1.1", "2", "auto"] = "1.1"
    """How it speaks to its parent: "2" is HTTP/2 (over TLS by ALPN), "auto" lets TLS negotiate."""

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
