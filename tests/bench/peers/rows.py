"""The rows of the table: what is asked of every server, and what our edge is to reach beside which peer."""

from dataclasses import dataclass, field
from enum import Enum

SIZES = {"small": 1_200, "seg200": 200_000, "seg1500": 1_500_000}
"""Bodies in bytes, by the name of their folder."""


class Channel(Enum):
    """How a server is reached."""

    PLAIN = "HTTP/1.1"
    TLS = "HTTP/1.1 over TLS"
    H2 = "cleartext HTTP/2"


@dataclass(frozen=True)
class Target:
    """A ratio: the peer's CPU time per request, divided by our edge's. `slower`: ours divided by the peer's p99."""

    peer: str
    floor: float
    goal: float
    p99: bool = False


@dataclass(frozen=True)
class Row:
    """One kind of request."""

    name: str
    label: str
    size: str = "small"
    method: str = "GET"
    channel: Channel = Channel.PLAIN
    status: int = 200
    length: int | None = None
    """Of the response's body; None: that of the size."""
    fields: tuple[tuple[str, str], ...] = ()
    """Request fields; `{etag}` stands for the object's."""
    token: bool = True
    """With a valid token, for those who want one."""
    fresh: bool = False
    """Each request is for an object that nobody asked for before."""
    targets: tuple[Target, ...] = field(default=())
    servers: tuple[str, ...] = ()
    """Who is asked; empty: all that have the channel."""


NGINX, NGINX_FULL, VARNISH, ATS = "nginx", "nginx full", "varnish", "ats"
EDGE, HYPERCORN = "edge", "edge, front = false"

_AS_NGINX = (Target(NGINX, 0.8, 1.2),)

ROWS = (
    Row(
        "hit", "hit 1.2 kB",
        targets=(
            Target(NGINX_FULL, 0.8, 1.2), Target(VARNISH, 1.3, 2.0), Target(HYPERCORN, 10.0, 15.0),
            Target(NGINX, 2.0, 1.0, p99=True),
        ),
    ),
    Row("hit200", "hit 200 kB", "seg200", targets=(Target(NGINX, 1.0, 1.3),)),
    Row("hit1500", "hit 1.5 MB", "seg1500", targets=(Target(VARNISH, 0.9, 1.1), Target(ATS, 0.9, 1.1))),
    Row("206", "206, 600 bytes of 1.2 kB", status=206, length=600, fields=(("Range", "bytes=100-699"),), targets=_AS_NGINX),
    Row("304", "304", status=304, length=0, fields=(("If-None-Match", "{etag}"),), targets=_AS_NGINX),
    Row("head", "HEAD", method="HEAD", length=0, targets=_AS_NGINX),
    Row("refusal", "403, no token", status=403, token=False, servers=(NGINX_FULL, EDGE, HYPERCORN), targets=(Target(NGINX_FULL, 0.8, 1.2),)),
    Row("tls", "hit 1.2 kB over TLS", channel=Channel.TLS, targets=(Target(NGINX, 0.8, 1.0),)),
    Row("tls200", "hit 200 kB over TLS", "seg200", channel=Channel.TLS),
    Row("tls1500", "hit 1.5 MB over TLS", "seg1500", channel=Channel.TLS),
    Row("h2", "hit 1.2 kB over HTTP/2", channel=Channel.H2, targets=(Target(NGINX, 1.0, 3.0),)),
    Row("h2200", "hit 200 kB over HTTP/2", "seg200", channel=Channel.H2),
    Row("h21500", "hit 1.5 MB over HTTP/2", "seg1500", channel=Channel.H2),
    Row("miss", "miss 1.2 kB, one tier", fresh=True, targets=(Target(NGINX, 0.3, 0.6),)),
)  # fmt: skip
