"""How much of a server one client may take: a listener holds every connection to these limits.

The application that serves a request bounds its URL, its fields and its content.
"""

from pydantic import Field

from cdnkit.units import Bytes, Seconds, Settings


class ListenerLimits(Settings):
    """How long a client may take, and how much it may use at once. nginx waits 60 s, and keeps idle connections 75
    s."""

    stalled: Seconds = Field(default=60.0, gt=0)
    """A client that reads nothing of its response for this long is dropped (at the latest after twice as long): over
    HTTP/2 its stream is reset, or the connection closed if it reads nothing at all. nginx `send_timeout`, Varnish
    `idle_send_timeout` and Apache `Timeout` are 60 s."""

    head_within: Seconds = Field(default=20.0, gt=0)
    """A request's head must be complete within this time after its first byte, the first head within this time after
    the connection opened; else 408. nginx allows 60 s, Varnish 2 s, Apache's mod_reqtimeout 20 s to 40 s."""

    idle: Seconds = Field(default=75.0, gt=0)
    """How long a connection without a request stays open. As in nginx: a player that reloads a playlist every 6 s
    should not have to reconnect each time."""

    head: Bytes = Field(default=96 * 2**10, ge=1024)
    """Size of the request's head: URL and all fields. A larger one is refused with 431. The default is above what any
    profile accepts (CloudFront 20 KiB, Fastly 69 kB), so that the profile's own limit applies; nginx and Varnish accept
    32 KiB."""

    connections: int = Field(default=10_000, ge=1)
    """The most connections at once, but never more than half of the file descriptors that the process may open. When
    one more arrives, the connection that has been idle longest is closed; if all are busy, the new one gets 503."""

    streams: int = Field(default=100, ge=1)
    """The most requests at once on an HTTP/2 connection (SETTINGS_MAX_CONCURRENT_STREAMS; RFC 9113 recommends at least
    100, nginx has 128)."""
