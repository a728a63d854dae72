"""What became of a track's samples: what was received is published, or refused, or still held."""

from collections import deque
from dataclasses import dataclass, field

from origin.fragments import Fragment
from origin.tracks import Kind, Track

MOST_COMPLAINTS = 64
"""Kept until somebody logs them; the oldest go first."""


@dataclass(slots=True)
class Complaint:
    """Samples that no segment has, and why. Decode times in seconds."""

    samples: int
    start: float
    end: float
    kind: Kind
    why: str

    def __str__(self) -> str:
        what = {Kind.VIDEO: "pictures", Kind.AUDIO: "samples of sound", Kind.TEXT: "samples of text"}[self.kind]
        return f"{self.samples} {what} from {self.start:.3f} s to {self.end:.3f} s are not published: {self.why}"


@dataclass(slots=True)
class Account:
    """One track's, over all the POSTs that fed it."""

    received: int = 0
    published: int = 0
    refused: int = 0
    complaints: deque[Complaint] = field(default_factory=lambda: deque(maxlen=MOST_COMPLAINTS))
    """Not logged yet."""

    def refuse(self, track: Track, fragments: list[Fragment], why: str) -> None:
        """The fragments follow one another; what continues the last complaint makes it longer."""
        if not fragments:
            return
        samples = sum(fragment.samples - fragment.continued for fragment in fragments)
        start, end = (ticks / track.timescale for ticks in (fragments[0].start, fragments[-1].end))
        self.refused += samples
        last = self.complaints[-1] if self.complaints else None
        if last is not None and last.why == why and abs(start - last.end) < 0.001:
            last.samples, last.end = last.samples + samples, end
        else:
            self.complaints.append(Complaint(samples, start, end, track.kind, why))
