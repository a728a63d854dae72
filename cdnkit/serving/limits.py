"""How much of a server one client may take: what a listener holds every connection to.

What a request may be (its URL, its fields, its content) is not said here but by whoever answers it.
"""

from pydantic import Field

from cdnkit.units import Bytes, Seconds, Settings


class Limits(Settings):
    """How long a client may take, and how much at once. nginx waits 60 s where it waits, and keeps idle ones 75 s."""

    stalled: Seconds = Field(default=60.0, gt=0)
    """A client who takes nothing of his answer for so long is dropped (at the latest after twice as long): over HTTP/2
    his stream, or the connection if it takes nothing at all. nginx `send_timeout`, Varnish `idle_send_timeout` and
    Apache `Timeout` are 60 s."""

    head_within: Seconds = Field(default=20.0, gt=0)
    """A request's head must come whole so soon after its first byte, the first one so soon after the connection;
    else 408. nginx is at 60 s, Varnish at 2 s, Apache's mod_reqtimeout at 20 s to 40 s."""

    idle: Seconds = Field(default=75.0, gt=0)
    """A connection without a request is kept so long. As nginx; a player polls a playlist every 6 s and shall not
    connect anew each time."""

    head: Bytes = Field(default=96 * 2**10, ge=1024)
    """The request's head, URL and all fields; a larger one is refused with 431. Above what any profile takes
    (CloudFront 20 KiB, Fastly 69 kB), so that its own limit decides; nginx and Varnish take 32 KiB."""

    connections: int = Field(default=10_000, ge=1)
    """Connections at once, but never more than half of the descriptors the process may open. For one more, the one
    that has waited longest without a request is closed; where all are busy, it is answered 503."""

    streams: int = Field(default=100, ge=1)
    """Requests at once on an HTTP/2 connection (SETTINGS_MAX_CONCURRENT_STREAMS; RFC 9113 wants at least 100, nginx
    has 128)."""
