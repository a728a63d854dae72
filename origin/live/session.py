"""One track of one run of an encoder: fragments in, numbered segments out.

No I/O, and `now` is an argument.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING

from cdnkit.hls import instream_ids
from origin.errors import BadMedia
from origin.live.account import Account, Misalignment
from origin.live.hand import Hand
from origin.live.part_maker import PartMaker
from origin.live.segmenter import Segment, Segmenter
from origin.live.timeline import Timeline
from origin.live.window import Numbered
from origin.media.arrivals import Arrivals
from origin.media.fragments import Fragment
from origin.media.presented import present
from origin.media.tracks import InitSection, Kind, Track

if TYPE_CHECKING:
    from origin.live.stream import Stream

_ROUNDING = Fraction(1, 500)
"""What timescales of milliseconds make of one instant in two rungs; less than a frame at 240/s."""
_REORDERED = Fraction(1, 2)
"""Seconds: by less than this, rungs are decoded earlier or later because of how they are reordered."""


class State(Enum):
    """How the session of a track stands."""

    LIVE = "live"
    ENDED = "ended"  # the last sender said that there is no more
    BROKEN = "broken"  # it did not, and is gone; or the media was refused
    SUPERSEDED = "superseded"  # a newer encoder took over


@dataclass(slots=True, eq=False)
class Generation:
    """One run of one encoder."""

    id: int
    """Stands in the names of its segments; never used twice, not even after a storage folder was emptied."""
    base: int
    """Number of its segment 0."""
    timeline: Timeline = field(default_factory=Timeline)
    sessions: dict[str, "Session"] = field(default_factory=dict)
    discontinuity: int | None = None
    """Given with its first segment: a generation that published nothing leaves no trace."""
    anchor: tuple[float, Fraction] | None = None
    """(Unix seconds, decode seconds) of one instant: program date-times advance with media time from here."""


class Session:
    """One track of one generation, as its senders feed it."""

    def __init__(self, stream: "Stream", name: str, init: InitSection, supersede: Callable[[], None]) -> None:
        self.stream = stream
        self.name = name
        self.init = init
        self.state = State.LIVE
        self.supersede = supersede
        self.generation: Generation
        self.segmenter: Segmenter
        self.parts: PartMaker | None = None
        self.arrivals = Arrivals()
        self.hand = Hand()
        self.index: int | None = None
        """The index of the segment being gathered; None until the track has found its place among its siblings."""
        self.end: int | None = None
        """Decode time in ticks at which the next fragment is due."""
        self.carried = False
        """It was moved over from an older generation by a sibling's jump; its own jump has not come yet."""
        self.is_recovered = False
        """Of pictures: its last segment ended with what an earlier run of the origin had, key frame or not."""
        self.unplaced = Fraction(0)
        self.is_misaligned = False
        """Of pictures: it is cut elsewhere than its siblings."""
        self.shift: Fraction | None = None
        """Of pictures: how much later than its siblings it is cut, in seconds; None: not known yet. Rungs are decoded a
        few pictures apart where they are reordered differently."""

    @property
    def account(self) -> Account:
        return self.stream.accounts[self.name]

    @property
    def track(self) -> Track:
        return self.init.track

    def attach(self, generation: Generation, *, carried: bool) -> None:
        self.generation = generation
        if (before := getattr(self, "segmenter", None)) is not None:
            before.drop("left over from an older timeline")
        self.segmenter = self.stream.segmenter(self.name, self.track)
        self.parts = None
        if self.stream.part is not None and self.track.kind is not Kind.TEXT:
            self.parts = PartMaker(self.segmenter, self.stream.part)
            self.segmenter.last_chance = self.is_last_chance
        self.hand = Hand(over=self.hand.close())
        self.index = None
        self.is_recovered = False
        self.arrivals = Arrivals()
        self.carried = carried
        self.unplaced = Fraction(0)
        self.is_misaligned, self.shift = False, None
        generation.sessions[self.name] = self
        self.stream.numbered(self.name, Numbered(init=self.init))

    def push(self, fragment: Fragment, now: float) -> None:
        """Takes the next fragment. `BadMedia`: it cannot be cut or placed; the session is then to be broken off."""
        if self.state is not State.LIVE:
            return
        self.account.received += fragment.samples
        if fragment.start < 0:
            early, rest = fragment.from_zero(self.track.track_id)
            self._refuse(early, "decoded before time 0")
            if rest is None:
                return
            fragment = rest
        self._find_captions(fragment)
        if self.init.edit is not None:
            left_out, moved = present(fragment, self.track, self.init.edit)
            if left_out is not None:
                self._refuse(left_out, "left out by the edit list")
            if moved is None:
                return
            fragment = moved
        if self.end is not None and self.segmenter.jump(fragment, self.end):
            if self.carried:
                # The sibling's jump has reached this track: what it still held is of the old timeline.
                self.segmenter.drop("left over from the timeline before its sibling's jump")
                self.carried, self.index = False, None
            else:
                self.stream.reopen(self, now)
        elif self.is_recovered and not fragment.independent:
            # Pictures are missing up to the next key frame: not even a sender that goes on can mend that.
            self.stream.reopen(self, now)
        self.is_recovered = False
        self.end = fragment.end
        self.arrivals.arrived(fragment.end, now)
        generation = self.generation
        if self.index is None and not fragment.cut_points():
            self._refuse(fragment, "before the first key frame, where no decoding can begin")
            return
        if generation.anchor is None:
            # Its first sample was captured about its duration before it came, or behind what is listed: half a
            # segment behind, because a sibling may start that much earlier.
            began = now - float(self.segmenter.seconds(fragment.duration))
            earliest = self.stream.listed_until + self.stream.length / 2
            generation.anchor = (max(began, earliest), self.segmenter.seconds(fragment.start))
        if self.index is None and not self._place(fragment):
            self._refuse(fragment, "before a key frame where the stream's other tracks are cut")
            self._check_unplaced(fragment)
            return
        if self.track.kind is Kind.VIDEO:
            for key in fragment.cut_points():
                generation.timeline.keys.seen(self.segmenter.seconds(fragment.time_of(key)))
        self.hand.add(fragment)
        for segment in self.segmenter.push(fragment):
            # Only a cut at a key frame counts: where one rung broke off, the others go on.
            self._mark(segment, self.segmenter.seconds(fragment.longest))
            self.number(segment)
        self.stream.follow(generation)

    def _mark(self, segment: Segment, frame: Fraction) -> None:
        """Where a segment of pictures ends, its siblings end theirs, unless this track is the odd one out."""
        timeline, index = self.generation.timeline, self.index
        assert index is not None
        start, end = self.segmenter.seconds(segment.start), self.segmenter.seconds(segment.end)
        if self.shift is None and index <= timeline.count and (begun := timeline.start_of(index)) is not None:
            self.shift = start - begun if abs(start - begun) < _REORDERED else Fraction(0)
        shift = self.shift or Fraction(0)
        if not self.is_misaligned or not any(one.leads for one in self.generation.sessions.values()):
            timeline.mark(index, end - shift)
        if self.is_misaligned or not timeline.first <= index < timeline.count:
            return
        wanted = timeline.end_of(index) + shift
        if abs(end - wanted) >= frame:
            self.is_misaligned = True
            self.account.complaints.append(Misalignment(float(end), float(wanted)))

    @property
    def leads(self) -> bool:
        """Whether the sound is cut where this track is."""
        goes_on = self.state in (State.LIVE, State.ENDED)
        return self.track.kind is Kind.VIDEO and goes_on and not self.is_misaligned

    def _find_captions(self, fragment: Fragment) -> None:
        if self.track.length_size:
            media = memoryview(fragment.data)[fragment.media :]
            found = instream_ids(media, self.track.length_size, hevc=self.track.codec.startswith("h"))
            self.track.captions = tuple(sorted({*self.track.captions, *found}))

    def _refuse(self, fragment: Fragment, why: str) -> None:
        self.stream.refuse(self.name, self.track, [fragment], why)

    def renew(self, init: InitSection, now: float) -> None:
        """The sender has sent another init section; an equal one, repeated for late joiners, changes nothing."""
        if self.state is not State.LIVE or init.id == self.init.id:
            return
        self.flush()
        self.init = init
        self.end = None
        self.stream.reopen(self, now)

    def _place(self, fragment: Fragment) -> bool:
        """Finds which segment of the generation this fragment begins; False: it begins none."""
        generation = self.generation
        assert generation.anchor is not None
        start, began = self.segmenter.seconds(fragment.start), generation.anchor[1]
        length = Fraction(self.stream.length).limit_denominator(1_000_000)
        if self.track.kind is not Kind.VIDEO:
            self.index = generation.timeline.place_sound(start, began, length)
        else:
            start = self.segmenter.seconds(fragment.time_of(fragment.cut_points()[0]))
            frame = self.segmenter.seconds(fragment.duration) / fragment.samples
            self.index = generation.timeline.place_pictures(start, began, length, frame)
            self.segmenter.begun = generation.timeline.start if self.index == 0 else None
        return self.index is not None

    def _check_unplaced(self, fragment: Fragment) -> None:
        assert self.generation.anchor is not None
        self.unplaced += self.segmenter.seconds(fragment.duration)
        if self.unplaced > 3 * self.stream.target:
            raise BadMedia(
                f"decode time {float(self.segmenter.seconds(fragment.start)):.3f} s",
                "no key frame where the stream's other tracks are cut "
                f"(they began at {float(self.generation.anchor[1]):.3f} s)",
                "one encoder whose tracks share decode times and key frames",
            )

    def is_last_chance(self, at: Fraction, latest: Fraction) -> bool:
        """Whether the key frame at `at` has to end the segment in hand, which may last until `latest`."""
        timeline = self.generation.timeline
        if self.index is not None and timeline.first <= self.index < timeline.count:
            return abs(at - timeline.end_of(self.index)) < _ROUNDING
        if timeline.reached is not None and timeline.reached > at:
            return False  # another rung has gone on behind it
        return timeline.keys.next_after(at, Fraction(self.stream.length).limit_denominator(1_000_000)) >= latest

    def number(self, segment: Segment) -> None:
        """Gives a finished segment its number."""
        assert self.index is not None
        self.carried = False
        if self.parts is not None:
            self._list(self.parts.finish(segment))
            self.parts.begin()
        self.hand.cut(segment.end)
        self.account.published += segment.samples
        self.stream.place(self, segment, self.index)
        self.index += 1

    def list_parts(self, until: Fraction | None) -> None:
        """Numbers the parts that end at `until` or before; None: all that can be made."""
        if self.parts is None or self.index is None or self.carried or self.state is not State.LIVE:
            return
        if until is not None:
            # Sound that began before its pictures: what the first segment cannot hold, the next one takes over.
            until = min(until, self.segmenter.latest - self.segmenter.seconds(1))
        knew = self.parts.misfit
        self._list(self.parts.make(until))
        if self.parts.misfit and not knew:
            self.stream.without_parts.append(self.name)

    def _list(self, parts: list[list[Fragment]]) -> None:
        for fragments in parts:
            self.stream.place_part(self, fragments)

    def flush(self) -> None:
        """Numbers all that is complete."""
        for segment in self.segmenter.flush():
            self.number(segment)

    def finish(self, state: State) -> None:
        """Nobody sends any more; `state` says how it came."""
        if self.state is not State.LIVE:
            return
        self.state = state
        if self.track.kind is Kind.VIDEO:
            self.flush()
        self.stream.follow(self.generation)
        self.stream.update_ended()
