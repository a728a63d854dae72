"""Which parts of one track are listed, which can only be fetched still, and which one is hinted (2nd ed. 6.2.1, 6.2.2).

A part leaves the playlist when its segment ends more than three target durations before the playlist's end, and can be
fetched for three more, and for as long as a cache may have the playlist.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from origin.live.parts import Part, part_name


@dataclass(frozen=True, slots=True)
class Shown:
    """How far the media playlist that is served has come: what a request waits for."""

    hand: int
    """Media sequence number of the segment in hand."""
    parts: int
    """Its parts that are listed."""
    before: int
    """Likewise of the segment before it."""


@dataclass(slots=True)
class PartWindow:
    """One track's parts. Mutable state."""

    listed: dict[int, list[Part]] = field(default_factory=dict)
    """By the media sequence number of their segment; in order."""
    gone: deque[tuple[Part, float]] = field(default_factory=deque)
    """No longer listed, with the time until which each can be fetched."""
    hint: str = ""
    """Name of the part that is expected next; "": none is."""
    shown: Shown | None = None
    """None: no playlist is served yet."""

    def add(self, part: Part) -> None:
        self.listed.setdefault(part.number, []).append(part)

    def of(self, number: int) -> list[Part]:
        """The listed parts of a segment."""
        return self.listed.get(number, [])

    def show(self, hand: int) -> None:
        """The playlist that is served from now on has what is listed; segment `hand` is in hand."""
        self.shown = Shown(hand, len(self.of(hand)), len(self.of(hand - 1)))

    def expect(self, number: int, generation: int, length: float) -> None:
        """Hint at what follows: of segment `number`, the one in hand, unless it has its `length` already."""
        parts = self.of(number)
        # The key frame, or sample, that ends the segment is at most a frame away: no part is so short.
        if parts and sum(part.duration for part in parts) >= length - 0.05:
            self.hint = part_name(generation, number + 1, 0)
        else:
            self.hint = part_name(generation, number, len(parts))

    def drop(self, number: int, until: float) -> None:
        """Takes the parts of a segment off the list; they can be fetched until `until`."""
        self.gone.extend((part, until) for part in self.listed.pop(number, []))

    def clear(self, until: float) -> None:
        """Takes all parts off the list, and hints at none."""
        self.hint = ""
        for number in list(self.listed):
            self.drop(number, until)

    def expire(self, now: float, first: int) -> list[Part]:
        """Forgets the parts whose time is over, and those of segments before `first`, which are gone; returns them."""
        expired: list[Part] = []
        while self.gone and (self.gone[0][1] <= now or self.gone[0][0].number < first):
            expired.append(self.gone.popleft()[0])
        return expired

    def fetchable(self) -> Iterator[Part]:
        yield from (part for part, _ in self.gone)
        for parts in self.listed.values():
            yield from parts
