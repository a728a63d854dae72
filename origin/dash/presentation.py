"""A stream's windows as DASH Periods: what every Representation of a Period has, and when it counts as available.

HLS marks a segment that is missing with EXT-X-GAP. DASH forbids it: within a Period, every Representation has all its
segments (DASH-IF restricted timing model, 11). So a number is *settled* once every track has listed it, or will not,
and a Period is a stretch of numbers that the same tracks have:

| at the next number                             | then                                                          |
|------------------------------------------------|---------------------------------------------------------------|
| the same tracks have a segment                 | it continues the Period                                       |
| a track is missing, or one more is there       | the Period ends; the next one begins at once, with those      |
| all video, or all audio, is missing            | the Period ends; the next one begins when both are there      |
| no instant is in the segments of all tracks    | the Period ends; the next one begins where there is one       |
| another generation (encoder restart, jump)     | the Period ends; the next one begins by the clock             |
| nobody may list anything more                  | the Period ends                                               |

The third and fourth rows leave a hole between two Periods (an early terminated Period, ISO/IEC 23009-1 5.3.2.1) rather
than make a Period without pictures: some players never recover from one. A track that lags by more than `PATIENCE`
segments is not waited for, and what it lists later for numbers that are settled is in HLS alone.

The MPD's timeline is the encoder's, laid so that a segment is listed `ahead` seconds before the instant at which it
counts as available (`Timing`). A client is therefore never in want of a segment that its copy of the MPD does not list,
however old that copy may be. What was decided is never changed: Periods are kept over restarts. Pure: `now` is an
argument.
"""

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any

from origin.dash.period import Period, Representation, Run
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind

PATIENCE = 3
"""Segments that a track may lag behind the others, and as long by the clock: encoders that send files faster than these
play are no further behind than that. The multivariant playlist waits as long for a track's first one."""
IRREGULAR = Fraction(1, 4)
"""Of a segment: how far a segment may start from where `@duration` says. The standard allows half of one."""

TOUCH_US = 50_000
"""Segments that follow one another leave no hole of this length: sound is cut half a frame from the pictures' cut."""

MayList = Callable[[str, int], bool]
"""Whether a track may yet list a number that it has not listed."""


class Presentation:
    """One stream's Periods. Mutable; one event loop's."""

    def __init__(self, *, ahead: float) -> None:
        self.ahead = ahead
        """Seconds from when a segment is listed to when it counts as available."""
        self.available_from_us: int | None = None
        """availabilityStartTime in Unix microseconds, for good; None before the first Period."""
        self.captured_from_us: int | None = None
        """Likewise where low latency is offered: the program date-time at which the first Period starts."""
        self.periods: list[Period] = []
        self.next = 0
        """The next number to settle."""
        self.rates_bps: dict[str, float] = {}
        """The largest rate of a segment, by track: @bandwidth of a Representation never falls."""
        self._ended: Period | None = None
        """Where the last generation began, once it has ended: nobody asks for its manifest again."""
        self._there: set[str] = set()
        """Tracks that had listed something by then."""
        self._listed_at: dict[int, float] = {}
        """When the first track listed each number that is not settled."""
        self.revision = 0
        """Grows with every change: what is saved and what is served can be told apart."""

    @property
    def open(self) -> Period | None:
        """The Period that goes on."""
        return self.periods[-1] if self.periods and not self.periods[-1].over else None

    def settle(
        self,
        windows: Mapping[str, TrackWindow],
        tracks: Collection[str],
        may_list: MayList,
        now: float,
        *,
        generation: int | None = None,
        ended: bool = False,
    ) -> None:
        """Takes what the tracks have listed. `tracks`: names of those of the `generation` that is sent now.

        `ended`: the stream has. A track that is posted only then, as whole files are one after the other, is taken
        into the Periods of its generation all the same.
        """
        self._unsettle(windows, generation)
        listed = [window for window in windows.values() if window.listed]
        number = max(self.next, min((window.listed[0].number for window in listed), default=0))
        newest = max((window.next_number for window in listed), default=0)
        for one in range(number, newest):
            self._listed_at.setdefault(one, now)
        while number < newest:
            entries = {window.name: entry for window in listed if (entry := _entry(window, number))}
            patience = PATIENCE * max((entry.duration for entry in entries.values()), default=0.0)
            patient = newest - number <= PATIENCE or now - self._listed_at[number] <= patience
            if patient and self._waits(number, entries, windows, tracks, may_list):
                break
            self._take(number, entries, windows, may_list, now)
            number += 1
            self.next = number
            self.revision += 1
        self._listed_at = {one: at for one, at in self._listed_at.items() if one >= number}
        names = {*tracks, *windows}
        if self.open is not None and number >= newest and not any(may_list(name, number) for name in names):
            self._end()
        if ended and self.periods:
            last = self.periods[-1].generation
            if self._ended is None or self._ended.generation != last:
                self._ended = next(one for one in self.periods if one.generation == last)
                self._there = {window.name for window in listed}

    def _unsettle(self, windows: Mapping[str, TrackWindow], generation: int | None) -> None:
        """Begins the generation again that has ended, if one more track of it has come."""
        if (begun := self._ended) is None:
            return
        if generation != begun.generation:
            self._ended = None
            return
        if late := {window.name for window in windows.values() if window.listed} - self._there:
            self._there |= late
            self.periods = [one for one in self.periods if one.generation != begun.generation]
            self.next = begun.first
            self._listed_at.clear()
            self.revision += 1

    def forget(self, first: Mapping[str, int], now: float, depth: float) -> None:
        """Forgets Periods that left the time shift buffer of `depth` seconds, or whose segments are gone.

        `first` is the first number of each track that can be fetched.
        """
        self.rates_bps = {name: rate for name, rate in self.rates_bps.items() if name in first}
        oldest = self.now_us(now) - round(depth * 1_000_000)
        for period in self.periods:
            while len(period.runs) > 1 and period.at_us(period.runs[1].start) < oldest:
                del period.runs[0]
        kept = [
            period
            for period in self.periods
            if not period.over
            or (period.end_us > oldest and all(first.get(name, period.until) < period.until for name in period.names))
        ]
        # The last one stays: what comes next must not begin before its end.
        kept = kept or self.periods[-1:]
        if len(kept) != len(self.periods):
            self.periods = kept
            self.revision += 1

    def now_us(self, now: float) -> int:
        """An instant on the MPD's timeline."""
        return round(now * 1_000_000) - (self.available_from_us or 0)

    def _waits(
        self,
        number: int,
        entries: Mapping[str, Entry],
        windows: Mapping[str, TrackWindow],
        tracks: Collection[str],
        may_list: MayList,
    ) -> bool:
        """Whether a track that belongs to the Period, or keeps up with it, has yet to list this number."""
        period = self.open
        generation = next((entry.generation for entry in entries.values()), None)
        begun = period is not None and period.generation == generation
        for name in {*tracks, *windows} - entries.keys():
            window = windows.get(name)
            if window is not None and window.next_number > number:
                continue
            belongs = not begun or (period is not None and name in period.names)
            keeps_up = window is not None and bool(window.listed) and window.next_number == number
            if (belongs or keeps_up) and may_list(name, number):
                return True
        return False

    def _take(
        self,
        number: int,
        entries: Mapping[str, Entry],
        windows: Mapping[str, TrackWindow],
        may_list: MayList,
        now: float,
    ) -> None:
        present = {name: entry for name, entry in entries.items() if not entry.gap}
        if not present or self._lacks_a_kind(number, present, windows, may_list):
            self._end()
            return
        generation = max(entry.generation for entry in present.values())
        present = {name: entry for name, entry in present.items() if entry.generation == generation}
        last = min(_end(windows[name], entry) for name, entry in present.items())
        if last <= max(_start(windows[name], entry) for name, entry in present.items()):
            self._end()  # no instant is in all of them: a track broke off as the generation began
            return
        period = self.open
        same = period is not None and {one.name: one.init for one in period.representations} == {
            name: entry.init for name, entry in present.items()
        }
        if period is None or period.generation != generation or not same:
            period = self._begin(number, generation, present, windows, now)
        period.until = number + 1
        # Where the first track ends: every Representation lasts for the whole Period.
        period.end_us = max(period.end_us, period.at_us(last))
        self._extend_run(period, number, present)
        for name, entry in present.items():
            # A short tail is mostly key frame, and says nothing of the track's rate.
            if name not in self.rates_bps or 2 * entry.duration >= period.runs[-1].step:
                self.rates_bps[name] = max(entry.rate_bps, self.rates_bps.get(name, 0.0))

    def _lacks_a_kind(
        self, number: int, present: Mapping[str, Entry], windows: Mapping[str, TrackWindow], may_list: MayList
    ) -> bool:
        """Whether the Period so far has video, or audio, that is missing here and has not ended for good.

        Text may be missing: whoever sends it may send none for a while, and the pictures go on.
        """
        period = self.periods[-1] if self.periods else None
        generation = max(entry.generation for entry in present.values())
        if period is None or period.generation != generation:
            return False
        kinds = {windows[name].track.kind for name in present}
        lacking = [one.name for one in period.representations if one.track.kind not in {*kinds, Kind.TEXT}]
        if not lacking:
            return False
        # Sound that goes on for a moment when all else has ended is no Period of its own; a whole stream without
        # pictures is.
        ending = not any(may_list(name, number + 1) for name in windows)
        back = any(
            may_list(name, number + 1) or (name in windows and windows[name].next_number > number + 1)
            for name in lacking
        )
        return back or ending

    def _begin(
        self,
        number: int,
        generation: int,
        present: Mapping[str, Entry],
        windows: Mapping[str, TrackWindow],
        now: float,
    ) -> Period:
        zero, captured_at = min((_start(windows[name], entry), entry.at) for name, entry in present.items())
        before = self.periods[-1] if self.periods else None
        same = next((one for one in (before, self._ended) if one is not None and one.generation == generation), None)
        if same is not None:
            start_us = max(0, same.at_us(zero))  # the same timeline goes on
            captured_us = same.captured_us + start_us - same.start_us
            if same is before and not before.over and abs(start_us - before.end_us) <= TOUCH_US:
                before.end_us = start_us
        else:
            # Where several were listed before this one was looked at, the newest is the one that has just come.
            lasts = {name: _last_of(windows[name], generation, entry) for name, entry in present.items()}
            newest = min(_end(windows[name], entry) for name, entry in lasts.items())
            begins = round((now + self.ahead - float(newest - zero)) * 1000) * 1000
            if self.available_from_us is None:
                self.available_from_us = begins
            start_us = begins - self.available_from_us
            captured = round(captured_at * 1000) * 1000
            if self.captured_from_us is None:
                self.captured_from_us = captured
            captured_us = captured - self.captured_from_us
        self._end()
        if before is not None:
            start_us = max(start_us, before.end_us)
            captured_us = max(captured_us, before.by_capture().end_us)
        representations = tuple(
            Representation(
                name,
                windows[name].track_of(entry),
                entry.init,
                windows[name].frame_rate,
                bool(windows[name].parts.of(entry.number)),
                windows[name].reference,
            )
            for name, entry in sorted(present.items())
        )
        period = Period(generation, number, number, start_us, start_us, zero, captured_us, representations)
        self.periods.append(period)
        return period

    def _extend_run(self, period: Period, number: int, present: Mapping[str, Entry]) -> None:
        lead = next((one for one in period.representations if one.track.kind is Kind.VIDEO), period.representations[0])
        start, ticks = present[lead.name].ticks_at(lead.track.timescale)
        at, step = Fraction(start, lead.track.timescale), Fraction(ticks, lead.track.timescale)
        if period.runs:
            run = period.runs[-1]
            if abs(at - run.start - (number - run.first) * run.step) <= IRREGULAR * run.step:
                return
        period.runs.append(Run(number, at if period.runs else period.zero, step))

    def _end(self) -> None:
        if (period := self.open) is not None:
            period.over = True
            self.revision += 1

    def to_json(self) -> dict[str, Any]:
        return {
            "available_from_us": self.available_from_us,
            "captured_from_us": self.captured_from_us,
            "next": self.next,
            "revision": self.revision,
            "rates_bps": self.rates_bps,
            "periods": [period.to_json() for period in self.periods],
        }

    def resume(self, values: dict[str, Any]) -> None:
        """Takes up what `to_json` gave, unless it is older than what was taken up already."""
        if int(values["revision"]) <= self.revision:
            return
        periods = [Period.from_json(one) for one in values["periods"]]
        self.available_from_us = values["available_from_us"]
        self.captured_from_us = values.get("captured_from_us", self.available_from_us)
        self.rates_bps = {str(name): float(rate) for name, rate in values["rates_bps"].items()}
        self.next, self.revision, self.periods = int(values["next"]), int(values["revision"]), periods


def _start(window: TrackWindow, entry: Entry) -> Fraction:
    timescale = window.track_of(entry).timescale
    return Fraction(entry.ticks_at(timescale)[0], timescale)


def _end(window: TrackWindow, entry: Entry) -> Fraction:
    timescale = window.track_of(entry).timescale
    return Fraction(sum(entry.ticks_at(timescale)), timescale)


def _entry(window: TrackWindow, number: int) -> Entry | None:
    """What the window lists for a number; the numbers of a window have no holes."""
    index = number - window.listed[0].number
    return window.listed[index] if 0 <= index < len(window.listed) else None


def _last_of(window: TrackWindow, generation: int, otherwise: Entry) -> Entry:
    last = window.listed[-1]
    return last if last.generation == generation and not last.gap else otherwise
