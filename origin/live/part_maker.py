"""One track's parts of the segment in hand, made as its fragments come.

A part is listed once nothing can move its media to another segment:

- Pictures: at once. A segment ends at a key frame, and whether a key frame ends it is known when it comes
  (`origin/live/key_frames.py`).
- Sound, which usually runs ahead of the pictures: once pictures of the same time are listed, or the segment's end is
  known. Without pictures, up to the next cut by length.

All parts of a segment together are its bytes. If no lawful part can be made of a track's media (4.4.4.9), it has
segments only, from there to the end of its generation.
"""

from fractions import Fraction
from itertools import chain

from origin.live.parts import Cut, cut
from origin.live.segmenter import Segment, Segmenter
from origin.media.fragments import Fragment


class PartMaker:
    """`target`: the part target in seconds."""

    def __init__(self, segmenter: Segmenter, target: Fraction) -> None:
        self._segmenter = segmenter
        self._target = target
        self.count = 0
        """Parts of the segment in hand that are listed."""
        self.start = 0
        """Where the segment in hand starts, in ticks; once it has a part."""
        self.misfit = False

    def make(self, until: Fraction | None) -> list[list[Fragment]]:
        """The parts that can be listed now; `until`: from this second on, media may go to another segment."""
        if self.misfit or not (loose := self._segmenter.loose):
            return []
        found = cut(loose, self._target, self._segmenter.track, until=until)
        if found.parts:
            self._segmenter.settle(found.parts, found.rest)
        return self._took(found)

    def finish(self, segment: Segment) -> list[list[Fragment]]:
        """The segment is whole: its last parts. Where one of them is made by dividing, so is the segment."""
        loose = segment.fragments[segment.settled :]
        if self.misfit or not loose:
            return []
        found = cut(loose, self._target, self._segmenter.track, last=True)
        segment.fragments[segment.settled :] = [*chain.from_iterable(found.parts), *found.rest]
        return self._took(found)

    def begin(self) -> None:
        """The next segment is in hand."""
        self.count = 0

    def _took(self, found: Cut) -> list[list[Fragment]]:
        self.misfit = found.misfit
        if found.parts and not self.count:
            self.start = found.parts[0][0].start
        return found.parts
