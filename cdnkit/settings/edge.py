"""What one cache node needs to know: where it listens, whom it asks, how long it waits."""

import re
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
"""What a file takes on disk, it takes in blocks; those of ext4, XFS, APFS and NTFS are of this size by default."""


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
    """What was found where one size is below another; and what was meant, where its unit seems to be forgotten."""
    text = f"{name} is {write_bytes(size)}, less than {other}, {write_bytes(least)}"
    if not 0 < size < FORGOTTEN_BYTES:
        return text
    return f'{text}: a number without a unit counts bytes, and {name} = "{size}MiB" was probably meant'


FORGOTTEN_BYTES = 64 * 1024
"""Nobody has a store of so few bytes; many have one of so many mebibytes."""


class Timeouts(Settings):
    """How long the node waits for its parent, and how often it tries. What is left out, the profile says.

    connect / first byte / between bytes: rfc9111 2 s / 15 s / 10 s, cloudfront 10 s / 30 s / 30 s in 3 attempts,
    fastly 1 s / 15 s / 10 s.
    """

    connect: Seconds | None = None
    """For the TCP connection and TLS, in each attempt."""

    first_byte: Seconds | None = None
    """From the request's last byte to the response's first."""

    between_bytes: Seconds | None = None
    """Between two reads of a body."""

    attempts: int | None = Field(default=None, ge=1, le=10)
    """Attempts in all to connect."""

    retry_reads: bool | None = None
    """A GET or HEAD whose first byte did not come in time is asked again, as often as there are attempts."""

    def waits(self, profile: Waits) -> Waits:
        """What is set here; the rest as the profile has it."""
        return replace(profile, **{name: value for name, value in self if value is not None})


class Failover(Settings):
    """Parents that are asked when one before them fails: CloudFront's origin group. For GET, HEAD and OPTIONS.

    A parent fails when it cannot be reached, when it does not answer in time or in HTTP, or when it answers with one of
    the statuses named. The first parent is tried first for each request anew.
    """

    to: tuple[ServerUrl, ...] = ()
    """Other parents in the order in which they are asked: "origin", names of nodes, or URLs."""

    statuses: tuple[int, ...] = (500, 502, 503, 504)
    """Statuses at which the next one is asked, of 400, 403, 404, 416, 500, 502, 503 and 504."""

    @field_validator("statuses")
    @classmethod
    def _may_be_named(cls, statuses: tuple[int, ...]) -> tuple[int, ...]:
        wrong = sorted(set(statuses) - MAY_NAME)
        if wrong:
            some = ", ".join(map(str, sorted(MAY_NAME)))
            raise ValueError(f"wanted some of {some}; not {', '.join(map(str, wrong))}")
        return statuses


class HealthCheck(Settings):
    """A small question asked of each parent for ever. The defaults are those of a Fastly health check."""

    path: str | None = Field(default=None, pattern=r"/[!-~]*")
    """What is asked for, such as "/healthz"; left out: there are no checks."""

    method: Literal["HEAD", "GET"] = "HEAD"
    """How it is asked for."""

    status: int = Field(default=200, ge=200, le=599)
    """The status of a parent that is well."""

    interval: Seconds = Field(default=5.0, gt=0)
    """Between the begins of two checks."""

    timeout: Seconds = Field(default=5.0, gt=0)
    """A check without an answer for so long has failed."""

    window: int = Field(default=5, ge=1, le=64)
    """So many results are kept, the last ones."""

    threshold: int = Field(default=3, ge=1, le=64)
    """A parent is well while so many of them are good."""

    initial: int = Field(default=3, ge=0, le=64)
    """So many good results are assumed at the start."""

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if max(self.threshold, self.initial) > self.window:
            raise ValueError("wanted threshold <= window and initial <= window")
        return self


class Health(Settings):
    """When a parent is sick and left alone: the next is asked, or stale responses stand in at once."""

    failures: int = Field(default=0, ge=0, le=1000)
    """So many failures in a row make it sick (no connection, no answer in time, 502, 503, 504); 0: they never do."""

    within: Seconds = 10.0
    """The failures lie within so long."""

    rest: Seconds = 10.0
    """It is left alone for so long; then one request is its probe, and a good answer makes it well."""

    check: HealthCheck = HealthCheck()
    """Health checks, which make it sick and well again by themselves."""

    def new(self) -> health.Health:
        """The health of one parent."""
        check = self.check
        return health.Health(
            health.Ejection(self.failures, self.within, self.rest) if self.failures else None,
            health.Checks(check.window, check.threshold, check.initial) if check.path is not None else None,
        )


class Link(Settings):
    """The simulated wire between the node and its parents; its connections share it. Nothing set: none, and no cost."""

    latency: Seconds = 0.0
    """One way; making a connection takes a round trip, with TLS two."""

    jitter: Seconds = 0.0
    """By so much a latency is longer or shorter at most."""

    bandwidth: BitsPerSecond | None = Field(default=None, ge=1000)
    """In each direction; left out: without limit."""

    loss: Share = 0.0
    """Packets lost. Each makes its own connection stand still for a retransmission time-out."""

    def new(self, seed: str) -> link.Link | None:
        """The wire, its chances fixed by the seed; None: there is none."""
        wire = link.Wire(self.latency, self.jitter, float(self.bandwidth or 0), self.loss)
        return link.Link(wire, Random(seed)) if wire != link.Wire() else None


class Limits(listening.Limits):
    """How much of the node one client may take; docs/limits.md says what happens beyond, and what others do."""

    url: Bytes = Field(default=8 * 2**10, ge=256)
    """Path and query of a request; a longer one is refused with 414. CloudFront and Fastly take 8 KiB."""

    fields: int = Field(default=256, ge=10)
    """Field lines of a request; more are refused with 431. Above what any profile takes (Fastly 255), so that its own
    limit decides; Apache takes 100, HAProxy 101, Varnish 64."""

    content: Bytes = 2**30
    """A request's content; a larger one is refused with 413. It is passed on as it comes and never held, so it may be
    large; nginx takes 1 MiB unless told."""

    content_pause: Seconds = Field(default=60.0, gt=0)
    """How long a request's content may pause; beyond, 408. As nginx's `client_body_timeout`."""

    def of_requests(self) -> RequestLimits:
        """Those that the policy judges by."""
        return RequestLimits(url=self.url, head=self.head, fields=self.fields, content=self.content)


class Disk(Settings):
    """A folder in which stored responses outlive the node, with its memory in front of it."""

    path: Path
    """The folder, of this node alone; it is made if it is not there. What lies in it belongs to the node."""

    size: Bytes = 10 * 2**30
    """Room for stored responses on disk; `memory` then holds the bodies most in use."""


class Certificate(Settings):
    """A certificate of the user's own."""

    certificate: Path
    """File with the certificate in PEM, and behind it those that lead to its authority."""

    key: Path
    """File with its private key in PEM, without a passphrase."""


class Node(Settings):
    """One cache node: an edge, or a shield when other nodes name it as their parent."""

    name: str = Field(pattern=r"[a-z][a-z0-9-]*", max_length=32)
    """Its name in `Via`, `Cache-Status`, records and reports."""

    listen: ListenAddress = "127.0.0.1:0"
    """Where viewers (or child nodes) reach it; port 0 takes any free port."""

    listen_tls: ListenAddress | None = None
    """Where viewers reach it over HTTPS, with HTTP/1.1 and HTTP/2, beside `listen`. Left out: nowhere."""

    http3: bool = False
    """Over HTTP/3, too, on the UDP port of `listen_tls`, and `Alt-Svc` tells so."""

    tls: Literal["local"] | Certificate = "local"
    """What it shows them: certificates of the local CA, which `cdnlab ca` makes, or a pair of your own:
    `{ certificate = "tls/cdn.pem", key = "tls/cdn-key.pem" }`."""

    admin: ListenAddress = "127.0.0.1:0"
    """Where purge, explain and health are served: on loopback, or with an `admin_token`."""

    admin_token: Secret | None = Field(default=None, pattern=r"^[ -~]+$")
    """What purge and explain ask for, as `Authorization: Bearer TOKEN`; `cdnlab purge` and `explain` take it from the
    environment variable CDNLAB_ADMIN_TOKEN. Left out: they ask for nothing, and `admin` must be on loopback."""

    admin_hosts: tuple[listening.HostName, ...] = ()
    """Names by which `admin` is reached, beside addresses, localhost and this machine's own: requests for another host
    are refused with 421, since a web page can point its own name here."""

    parent: ServerUrl = "origin"
    """"origin", the name of another node, or a URL."""

    failover: Failover = Failover()
    """Who is asked when the parent fails."""

    health: Health = Health()
    """When a parent is not asked at all for a while."""

    link: Link = Link()
    """The simulated wire to its parents."""

    countries: tuple[str, ...] = ()
    """Countries whose viewers the load test sends here; empty: any."""

    memory: Bytes = 512 * 2**20
    """Room for stored responses; with `disk`, for the bodies most in use of those that are there. Several services have
    equal parts of it, and of `disk`."""

    disk: Disk | None = None
    """Keep stored responses on disk, too: `{ path = "cache/fra", size = "10GiB" }`. Left out: in memory only."""

    shared: SecretUrl | None = None
    """A second tier that nodes share, asked on a miss before the parent: a Redis or Valkey server such as
    "redis://127.0.0.1:6379/0". Its death costs misses, never errors. Left out: none. Needs the extra `shared`."""

    eviction: Eviction = "lru"
    """Which stored response goes first when there is no more room: "lru" (least recently used), "lfu" (least often
    used), "fifo" (oldest), "sieve" or "s3-fifo" (what was asked for once goes soon)."""

    largest: Bytes = 64 * 2**20
    """A larger response streams through and is not stored."""

    records: Bytes = Field(default=2 * 2**30, ge=2**20)
    """Room for its records on disk: those of some two million requests. Beyond, the oldest go, an eighth at a time.
    Several services have equal parts of it."""

    timeouts: Timeouts = Timeouts()
    """How long it waits for its parent."""

    limits: Limits = Limits()
    """How much one client may take, and how long."""

    rate_limit: RateLimit | None = None
    """How many requests one client may make of this node in all, beside what behaviors say; not at a shield, whose
    clients are edges. Each of several services counts its own."""

    connections: int = Field(default=2048, ge=1)
    """Connections to the parent at most; fills beyond wait their turn, for as long as a connection may take."""

    parent_headers: ParentHeaders = Field(default={})
    """What is put on every request to the parents, in the place of what viewers sent under these names, such as a
    secret by which an origin knows its CDN: `{ "X-Origin-Verify" = "${ORIGIN_SECRET}" }` (CloudFront: origin custom
    headers). `Host` is what the parent is asked under (Fastly: override host); not with cloudfront."""

    parent_ca: Literal["system", "local"] | Path = "system"
    """Who vouches for parents at https:// URLs: the system's authorities, and beside them "local", the local CA, or the
    certificates in a PEM file: "tls/our-ca.pem"."""

    parent_http: Literal["1.1", "2", "auto"] = "1.1"
    """How it speaks to its parent: "2" is HTTP/2 (over TLS by ALPN), "auto" lets TLS negotiate."""

    purge_delay: Seconds = Field(default=0.0, le=60.0)
    """How long after it was told the node carries a purge out: a real CDN's takes time to reach every node, Fastly's
    some 150 ms, CloudFront's seconds to minutes. The order is answered once it is carried out."""

    purge_loss: Share = Field(default=0.0, le=0.9)
    """Orders to purge that are lost on their way to the node. Each is sent again after 50 ms, then 100 ms, up to 2 s,
    so that losses show as lateness; those behind it wait. The chances are fixed by the node's name."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that are believed when they name the address of the viewer for whom they ask: load tests, proxies in
    front, and, at a shield, its edges."""

    client_from: tuple[ClientField, ...] | None = None
    """Fields in which `trusted` networks name it; the first that a request has counts. Name only what the proxies in
    front write themselves: what they pass on is the viewer's own. Left out: "CDNLab-Client-IP", and at a shield also
    "X-Forwarded-For", which its edges write."""

    _networks = field_validator("trusted")(_networks)

    @property
    def parents(self) -> tuple[str, ...]:
        """The parent and those that are asked instead of it, in order."""
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
        if self.http3 and self.listen_tls is None:
            raise ValueError("wanted listen_tls with http3: it is served on the same port, over UDP")
        if self.admin_token is None and not is_loopback(self.admin):
            raise ValueError(f"wanted an admin_token with an admin address beyond loopback, {self.admin}")
        return self

    def rules(self, services: int = 1) -> dict[str, Any]:
        """What of it the machine of each of so many services must know: values of
        `cdnkit.policy.rules.service.Service`."""
        room = int(self.memory if self.disk is None else self.disk.size) // services
        rules = {
            "name": self.name, "room": room, "largest": min(int(self.largest), room), "eviction": self.eviction,
            "rate_limit": self.rate_limit, "parent_headers": self.parent_headers,
        }  # fmt: skip
        return rules if self.disk is None else rules | {"block": FILE_BLOCK_BYTES}
