"""A manifest letter by letter, and its arithmetic: caches keep it, players of others read it."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from mpegdash.parser import MPEGDASHParser

from origin import Origin
from origin.dash.mpd import MANIFEST, NUMBER_MANIFEST, Timing, manifest, timing_of
from origin.dash.presentation import Presentation
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track
from tests.kit.dash_invariants import DashWatch, read_mpd

VIDEO = Track(Kind.VIDEO, 1, 30_000, "avc1.64001f", width=1280, height=720)
AUDIO = Track(Kind.AUDIO, 1, 48_000, "mp4a.40.2", sample_rate=48_000, channels=2)
NOW = 1_790_000_000.0
TIMING = Timing(update=1, ahead=3.0, depth=60.0, delay=4.0, longest=2.5)

DYNAMIC = """\
<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic" availabilityStartTime="2026-09-21T14:13:18.008Z" publishTime="2026-09-21T13:40:00.000Z" minimumUpdatePeriod="PT1S" timeShiftBufferDepth="PT60S" suggestedPresentationDelay="PT4S" maxSegmentDuration="PT2.5S" minBufferTime="PT2.5S">
  <Period id="3-41" start="PT0S">
    <AdaptationSet id="1" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
      <Representation id="720p" codecs="avc1.64001f" bandwidth="11000" width="1280" height="720" frameRate="30000/1001">
        <SegmentTemplate timescale="30000" presentationTimeOffset="300000" initialization="$RepresentationID$/init-aa.mp4" media="$RepresentationID$/seg-3-$Number$.m4s" startNumber="41">
          <SegmentTimeline>
            <S t="300000" d="60060" r="1"/>
            <S d="30000"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="2" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">
      <Representation id="audio-128k" codecs="mp4a.40.2" bandwidth="12000" audioSamplingRate="48000">
        <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
        <SegmentTemplate timescale="48000" presentationTimeOffset="480000" initialization="$RepresentationID$/init-cc.mp4" media="$RepresentationID$/seg-3-$Number$.m4s" startNumber="41">
          <SegmentTimeline>
            <S t="480000" d="96256"/>
            <S d="95232"/>
            <S d="48128"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="time"/>
</MPD>
"""


def add(window: TrackWindow, number: int, start: int, ticks: int, *, gap: bool = False) -> None:
    scale = window.track.timescale
    at, duration = start / scale, ticks / scale
    entry = Entry(
        number, 3, 0, at, duration, NOW + at, 0 if gap else 2750 if scale == 30_000 else 1500, window.init, gap
    )
    entry.decode_time, entry.ticks = start, 0 if gap else ticks
    window.add(entry, target=2)


def windows(*, starts: tuple[int, ...] = (0, 60_060, 120_120), last: int = 30_000) -> dict[str, TrackWindow]:
    video = TrackWindow("720p", VIDEO, "aa", frame_rate=29.97002997)
    sound = TrackWindow("audio-128k", AUDIO, "cc")
    sounds = [round((one + 300_000) / 30_000 * 48_000 / 1024) * 1024 for one in (*starts, starts[-1] + last)]
    sounds = [one + 480_000 - sounds[0] for one in sounds]
    for index, (start, end) in enumerate(pairwise((*starts, starts[-1] + last))):
        add(video, 41 + index, start + 300_000, end - start)
        add(sound, 41 + index, sounds[index], sounds[index + 1] - sounds[index])
    return {"720p": video, "audio-128k": sound}


def settled(tracks: dict[str, TrackWindow], *, going_on: bool = True) -> Presentation:
    presentation = Presentation(ahead=TIMING.ahead)
    presentation.settle(tracks, tracks, lambda name, number: going_on, NOW)
    return presentation


def text(
    tracks: dict[str, TrackWindow], presentation: Presentation, *, ended: bool = False, numbers: bool = False
) -> str:
    found = manifest(
        presentation, tracks, TIMING, NOW, published="2026-09-21T13:40:00.000Z", ended=ended, numbers=numbers
    )
    assert found is not None
    return found


def test_a_manifest_to_the_letter() -> None:
    tracks = windows()
    assert text(tracks, settled(tracks)) == DYNAMIC


def test_a_manifest_that_has_ended() -> None:
    tracks = windows()
    mpd = read_mpd(text(tracks, settled(tracks, going_on=False), ended=True))
    assert mpd.static and mpd.attributes["mediaPresentationDuration"] == "PT4.992S"
    assert [float(one.duration or 0) for one in mpd.periods] == [4.992]
    assert mpd.timing == []


def test_number_templates_count_exactly_where_segments_are_no_whole_second() -> None:
    tracks = windows()
    mpd = read_mpd(text(tracks, settled(tracks), numbers=True))
    video, sound = mpd.periods[0].representations
    assert (video.regular, sound.regular) == (Fraction(60_060, 30_000),) * 2
    assert (video.offset, sound.offset) == (10, 10)
    assert (video.timescale, sound.timescale) == (30_000, 48_000)


def test_an_irregular_encoder_begins_a_period_of_number_templates_where_the_step_no_longer_holds() -> None:
    tracks = windows(starts=(0, 60_000, 120_000, 150_000, 210_000, 270_000), last=60_000)
    presentation = settled(tracks)
    assert len(read_mpd(text(tracks, presentation)).periods) == 1, "a timeline says it all"
    first, second = read_mpd(text(tracks, presentation, numbers=True)).periods
    assert (first.start, first.duration, second.start) == (0, 5, 5)
    assert [one.first for one in second.representations] == [44, 44]
    ended = read_mpd(text(tracks, presentation, ended=True, numbers=True))
    assert [(one.id, one.start) for one in ended.periods] == [(one.id, one.start) for one in (first, second)]


def test_a_segment_that_was_lost_later_takes_what_is_before_it_along() -> None:
    tracks = windows()
    presentation = settled(tracks)
    tracks["720p"].listed[1].gap = True
    assert [one.first for one in read_mpd(text(tracks, presentation)).periods[0].representations] == [43, 43]
    tracks["720p"].listed[2].gap = True
    found = manifest(presentation, tracks, TIMING, NOW, published="", ended=False, numbers=False)
    assert found is None, "nothing is left to list"


def test_rungs_are_one_set_and_kinds_of_sound_are_sets_of_their_own() -> None:
    tracks = windows()
    small = TrackWindow("360p", Track(Kind.VIDEO, 1, 30_000, "avc1.64001e", width=640, height=360), "bb")
    surround = TrackWindow("audio-384k", Track(Kind.AUDIO, 1, 48_000, "ec-3", sample_rate=48_000, channels=6), "dd")
    for entry in tracks["720p"].listed:
        add(small, entry.number, entry.decode_time, entry.ticks)
    for entry in tracks["audio-128k"].listed:
        add(surround, entry.number, entry.decode_time, entry.ticks)
    tracks |= {"360p": small, "audio-384k": surround}
    sets = read_mpd(text(tracks, settled(tracks))).periods[0].sets
    names = [[one.id for one in members] for members in sets]
    assert names == [["720p", "360p"], ["audio-384k"], ["audio-128k"]]


def test_times_of_a_ten_megahertz_clock_since_1970_are_exact() -> None:
    """Some encoders count 100 ns since 1970: a double of seconds has no such digits."""
    track = Track(Kind.VIDEO, 1, 10_000_000, "avc1.64001f", width=1280, height=720)
    window = TrackWindow("720p", track, "aa")
    at = 17_900_000_000_000_003
    for number in range(3):
        entry = Entry(number, 3, 0, at / 1e7, 2.0, NOW, 10, "aa", decode_time=at, ticks=20_000_001)
        window.add(entry, target=2)
        at += 20_000_001
    tracks = {"720p": window}
    written = text(tracks, settled(tracks))
    assert '<S t="17900000000000003" d="20000001" r="2"/>' in written
    assert 'presentationTimeOffset="17900000000000003"' in written


TIMINGS = [  # segment, window, linger     update  ahead  depth  delay
    (4.0, 60.0, None, 2, 6.0, 60.0, 8.0),
    (1.0, 30.0, None, 1, 2.5, 30.0, 2.0),
    (6.0, 18.0, None, 3, 9.0, 18.0, 12.0),
    (2.0, 12.0, 0.0, 1, 3.0, 4.5, 4.0),  # nothing is kept behind the playlist: the buffer is shorter than the window
]


@pytest.mark.parametrize(("segment", "window", "linger", "update", "ahead", "depth", "delay"), TIMINGS)
def test_timing(
    segment: float, window: float, linger: float | None, update: int, ahead: float, depth: float, delay: float
) -> None:
    found = timing_of(Origin(segment=segment, window=window, linger=linger, storage=Path()), segment)
    assert (found.update, found.ahead, found.depth, found.delay) == (update, ahead, depth, delay)


@pytest.mark.parametrize("name", [MANIFEST, NUMBER_MANIFEST])
def test_mpegdash_reads_it_and_writes_it_again(name: str, tmp_path: Path) -> None:
    """A reader of others: what it writes of what it read says the same to our own."""
    tracks = windows()
    ours = text(tracks, settled(tracks), numbers=name == NUMBER_MANIFEST)
    read = MPEGDASHParser.parse(ours)
    assert read.type == "dynamic" and [one.id for one in read.periods[0].adaptation_sets[0].representations] == ["720p"]
    again = MPEGDASHParser.get_as_doc(read).toxml()
    assert read_mpd(again).periods == read_mpd(ours).periods


def test_the_checker_notices() -> None:
    """A manifest with a fault in it does not pass for a good one."""
    tracks = windows()
    good = text(tracks, settled(tracks))
    for wrong in [
        good.replace('<S d="30000"/>', ""),
        good.replace('<S d="30000"/>', '<S t="9999999" d="30000"/>'),
        good.replace(' minimumUpdatePeriod="PT1S"', ""),
        good.replace('value="time"', 'value="http://elsewhere/time"'),
        good.replace('presentationTimeOffset="480000"', 'presentationTimeOffset="0"'),
    ]:
        DashWatch().check(good, NOW)
        with pytest.raises(AssertionError):
            DashWatch().check(wrong, NOW)
    for later in [
        good.replace("2026-09-21T14:13:18", "2026-09-21T14:13:19"),
        good.replace('start="PT0S"', 'start="PT1S"'),
        good.replace('bandwidth="12000"', 'bandwidth="11000"'),
        good.replace('d="60060" r="1"', 'd="60060"'),
        good.replace(' minBufferTime="PT2.5S"', ' minBufferTime="PT3S"'),  # and the same publishTime
    ]:
        watch = DashWatch()
        watch.check(good, NOW)
        with pytest.raises(AssertionError):
            watch.check(later, NOW)
