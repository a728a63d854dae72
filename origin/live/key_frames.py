"""How far apart an encoder's key frames are, learned as they come: whether one of them may be the last in time. Pure.

Without parts, a segment whose next key frame comes too late is cut at the last one before, however long that is past.
With parts this is no longer possible: what follows that key frame is listed in the same segment already. So a segment
is cut at a key frame at once if the next one may come too late. Until two segments' worth of key frames has come, the
encoder is not known, and each may be the last one: the first segments may be short.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(slots=True)
class KeyFrames:
    """Of one generation, as the first track that has each tells them. Seconds of decode time."""

    first: Fraction | None = None
    last: Fraction | None = None
    longest: Fraction = Fraction(0)
    """Between two."""

    def seen(self, at: Fraction) -> None:
        if self.first is None or self.last is None:
            self.first = self.last = at
        elif at > self.last:
            self.longest = max(self.longest, at - self.last)
            self.last = at

    def next_after(self, at: Fraction, length: Fraction) -> Fraction:
        """When the key frame after that at `at` comes at the latest; `length`: of a segment."""
        known = self.first is not None and self.last is not None and self.last - self.first >= 2 * length
        return at + (self.longest if known else max(self.longest, length))
