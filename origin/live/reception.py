"""Which fragments of a track's senders are taken, and in which order: each one once, none before what it follows.

A track may have several senders: redundant encoders, and encoders that connect again and repeat what they sent last.
Since version 1.1 of the DASH-IF live media ingest protocol (interface 1) a sender needs a request for each segment, so
segments may come out of order. The next fragment is *due* where the last one ended.

| a fragment                                                  | is                                                     |
|-------------------------------------------------------------|--------------------------------------------------------|
| begins where the next one is due                            | taken                                                  |
| has the decode time and duration of one taken before        | repeated: ignored and counted                          |
| lies ahead, and what is missing may still come              | held: at most `MOST_HELD` fragments, the bytes of a    |
|                                                             | segment, and the time of three segments                |
| lies ahead, and nobody can bring what is missing            | taken: a jump of the decode times                      |
| lies behind, in a hole that was given up or just before the | refused: too late                                      |
|   first one                                                 |                                                        |
| lies behind, where the samples came in other fragments      | repeated; what lies past the due time is taken         |
| lies behind all that is remembered; or just behind, in the  | taken: a jump of the decode times                      |
| one request of a sole encoder whose clock is its own        |                                                        |

Pictures refer to those before them, back to a key frame, and a sample of sound overlaps the one before. So who sent
what was taken last *leads*, with pictures until the next key frame: what another sender has is held, and taken only if
the leader is gone, has gone on without it, or is too far behind (a whole group of pictures, a segment of sound).

Senders are *epoch-locked* where decode times count from the Unix epoch (the protocol demands it of redundant encoders):
equal times are then equal moments, whoever sends them.

Pure: no I/O, and `now` is an argument.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum
from fractions import Fraction

from origin.live.segmenter import JUMP, Refuse, late
from origin.media.fragments import Fragment
from origin.media.tracks import Kind, Track

REMEMBERED = 1024
"""Fragments whose times are remembered: seventeen minutes of one a second, three segments of 4 s of single frames."""
MOST_HELD = 1024
MOST_HOLES = 64
"""Holes that are remembered, to know who comes too late."""
PATIENCE = 3
"""Segments that a fragment ahead of a hole waits. Encoders send again what was lost less than three segments ago."""
EPOCH_S = 60.0
"""How far decode times of an epoch-locked encoder may be from the wall clock. Encoders lag by seconds, half a minute at
most; times that begin at zero, or at a time zone's midnight, are hours away at least."""


class Way(Enum):
    """How a sender uses requests."""

    ENDLESS = "endless"
    """One request for as long as it sends: version 1.0. What it sends is in order."""
    SEGMENTS = "segments"
    """A request for each segment: version 1.1 and later."""


class Reception:
    """One track's. Mutable; times in ticks of the track's timescale.

    `length` is the segment length in seconds, `largest` the bytes that are held at most, `senders` those that the track
    has now; `refuse` and `repeat` get what is not taken, `hole` the start and end of what never came.
    """

    def __init__(
        self,
        track: Track,
        length: float,
        largest: int,
        senders: Collection[object],
        *,
        refuse: Refuse,
        repeat: Callable[[Fragment], None],
        hole: Callable[[int, int], None],
    ) -> None:
        self.track = track
        self.due: int | None = None
        """Where the next fragment begins; None: none has been taken."""
        self.locked = False
        """The decode times count from the Unix epoch."""
        self._jump = int(JUMP * track.timescale)
        self._length = int(length * track.timescale)
        self._patience_s = PATIENCE * length
        self._patience = int(self._patience_s * track.timescale)
        self._largest = largest
        self._senders = senders
        self._is_open = False
        """What was taken last ends when the next one begins: its last sample has duration 0."""
        self._leader: object = None
        """Who sent what was taken last."""
        self._refuse, self._repeat, self._hole = refuse, repeat, hole
        self._taken: dict[tuple[int, int], int] = {}
        """(start, duration) of what was taken lately, and a hash of its bytes; the oldest first."""
        self._beginning = 0
        self._holes: deque[tuple[int, int]] = deque(maxlen=MOST_HOLES)
        self._held: list[tuple[Fragment, object]] = []
        self._held_bytes = 0
        self._held_since = 0.0
        """When something was taken last, or the first one was held."""

    @property
    def last(self) -> int | None:
        """The end of all that has come."""
        return self._held[-1][0].end if self._held else self.due

    @property
    def held(self) -> int:
        """Fragments that wait for what lies before them."""
        return len(self._held)

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    @property
    def remembered(self) -> int:
        return len(self._taken)

    def resume(self, taken: Iterable[tuple[int, int, bytes]], due: int, now: float) -> None:
        """Goes on behind what an earlier run of the origin took: start, duration and bytes of what came last."""
        self.due, self._beginning, self._held_since = due, -1, now
        self.locked = abs(due / self.track.timescale - now) <= EPOCH_S
        self._taken = {(start, duration): hash(data) for start, duration, data in taken}

    def take(self, fragment: Fragment, now: float, *, sender: object, way: Way) -> Iterator[Fragment]:
        """The fragments that are to be published now; run it to its end."""
        if self.due is None:
            self.locked = self._near(fragment, now)
            yield self._accept(fragment, sender, now)
            return
        if sender is self._leader:
            self._drop_twin(fragment)
        if self.has(fragment, exactly=way is Way.ENDLESS and not self.locked):
            self._repeat(fragment)
            return
        ahead = self._ahead(fragment)
        waits = way is Way.SEGMENTS or len(self._senders) > 1
        latest = self._late(fragment)
        if waits and ahead > latest and self._ahead(fragment, after=self.last) <= self._patience:
            self._hold(fragment, sender, now)
        elif ahead < -self._jump and self._is_known(fragment, now, way):
            yield from self._take_rest(fragment, sender, now)
        elif not -self._jump <= ahead <= latest and self._held:
            # Another timeline: what waits is of this one.
            yield from self.drain(now)
            yield from self.take(fragment, now, sender=sender, way=way)
            return
        elif -self._jump <= ahead <= latest and not self._may_follow(fragment, sender):
            self._hold(fragment, sender, now)
        else:
            if waits and ahead > latest:
                self._hole(self.due, fragment.start)
            yield self._accept(fragment, sender, now)
        yield from self._release(now)
        while len(self._held) > MOST_HELD or self._held_bytes > self._largest:
            yield from self._give_up(now)

    def expire(self, now: float) -> Iterator[Fragment]:
        """What has waited for long enough for what lies before it; run it to its end."""
        yield from self._release(now)  # the leader may be gone
        while self._held and now >= self._held_since + self._patience_s:
            yield from self._give_up(now)

    def drain(self, now: float) -> Iterator[Fragment]:
        """All that waits: what is missing will never come."""
        while self._held:
            yield from self._give_up(now)

    def drop(self, why: str) -> None:
        """Refuse all that waits."""
        if self._held:
            self._refuse([fragment for fragment, _ in self._held], why)
        self._held, self._held_bytes = [], 0

    def begin_anew(self) -> None:
        """Another init section: what follows has nothing to do with what came before."""
        self.due = None
        self._taken.clear()
        self._holes.clear()

    def has(self, fragment: Fragment, *, exactly: bool) -> bool:
        """Whether the fragment came before; `exactly`: with the same bytes."""
        key = (fragment.start, fragment.duration)
        if (known := self._taken.get(key)) is not None:
            return not exactly or known == hash(fragment.data)
        return any((one.start, one.duration) == key for one, _ in self._held)

    def continues(self, fragment: Fragment, now: float, way: Way) -> bool:
        """Whether a sender that is new, and begins with this fragment, goes on with what came before."""
        if self.due is None:
            return True
        if self.locked:
            return self._near(fragment, now)
        if fragment.start == self._beginning:
            return False  # an encoder that begins again begins where it began
        ahead = self._ahead(fragment)
        if self.has(fragment, exactly=True):
            return ahead >= -self._patience
        return ahead >= -self._jump and ahead <= (self._patience if way is Way.SEGMENTS else self._late(fragment))

    def _near(self, fragment: Fragment, now: float) -> bool:
        return abs(fragment.start / self.track.timescale - now) <= EPOCH_S

    def _ahead(self, fragment: Fragment, after: int | None = None) -> int:
        """Ticks from where the next fragment is due, or from `after`, to where this one begins."""
        after = self.due if after is None else after
        assert after is not None
        return fragment.start - after

    def _late(self, fragment: Fragment) -> int:
        """Ticks after the due time that nothing is missing in."""
        return int(late(fragment, self.track) * self.track.timescale) if self._is_open else self._jump

    def _is_known(self, fragment: Fragment, now: float, way: Way) -> bool:
        """Whether the time of a fragment that lies behind is one that has passed, and not another timeline's."""
        if self.locked and self._near(fragment, now):
            return True
        return way is Way.SEGMENTS and self._ahead(fragment, after=self._earliest) >= -self._patience

    @property
    def _earliest(self) -> int:
        """What lies before is not known to have come."""
        return min(start for start, _ in (next(iter(self._taken)), *self._holes))

    def _may_follow(self, fragment: Fragment, sender: object) -> bool:
        """Whether a fragment that is due may be taken: the leader's own, or the leader has nothing better to send."""
        assert self.due is not None
        if sender is self._leader or self._leader not in self._senders:
            return True
        if any(by is self._leader for _, by in self._held):
            return True  # it has gone on without this one
        if self.track.kind is not Kind.VIDEO:
            return max(self.last or 0, fragment.end) - self.due >= self._length
        return fragment.independent or sum(one.independent for one, _ in self._held if self._ahead(one) > 0) > 1

    def _drop_twin(self, fragment: Fragment) -> None:
        """The leader's own has come: what is held of the same time is not needed."""
        for at, (one, _) in enumerate(self._held):
            if (one.start, one.duration) == (fragment.start, fragment.duration):
                self._repeat(self._pop(at)[0])
                return

    def _take_rest(self, fragment: Fragment, sender: object, now: float) -> Iterator[Fragment]:
        """Of a fragment that begins before the due time: what lies past it. The rest is repeated, or too late."""
        assert self.due is not None
        edges = {self._earliest, self.due, *(edge for hole in self._holes for edge in hole)}
        # Half a sample: times of encoders that divide the samples differently differ by rounding only.
        half = Fraction(fragment.duration, 2 * fragment.samples)
        for edge in sorted(edge for edge in edges if fragment.start < edge < fragment.end):
            index = bisect_left(fragment.starts(), edge - half)
            if 0 < index < fragment.samples and fragment.table is not None:
                head, fragment = fragment.divide(index, self.track.track_id)
                self._take_past(head, head.start + half)
        if fragment.start + half >= self.due:
            if self._may_follow(fragment, sender):
                yield self._accept(fragment, sender, now)
            else:
                self._hold(fragment, sender, now)
        elif fragment.table is None and fragment.end - half > self.due:
            self._refuse([fragment], "in part received before, and it cannot be divided")
        else:
            self._take_past(fragment, fragment.start + half)

    def _take_past(self, fragment: Fragment, at: Fraction) -> None:
        """`at`: inside the fragment's first sample."""
        if at < self._earliest:
            self._refuse([fragment], "too late: before the first one that the track has, or that is remembered")
        elif any(start <= at < end for start, end in self._holes):
            self._refuse([fragment], "too late: what follows them was waiting for three segments")
        else:
            self._repeat(fragment)

    def _accept(self, fragment: Fragment, sender: object, now: float) -> Fragment:
        self._leader = sender
        self._held_since = now
        if self.due is None:
            self._beginning = fragment.start
        elif (ahead := self._ahead(fragment)) > self._jump:
            self._holes.append((self.due, fragment.start))
        elif ahead < -self._jump:
            self._taken.clear()
            self._holes.clear()
            self._beginning = fragment.start
        self.due = fragment.end
        self._is_open = fragment.row is not None and fragment.row.durations[-1] == 0
        self._taken[fragment.start, fragment.duration] = hash(fragment.data)
        if len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]
        return fragment

    def _hold(self, fragment: Fragment, sender: object, now: float) -> None:
        if not self._held:
            self._held_since = now
        insort(self._held, (fragment, sender), key=lambda one: one[0].start)
        self._held_bytes += len(fragment.data)

    def _pop(self, at: int = 0) -> tuple[Fragment, object]:
        fragment, sender = self._held.pop(at)
        self._held_bytes -= len(fragment.data)
        return fragment, sender

    def _release(self, now: float) -> Iterator[Fragment]:
        """What was held and is due."""
        while self._held and (ahead := self._ahead(self._held[0][0])) <= self._late(self._held[0][0]):
            if ahead >= -self._jump and not self._may_follow(*self._held[0]):
                return
            fragment, sender = self._pop()
            if ahead < -self._jump:
                yield from self._take_rest(fragment, sender, now)
            else:
                yield self._accept(fragment, sender, now)

    def _give_up(self, now: float) -> Iterator[Fragment]:
        """What the first one that is held waits for will not come."""
        assert self.due is not None
        fragment, sender = self._pop()
        if self._ahead(fragment) > self._late(fragment):
            self._hole(self.due, fragment.start)
        yield self._accept(fragment, sender, now)
        yield from self._release(now)
