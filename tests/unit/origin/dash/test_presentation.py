"""A stream's manifests in virtual time: the timing model's rules hold at every poll, whatever the encoder does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from origin import Origin
from origin.dash.mpd import MANIFEST, NUMBER_MANIFEST
from origin.errors import BadMedia
from origin.live.session import Session, State
from origin.live.stream import Stream
from origin.live.window import TrackWindow
from origin.media.fragments import Fragment, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import InitSection, Kind, Track
from origin.publishing.catalog import Catalog
from origin.publishing.manifests import Manifests
from tests.kit.dash_invariants import DashWatch, Mpd, read_mpd
from tests.kit.memory_store import MemoryStore

LENGTH = 2.0
START = 1_800_000_000.0
SETTINGS = Origin(segment=LENGTH, window=12.0, storage=Path("nowhere"))
TRACKS = {"720p": Kind.VIDEO, "360p": Kind.VIDEO, "audio-64k": Kind.AUDIO}
TEXT = "de"


def init_of(name: str) -> InitSection:
    if name == TEXT:
        track = Track(Kind.TEXT, 1, 48_000, "wvtt", language="de")
    elif TRACKS[name] is Kind.VIDEO:
        height = int(name.removesuffix("p"))
        track = Track(Kind.VIDEO, 1, 12_800, "avc1.64001f", width=height * 16 // 9, height=height)
    else:
        track = Track(Kind.AUDIO, 1, 48_000, "mp4a.40.2", sample_rate=48_000, channels=2)
    return InitSection(name.encode(), track)


@dataclass
class Sender:
    """One track of an encoder: fragments of half a second, key frames every two seconds."""

    name: str
    session: Session
    at: Fraction
    """Where the next fragment starts, in seconds."""
    sent: int = 0
    alive: bool = True

    def fragments_until(self, end: Fraction) -> list[Fragment]:
        found = []
        while self.at + Fraction(1, 2) <= end:
            found.append(self.next())
        return found

    def next(self) -> Fragment:
        if TRACKS.get(self.name) is Kind.VIDEO:
            count, ticks, scale = 13 - self.sent % 2, 512, 12_800  # 13 and 12 frames of 1/25 s: one second
            # A new GOP each two seconds: the fragment that begins on one starts with a key frame.
            key = self.sent % 4 == 0
            flags = (0 if key else NON_SYNC, *[NON_SYNC] * (count - 1))
        else:
            count, ticks, scale = 23 + (self.sent % 16 < 7), 1024, 48_000  # 375 frames of sound are 8 s
            flags = (0,) * count
        table = Samples((ticks,) * count, (3,) * count, flags, (0,) * count)
        fragment = of_samples(table, 1, round(self.at * scale), b"abc" * count)
        self.at += Fraction(count * ticks, scale)
        self.sent += 1
        return fragment


class Lab:
    """What a publisher does, without files: list, settle, save, serve."""

    def __init__(self) -> None:
        self.now = START
        self.settings = SETTINGS
        self.stream = self._stream()
        self.catalog, self.manifests = self._manifests()
        self.senders: dict[str, Sender] = {}
        self.media = Fraction(0)
        """Decode time that the encoder has reached."""
        self.broken: set[str] = set()
        """Tracks whose next segment is not stored."""
        self.watches = {name: DashWatch(stale=1.0) for name in (MANIFEST, NUMBER_MANIFEST)}
        self.polls = 0
        self.steady = False
        """Nothing but what an encoder does in real time has happened, or will."""

    def _stream(self) -> Stream:
        return Stream("live", length=LENGTH, target=2, largest=2**20)

    def _manifests(self) -> tuple[Catalog, Manifests]:
        catalog = Catalog(self.settings, MemoryStore(), lambda: self.now)
        return catalog, Manifests(self.settings, catalog, lambda: self.now)

    # ---- the encoder ----

    def start(self, *names: str, at: Fraction | None = None) -> None:
        """A new encoder, or one more track of the one that runs."""
        self.media = self.media if at is None else at
        for name in names:
            session = self.stream.begin(name, init_of(name), self.now, lambda: None)
            self.senders[name] = Sender(name, session, self.media)

    def run(self, seconds: float) -> None:
        """Real time, in steps of half a second; a poll after each."""
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            self.media += Fraction(1, 2)
            for sender in list(self.senders.values()):
                for fragment in sender.fragments_until(self.media) if sender.alive else ():
                    try:
                        sender.session.push(fragment, self.now)
                    except BadMedia:
                        self.finish(sender.name, State.BROKEN)
            self.publish()
            self.poll()

    def finish(self, name: str, state: State) -> None:
        sender = self.senders.pop(name)
        sender.session.finish(state)

    def finish_all(self, state: State) -> None:
        for name in list(self.senders):
            self.finish(name, state)
        self.publish()

    # ---- the publisher ----

    def publish(self) -> None:
        for name, box in self.stream.outbox.items():
            while box:
                self._list(name, box[0])
                box.popleft()
        self.manifests.settle(self.stream)
        self.saved = json.dumps(
            {
                name: {**self.stream.to_json(name), "dash": self.manifests.to_json(self.stream)}
                for name in self.stream.windows
            }
        )
        self.manifests.saved(self.stream, self.manifests.revision(self.stream))
        self.manifests.offer(self.stream, 1.0)

    def _list(self, name: str, item: Any) -> None:
        if item.init is not None:
            window = self.stream.windows.setdefault(name, TrackWindow(name, item.init.track, item.init.id))
            window.track, window.init = item.init.track, item.init.id
            return
        window, entry = self.stream.windows[name], item.entry
        if name in self.broken and not entry.gap:
            self.broken.discard(name)
            entry.gap = True
        linger, most = self.settings.linger_after(LENGTH), self.settings.most_segments(LENGTH)
        if window.listed and entry.number != window.next_number:
            window.restart(linger, self.now)
        window.add(entry, target=2)
        window.slide(self.settings.window_of(2), linger, self.now, most)
        window.expire(self.now, most)

    def restart_origin(self) -> None:
        """Killed and started again: only what was saved is there."""
        self.senders.clear()
        self.stream = self._stream()
        self.catalog, self.manifests = self._manifests()
        for name, values in json.loads(self.saved).items():
            self.stream.resume(name, values, self.now)
            self.manifests.resume(self.stream, values["dash"])
        self.now += 1.0
        self.publish()

    # ---- the client ----

    def poll(self) -> None:
        for name, watch in self.watches.items():
            resource = self.catalog.get(f"live/{name}")
            if resource is not None and resource.body is not None:
                self.polls += 1
                watch.check(resource.body.decode(), self.now, steady=self.steady)

    def mpd(self, name: str = MANIFEST) -> Mpd:
        resource = self.catalog.get(f"live/{name}")
        assert resource is not None and resource.body is not None
        return read_mpd(resource.body.decode())


def shapes(mpd: Mpd) -> list[list[str]]:
    return [[one.id for one in period.representations] for period in mpd.periods]


def test_a_steady_stream_is_one_period_that_slides() -> None:
    lab = Lab()
    lab.steady = True
    lab.start(*TRACKS, at=Fraction(1000))
    lab.run(60)
    mpd = lab.mpd()
    assert shapes(mpd) == [["720p", "360p", "audio-64k"]]
    (period,) = mpd.periods
    assert period.start == 0 and period.duration is None
    assert period.representations[0].offset == 1000
    assert [float(s.duration) for s in period.representations[0].segments][:3] == [2.0] * 3
    listed = sum(s.duration for s in period.representations[0].segments)
    assert 12 <= listed <= 12 + 5, "the buffer, and what is not available yet"
    assert lab.polls > 200
    lab.steady = False
    lab.finish_all(State.ENDED)
    lab.poll()
    ended = lab.mpd()
    assert ended.static and ended.periods[0].start == period.start
    assert [s.url for s in ended.periods[0].representations[0].segments][-1] == "720p/seg-1800000000-29.m4s"


def test_what_a_period_keeps_is_bounded_however_long_it_lasts() -> None:
    """An encoder with a GOP that is never twice as long: each change of pace is a run of number templates."""
    lab = Lab()
    lab.start("720p", at=Fraction(0))
    for number in range(120):
        lab.senders["720p"].sent = 0  # the next fragment begins with a key frame
        lab.run(2 + number % 2)
    (period,) = lab.manifests._of(lab.stream).presentation.periods
    assert period.first == 0 and period.until > 100
    assert 1 < len(period.runs) < 20


def test_number_templates_stay_as_they_are() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(20)
    text = lab.watches[NUMBER_MANIFEST].text
    lab.run(40)
    assert lab.watches[NUMBER_MANIFEST].text == text
    (period,) = lab.mpd(NUMBER_MANIFEST).periods
    assert {one.regular for one in period.representations} == {2}
    # Where the template says, to a quarter of a segment, and never later than that is available.
    timed = lab.mpd().periods[0]
    for one, exact in zip(period.representations, timed.representations, strict=True):
        for segment in exact.segments:
            assert one.url(segment.number) == segment.url
            nominal = one.offset + (segment.number - one.first) * one.regular
            assert abs(segment.start - nominal) < Fraction(1, 2)


def test_an_encoder_that_restarts_begins_a_period_by_the_clock() -> None:
    lab = Lab()
    lab.start(*TRACKS, at=Fraction(50))
    lab.run(10)
    lab.finish_all(State.BROKEN)
    lab.poll()
    assert lab.mpd().periods[0].duration is not None, "nothing more comes of it"
    lab.now += 5
    lab.start(*TRACKS, at=Fraction(7))
    lab.run(8)
    before, after = lab.mpd().periods
    assert after.representations[0].offset == 7
    assert 4 < after.start - before.start - before.duration < 6, "five seconds without media are five seconds"


def test_a_jump_of_the_encoder_begins_a_period() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(9.0)
    for sender in lab.senders.values():
        sender.at += 3600
    lab.media += 3600
    lab.run(8.0)
    assert [float(one.representations[0].offset) for one in lab.mpd().periods] == [0, pytest.approx(3609, abs=1)]


def test_a_rung_that_joins_late_begins_a_period_without_a_break() -> None:
    lab = Lab()
    lab.start("720p", "audio-64k")
    lab.run(8)
    lab.start("360p")
    lab.senders["360p"].at = lab.media
    lab.run(12)
    mpd = lab.mpd()
    assert shapes(mpd) == [["720p", "audio-64k"], ["720p", "360p", "audio-64k"]]
    before, after = mpd.periods
    assert before.start + before.duration == after.start, "the timeline goes on"


def test_a_stream_that_is_posted_faster_than_it_plays_is_one_period() -> None:
    """Ten seconds in a third of one; sound and text come when all pictures are there."""
    lab = Lab()
    names = ("720p", "audio-64k", TEXT)
    lab.start(*names, at=Fraction(0))
    for name in names:
        for fragment in lab.senders[name].fragments_until(Fraction(10)):
            lab.senders[name].session.push(fragment, lab.now)
            lab.publish()
        lab.now += 0.1
    lab.finish_all(State.ENDED)
    (period,) = lab.mpd().periods
    assert [one.id for one in period.representations] == list(names)
    assert period.duration == pytest.approx(10, abs=0.5), "until the first track ends"


def test_without_text_the_pictures_go_on() -> None:
    """A sender of subtitles that is silent for ten seconds: the Periods leave no hole."""
    lab = Lab()
    lab.start("720p", "audio-64k", TEXT)
    lab.run(6)
    lab.senders[TEXT].alive = False
    lab.run(10)
    lab.senders[TEXT].alive = True
    lab.run(6)
    mpd = lab.mpd()
    assert shapes(mpd)[-2:] == [["720p", "audio-64k"], ["720p", "audio-64k", TEXT]]
    for before, after in pairwise(mpd.periods):
        assert before.start + before.duration == after.start
    assert 'contentType="text" lang="de" mimeType="application/mp4"' in lab.watches[MANIFEST].text


def test_a_segment_that_is_missing_ends_the_period_and_the_rung_comes_back() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(6)
    lab.broken.add("360p")
    lab.run(8)
    mpd = lab.mpd()
    everything = ["720p", "360p", "audio-64k"]
    assert shapes(mpd) == [everything, ["720p", "audio-64k"], everything]
    for before, after in zip(mpd.periods, mpd.periods[1:], strict=False):
        assert before.start + before.duration == after.start
    assert [one.representations[0].first for one in mpd.periods] == [0, 2, 3]


def test_without_any_pictures_there_is_no_period() -> None:
    """A player that once had pictures and finds a Period without any may never go on."""
    lab = Lab()
    lab.start("720p", "audio-64k")
    lab.run(6)
    lab.broken.add("720p")
    lab.run(8)
    mpd = lab.mpd()
    assert shapes(mpd) == [["720p", "audio-64k"]] * 2
    before, after = mpd.periods
    assert after.start - before.start - before.duration == pytest.approx(2, abs=0.1), "the hole of one segment"


def test_a_stream_without_sound_goes_on_when_the_sound_has_ended() -> None:
    lab = Lab()
    lab.start("720p", "audio-64k")
    lab.run(6)
    lab.finish("audio-64k", State.ENDED)
    lab.run(10)
    assert shapes(lab.mpd())[-1] == ["720p"]


def test_a_rung_that_stalls_is_waited_for_and_then_left_behind() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(6)
    lab.senders["360p"].alive = False
    lab.run(4)
    assert shapes(lab.mpd()) == [["720p", "360p", "audio-64k"]]
    lab.run(10)
    assert shapes(lab.mpd())[-1] == ["720p", "audio-64k"]


def test_after_a_restart_of_the_origin_nothing_has_changed() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(9)
    before = lab.mpd()
    lab.restart_origin()
    lab.poll()
    after = lab.mpd()
    assert after.attributes["availabilityStartTime"] == before.attributes["availabilityStartTime"]
    assert [one.start for one in after.periods] == [one.start for one in before.periods]
    lab.start(*TRACKS, at=Fraction(0))
    lab.run(9)
    assert len(lab.mpd().periods) == 2


def test_a_stream_that_ended_may_go_on() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(9)
    lab.finish_all(State.ENDED)
    lab.poll()
    assert lab.mpd().static
    lab.now += 3
    lab.start(*TRACKS, at=Fraction(0))
    lab.run(9)
    assert not lab.mpd().static and len(lab.mpd().periods) == 2


EVENTS: dict[str, Callable[[Lab], None]] = {
    "encoder breaks": lambda lab: lab.finish_all(State.BROKEN),
    "encoder ends": lambda lab: lab.finish_all(State.ENDED),
    "encoder starts": lambda lab: lab.start(*TRACKS, at=Fraction(3)),
    "pictures alone": lambda lab: lab.start("720p", at=Fraction(3)),
    "another rung": lambda lab: lab.start("360p"),
    "jump": lambda lab: [setattr(sender, "at", sender.at + 100) for sender in lab.senders.values()] and setattr(lab, "media", lab.media + 100),
    "a rung breaks": lambda lab: lab.finish("360p", State.BROKEN) if "360p" in lab.senders else None,
    "sound breaks": lambda lab: lab.finish("audio-64k", State.BROKEN) if "audio-64k" in lab.senders else None,
    "a rung stalls": lambda lab: setattr(lab.senders["360p"], "alive", False) if "360p" in lab.senders else None,
    "a rung is not stored": lambda lab: lab.broken.add("360p"),
    "pictures are not stored": lambda lab: lab.broken.update(("360p", "720p")),
    "sound is not stored": lambda lab: lab.broken.add("audio-64k"),
    "origin restarts": Lab.restart_origin,
    "silence": lambda lab: setattr(lab, "now", lab.now + 7),
    "a long silence": lambda lab: setattr(lab, "now", lab.now + 100),
}  # fmt: skip


@example(
    [
        ("another rung", 15),
        ("pictures are not stored", 0),
        ("pictures are not stored", 10),
        ("encoder ends", 1),
        ("encoder starts", 5),
    ]
)
@example(
    [
        ("a rung stalls", 15),
        ("pictures are not stored", 6),
        ("pictures are not stored", 5),
        ("encoder ends", 0),
        ("encoder starts", 5),
    ]
)
@example([("another rung", 15), ("sound is not stored", 5), ("encoder ends", 0), ("encoder starts", 9)])
@example([("a rung stalls", 0), ("silence", 15)])
@example([("a long silence", 7), ("jump", 3), ("sound breaks", 9)])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(0, 24)), max_size=12))
def test_the_rules_hold_whatever_happens(events: list[tuple[str, int]]) -> None:
    lab = Lab()
    for watch in lab.watches.values():
        watch.aligned = False  # two encoders may send one stream
    lab.start(*TRACKS)
    lab.run(5)
    for event, halves in events:
        EVENTS[event](lab)
        lab.publish()
        lab.poll()
        lab.run(halves / 2)
    assert lab.polls
    periods = lab.manifests._of(lab.stream).presentation.periods
    assert len(periods) <= lab.settings.most_segments(LENGTH), "what is kept is bounded"
