"""A bound on how many exchanges are open at once."""

import asyncio
from collections import deque


class Slots:
    """At most `limit` exchanges are open at once; one that finds no place free waits its turn."""

    __slots__ = ("_limit", "_waiting", "taken")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        """Lowering it takes no place away: it holds again when enough have left (RFC 9113 §5.1.2)."""
        self._limit = limit
        self._wake()

    @property
    def free(self) -> bool:
        """Whether a place could be had at once."""
        return self.taken < self._limit and not self._waiting

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, seconds: float) -> None:
        """A place, or TimeoutError after `seconds`; cancelled or late, it leaves none taken."""
        if self.free:
            self.taken += 1
            return
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        timer = loop.call_later(seconds, _too_late, place)
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.give()  # it came in the moment in which its taker was cancelled
            else:
                self._waiting.remove(place)
            raise
        finally:
            timer.cancel()

    def give(self) -> None:
        """Give a place back: the one who has waited longest has it."""
        self.taken -= 1
        self._wake()

    def _wake(self) -> None:
        for place in tuple(self._waiting) if self._waiting else ():
            if self.taken >= self._limit:
                return
            if not place.done():
                self._waiting.remove(place)
                self.taken += 1
                place.set_result(None)


def _too_late(place: "asyncio.Future[None]") -> None:
    if not place.done():
        place.set_exception(TimeoutError())
