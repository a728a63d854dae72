"""How much of what costs us more than it costs the client one connection may send: a leaky bucket.

Rapid reset (CVE-2023-44487), and floods of PING, SETTINGS, PRIORITY and empty DATA (CVE-2019-9512 to 9518), are legal
HTTP/2, frame by frame; only their number is not honest.
"""

RESETS = (1000, 33.0)
"""Streams that a client may reset at once, and again each second: nghttp2's figures."""

ODDITIES = (10_000, 330.0)
"""Frames that carry nothing of a request or an answer. Ours: far beyond what a player or a browser sends."""


class Budget:
    """So many at once, and so many more each second."""

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
