"""DASH manifests from Periods and windows: text, and nothing else (ISO/IEC 23009-1; DASH-IF restricted timing model).

One presentation, three manifests of the same segments. With `SegmentTimeline` (`manifest.mpd`) the times are exact, and
every new segment is a new manifest. With number templates (`manifest-number.mpd`) the manifest stays as it is from one
Period to the next, and caches answer for hours with the same bytes. With parts there is a third one, for low latency
(`origin/dash/low_latency.py`). Every URL is relative.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, zip_longest

from cdnkit.dash import sets
from cdnkit.dash.xml import Xml
from cdnkit.settings.origin import Origin
from origin.dash.events import Event, event_stream
from origin.dash.low_latency import LowLatencyDash
from origin.dash.period import Period, Representation, Run
from origin.dash.presentation import Presentation
from origin.hls.playlist import date_time, init_name
from origin.hls.steering import STEERING, Steering
from origin.live.window import Entry, TrackWindow

MANIFEST = "manifest.mpd"
NUMBER_MANIFEST = "manifest-number.mpd"
TIME = "time"
"""Beside the manifests: the origin's clock, for UTCTiming."""

_UTC = ("urn:mpeg:dash:utc:http-xsdate:2014", TIME)


LICENSE = "license.key"
"""Beside the manifests, too: the keys, for ClearKey."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a manifest promises, in seconds."""

    update: int
    """minimumUpdatePeriod: as long as a manifest is fresh in a cache; asked earlier, it is the same one."""
    ahead: float
    """From when a segment is listed to when it counts as available: a manifest that has lain in a cache for its whole
    lifetime, and is then used for `update`, still lists all that becomes available meanwhile, half a segment of delay
    included."""
    depth: float
    """timeShiftBufferDepth."""
    delay: float
    """suggestedPresentationDelay: two target durations behind the live edge; what HLS has as a third is in `ahead`."""
    longest: float
    """maxSegmentDuration: a segment rounds to the target duration at most."""


Tables = Mapping[str, Mapping[int, Entry]]
"""Segments by track and number."""


@dataclass(frozen=True, slots=True)
class Locations:
    """Where the presentation is served, and who says which of the places to use (ETSI TS 103 998)."""

    bases: dict[str, str]
    """The stream's folder at each serviceLocation, the preferred one first; at least one."""

    @classmethod
    def of(cls, steering: Steering | None, stream: str) -> "Locations | None":
        """Those of a stream whose players are steered; None: they are not."""
        return None if steering is None else cls({one: steering.base(one, stream) for one in steering.listed()})


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What one Period element speaks of: segments `run.first` to before `until`."""

    period: Period
    run: Run
    until: int
    start_us: int
    end_us: int
    over: bool


def timing_of(settings: Origin, length: float) -> Timing:
    """For segments of `length` seconds."""
    target, update = settings.target_duration(length), max(1, settings.playlist_lifetime(length))
    ahead, longest = 2 * update + length / 2, target + 0.5
    # A segment that is about to leave the buffer is still fetched with a manifest as old as may be.
    kept = settings.window_of(target) + settings.linger_after(length) - ahead - 2 * update - longest
    return Timing(update, ahead, max(length, min(settings.window_of(target), kept)), 2.0 * target, longest)


def manifest(
    presentation: Presentation,
    windows: Mapping[str, TrackWindow],
    timing: Timing,
    now: float,
    *,
    published: str,
    ended: bool,
    numbers: bool,
    locations: Locations | None = None,
    events: Sequence[Event] = (),
    part: float | None = None,
) -> str | None:
    """The MPD of a stream; static once it has `ended`. None: there is nothing to list.

    `published` stands as it is in publishTime. `numbers`: with number templates; a static one has a timeline all the
    same, because a number template cannot begin with segments that have left the window. `part`: of low latency, with
    parts of so many seconds.
    """
    periods, from_us = presentation.periods, presentation.available_from_us
    if part is not None:
        periods, from_us = [one.by_capture() for one in periods], presentation.captured_from_us
    if from_us is None:
        return None
    tables = {window.name: _by_number(window.listed if ended else window.fetchable()) for window in windows.values()}
    cut_us = 0 if ended else round((now - timing.depth) * 1_000_000) - from_us
    stretches = chain.from_iterable(_stretches(period, by_run=numbers) for period in periods)
    shown = [(one, first) for one in stretches if (first := _first_of(one, tables, cut_us)) is not None]
    if not shown:
        return None
    low = LowLatencyDash(part, _UTC, from_us) if part is not None and not ended else None
    latency = timing.delay if low is None else low.latency([one.period for one, _ in shown])
    xml = Xml()
    xml.open(
        "MPD",
        xmlns="urn:mpeg:dash:schema:mpd:2011",
        **(sets.PROTECTED if any(map(_kids, (one for one, _ in shown))) else {}),
        profiles="urn:mpeg:dash:profile:isoff-live:2011",
        type="static" if ended else "dynamic",
        availabilityStartTime=date_time(from_us / 1_000_000),
        publishTime=published,
        mediaPresentationDuration=sets.duration(shown[-1][0].end_us) if ended else None,
        minimumUpdatePeriod=None if ended else f"PT{timing.update}S",
        timeShiftBufferDepth=None if ended else f"PT{timing.depth:g}S",
        suggestedPresentationDelay=None if ended else f"PT{latency:g}S",
        maxSegmentDuration=f"PT{timing.longest:g}S",
        minBufferTime=f"PT{timing.longest if low is None else low.part:g}S",
    )
    if locations is not None:
        for one, base in locations.bases.items():
            xml.words("BaseURL", base, serviceLocation=one)
        xml.words("ContentSteering", STEERING, defaultServiceLocation=next(iter(locations.bases)))
    if low is not None:
        low.describe(xml, latency)
    for stretch, first in shown:
        _period(xml, stretch, presentation.rates_bps, tables, events, first, by_number=numbers and not ended, low=low)
    if not ended:
        xml.leaf("UTCTiming", schemeIdUri=_UTC[0], value=_UTC[1])
    xml.close()
    return xml.text()


def _kids(stretch: _Stretch) -> set[str]:
    return {one.track.default_kid for one in stretch.period.representations} - {""}


def _by_number(entries: Iterable[Entry]) -> dict[int, Entry]:
    return {entry.number: entry for entry in entries if not entry.gap}


def _stretches(period: Period, *, by_run: bool) -> Iterator[_Stretch]:
    """What becomes a Period element: the whole Period, or each of its runs."""
    runs = period.runs if by_run else [Run(period.first, period.zero, period.runs[0].step)]
    for run, after in zip_longest(runs, runs[1:]):
        until, end_us = (after.first, period.at_us(after.start)) if after else (period.until, period.end_us)
        yield _Stretch(period, run, until, period.at_us(run.start), end_us, period.over or after is not None)


def _first_of(stretch: _Stretch, tables: Tables, cut_us: int) -> int | None:
    """The first number from which every Representation has all that follows, and nothing is over at `cut_us`.

    None: there is nothing to list.
    """
    period = stretch.period
    mine = [tables.get(one.name, {}) for one in period.representations]
    # A Period may go on for months: only what the windows hold is looked at.
    lowest = max(next(iter(table), stretch.until) for table in mine)
    missing = [
        number
        for number in range(max(lowest, stretch.run.first), stretch.until)
        if any(number not in table for table in mine)
    ]
    start = missing[-1] + 1 if missing else max(lowest, stretch.run.first)
    for number in range(start, stretch.until):
        ends = [
            Fraction(sum(tables[one.name][number].ticks_at(one.track.timescale)), one.track.timescale)
            for one in period.representations
        ]
        if period.at_us(max(ends)) >= cut_us:
            return number
    return None


def _period(
    xml: Xml,
    stretch: _Stretch,
    rates_bps: Mapping[str, float],
    tables: Tables,
    events: Sequence[Event],
    first: int,
    *,
    by_number: bool,
    low: LowLatencyDash | None,
) -> None:
    """`first`: the first number that is listed; `by_number`: without a timeline."""
    count = itertools.count()
    xml.open(
        "Period",
        id=f"{stretch.period.generation}-{stretch.run.first}",
        start=sets.duration(stretch.start_us),
        duration=sets.duration(stretch.end_us - stretch.start_us) if stretch.over else None,
    )
    if events:
        began = _date_of(stretch, tables[stretch.period.representations[0].name][first])
        event_stream(xml, events, began, began + (stretch.end_us - stretch.start_us) / 1e6 if stretch.over else None)
    by_name = {one.name: one for one in stretch.period.representations}
    described = [_described(one, rates_bps.get(one.name, 0.0)) for one in by_name.values()]
    for index, members in enumerate(sets.adaptation_sets(described), 1):
        sets.open_set(xml, index, members)
        for member in members:
            one = by_name[member.id]
            sets.open_representation(xml, member)
            if by_number:
                regular, early = _regular(stretch.run, one), dict[str, str]()
                if low is not None:
                    low.refer(xml, next(count), stretch.period, one, regular["timescale"])
                    early = low.offset(one, stretch.run.step)
                xml.leaf("SegmentTemplate", **regular, **early, **_names(stretch, one, stretch.run.first))
            else:
                timescale = one.track.timescale
                offset = round(stretch.run.start * timescale)
                names = _names(stretch, one, first)
                xml.open("SegmentTemplate", timescale=timescale, presentationTimeOffset=offset, **names)
                numbers = range(first, stretch.until)
                sets.timeline(xml, (tables[one.name][number].ticks_at(timescale) for number in numbers))
                xml.close()
            xml.close()
        xml.close()
    xml.close()


def _date_of(stretch: _Stretch, entry: Entry) -> float:
    """The date at which the stretch begins, in Unix seconds, from that of a segment of it."""
    return entry.at - (stretch.period.at_us(Fraction(entry.start)) - stretch.start_us) / 1_000_000


def _regular(run: Run, one: Representation) -> dict[str, int]:
    # A step that is no whole number of the track's ticks would drift: the template then counts in the step's own.
    scale = one.track.timescale * (run.step * one.track.timescale).denominator
    return {
        "timescale": scale,
        "presentationTimeOffset": round(run.start * scale),
        "duration": int(run.step * scale),
    }


def _names(stretch: _Stretch, one: Representation, first: int) -> dict[str, str | int]:
    return {
        "initialization": f"$RepresentationID$/{init_name(one.init)}",
        "media": f"$RepresentationID$/seg-{stretch.period.generation}-$Number$.m4s",
        "startNumber": first,
    }


def _described(one: Representation, rate_bps: float) -> sets.Representation:
    track = one.track
    return sets.Representation(
        one.name,
        track.kind.value,
        track.codec,
        rate_bps,
        width=track.width,
        height=track.height,
        frame_rate=one.frame_rate,
        sample_rate=track.sample_rate,
        channels=track.channels,
        language=track.language,
        label=track.label,
        role=track.role,
        default_kid=track.default_kid,
        license=LICENSE,
    )
