"""A leaky bucket for frames that cost the server more than the client: how many of them one connection may send.

Rapid reset (CVE-2023-44487), and floods of PING, SETTINGS, PRIORITY and empty DATA (CVE-2019-9512 to 9518), are legal
HTTP/2, frame by frame; only their number shows an attack.
"""

RESETS = (1000, 33.0)
"""Streams that a client may reset at once, and again each second: nghttp2's figures."""

ODDITIES = (10_000, 330.0)
"""Frames that carry nothing of a request or a response, likewise. Our own figures: far beyond what a player or a
browser sends."""


class Budget:
    """At most `burst` at once, and `rate` more each second."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = self._left = burst
        self._rate = rate
        self._at = now

    def spend(self, now: float) -> bool:
        """Take one; False when there is none left."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
