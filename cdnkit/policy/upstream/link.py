"""A simulated wire: when does the next byte pass?

One `Link` is a node's wire to its parents, and each direction of each connection is a `Lane` on it:

    sent ──► its place in the queue ──► size / bandwidth ──► latency ± jitter ──► arrives
             (one for each direction,                        (+ a stall, where
             shared by all connections)                      a packet was lost)

Bytes of one lane arrive in the order in which they were sent. A lost packet costs its retransmission time-out, on its
own lane alone; what else TCP does (fast retransmit, slow start) is not simulated.
"""

from dataclasses import dataclass
from typing import Protocol

PACKET_BYTES = 1460
"""What one packet carries on Ethernet: 1500 bytes less the headers of IPv4 and TCP."""

FIRST_RTO_S = 1.0
"""Retransmission time-out of a connection that knows no round trip yet (RFC 6298 §2.1)."""

LEAST_RTO_S = 0.2
"""Linux's lower bound (RFC 6298 §2.4 says a second)."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What a wire is like."""

    latency: float = 0.0
    """Seconds, one way."""
    jitter: float = 0.0
    """Seconds by which a latency is longer or shorter at most."""
    bandwidth: float = 0.0
    """Bits per second, in each direction; 0: without limit."""
    loss: float = 0.0
    """Share of packets that are lost."""


class Dice(Protocol):
    """Chance, handed in: a seeded `random.Random` is one."""

    def random(self) -> float: ...
    def uniform(self, a: float, b: float) -> float: ...


class Link:
    """One wire that many connections share. Instants are seconds on any one clock."""

    def __init__(self, wire: Wire, dice: Dice) -> None:
        """`dice` decides jitter and loss; a seeded one repeats a run."""
        self.wire = wire
        self._dice = dice
        self._up = _Queue(wire.bandwidth)
        self._down = _Queue(wire.bandwidth)

    def lanes(self) -> "tuple[Lane, Lane]":
        """The two lanes of a new connection: towards the parent, and from it."""
        return Lane(self, self._up), Lane(self, self._down)

    def connects_in(self, *, tls: bool) -> float:
        """Seconds that connecting takes: a round trip for TCP, one more for TLS 1.3."""
        seconds = 0.0
        for _ in range(4 if tls else 2):
            seconds += self.delay() + (FIRST_RTO_S if self._dice.random() < self.wire.loss else 0.0)
        return seconds

    def delay(self) -> float:
        """Seconds to the other end, drawn anew at each call."""
        wire = self.wire
        return max(0.0, wire.latency + (self._dice.uniform(-wire.jitter, wire.jitter) if wire.jitter else 0.0))

    def stall(self, size_bytes: int) -> float:
        """Seconds that these bytes are late because one of their packets was lost; mostly 0."""
        if not self.wire.loss:
            return 0.0
        packets = -(-size_bytes // PACKET_BYTES)
        all_came = (1.0 - self.wire.loss) ** packets
        return 0.0 if self._dice.random() < all_came else max(LEAST_RTO_S, 2.0 * self.wire.latency)


class Lane:
    """One direction of one connection."""

    __slots__ = ("_last", "_link", "_queue")

    def __init__(self, link: Link, queue: "_Queue") -> None:
        self._link = link
        self._queue = queue
        self._last = 0.0

    def arrives(self, size_bytes: int, now: float) -> float:
        """When the last of these bytes, sent now, is at the other end; never before bytes that were sent earlier."""
        at = self._queue.left(size_bytes, now) + self._link.delay() + self._link.stall(size_bytes)
        self._last = max(self._last, at)
        return self._last


class _Queue:
    """One direction of the wire: bytes of all lanes leave it one after another."""

    __slots__ = ("_free_at", "_seconds_a_byte")

    def __init__(self, bandwidth: float) -> None:
        self._seconds_a_byte = 8.0 / bandwidth if bandwidth else 0.0
        self._free_at = 0.0

    def left(self, size_bytes: int, now: float) -> float:
        """When the last of these bytes has left."""
        self._free_at = max(self._free_at, now) + size_bytes * self._seconds_a_byte
        return self._free_at
