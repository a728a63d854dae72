"""How much of a server one client may take: a listener holds every connection to these limits.

The application that serves a request bounds its URL, its fields and its content.
"""

from pydantic import Field

from cdnkit.units import Bytes, Seconds, Settings


class ListenerLimits(Settings):
    """How long a client may take, and how much at once. nginx waits 60 s where it waits, and keeps idle ones 75 s."""

    stalled: Seconds = Field(default=60.0, gt=0)
    """A client that takes nothing of its response for this long, or at most twice this long, is dropped: over HTTP/2
    its stream, or the connection if that takes nothing at all. nginx `send_timeout`, Varnish `idle_send_timeout` and
    Apache `Timeout` are 60 s."""

    head_within: Seconds = Field(default=20.0, gt=0)
    """A request's head must be whole within this time, from its first byte on; for the first request, from the
    connection on. Else 408. nginx is at 60 s, Varnish at 2 s, Apache's mod_reqtimeout at 20 s to 40 s."""

    idle: Seconds = Field(default=75.0, gt=0)
    """How long a connection without a request is kept. As nginx; a player polls a playlist every 6 s and shall not
    connect anew each time."""

    head: Bytes = Field(default=96 * 2**10, ge=1024)
    """The request's head: URL and all fields. A larger one is refused with 431. This is above what any profile takes
    (CloudFront 20 KiB, Fastly 69 kB), so that the profile's own limit decides; nginx and Varnish take 32 KiB."""

    connections: int = Field(default=10_000, ge=1)
    """Connections at once, but never more than half of the descriptors that the process may open. One more takes the
    place of the connection that has waited longest without a request; where all are busy, it gets a 503."""

    streams: int = Field(default=100, ge=1)
    """Requests at once on an HTTP/2 connection (SETTINGS_MAX_CONCURRENT_STREAMS; RFC 9113 wants at least 100, nginx
    has 128)."""
