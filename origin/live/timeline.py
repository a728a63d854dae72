"""Where the video of one run of an encoder was cut: audio, and rungs that join late, are cut there too. Pure."""

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction

from origin.live.key_frames import KeyFrames

REMEMBERED = 4096
"""At least this many cuts of a generation are remembered: four and a half hours of segments of 4 s. No sound is as late
as that."""

WAIT_S = 10
"""How far audio may run ahead of its video: an encoder that looks ahead 40 frames and starts slowly needs two or three
seconds."""


@dataclass(slots=True)
class Timeline:
    """Where the video of one generation was cut, in seconds of decode time; all its tracks share it."""

    start: Fraction | None = None
    """Where segment 0 starts; None until video has begun."""
    first: int = 0
    """The first segment whose end is remembered."""
    boundaries: list[Fraction] = field(default_factory=list)
    """`boundaries[i]` ends segment `first + i`."""
    reached: Fraction | None = None
    """With parts: up to here the video is listed, so that it is cut nowhere before it but at `boundaries`."""
    keys: KeyFrames = field(default_factory=KeyFrames)

    @property
    def count(self) -> int:
        """Segments that were cut so far."""
        return self.first + len(self.boundaries)

    def mark(self, index: int, at: Fraction) -> None:
        """Segment `index` of a video track ends at `at`; whichever track comes first says so for all."""
        if index != self.count:
            return
        self.boundaries.append(at)
        if len(self.boundaries) > 2 * REMEMBERED:
            del self.boundaries[:REMEMBERED]
            self.first += REMEMBERED

    def reach(self, at: Fraction) -> None:
        """Video of a segment that has no end yet is listed up to `at`."""
        self.reached = at if self.reached is None else max(self.reached, at)

    def end_of(self, index: int) -> Fraction:
        """Where segment `index`, at least `first`, ends."""
        return self.boundaries[index - self.first]

    def start_of(self, index: int) -> Fraction | None:
        """Where a segment that has been cut starts; None: not known any more."""
        if index == 0:
            return self.start
        return self.end_of(index - 1) if index > self.first else None

    def index_at(self, at: Fraction) -> int:
        """The segment that `at` lies in."""
        return self.first + bisect_right(self.boundaries, at)

    def index_near(self, at: Fraction, frame: Fraction) -> int | None:
        """The segment that begins within a frame of `at`: one that was cut, or of the next three to come."""
        assert self.start is not None
        index = None
        for number, boundary in enumerate(self.boundaries, self.first):
            if abs(at - boundary) < frame:
                index = number + 1
        last, step = self._last_step()
        ahead = round((at - last) / step) if step > 0 else 0
        if 0 < ahead <= 3 and abs(at - last - ahead * step) < frame:
            index = self.count + ahead
        return index

    def _last_step(self) -> tuple[Fraction, Fraction]:
        """Where the last segment that was cut ends, and how long it is: the ones to come are taken to be as long."""
        assert self.start is not None
        before = self.boundaries[-2] if len(self.boundaries) > 1 else self.start
        return self.boundaries[-1], self.boundaries[-1] - before

    def place_sound(self, start: Fraction, began: Fraction, length: Fraction) -> int | None:
        """The segment that sound from `start` belongs to; `began`: where the generation did. None: to none."""
        if self._opens(start, began, length):
            return 0
        latest = max((began, *self.boundaries[-1:])) + WAIT_S
        if not began < start <= latest:
            return None
        index = self.index_at(start)
        if index < self.count:
            return index
        last, step = self._last_step() if self.boundaries else (began if self.start is None else self.start, length)
        return index + (int((start - last) / step) if step > 0 else 0)

    def place_pictures(self, start: Fraction, began: Fraction, length: Fraction, frame: Fraction) -> int | None:
        """The segment that pictures from `start` begin; None: they begin none.

        The first track of pictures begins the timeline; a rung that joins late has to begin where the others were cut,
        or will be.
        """
        if self.start is None and -length / 2 < start - began < WAIT_S:
            self.start = start
            return 0
        index = self.index_near(start, frame) if self.boundaries else None
        return 0 if index is None and self._opens(start, began, length) else index

    def _opens(self, start: Fraction, began: Fraction, length: Fraction) -> bool:
        return abs(start - (began if self.start is None else self.start)) < length / 2
