"""Whose bytes go next, of the streams that have some: the Extensible Prioritization Scheme (RFC 9218 §10).

The more urgent stream goes first. Of equally urgent ones, one that is incremental gives way after its turn; one that is
not goes on until it has nothing to send, since its client can use nothing but the whole.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar

TURN_BYTES = 64 * 1024
"""What a stream sends in one turn, at most. nginx's chunks have 8 KiB: ours are references, and a write has many."""


class Waiting(Protocol):
    """A stream, as the turns see it."""

    urgency: int
    incremental: bool
    queued: bool
    """It waits for its turn; the turns' own mark."""


T = TypeVar("T", bound=Waiting)


class Turns(Generic[T]):
    """The streams that have something to send, and may."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[int, deque[T]] = {}
        """By urgency; none of them is empty."""

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, stream: T) -> None:
        """It has something to send; a stream that waits already keeps its place."""
        if not stream.queued:
            stream.queued = True
            self._queues.setdefault(stream.urgency, deque()).append(stream)

    def first(self) -> T:
        return self._queues[min(self._queues)][0]

    def give_way(self, stream: T) -> None:
        """The first one had its turn, and has more."""
        if stream.incremental:
            self._queues[stream.urgency].rotate(-1)

    def discard(self, stream: T) -> None:
        """It has nothing to send any more, or may not."""
        if stream.queued:
            stream.queued = False
            queue = self._queues[stream.urgency]
            queue.remove(stream)
            if not queue:
                del self._queues[stream.urgency]
