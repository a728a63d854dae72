"""A circuit breaker: after `FAILURES` failures in a row nothing is sent for a while, then one try is made.

CLOSED  every call goes through          FAILURES in a row ─► OPEN
OPEN    none does, for PAUSE_S           then ─► one call goes through: it fails ─► OPEN; it succeeds ─► CLOSED
"""

FAILURES = 3
PAUSE_S = 5.0


class Breaker:
    """The breaker of one service. `now` is on any clock that does not step back."""

    def __init__(self, *, failures: int = FAILURES, pause: float = PAUSE_S) -> None:
        self._failures = failures
        self._pause = pause
        self._in_a_row = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return self._in_a_row >= self._failures

    def lets_through(self, now: float) -> bool:
        """Whether to call now. After a pause it is True for one caller only, until that reports its result."""
        if not self.is_open:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self._pause
        return True

    def succeeded(self) -> bool:
        """Whether that closed it."""
        was_open, self._in_a_row = self.is_open, 0
        return was_open

    def failed(self, now: float) -> bool:
        """Whether that opened it."""
        was_open = self.is_open
        self._in_a_row += 1
        self._open_until = now + self._pause
        return self.is_open and not was_open
