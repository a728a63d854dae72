"""The low-latency manifest: what it says, and that what it says is available can be fetched at every poll."""

import json
import struct
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpegdash.parser import MPEGDASHParser

from origin.dash.growth import Growth, growth_of
from origin.dash.low_latency import LOW_LATENCY_MANIFEST
from origin.live.session import State
from origin.live.stream import Stream
from tests.kit.cmaf_sender import box
from tests.kit.dash_invariants import DashWatch, Mpd
from tests.unit.origin.dash import test_presentation
from tests.unit.origin.dash.test_presentation import LENGTH, SETTINGS, START, TRACKS, shapes

PART = 0.5


class Lab(test_presentation.Lab):
    """With parts, and a client of low latency."""

    def __init__(self) -> None:
        super().__init__()
        self.watches[LOW_LATENCY_MANIFEST] = DashWatch(stale=1.0)
        self.late = 0.0
        """Seconds by which the encoder's fragments come later than when the first one came."""

    def _stream(self) -> Stream:
        self.settings = SETTINGS.model_copy(update={"part": PART})
        return Stream("live", length=LENGTH, target=2, largest=2**20, part=PART)

    def _list(self, name: str, item: Any) -> None:
        if item.part is None:
            if item.segment is not None:
                window = self.stream.windows[name]
                if not (window.listed and window.listed[-1].generation == item.entry.generation):
                    window.find_reference(item.segment)
            super()._list(name, item)
            return
        window = self.stream.windows[name]
        if not window.listed:
            window.next_number = max(window.next_number, item.part.number)
        if item.part.number == window.next_number:
            window.parts.add(item.part)

    def low(self) -> Mpd:
        return self.mpd(LOW_LATENCY_MANIFEST)

    def poll(self) -> None:
        super().poll()
        if self.catalog.get(f"live/{LOW_LATENCY_MANIFEST}") is None:
            return
        mpd = self.low()
        period = mpd.periods[-1]
        if mpd.static or period.duration is not None or set(self.senders) != set(period.ids):
            return
        if self.stream.generation is None or not period.id.startswith(f"{self.stream.generation.id}-"):
            return  # it ends as soon as the next one has a segment
        for one in period.representations:
            number = mpd.due(period, one, self.now - self.late)
            window, generation = self.stream.windows[one.id], int(period.id.partition("-")[0])
            if number < window.next_number:
                continue
            growth = growth_of(self.stream, window, generation, number)
            assert growth is not Growth.ELSEWHERE, f"{one.id}: {number} may be requested, and is refused"
            if self.steady and "width" in one.attributes:
                assert growth is Growth.GROWING, f"{one.id}: {number} may be requested, and has not begun"


def test_a_manifest_of_low_latency() -> None:
    lab = Lab()
    lab.steady = True
    lab.start(*TRACKS, at=Fraction(1000))
    lab.run(60)
    mpd = lab.low()
    assert mpd.latency == {"target": "2000", "min": "1500", "max": "4000", "referenceId": "0"}
    (period,) = mpd.periods
    assert [one.early for one in period.representations] == [1.5] * 3
    assert [one.resync for one in period.representations] == [0.5] * 3
    video = period.representations[0]
    assert video.reference is not None
    assert (float(video.reference.wall), video.reference.at) == (START - 0.02, 1000)
    assert video.reference.what == "encoder"
    assert not video.reference.inband
    # At 60 s, the segment from 58 to 60 is the newest that is whole, and nothing of the next one is there.
    assert (mpd.due(period, video, START + 60.0), mpd.due(period, video, START + 60.5)) == (29, 30)


def test_it_stays_as_it_is_and_so_do_the_others() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(20)
    text = lab.watches[LOW_LATENCY_MANIFEST].text
    lab.run(40)
    assert lab.watches[LOW_LATENCY_MANIFEST].text == text
    assert text.index("<ServiceDescription") < text.index("<Period")
    for before, after in [("<AudioChannel", "<Producer"), ("</Producer", "<Resync"), ("<Resync", "<SegmentTemplate")]:
        sound = text[text.index('id="audio-64k"') :]
        assert sound.index(before) < sound.index(after), "in the order of the schema"
    assert "ServiceDescription" not in lab.watches["manifest-number.mpd"].text


def test_without_parts_there_is_none() -> None:
    lab = test_presentation.Lab()
    lab.start(*TRACKS)
    lab.run(8)
    assert lab.catalog.get(f"live/{LOW_LATENCY_MANIFEST}") is None


def test_when_it_has_ended_it_has_a_timeline_and_times_stay() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(11)
    before = lab.low()
    lab.finish_all(State.ENDED)
    lab.poll()
    after = lab.low()
    assert after.static and not after.latency
    assert [one.start for one in after.periods] == [one.start for one in before.periods]
    assert after.attributes["availabilityStartTime"] == before.attributes["availabilityStartTime"]


def test_an_encoder_that_restarts_is_at_its_own_place() -> None:
    lab = Lab()
    lab.start(*TRACKS, at=Fraction(50))
    lab.run(10)
    lab.finish_all(State.BROKEN)
    lab.poll()
    lab.now += 5
    lab.start(*TRACKS, at=Fraction(7))
    lab.run(8)
    mpd = lab.low()
    assert [float(one.start) for one in mpd.periods] == [0, 15]
    assert 9 < mpd.periods[0].duration <= 10
    lab.restart_origin()
    lab.poll()
    assert float(lab.low().periods[-1].start) == 15, "and after a restart of the origin"


def test_a_rung_that_joins_late_begins_a_period_without_a_break() -> None:
    lab = Lab()
    lab.start("720p", "audio-64k")
    lab.run(8)
    lab.start("360p")
    lab.senders["360p"].at = lab.media
    lab.run(12)
    before, after = lab.low().periods
    assert shapes(lab.low()) == [["720p", "audio-64k"], ["720p", "360p", "audio-64k"]]
    assert before.start + before.duration == after.start


def test_what_a_version_without_low_latency_has_saved_is_taken_up() -> None:
    lab = Lab()
    lab.start("720p", "audio-64k")
    lab.run(8)
    before = lab.mpd()
    saved = json.loads(lab.saved)
    for track in saved.values():
        del track["dash"]["captured_from_us"]
        for period in track["dash"]["periods"]:
            del period["captured_us"]
            period["representations"] = [one[:4] for one in period["representations"]]
    lab.saved = json.dumps(saved)
    lab.watches.clear()
    lab.restart_origin()
    assert lab.mpd().periods[0].start == before.periods[0].start
    lab.start("720p", "audio-64k", at=Fraction(70))
    lab.run(8)
    assert len(lab.low().periods) == 2


def prft(wall: float, media: int, flags: int = 24) -> bytes:
    return box(b"prft", struct.pack(">IIQQ", 1 << 24 | flags, 1, round((wall + 2_208_988_800) * 2**32), media))


@pytest.mark.parametrize(
    ("behind", "flags", "then"),
    [
        (0.83, 24, ("2900", "captured", True)),  # four parts and what the encoder takes, rounded up
        (0.83, 0, ("2900", "encoder", True)),
        (0.0, 24, ("2000", "captured", True)),
        (-0.4, 24, ("2000", "captured", True)),
        (-0.6, 24, ("2000", "encoder", False)),  # its clock is ahead of ours
        (11.0, 24, ("2000", "encoder", False)),
        (0.83, 2, ("2000", "encoder", False)),
    ],
)
def test_the_encoders_own_time_is_told_where_it_can_be_so(
    behind: float, flags: int, then: tuple[str, str, bool]
) -> None:
    lab = Lab()
    lab.start("720p")
    sender = lab.senders["720p"]
    plain = sender.next

    def marked() -> Any:
        at = sender.at
        fragment = plain()
        lead = prft(START + float(at) - behind, fragment.start, flags)
        fragment.data, fragment.lead = lead + fragment.data, len(lead)
        fragment.media += len(lead)
        return fragment

    sender.next = marked  # type: ignore[method-assign]
    lab.run(8)
    mpd = lab.low()
    reference = mpd.periods[0].representations[0].reference
    assert reference is not None
    assert (mpd.latency["target"], reference.what, reference.inband) == then
    assert json.loads(lab.saved)["720p"]["dash"]["periods"][0]["representations"][0][5] is not None or flags == 2
    lab.restart_origin()
    lab.poll()
    assert lab.low().latency == mpd.latency


def test_mpegdash_reads_it() -> None:
    lab = Lab()
    lab.start(*TRACKS)
    lab.run(8)
    read = MPEGDASHParser.parse(lab.watches[LOW_LATENCY_MANIFEST].text)
    (template,) = read.periods[0].adaptation_sets[0].representations[0].segment_templates
    assert template.availability_time_offset == 1.5
    assert template.availability_time_complete is not None  # mpegdash 0.4 reads every text as true
    assert template.media == "$RepresentationID$/seg-1800000000-$Number$.m4s"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["run", "long", "late rung", "lose", "die", "jump", "origin", "stall"]), max_size=7))
def test_whatever_happens_the_manifest_can_be_relied_on(script: list[str]) -> None:
    lab = Lab()
    lab.start("720p", "audio-64k", at=Fraction(1000))
    lab.run(5)
    for step in script:
        match step:
            case "run":
                lab.run(3)
            case "long":
                lab.run(20)
            case "late rung":
                if "360p" not in lab.senders and "720p" in lab.senders:
                    lab.start("360p")
                    lab.senders["360p"].at = lab.media
                lab.run(5)
            case "lose":
                lab.broken.add("720p")
                lab.run(5)
            case "die":
                lab.finish_all(State.BROKEN)
                lab.poll()
                lab.now += 3
                lab.start("720p", "audio-64k", at=Fraction(3))
                lab.run(5)
            case "jump":
                for sender in lab.senders.values():
                    sender.at += 3600
                lab.media += 3600
                lab.run(5)
            case "origin":
                lab.restart_origin()
                lab.start("720p", "audio-64k", at=Fraction(70))
                lab.run(5)
            case "stall":
                lab.now += 1
                lab.late += 1.0
                lab.run(5)
    lab.finish_all(State.ENDED)
    lab.poll()
