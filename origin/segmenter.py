"""Fragments in, segments out: where to cut.

Video is cut at the first key frame at or after the segment length, counted from the segment's own start, so that a
GOP of 4.004 s never drifts against its segments. Audio has no key frames to wait for; it is cut where the video was,
at the first fragment that starts at or after the boundary. Audio usually runs ahead of the video (no look-ahead, no
B-frames), so its fragments wait until the boundary is known. Without video, audio is cut by length alone.

Pure: no clock, no I/O. Times are seconds as exact fractions where tracks of different timescales meet.
"""

from dataclasses import dataclass
from fractions import Fraction

from origin.errors import BadMedia
from origin.fragments import Fragment
from origin.tracks import Kind, Track

# Rounding in muxers moves a decode time by a tick or two; 50 ms is more than that and less than two frames at 25/s.
JUMP = Fraction(1, 20)


@dataclass(slots=True)
class Segment:
    """Fragments that are published together. Times in ticks."""

    start: int
    duration: int
    fragments: list[Fragment]

    @property
    def data(self) -> bytes:
        return b"".join(fragment.data for fragment in self.fragments)

    @property
    def size(self) -> int:
        return sum(len(fragment.data) for fragment in self.fragments)


class Segmenter:
    """One track of one generation.

    `length` is the segment length in seconds, `longest` the target duration a segment may round to.
    """

    def __init__(self, track: Track, length: float, longest: int, largest: int) -> None:
        self.track = track
        self._length = Fraction(length).limit_denominator(1_000_000)
        self._limit = longest + Fraction(1, 2)  # seconds; what is shorter rounds to the target duration
        self._largest = largest
        self._pending: list[Fragment] = []
        self._pending_size = 0

    @property
    def held(self) -> Fraction:
        """Seconds of media that no segment has taken yet."""
        if not self._pending:
            return Fraction(0)
        return self.seconds(self._pending[-1].end - self._pending[0].start)

    def seconds(self, ticks: int) -> Fraction:
        return Fraction(ticks, self.track.timescale)

    def jump(self, fragment: Fragment, after: int) -> bool:
        """Whether the fragment does not continue a track that ended at `after` ticks."""
        return abs(self.seconds(fragment.start - after)) > JUMP

    def push(self, fragment: Fragment) -> Segment | None:
        """Takes the next fragment; for video, the segment it completes.

        `BadMedia`: no key frame within the target duration, or more bytes than `largest`.
        """
        done: Segment | None = None
        if self.track.kind is Kind.VIDEO:
            if not self._pending and not fragment.independent:
                return None  # nothing before the first key frame can be decoded
            if self._pending and fragment.independent:
                # A GOP is a whole number of frames: it may fall short of the length by less than one.
                frame = self.seconds(fragment.duration) / fragment.samples
                if self.seconds(fragment.start - self._pending[0].start) > self._length - frame:
                    done = self._cut(len(self._pending), fragment.start)
        self._pending.append(fragment)
        self._pending_size += len(fragment.data)
        self._check(fragment)
        return done

    def _check(self, fragment: Fragment) -> None:
        held = self.seconds(fragment.end - self._pending[0].start)
        if self.track.kind is Kind.AUDIO and self.seconds(fragment.duration) >= self._limit:
            raise BadMedia(
                f"decode time {float(self.seconds(fragment.start)):.3f} s",
                f"a fragment of {float(self.seconds(fragment.duration)):.3f} s",
                f"fragments that can be cut every {float(self._length):g} s (ffmpeg: -frag_duration)",
            )
        if self.track.kind is Kind.VIDEO and held >= self._limit:
            raise BadMedia(
                f"decode time {float(self.seconds(self._pending[0].start)):.3f} s",
                f"no key frame at the start of a fragment for {float(held):.3f} s",
                f"one at least every {float(self._length):g} s (ffmpeg: -g, -keyint_min, -sc_threshold 0)",
            )
        if self._pending_size > self._largest:
            raise BadMedia(
                f"decode time {float(self.seconds(self._pending[0].start)):.3f} s",
                f"{self._pending_size} bytes in one segment",
                f"at most {self._largest}",
            )

    def take(self, boundary: Fraction | None = None) -> Segment | None:
        """For audio: the segment that ends at the first fragment starting at or after `boundary`.

        Without a boundary, at the segment length. None: that fragment is not here yet, or there is nothing before it.
        """
        if not self._pending:
            return None
        if boundary is None:
            boundary = self.seconds(self._pending[0].start) + self._length
        for index, fragment in enumerate(self._pending):
            if self.seconds(fragment.start) >= boundary:
                while index and not 0 < self.seconds(fragment.start - self._pending[0].start) < self._limit:
                    # Where the track began inside a segment, or its video late: the head does not fit any more.
                    self._pending_size -= len(self._pending.pop(0).data)
                    index -= 1
                return self._cut(index, fragment.start) if index else None
        return None

    def starts_after(self, boundary: Fraction) -> bool:
        """Everything held starts at or after `boundary`: the segment before it has nothing of this track."""
        return bool(self._pending) and self.seconds(self._pending[0].start) >= boundary

    def flush(self) -> list[Segment]:
        """All that is held, in segments no longer than the target duration: the track has ended."""
        segments: list[Segment] = []
        try:
            while self.track.kind is Kind.AUDIO and (segment := self.take()):
                segments.append(segment)
            if self._pending:
                segments.append(self._cut(len(self._pending), self._pending[-1].end))
        except BadMedia:
            # What cannot be cut was about to be refused; the end of the track is no place to complain.
            self.drop()
        return segments

    def drop_before(self, at: Fraction) -> None:
        """Forget the fragments that start before `at` seconds."""
        while self._pending and self.seconds(self._pending[0].start) < at:
            self._pending_size -= len(self._pending.pop(0).data)

    def drop(self) -> None:
        """Forget what is held."""
        self._pending.clear()
        self._pending_size = 0

    def _cut(self, count: int, end: int) -> Segment:
        fragments = self._pending[:count]
        del self._pending[:count]
        segment = Segment(fragments[0].start, end - fragments[0].start, fragments)
        self._pending_size -= segment.size
        if not 0 < self.seconds(segment.duration) < self._limit:
            raise BadMedia(
                f"decode time {float(self.seconds(segment.start)):.3f} s",
                f"a segment of {float(self.seconds(segment.duration)):.3f} s",
                f"fragments that can be cut every {float(self._length):g} s",
            )
        return segment
