"""What one cache node needs to know: where it listens, whom it asks, how long it waits."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from policy.eviction import Eviction
from units import Bytes, ListenAddress, Seconds, Settings

FILE_BLOCK_BYTES = 4096
"""What a file takes on disk, it takes in blocks; those of ext4, XFS, APFS and NTFS are of this size by default."""


_DATABASE = re.compile(r"(/[0-9]{0,5})?")


class Timeouts(Settings):
    """How long the node waits for its parent. CloudFront waits 10/30/30 s, Fastly 1/15/10 s."""

    connect: Seconds = 2.0
    """For the TCP connection."""

    first_byte: Seconds = 15.0
    """From the request's last byte to the response's first."""

    between_bytes: Seconds = 10.0
    """Between two reads of a body."""


class Disk(Settings):
    """A folder in which stored responses outlive the node, with its memory in front of it."""

    path: Path
    """The folder, of this node alone; it is made if it is not there. What lies in it belongs to the node."""

    size: Bytes = 10 * 2**30
    """Room for stored responses on disk; `memory` then holds the bodies most in use."""


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
    """Room for stored responses; with `disk`, for the bodies most in use of those that are there."""

    disk: Disk | None = None
    """Keep stored responses on disk, too: `{ path = "cache/fra", size = "10GiB" }`. Left out: in memory only."""

    shared: str | None = None
    """A second tier that nodes share, asked on a miss before the parent: a Redis or Valkey server such as
    "redis://127.0.0.1:6379/0". Its death costs misses, never errors. Left out: none. Needs the extra `shared`."""

    eviction: Eviction = "lru"
    """Which stored response goes first when there is no more room: "lru" (least recently used), "lfu" (least often
    used), "fifo" (oldest), "sieve" or "s3-fifo" (what was asked for once goes soon)."""

    largest: Bytes = 64 * 2**20
    """A larger response streams through and is not stored."""

    timeouts: Timeouts = Timeouts()
    """How long it waits for its parent."""

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

    @field_validator("shared")
    @classmethod
    def _server(cls, url: str | None) -> str | None:
        if url is None or url.startswith("${"):
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or not _DATABASE.fullmatch(parts.path):
            raise ValueError('wanted a server such as "redis://127.0.0.1:6379/0"')
        return url

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.largest > self.memory:
            raise ValueError("wanted largest <= memory")
        if self.disk is not None and self.disk.size < self.memory:
            raise ValueError("wanted memory <= disk.size")
        return self

    def rules(self) -> dict[str, Any]:
        """What of it the machine must know: values of `policy.service.Service`."""
        rules = {"name": self.name, "room": self.memory, "largest": self.largest, "eviction": self.eviction}
        return rules if self.disk is None else rules | {"room": self.disk.size, "block": FILE_BLOCK_BYTES}
