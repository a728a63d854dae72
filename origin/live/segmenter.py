"""Fragments in, segments out: where to cut. Frames out are frames in: what is not published is refused by name.

Video is cut at the first key frame at or after the segment length, counted from the segment's own start, so that a
GOP of 4.004 s never drifts against its segments; where that frame comes too late for the target duration, at the last
one before. Audio has no key frames to wait for: it is cut where the video was, before the first sample whose middle is
behind the boundary, and is so never out of step by more than half a sample. Without video it is cut by length, on a
grid from its start. A cut may lie inside a fragment, which is then divided; one that cannot be divided goes to the side
that its middle is on. Audio usually runs ahead of the video (no look-ahead, no B-frames): its fragments wait until the
boundary is known. Text is cut as audio is, but exactly: a sample that is shown longer is in both segments (RFC 8216
3.5), and counts in the last one.

With parts (`part_maker.py`), fragments that are listed in parts are *settled*: they are not divided again, and no cut
moves them to another segment. Video is then also cut at a key frame after which the next one may come too late.

Pure: no clock, no I/O. Times are seconds as exact fractions where tracks of different timescales meet.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise

from origin.errors import BadMedia, TooLarge
from origin.media.fragments import Fragment
from origin.media.samples import MOST_SAMPLES
from origin.media.tracks import Kind, Track

# Rounding in muxers moves a decode time by a tick or two; 50 ms is more than that and less than two frames at 25/s.
JUMP = Fraction(1, 20)
LATE = Fraction(3, 2)
"""Samples by which a fragment may begin late all the same. The last sample of the one before has duration 0 where a
multiplexer does not know the next one yet (nginx-rtmp), or a guessed one: a picture of a camera at 10/s lasts 100 ms.
"""
LATEST = 1
"""Seconds, whatever the samples: players wait before they pass over a hole of this length."""
_OFF_GRID = Fraction(1, 4)
"""Less than what a segment may be longer than its length; more than a sample of sound."""
MOST_FRAGMENTS = 2**14
"""In one segment: one a picture, of a minute at 240 pictures a second. Small ones cost more than their bytes."""
_PER_FRAGMENT, _PER_SAMPLE = 1024, 128
_LONGEST_TEXT_S = 60
_LARGEST_TEXT = 2**20
"""Of one fragment of text: a thousand times what subtitles need."""

Refuse = Callable[[list[Fragment], str], None]
"""What is called with fragments that no segment takes, and why."""
LastChance = Callable[[Fraction, Fraction], bool]
"""Whether no key frame after the one at the first second is sure to come before the second one."""


@dataclass(slots=True)
class Segment:
    """Fragments that are published together. Times in ticks."""

    start: int
    duration: int
    fragments: list[Fragment]
    settled: int = 0
    """Of the fragments: how many are listed as parts."""

    @property
    def data(self) -> bytes:
        return b"".join(fragment.data for fragment in self.fragments)

    @property
    def size(self) -> int:
        return sum(len(fragment.data) for fragment in self.fragments)

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def samples(self) -> int:
        return sum(fragment.samples - fragment.continued for fragment in self.fragments)


def late(fragment: Fragment, track: Track) -> Fraction:
    """Seconds after it was due that a fragment may begin, and continue the track; samples of text may be minutes."""
    sample = Fraction(0) if track.kind is Kind.TEXT else Fraction(fragment.longest, track.timescale)
    return max(JUMP, min(LATE * sample, Fraction(LATEST)))


class Segmenter:
    """One track of one generation.

    `length` is the segment length in seconds, `longest` the target duration a segment may round to, `largest` the bytes
    of one segment; `refuse` gets what no segment takes.
    """

    def __init__(self, track: Track, length: float, longest: int, largest: int, refuse: Refuse) -> None:
        self.track = track
        self._length = Fraction(length).limit_denominator(1_000_000)
        self._limit = longest + Fraction(1, 2)  # seconds; what is shorter rounds to the target duration
        self._largest = largest
        self._refuse = refuse
        self._pending: list[Fragment] = []
        self._pending_size = 0
        self._pending_samples = 0
        self._settled = 0
        self._due: Fraction | None = None
        """Where audio was cut last, in seconds, or should have been."""
        self.begun: Fraction | None = None
        """Where the siblings of the segment in hand start, in seconds: its length counts from there."""
        self.last_chance: LastChance | None = None
        """With parts; without, a key frame that was passed can still be returned to."""

    @property
    def held(self) -> Fraction:
        """Seconds of media that no segment has taken yet."""
        if not self._pending:
            return Fraction(0)
        return self.seconds(self._pending[-1].end - self._pending[0].start)

    @property
    def samples(self) -> int:
        """Samples that no segment has taken yet."""
        return self._pending_samples

    @property
    def memory(self) -> int:
        """Bytes, about, that all of it takes: the tables of its samples cost more than they did on the wire."""
        return self._pending_size + _PER_FRAGMENT * len(self._pending) + _PER_SAMPLE * self._pending_samples

    @property
    def fits(self) -> bool:
        """Whether all that is held can be one segment."""
        return self.held < self._limit

    @property
    def loose(self) -> list[Fragment]:
        """What is held and not settled."""
        return self._pending[self._settled :]

    @property
    def settled_until(self) -> Fraction | None:
        """Where the settled fragments end, in seconds; None: there are none."""
        return self.seconds(self._pending[self._settled - 1].end) if self._settled else None

    @property
    def next_boundary(self) -> Fraction:
        """Where sound by itself is cut next, in seconds; 0 where nothing is held."""
        return self._boundary(None) if self._pending else Fraction(0)

    @property
    def latest(self) -> Fraction:
        """Before this second the segment in hand has to end, by the target duration; 0 where nothing is held."""
        return self.seconds(self._pending[0].start) + self._limit if self._pending else Fraction(0)

    def settle(self, parts: list[list[Fragment]], rest: list[Fragment]) -> None:
        """The loose fragments are these from now on, and those of `parts` are settled."""
        self._pending[self._settled :] = [*chain.from_iterable(parts), *rest]
        self._pending_size = sum(len(fragment.data) for fragment in self._pending)
        self._settled += sum(len(part) for part in parts)

    def seconds(self, ticks: int) -> Fraction:
        return Fraction(ticks, self.track.timescale)

    def jump(self, fragment: Fragment, after: int) -> bool:
        """Whether the fragment does not continue a track that ended at `after` ticks."""
        return not -JUMP <= self.seconds(fragment.start - after) <= late(fragment, self.track)

    def push(self, fragment: Fragment) -> Iterator[Segment]:
        """Takes the next fragment; for video, gives the segments it completes. Run it to its end.

        `BadMedia`: no key frame within the target duration, or more bytes than `largest`.
        """
        if self.track.kind is Kind.VIDEO:
            if not self._pending and not fragment.independent:
                if (opened := self._open(fragment)) is None:
                    return
                fragment = opened
            while (key := self._key_that_is_due(fragment)) is not None:
                if key:
                    head, fragment = fragment.divide(key, self.track.track_id)
                    self._hold(head)
                yield self._cut(len(self._pending), fragment)
        if self.seconds(self._longest_piece(fragment)) >= self._limit:
            raise self._indivisible(fragment)
        if self.track.kind is Kind.TEXT:
            self._bound_text(fragment)
        self._hold(fragment)
        while self.track.kind is Kind.VIDEO and not self.fits:
            if not (count := self._divide_at_last_key()):
                raise self._no_key_frame()
            yield self._cut(count)
        if self._pending_size > self._largest:
            raise self._too_large(f"{self._pending_size} bytes", self._largest)
        if self._pending_samples > MOST_SAMPLES:
            raise self._too_large(f"{self._pending_samples} samples", MOST_SAMPLES)
        if len(self._pending) > MOST_FRAGMENTS:
            raise self._too_large(f"{len(self._pending)} fragments", MOST_FRAGMENTS)

    def _open(self, fragment: Fragment) -> Fragment | None:
        """What can be decoded of a fragment that begins with no key frame, and has nothing before it."""
        points = fragment.cut_points()
        before, rest = fragment.divide(points[0], self.track.track_id) if points else (fragment, None)
        self._refuse([before], "before the first key frame, where no decoding can begin")
        return rest

    def reaches(self, boundary: Fraction | None = None) -> bool:
        """Whether all samples are here that belong before `boundary`; without one, before the segment length."""
        return bool(self._pending) and self.seconds(self._pending[-1].end) >= self._boundary(boundary)

    def take(self, boundary: Fraction | None = None) -> Segment | None:
        """For audio that reaches `boundary`: the segment that ends there; None where the track has nothing before it.

        Without a boundary, at the segment length.
        """
        self._due = self._boundary(boundary)
        count = self._divide_at(self._due)
        if count == 0 and boundary is None:
            count = self._divide(0, 1)  # a sample that lasts for more than two segments is one by itself
        if count and self._length_of(count) >= self._limit:
            # The track began before its video, or its video late: the next segments take over what is too much.
            latest = self.seconds(self._pending[0].start) + self._length
            count = self._split_at(latest) if self.track.kind is Kind.TEXT else self._divide_within()
        return self._cut(count) if count else None

    def flush(self) -> list[Segment]:
        """All that is held, in segments no longer than the target duration: the track has ended."""
        segments: list[Segment] = []
        while self.track.kind is not Kind.VIDEO and not self.fits:
            if (segment := self.take()) is None:
                break
            segments.append(segment)
        if not self.fits and self._settled:
            segments.append(self._cut(self._settled))
        if self._pending and self.fits and (segments == [] or self.track.kind is not Kind.VIDEO):
            segments.append(self._cut(len(self._pending)))
        self.drop("no segment of the target duration can hold them")
        return segments

    def drop_before(self, at: Fraction, why: str) -> None:
        """Refuse the samples that start before `at` seconds, unless they are settled."""
        if not self._settled:
            self._drop(self._divide_where(at), why)

    def drop(self, why: str) -> None:
        """Refuse what is held."""
        self._drop(len(self._pending), why)

    def _hold(self, fragment: Fragment) -> None:
        self._pending.append(fragment)
        self._pending_size += len(fragment.data)
        self._pending_samples += fragment.samples - fragment.continued

    def _drop(self, count: int, why: str) -> None:
        if dropped := self._remove(count):
            self._refuse(dropped, why)

    def _cut(self, count: int, following: Fragment | None = None) -> Segment:
        """`following`: what comes behind all that is held."""
        settled = min(count, self._settled)
        self.begun = None
        fragments = self._remove(count)
        start, end = fragments[0].start, fragments[-1].end
        following = self._pending[0] if self._pending else following
        if following is not None and 0 < self.seconds(following.start - start) < self._limit:
            end = following.start  # segments touch, where muxers round
        return Segment(start, max(1, end - start), fragments, settled)

    def _remove(self, count: int) -> list[Fragment]:
        fragments = self._pending[:count]
        del self._pending[:count]
        self._settled = max(0, self._settled - count)
        self._pending_size -= sum(len(fragment.data) for fragment in fragments)
        self._pending_samples -= sum(fragment.samples - fragment.continued for fragment in fragments)
        return fragments

    def _length_of(self, count: int) -> Fraction:
        return self.seconds(self._pending[count - 1].end - self._pending[0].start)

    def _boundary(self, boundary: Fraction | None) -> Fraction:
        """By length on a grid: samples that do not divide the length add up to no drift."""
        if boundary is not None:
            return boundary
        start = self.seconds(self._pending[0].start)
        on_grid = self._due is not None and abs(self._due - start) < _OFF_GRID
        return (self._due if on_grid and self._due is not None else start) + self._length

    def _key_that_is_due(self, fragment: Fragment) -> int | None:
        """The sample of `fragment` that begins a segment: a key frame at the segment length, or after it."""
        # A GOP is a whole number of frames: it may fall short of the length by less than one.
        frame = self.seconds(fragment.duration) / fragment.samples
        first = self.seconds(self._pending[0].start if self._pending else fragment.start)
        start = first if self.begun is None else min(first, self.begun)
        for key in fragment.cut_points():
            at = self.seconds(fragment.time_of(key))
            if at <= first:
                continue
            if at - start > self._length - frame:
                return key if at - start < self._limit else None
            if self.last_chance is not None and self.last_chance(at, start + self._limit):
                return key
        return None

    def _divide_at_last_key(self) -> int:
        """How many pending fragments lie before the last key frame that is not too late; 0: there is none."""
        start = self._pending[0].start
        for index in reversed(range(self._settled, len(self._pending))):
            fragment = self._pending[index]
            for key in reversed(fragment.cut_points()):
                if 0 < self.seconds(fragment.time_of(key) - start) < self._limit:
                    return self._divide(index, key)
        return 0

    def _divide_at(self, at: Fraction) -> int:
        """How many pending fragments lie before `at` seconds: what cannot be divided lies where its middle is."""
        if self.track.kind is Kind.TEXT:
            return self._split_at(at)
        ticks = 2 * at * self.track.timescale
        for index, fragment in enumerate(self.loose, self._settled):
            if 2 * fragment.end > ticks:
                starts = fragment.starts()
                sample = bisect_right([before + after for before, after in pairwise(starts)], ticks)
                return self._divide(index, sample)
        return len(self._pending)

    def _divide_within(self) -> int:
        """How many pending fragments make the longest segment that fits."""
        latest = (self.seconds(self._pending[0].start) + self._limit) * self.track.timescale
        for index, fragment in enumerate(self.loose, self._settled):
            if fragment.end >= latest:
                return self._divide(index, max(0, bisect_left(fragment.starts(), latest) - 1))
        return len(self._pending)

    def _divide_where(self, at: Fraction) -> int:
        """How many pending fragments start before `at` seconds, once the one around it is divided."""
        if self.track.kind is Kind.TEXT:
            return self._split_at(at)
        ticks = at * self.track.timescale
        for index, fragment in enumerate(self._pending):
            if fragment.end > ticks:
                return self._divide(index, bisect_left(fragment.starts(), ticks))
        return len(self._pending)

    def _split_at(self, at: Fraction) -> int:
        """How many pending fragments are shown before `at` seconds: of text, also half of a sample can be."""
        ticks = round(at * self.track.timescale)
        for index, fragment in enumerate(self._pending):
            if fragment.start >= ticks or (fragment.end > ticks and fragment.table is None):
                return index
            if fragment.end > ticks:
                self._replace(index, fragment.split(ticks, self.track.track_id))
                return index + 1
        return len(self._pending)

    def _divide(self, index: int, sample: int) -> int:
        """How many pending fragments lie before this sample of one of them, once that one is divided there."""
        fragment = self._pending[index]
        if sample == 0:
            return index
        if fragment.table is not None and sample < fragment.samples:
            self._replace(index, fragment.divide(sample, self.track.track_id))
        return index + 1

    def _replace(self, index: int, halves: tuple[Fragment, Fragment]) -> None:
        self._pending_size += sum(len(half.data) for half in halves) - len(self._pending[index].data)
        self._pending[index : index + 1] = halves

    def _bound_text(self, fragment: Fragment) -> None:
        """A sample is repeated in every segment that shows it: a long one of many bytes would fill the storage."""
        duration, size = self.seconds(fragment.duration), len(fragment.data)
        if duration > _LONGEST_TEXT_S or size > _LARGEST_TEXT:
            self._refuse([fragment], "larger than a fragment of text may be")
            raise TooLarge(
                f"decode time {float(self.seconds(fragment.start)):.3f} s",
                f"a fragment of text of {float(duration):.3f} s and {size} bytes",
                f"at most {_LONGEST_TEXT_S} s and {_LARGEST_TEXT} bytes",
            )

    def _longest_piece(self, fragment: Fragment) -> int:
        """Ticks of the longest piece that one segment has to take: of a fragment that cannot be divided, or of sound a
        sample. Text is divided anywhere; with pictures, it is the next key frame that comes too late."""
        if fragment.table is None:
            return fragment.duration
        return max(fragment.table.durations) if self.track.kind is Kind.AUDIO else 0

    def _indivisible(self, fragment: Fragment) -> BadMedia:
        self._refuse([fragment], "longer than the target duration, and it cannot be divided")
        where = f"decode time {float(self.seconds(fragment.start)):.3f} s"
        length = f"{float(self.seconds(self._longest_piece(fragment))):.3f} s"
        if fragment.table is not None:
            return BadMedia(where, f"a sample of sound of {length}", f"shorter ones than {float(self._limit):g} s")
        return BadMedia(
            where,
            f"a fragment of {length} that cannot be divided",
            f"fragments that can be cut every {float(self._length):g} s (ffmpeg: -frag_duration)",
        )

    def _too_large(self, found: str, most: int) -> BadMedia:
        return TooLarge(
            f"decode time {float(self.seconds(self._pending[0].start)):.3f} s",
            f"{found} in one segment",
            f"at most {most}",
        )

    def _no_key_frame(self) -> BadMedia:
        return BadMedia(
            f"decode time {float(self.seconds(self._pending[0].start)):.3f} s",
            f"no key frame for {float(self.held):.3f} s",
            f"one at least every {float(self._length):g} s (ffmpeg: -g, -keyint_min, -sc_threshold 0)",
        )
