"""What must hold for a DASH manifest at every poll, and from one poll to the next (DASH-IF restricted timing model)."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from origin.media.fragments import Fragment, FragmentReader

_NS = "{urn:mpeg:dash:schema:mpd:2011}"
SYNC = {f"urn:mpeg:dash:utc:{kind}:2014" for kind in ("http-xsdate", "http-iso", "http-head", "direct")}
"""Schemes of UTCTiming that the model allows (13.1)."""
OFF = Fraction(1, 20)
"""Seconds by which segments that follow one another may fail to touch: muxers round."""


@dataclass(frozen=True)
class Segment:
    """One segment that a timeline lists. Seconds on the encoder's timeline."""

    number: int
    start: Fraction
    duration: Fraction
    url: str


@dataclass(frozen=True)
class Reference:
    """ProducerReferenceTime."""

    id: str
    what: str
    inband: bool
    wall: Fraction
    """Unix seconds."""
    at: Fraction
    """Of the encoder's timeline, in seconds."""


@dataclass
class Representation:
    id: str
    attributes: dict[str, str]
    init: str
    timescale: int
    offset: Fraction
    """presentationTimeOffset, in seconds."""
    first: int
    segments: list[Segment] = field(default_factory=list)
    regular: Fraction | None = None
    """@duration in seconds; None: a SegmentTimeline."""
    media: str = ""
    early: Fraction = Fraction(0)
    """availabilityTimeOffset, in seconds."""
    reference: "Reference | None" = None
    resync: Fraction | None = None
    """Seconds from one chunk to the next, at most."""

    def url(self, number: int) -> str:
        return self.media.replace("$RepresentationID$", self.id).replace("$Number$", str(number))


@dataclass
class Period:
    id: str
    start: Fraction
    duration: Fraction | None
    sets: list[list[Representation]]

    @property
    def representations(self) -> list[Representation]:
        return [one for members in self.sets for one in members]

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.representations]

    @property
    def shape(self) -> list[list[tuple[str, str]]]:
        """What never changes: order and ids of sets and Representations, and their init sections."""
        return [[(one.id, one.init) for one in members] for members in self.sets]

    def at(self, one: Representation, seconds: Fraction) -> Fraction:
        """Where a time of the encoder's lies on the MPD's timeline."""
        return self.start + seconds - one.offset


@dataclass
class Mpd:
    attributes: dict[str, str]
    periods: list[Period]
    timing: list[tuple[str, str]]
    latency: dict[str, str] = field(default_factory=dict)
    """Attributes of Latency, in milliseconds."""
    rates: tuple[float, float] = (1.0, 1.0)
    """PlaybackRate: min, max."""

    def due(self, period: Period, one: Representation, now: float) -> int:
        """The newest number of a template that may be requested, its first chunk at least."""
        assert one.regular is not None
        since = Fraction(now) - when(self.attributes["availabilityStartTime"]) - period.start
        return one.first - 1 + int((since + one.early) // one.regular)

    @property
    def static(self) -> bool:
        return self.attributes["type"] == "static"

    def seconds(self, name: str) -> Fraction:
        return seconds(self.attributes[name])


def seconds(text: str) -> Fraction:
    """xs:duration of hours and less."""
    match = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", text)
    assert match is not None, text
    hours, minutes, rest = (Fraction(one or 0) for one in match.groups())
    return hours * 3600 + minutes * 60 + rest


def when(text: str) -> Fraction:
    """xs:dateTime as Unix seconds."""
    assert text.endswith("Z"), text
    return Fraction(round(datetime.fromisoformat(text).timestamp() * 1000), 1000)


def read_mpd(text: str) -> Mpd:
    """A manifest's text as values; AssertionError for what a client could not read."""
    root = ET.fromstring(text)
    assert root.tag == f"{_NS}MPD"
    periods = [_period(one) for one in root.findall(f"{_NS}Period")]
    timing = [(one.attrib["schemeIdUri"], one.attrib["value"]) for one in root.findall(f"{_NS}UTCTiming")]
    mpd = Mpd(dict(root.attrib), periods, timing)
    if (described := root.find(f"{_NS}ServiceDescription")) is not None:
        latency, rate = described.find(f"{_NS}Latency"), described.find(f"{_NS}PlaybackRate")
        assert latency is not None and rate is not None
        mpd.latency, mpd.rates = dict(latency.attrib), (float(rate.attrib["min"]), float(rate.attrib["max"]))
    return mpd


def _period(element: ET.Element) -> Period:
    duration = element.get("duration")
    sets = [_set(one) for one in element.findall(f"{_NS}AdaptationSet")]
    assert sets and all(sets), "no empty Period, no empty AdaptationSet"
    return Period(element.attrib["id"], seconds(element.attrib["start"]), seconds(duration) if duration else None, sets)


def _set(element: ET.Element) -> list[Representation]:
    members = [_representation(one) for one in element.findall(f"{_NS}Representation")]
    assert len({one.regular is None for one in members}) == 1, "one addressing mode per AdaptationSet"
    assert element.get("segmentAlignment") == "true"
    return members


def _representation(element: ET.Element) -> Representation:
    (template,) = element.findall(f"{_NS}SegmentTemplate")
    scale, regular = int(template.attrib["timescale"]), template.get("duration")
    found = Representation(
        id=element.attrib["id"],
        attributes=dict(element.attrib),
        init=template.attrib["initialization"].replace("$RepresentationID$", element.attrib["id"]),
        timescale=scale,
        offset=Fraction(int(template.attrib["presentationTimeOffset"]), scale),
        first=int(template.attrib["startNumber"]),
        regular=Fraction(int(regular), scale) if regular else None,
        media=template.attrib["media"],
    )
    found.early = Fraction(template.get("availabilityTimeOffset", "0"))
    assert template.get("availabilityTimeComplete") == ("false" if found.early else None)
    if (reference := element.find(f"{_NS}ProducerReferenceTime")) is not None:
        found.reference = Reference(
            id=reference.attrib["id"],
            what=reference.attrib["type"],
            inband=reference.get("inband") == "true",
            wall=when(reference.attrib["wallClockTime"]),
            at=Fraction(int(reference.attrib["presentationTime"]), scale),
        )
        assert reference.find(f"{_NS}UTCTiming") is not None
    if (resync := element.find(f"{_NS}Resync")) is not None:
        assert resync.attrib["type"] == "0"
        found.resync = Fraction(int(resync.attrib["dT"]), scale)
    for url in (found.init, found.media):
        assert not re.match(r"[a-z]+:|/", url), "URLs are relative"
    timelines = template.findall(f"{_NS}SegmentTimeline")
    assert len(timelines) == (0 if regular else 1), "either @duration or a SegmentTimeline"
    number, at = found.first, None
    for row in timelines[0].findall(f"{_NS}S") if timelines else ():
        assert set(row.attrib) <= {"t", "d", "r"}
        at = int(row.attrib["t"]) if "t" in row.attrib else at
        assert at is not None, "the first S has @t"
        ticks, repeats = int(row.attrib["d"]), int(row.get("r", 0))
        assert ticks > 0 and repeats >= 0
        for _ in range(repeats + 1):
            found.segments.append(Segment(number, Fraction(at, scale), Fraction(ticks, scale), found.url(number)))
            number, at = number + 1, at + ticks
    return found


@dataclass
class DashWatch:
    """One stream's manifest through all its polls.

    `fetch` gets a URL relative to the manifest; without it, nothing is fetched. `stale` is the age in seconds that a
    manifest may have reached in caches.
    """

    fetch: Callable[[str], bytes] | None = None
    stale: float = 0.0
    aligned: bool = True
    """The encoder cuts all rungs at the same times."""
    text: str = ""
    last: Mpd | None = None
    seen: dict[tuple[str, str, int], Segment] = field(default_factory=dict)
    """By Period, Representation and number."""
    starts: dict[str, Fraction] = field(default_factory=dict)
    """@start of every Period that ever was."""
    _inits: dict[str, bytes] = field(default_factory=dict)
    _buffer: Fraction = Fraction(0)
    """timeShiftBufferDepth; a static manifest has none."""

    def check(self, text: str, now: float, *, steady: bool = False) -> Mpd:
        """One poll at `now`, Unix seconds. `steady`: the encoder sends in real time, without a fault so far."""
        mpd = read_mpd(text)
        assert mpd.periods
        self._attributes(mpd)
        self._depth(mpd)
        for period in mpd.periods:
            self._inside(mpd, period)
            self._low_latency(mpd, period)
        for before, after in zip(mpd.periods, mpd.periods[1:], strict=False):
            assert before.duration is not None, "only the last Period is open"
            assert before.start + before.duration <= after.start, "Periods do not overlap"
        if self.last is not None and self.last.static and not mpd.static:
            # Nobody asks again for what is static: only what is new to all has to follow it.
            self.seen.clear()
            self.starts.clear()
            assert mpd.attributes["availabilityStartTime"] == self.last.attributes["availabilityStartTime"]
        elif self.last is not None:
            self._since(self.last, mpd, text, now)
        if not mpd.static:
            self._window(mpd, now, steady=steady)
        self.text, self.last = text, mpd
        return mpd

    def _attributes(self, mpd: Mpd) -> None:
        names = mpd.attributes.keys()
        assert {"profiles", "minBufferTime", "publishTime", "availabilityStartTime", "maxSegmentDuration"} <= names
        if mpd.static:
            assert not {"minimumUpdatePeriod", "timeShiftBufferDepth", "suggestedPresentationDelay"} & names
            last = mpd.periods[-1]
            assert last.duration is not None and mpd.seconds("mediaPresentationDuration") == last.start + last.duration
        else:
            assert {"minimumUpdatePeriod", "timeShiftBufferDepth", "suggestedPresentationDelay"} <= names
            assert "mediaPresentationDuration" not in names
            assert mpd.timing and all(scheme in SYNC for scheme, _ in mpd.timing)
            assert not any(re.match(r"[a-z]+:|/", value) for _, value in mpd.timing), "URLs are relative"

    def _inside(self, mpd: Mpd, period: Period) -> None:
        ids = [one.id for one in period.representations]
        assert len(set(ids)) == len(ids)
        offsets = {one.offset for one in period.representations}
        scales = [Fraction(1, one.timescale) for one in period.representations]
        assert max(offsets) - min(offsets) <= sum(sorted(scales)[-2:]), "one instant begins all tracks of a Period"
        for one in period.representations:
            if one.regular is not None:
                continue
            assert one.segments, "a Representation lists something"
            for before, after in zip(one.segments, one.segments[1:], strict=False):
                assert abs(before.start + before.duration - after.start) <= OFF, "no segment is missing"
            assert max(s.duration for s in one.segments) <= mpd.seconds("maxSegmentDuration")
            assert period.at(one, one.segments[0].start) >= period.start - Fraction(1, one.timescale)
        timed = [one for one in period.representations if one.regular is None]
        if timed:
            # In step, from the first number to the last: a switch finds its segment in every Representation.
            assert len({(one.first, len(one.segments)) for one in timed}) == 1
            cuts = {tuple(s.start for s in one.segments) for one in timed if "width" in one.attributes}
            assert len(cuts) <= 1 or not self.aligned
            ends = [period.at(one, one.segments[-1].start + one.segments[-1].duration) for one in timed]
            if period.duration is not None:
                end = period.start + period.duration
                assert min(ends) >= end - OFF, "every Representation lasts for the whole Period"
                assert max(s.duration for one in timed for s in one.segments) > max(ends) - end, (
                    "and no segment is beyond"
                )

    def _low_latency(self, mpd: Mpd, period: Period) -> None:
        """ISO/IEC 23009-1 K.3.2, 5.12: chunks of segments whose duration is known, and what latency is measured by."""
        early = [one for one in period.representations if one.early]
        if not mpd.latency:
            assert not early and all(one.reference is None and one.resync is None for one in period.representations)
            return
        assert not mpd.static
        target = Fraction(mpd.latency["target"]) / 1000
        assert Fraction(mpd.latency["min"]) <= target * 1000 <= Fraction(mpd.latency["max"])
        assert target == mpd.seconds("suggestedPresentationDelay") and mpd.rates[0] < 1 < mpd.rates[1] < 1.1
        ids = [one.reference.id for one in period.representations if one.reference is not None]
        assert len(ids) == len(set(ids)) == len(period.representations) and mpd.latency["referenceId"] in ids
        for one in period.representations:
            assert one.regular is not None and one.reference is not None, "number templates"
            assert 0 <= one.early < one.regular
            assert (one.resync is not None) == bool(one.early)
            off = Fraction(1, 1000)  # what is written is rounded
            assert one.resync is None or abs(one.early + one.resync - one.regular) < off, "the first chunk"
            here = self._available_from(mpd) + period.at(one, one.reference.at)
            assert -0.501 < here - one.reference.wall < 10.001, "the encoder's clock is about ours"
            assert one.reference.inband or abs(here - one.reference.wall) < Fraction(1, 400)

    def _since(self, last: Mpd, mpd: Mpd, text: str, now: float) -> None:
        for name in ("availabilityStartTime", "profiles", "maxSegmentDuration"):
            assert mpd.attributes[name] == last.attributes[name], f"{name} must not change"
        old, new = when(last.attributes["publishTime"]), when(mpd.attributes["publishTime"])
        assert (new > old) if text != self.text else new == old, "publishTime tells one manifest from another"
        by_id = {period.id: period for period in mpd.periods}
        gone = [period.id for period in last.periods if period.id not in by_id]
        assert gone == [period.id for period in last.periods][: len(gone)], "Periods go in order"
        assert {*gone}.isdisjoint(period.id for period in mpd.periods)
        for index, before in enumerate(last.periods):
            after = by_id.get(before.id)
            if after is None:
                assert self._expired(last, before, now) or mpd.static, f"Period {before.id} was removed too early"
                continue
            assert after.start == before.start, "Period@start must not change"
            assert after.shape == before.shape, "sets, Representations and their order must not change"
            if before.duration is not None:
                assert after.duration == before.duration
            if index < len(last.periods) - 1:
                assert after.duration is not None
            for one, then in zip(after.representations, before.representations, strict=True):
                # What has ended has a timeline, even where it had a template: its first segments may be gone.
                ended = mpd.static
                assert ended or one.regular == then.regular
                assert one.offset == then.offset or (ended and abs(one.offset - then.offset) < Fraction(1, 1000))
                assert ended or (one.early, one.reference, one.resync) == (then.early, then.reference, then.resync)
                assert int(one.attributes["bandwidth"]) >= int(then.attributes["bandwidth"])
                same = {k: v for k, v in one.attributes.items() if k != "bandwidth"}
                assert same == {k: v for k, v in then.attributes.items() if k != "bandwidth"}
                if then.regular is not None or one.regular is not None:
                    assert ended or one.first == then.first
                    continue
                assert one.first >= then.first or ended  # time no longer takes anything away
                assert one.segments[-1].number >= then.segments[-1].number, "a segment was taken off the end"
                for segment in then.segments:
                    if segment.number < one.first and not mpd.static:
                        end = self._wall(last, before, then, segment)
                        assert end + self._depth(last) < now, "a segment was removed before it had to"
        for period in mpd.periods:
            assert self.starts.setdefault(period.id, period.start) == period.start
            for one in period.representations:
                for segment in one.segments:
                    key = (period.id, one.id, segment.number)
                    assert self.seen.get(key, segment) == segment, "what was listed has changed"

    def _expired(self, mpd: Mpd, period: Period, now: float) -> bool:
        if period.duration is not None:
            end = self._available_from(mpd) + period.start + period.duration
        else:  # it ended after the last poll, at the first of these ends or later, and was over by now
            ends = [self._wall(mpd, period, one, one.segments[-1]) for one in period.representations if one.segments]
            end = min(ends, default=Fraction(0))
        return end + self._depth(mpd) <= now

    def _window(self, mpd: Mpd, now: float, *, steady: bool) -> None:
        """What is available is listed and there; what is listed is not long over (9.2.2, 9.2.3, 13.4)."""
        for period in mpd.periods:
            for one in period.representations:
                for segment in one.segments:
                    key = (period.id, one.id, segment.number)
                    if key not in self.seen:
                        self.seen[key] = segment
                        if self.fetch is not None:
                            self._fetch(one, segment)
        if not steady:
            return
        # The next segment, which is not listed, must not become available before a client asks again.
        valid_until = Fraction(now) + mpd.seconds("minimumUpdatePeriod") + Fraction(self.stale)
        last = mpd.periods[-1]
        for one in last.representations:
            if one.regular is None:
                end = self._wall(mpd, last, one, one.segments[-1])
                assert end + one.segments[-1].duration > valid_until, f"{one.id}: lists too little"
        first = mpd.periods[0].representations[0]
        if first.regular is None:
            end = self._wall(mpd, mpd.periods[0], first, first.segments[0])
            assert end + self._depth(mpd) + 2 * mpd.seconds("maxSegmentDuration") >= now, "an expired segment is listed"

    def _wall(self, mpd: Mpd, period: Period, one: Representation, segment: Segment) -> Fraction:
        """When the segment becomes available: its end, Unix seconds."""
        return self._available_from(mpd) + period.at(one, segment.start + segment.duration)

    def _available_from(self, mpd: Mpd) -> Fraction:
        return when(mpd.attributes["availabilityStartTime"])

    def _depth(self, mpd: Mpd) -> Fraction:
        if not mpd.static:
            self._buffer = mpd.seconds("timeShiftBufferDepth")
        return self._buffer

    def _fetch(self, one: Representation, segment: Segment) -> None:
        """The segment is there, and its media has the times that the manifest says."""
        assert self.fetch is not None
        if one.init not in self._inits:
            self._inits[one.init] = self.fetch(one.init)
        reader = FragmentReader(2**26)
        fragments = [f for f in reader.feed(self._inits[one.init] + self.fetch(segment.url)) if isinstance(f, Fragment)]
        reader.finish()
        assert Fraction(fragments[0].start, one.timescale) == segment.start, "S@t"
        assert Fraction(fragments[-1].end, one.timescale) - segment.start == segment.duration, "S@d"
        assert fragments[0].independent
