"""The settings of one cache node: listeners, parents, stores and limits."""

import re
import sys
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from cdnkit import serving as listening
from cdnkit.policy.gate.limits import RequestLimits
from cdnkit.policy.http.client import ClientField
from cdnkit.policy.rules.eviction import Eviction
from cdnkit.policy.rules.parent_headers import ParentHeaders
from cdnkit.policy.rules.places import PlaceKind, kind_of
from cdnkit.policy.rules.profile import Waits
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.upstream import health, link
from cdnkit.policy.upstream.failover import MAY_NAME
from cdnkit.settings.certificate import Certificate
from cdnkit.units import (
    BitsPerSecond,
    Bytes,
    ListenAddress,
    Seconds,
    Secret,
    SecretUrl,
    ServerUrl,
    Settings,
    Share,
    is_loopback,
)
from cdnkit.units.quantities import write_bytes


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f'{error}; wanted networks such as "203.0.113.0/24"') from error
    return networks


class Whereabouts(Settings):
    """Where addresses are located: databases, and tables of the lab's own, so that a laptop can have viewers in many
    countries.

    A table takes precedence over a database, and in a table the longest prefix wins.
    """

    databases: tuple[str, ...] = ("iptocc",)
    """Databases, in order of precedence: "iptocc" (country of allocation; the `geo` extra), and paths of MMDB files
    such as GeoLite2-City.mmdb. Each fact comes from the first database that has it."""

    countries: dict[str, str] = {}
    """Country (ISO 3166-1 alpha-2) or region (ISO 3166-2) of each network: `{"203.0.113.0/24" = "DE", "198.51.100.0/24"
    = "US-CA"}`."""

    asns: dict[str, int] = {}
    """Autonomous system number of each network: `{"203.0.113.0/24" = 64500}`."""

    anonymous: tuple[str, ...] = ()
    """Networks of VPN, proxy and Tor exits."""

    hosting: tuple[str, ...] = ()
    """Networks of hosting providers."""

    _networks = field_validator("anonymous", "hosting")(_networks)

    @field_validator("countries")
    @classmethod
    def _places(cls, countries: dict[str, str]) -> dict[str, str]:
        _networks(tuple(countries))
        for network, place in countries.items():
            if kind_of(place) not in (PlaceKind.COUNTRY, PlaceKind.REGION):
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


FILE_BLOCK_BYTES = 4096
"""A file occupies whole blocks on disk; by default ext4, XFS, APFS and NTFS use this block size."""


_DATABASE = re.compile(r"(/[0-9]{0,5})?")


def check_server(url: str) -> str:
    """The URL of a Redis or Valkey server; ValueError for another."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:  # no IPv6 address, no port
        fits = False
    if not fits or not _DATABASE.fullmatch(parts.path):
        raise ValueError('wanted a server such as "redis://127.0.0.1:6379/0"')
    return url


def _too_small(name: str, size: int, other: str, least: int) -> str:
    """What was found where one size is below another, and what was probably meant where a unit seems to be missing."""
    text = f"{name} is {write_bytes(size)}, less than {other}, {write_bytes(least)}"
    if not 0 < size < FORGOTTEN_BYTES:
        return text
    return f'{text}: a number without a unit counts bytes, and {name} = "{size}MiB" was probably meant'


FORGOTTEN_BYTES = 64 * 1024
"""No real store is smaller than this many bytes; many have this many mebibytes."""


class Timeouts(Settings):
    """How long the node waits for its parent, and how often it tries. A key that is left out has the profile's value.

    connect / first byte / between bytes: rfc9111 2 s / 15 s / 10 s, cloudfront 10 s / 30 s / 30 s in 3 attempts,
    fastly 1 s / 15 s / 10 s.
    """

    connect: Seconds | None = None
    """Time for the TCP connection and the TLS handshake, in each attempt."""

    first_byte: Seconds | None = None
    """Time from the request's last byte to the response's first byte."""

    between_bytes: Seconds | None = None
    """Time between two reads of a response body."""

    attempts: int | None = Field(default=None, ge=1, le=10)
    """Attempts to connect, the first included."""

    retry_reads: bool | None = None
    """Whether a GET or HEAD is sent again, up to `attempts` times in all, when the first byte does not arrive in
    time."""

    def waits(self, profile: Waits) -> Waits:
        """The profile's values, with those set here in their place."""
        return replace(profile, **{name: value for name, value in self if value is not None})


class Failover(Settings):
    """Parents to try when the one before fails: CloudFront's origin group. For GET, HEAD and OPTIONS.

    A parent fails when it cannot be reached, does not respond in time or in HTTP, or responds with one of `statuses`.
    Each request starts with the first parent.
    """

    to: tuple[ServerUrl, ...] = ()
    """Further parents, in the order in which they are tried: "origin", names of nodes, or URLs."""

    statuses: tuple[int, ...] = (500, 502, 503, 504)
    """Statuses at which the next parent is tried: any of 400, 403, 404, 416, 500, 502, 503 and 504."""

    @field_validator("statuses")
    @classmethod
    def _may_be_named(cls, statuses: tuple[int, ...]) -> tuple[int, ...]:
        wrong = sorted(set(statuses) - MAY_NAME)
        if wrong:
            some = ", ".join(map(str, sorted(MAY_NAME)))
            raise ValueError(f"wanted some of {some}; not {', '.join(map(str, wrong))}")
        return statuses


class HealthCheck(Settings):
    """A periodic request to each parent. The defaults are those of a Fastly health check."""

    path: str | None = Field(default=None, pattern=r"/[!-~]*")
    """URL path of the check, such as "/healthz". Left out: no checks."""

    method: Literal["HEAD", "GET"] = "HEAD"
    """Method of the check."""

    status: int = Field(default=200, ge=200, le=599)
    """Status that a healthy parent returns."""

    interval: Seconds = Field(default=5.0, gt=0)
    """Time from the start of one check to the start of the next."""

    timeout: Seconds = Field(default=5.0, gt=0)
    """A check without a response within this time has failed."""

    window: int = Field(default=5, ge=1, le=64)
    """How many of the latest results count."""

    threshold: int = Field(default=3, ge=1, le=64)
    """A parent is healthy while at least this many of the latest results are good."""

    initial: int = Field(default=3, ge=0, le=64)
    """Good results that are assumed at the start."""

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if max(self.threshold, self.initial) > self.window:
            found = f"threshold is {self.threshold}, initial is {self.initial}, window is {self.window}"
            raise ValueError(f"{found}; wanted threshold <= window and initial <= window")
        return self


class Health(Settings):
    """When a parent counts as sick. A sick parent is skipped: the next one is tried, or a stale response is served at
    once."""

    failures: int = Field(default=0, ge=0, le=1000)
    """Consecutive failures that make a parent sick (no connection, no response in time, 502, 503, 504). 0: failures
    never do."""

    within: Seconds = 10.0
    """The period within which these failures occur."""

    rest: Seconds = 10.0
    """How long a sick parent is skipped. One request then probes it, and a good response makes it healthy."""

    check: HealthCheck = HealthCheck()
    """Health checks. On their own they make a parent sick and healthy again."""

    def new(self) -> health.Health:
        """The health of one parent."""
        check = self.check
        return health.Health(
            health.Ejection(self.failures, self.within, self.rest) if self.failures else None,
            health.Checks(check.window, check.threshold, check.initial) if check.path is not None else None,
        )


class Link(Settings):
    """A simulated network link to the parents, shared by the node's connections. With no key set there is none, at no
    cost."""

    latency: Seconds = 0.0
    """One-way delay. Opening a connection takes a round trip, with TLS two."""

    jitter: Seconds = 0.0
    """The most by which a delay is longer or shorter than `latency`."""

    bandwidth: BitsPerSecond | None = Field(default=None, ge=1000)
    """Bandwidth in each direction. Left out: unlimited."""

    loss: Share = 0.0
    """Share of packets that are lost. A lost packet stalls its own connection for one retransmission timeout."""

    def new(self, seed: str) -> link.Link | None:
        """The link, with random choices from the seed; None if there is none."""
        wire = link.Wire(self.latency, self.jitter, float(self.bandwidth or 0), self.loss)
        return link.Link(wire, Random(seed)) if wire != link.Wire() else None


class Limits(listening.ListenerLimits):
    """How much of the node one client may use; docs/limits.md says what happens beyond, and what other servers do."""

    url: Bytes = Field(default=8 * 2**10, ge=256)
    """Size of a request's path and query. A larger one is refused with 414. CloudFront and Fastly accept 8 KiB."""

    fields: int = Field(default=256, ge=10)
    """Number of field lines in a request. More are refused with 431. The default is above what any profile accepts
    (Fastly 255), so that the profile's own limit applies; Apache accepts 100, HAProxy 101, Varnish 64."""

    content: Bytes = 2**30
    """Size of a request's content. A larger one is refused with 413. The node forwards content as it arrives and never
    holds it, so the limit may be large; nginx's default is 1 MiB."""

    content_pause: Seconds = Field(default=60.0, gt=0)
    """The longest pause in a request's content; a longer one gets 408. As nginx's `client_body_timeout`."""

    def of_requests(self) -> RequestLimits:
        """The limits that the policy checks."""
        return RequestLimits(url=self.url, head=self.head, fields=self.fields, content=self.content)


class Disk(Settings):
    """A folder in which stored responses survive a restart; the node's memory is in front of it."""

    path: Path
    """The folder, used by this node only; it is created if it does not exist. Everything in it belongs to the node."""

    size: Bytes = 10 * 2**30
    """Room for stored responses on disk; `memory` then holds the bodies most in use."""


class Node(Settings):
    """A cache node: a shield if other nodes name it as their parent, else an edge."""

    name: str = Field(pattern=r"[a-z][a-z0-9-]*", max_length=32)
    """The node's name in `Via`, `Cache-Status`, records and reports."""

    listen: ListenAddress = "127.0.0.1:0"
    """Address for HTTP, for viewers or child nodes; port 0 picks a free port."""

    listen_tls: ListenAddress | None = None
    """Address for HTTPS (HTTP/1.1 and HTTP/2), beside `listen`. Left out: no HTTPS."""

    front: bool = True
    """Plain requests, and all of HTTP/2, are answered by a front of our own, a hit in a tenth of the time; false leaves
    every request to hypercorn, and no response differs."""

    workers: int = Field(default=1, ge=1, le=64)
    """Processes that serve the node, one for each core that it is to use; docs/workers.md says what they share. More
    than one need Linux, and `front`."""

    http3: bool = False
    """Whether to serve HTTP/3, too, on the UDP port of `listen_tls`; `Alt-Svc` announces it."""

    tls: Literal["local"] | Certificate = "local"
    """Certificates of `listen_tls`: "local", from the local CA that `cdnlab ca` makes, or a pair of your own: `{
    certificate = "tls/cdn.pem", key = "tls/cdn-key.pem" }`."""

    admin: ListenAddress = "127.0.0.1:0"
    """Address for purge, explain and health: on loopback, or with an `admin_token`."""

    admin_token: Secret | None = Field(default=None, pattern=r"^[ -~]+$")
    """Token that purge and explain require, as `Authorization: Bearer TOKEN`; `cdnlab purge` and `cdnlab explain` read
    it from the environment variable CDNLAB_ADMIN_TOKEN. Left out: none is required, and `admin` must be on loopback."""

    admin_hosts: tuple[listening.HostName, ...] = ()
    """Host names by which clients reach `admin`, besides IP addresses, localhost and this machine's own names. A
    request for another host is refused with 421, because a web page can point its own name here (DNS rebinding)."""

    parent: ServerUrl = "origin"
    """The next tier: "origin", the name of another node, or a URL."""

    failover: Failover = Failover()
    """Parents to try when the parent fails."""

    health: Health = Health()
    """When a parent counts as sick and is skipped for a while."""

    link: Link = Link()
    """A simulated network link to the parents."""

    countries: tuple[str, ...] = ()
    """Countries whose viewers the load test sends to this node; empty: any."""

    memory: Bytes = 512 * 2**20
    """Room for stored responses; with `disk`, for those of its bodies that are most in use. Several services each get
    an equal part of it, and of `disk`."""

    disk: Disk | None = None
    """Store responses on disk, too: `{ path = "cache/fra", size = "10GiB" }`. Left out: in memory only."""

    shared: SecretUrl | None = None
    """A second tier that nodes share, queried on a miss before the parent: a Redis or Valkey server such as
    "redis://127.0.0.1:6379/0". Its failure causes misses, never errors. Left out: none. Needs the extra `shared`."""

    eviction: Eviction = "lru"
    """Which stored response is evicted first when the store is full: "lru" (least recently used), "lfu" (least
    frequently used), "fifo" (oldest), "sieve" or "s3-fifo" (both evict early what was requested once)."""

    largest: Bytes = 64 * 2**20
    """A larger response is passed through and not stored."""

    variants: int = Field(default=128, ge=1)
    """The most variants that are stored of one URL. One more takes the place of the variant that was stored longest
    ago, and its `Cache-Status` has `detail=variant-dropped`. Without such a bound, whoever sends random values of a
    field that `Vary` names could fill the store with one URL."""

    records: Bytes = Field(default=2 * 2**30, ge=2**20)
    """Room for the node's records on disk; the default holds about two million requests. Beyond it the oldest are
    deleted, an eighth at a time. Several services each get an equal part."""

    timeouts: Timeouts = Timeouts()
    """How long the node waits for its parent."""

    limits: Limits = Limits()
    """How much one client may use, and for how long."""

    rate_limit: RateLimit | None = None
    """How many requests one client may make of this node in all, besides the limits of behaviors. Not allowed on a
    shield, whose clients are edges. Several services each count separately."""

    connections: int = Field(default=2048, ge=1)
    """The most connections to the parent. Further fills wait for one, for at most the connect timeout."""

    parent_headers: ParentHeaders = Field(default={})
    """Fields set on every upstream request, in place of any that the viewer sent under these names, such as a secret by
    which an origin recognizes its CDN: `{ "X-Origin-Verify" = "${ORIGIN_SECRET}" }` (CloudFront: origin custom
    headers). `Host` sets the host of the upstream request (Fastly: override host); not with cloudfront."""

    parent_ca: Literal["system", "local"] | Path = "system"
    """CAs that the node accepts for parents at https:// URLs: "system", the system's; "local", also the local CA; or a
    PEM file, also the certificates in it: "tls/our-ca.pem"."""

    parent_http: Literal["1.1", "2", "auto"] = "1.1"
    """HTTP version towards the parent: "1.1"; "2" (over TLS by ALPN); "auto", what TLS negotiates."""

    purge_delay: Seconds = Field(default=0.0, le=60.0)
    """Delay between reading a purge order and carrying it out. A real CDN takes time to reach every node: Fastly about
    150 ms, CloudFront seconds to minutes. The node acknowledges the order when it has carried it out."""

    purge_loss: Share = Field(default=0.0, le=0.9)
    """Share of purge orders that are lost on their way to the node. A lost order is sent again after 50 ms, then 100
    ms, up to 2 s, so a loss appears as delay; later orders wait behind it. The node's name seeds the random choice."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose requests may name the viewer's address: load tests, proxies in front, and, at a shield, its
    edges."""

    client_from: tuple[ClientField, ...] | None = None
    """Fields in which `trusted` networks name the viewer's address; the first one present in a request is used. List
    only fields that the proxies in front write themselves: any other field comes from the viewer. Left out:
    "CDNLab-Client-IP", and at a shield also "X-Forwarded-For", which its edges write."""

    _networks = field_validator("trusted")(_networks)

    @property
    def parents(self) -> tuple[str, ...]:
        """The parent, then those of `failover.to`, in order."""
        return (self.parent, *self.failover.to)

    @field_validator("shared")
    @classmethod
    def _server(cls, url: str | None) -> str | None:
        return url if url is None or url.startswith("${") else check_server(url)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.largest > self.memory:
            raise ValueError(f"{_too_small('memory', self.memory, 'largest', self.largest)}; wanted largest <= memory")
        if self.disk is not None and self.disk.size < self.memory:
            text = _too_small("disk.size", self.disk.size, "memory", self.memory)
            raise ValueError(f"{text}; wanted memory <= disk.size")
        if self.workers > 1 and not self.front:
            raise ValueError(f"workers is {self.workers}; wanted front = true with more than one worker")
        if self.workers > 1 and sys.platform != "linux":
            raise ValueError(f"workers is {self.workers}; wanted 1 here: only Linux spreads connections over processes")
        if self.http3 and self.listen_tls is None:
            raise ValueError("wanted listen_tls with http3: it is served on the same port, over UDP")
        if self.admin_token is None and not is_loopback(self.admin):
            raise ValueError(f"wanted an admin_token with an admin address beyond loopback, {self.admin}")
        return self

    def rules(self, services: int = 1) -> dict[str, Any]:
        """The node's part of a `Service`, for each of `services` services: their number divides the room."""
        room = int(self.memory if self.disk is None else self.disk.size) // services
        rules = {
            "name": self.name, "room": room, "largest": min(int(self.largest), room), "eviction": self.eviction,
            "variants": self.variants,
            "rate_limit": self.rate_limit, "parent_headers": self.parent_headers,
        }  # fmt: skip
        return rules if self.disk is None else rules | {"block": FILE_BLOCK_BYTES}
