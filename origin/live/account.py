"""What became of a track's samples: what was received is published, or refused, or still held.

Samples that came a second time are `repeated`, and are in none of the other numbers.
"""

from collections import deque
from dataclasses import dataclass, field

from origin.media.fragments import Fragment
from origin.media.tracks import Kind, Track

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
class Hole:
    """Time for which no sender had samples. Decode times in seconds."""

    start: float
    end: float

    def __str__(self) -> str:
        return f"nothing came for {self.start:.3f} s to {self.end:.3f} s: a discontinuity"


@dataclass(slots=True)
class Misalignment:
    """Pictures are cut elsewhere than the stream's other pictures. Decode times in seconds."""

    at: float
    wanted: float

    def __str__(self) -> str:
        return (
            f"a segment ends at {self.at:.3f} s, where the other pictures end one at {self.wanted:.3f} s: players "
            "cannot switch there; wanted key frames at the same times in all tracks "
            "(ffmpeg: -g, -keyint_min, -sc_threshold 0)"
        )


Remark = Complaint | Hole | Misalignment
"""What is wrong with a track's media."""


@dataclass(slots=True)
class Account:
    """One track's, over all the POSTs that fed it."""

    received: int = 0
    published: int = 0
    refused: int = 0
    repeated: int = 0
    complaints: deque[Remark] = field(default_factory=lambda: deque(maxlen=MOST_COMPLAINTS))
    """Not logged yet."""

    def withdraw(self, track: Track, fragments: list[Fragment], why: str) -> None:
        """A segment of these counts as published, and will not be."""
        self.published -= _samples(fragments)
        self.refuse(track, fragments, why)

    def refuse(self, track: Track, fragments: list[Fragment], why: str) -> None:
        """The fragments follow one another; what continues the last complaint makes it longer."""
        if not fragments:
            return
        samples = _samples(fragments)
        start, end = (ticks / track.timescale for ticks in (fragments[0].start, fragments[-1].end))
        self.refused += samples
        last = self.complaints[-1] if self.complaints else None
        if isinstance(last, Complaint) and last.why == why and abs(start - last.end) < 0.001:
            last.samples, last.end = last.samples + samples, end
        else:
            self.complaints.append(Complaint(samples, start, end, track.kind, why))


def _samples(fragments: list[Fragment]) -> int:
    return sum(fragment.samples - fragment.continued for fragment in fragments)
