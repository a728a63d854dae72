"""The stream's machine in virtual time: fragments as values, no sockets, no encoder."""

import itertools
import json
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.hls.multivariant import multivariant_playlist
from origin.hls.playlist import media_playlist
from origin.live.session import Session, State
from origin.live.stream import Stream
from origin.live.window import TrackWindow
from origin.media.fragments import Fragment, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import InitSection, Kind, Track

NOW = 1_800_000_000.0
AUDIO_RATE = 48_000
AUDIO_FRAMES = 24  # 24 frames of 1024 samples: 0.512 s, what ffmpeg makes of -frag_duration 500000


def video_init(height: int = 720, salt: bytes = b"") -> InitSection:
    data = b"video%d" % height + salt
    return InitSection(data, Track(Kind.VIDEO, 1, 30_000, "avc1.64001f", width=height * 16 // 9, height=height))


def audio_init(salt: bytes = b"") -> InitSection:
    return InitSection(b"audio" + salt, Track(Kind.AUDIO, 1, AUDIO_RATE, "mp4a.40.2", sample_rate=48000, channels=2))


def video(seconds: float, *, gop: int = 30, frame: int = 1001, start: int = 0) -> list[Fragment]:
    """Half a GOP a fragment, timescale 30000: frames of 1001 ticks are 29.97 a second."""
    half, ticks = gop // 2, frame * (gop // 2)
    count = round(seconds * 30_000 / ticks)
    return [pictures(start + n * ticks, [frame] * half, key=n % 2 == 0) for n in range(count)]


def pictures(start: int, durations: list[int], *, key: bool) -> Fragment:
    flags = (0 if key else NON_SYNC, *[NON_SYNC] * (len(durations) - 1))
    table = Samples(tuple(durations), (3,) * len(durations), flags, (0,) * len(durations))
    return of_samples(table, 1, start, b"vid" * len(durations))


def sound(start: int, samples: int) -> Fragment:
    table = Samples((1024,) * samples, (2,) * samples, (0,) * samples, (0,) * samples)
    return of_samples(table, 1, start, b"au" * samples)


def audio(seconds: float, *, start: int = 0) -> list[Fragment]:
    ticks = AUDIO_FRAMES * 1024
    count = round(seconds * AUDIO_RATE / ticks)
    return [sound(start + n * ticks, AUDIO_FRAMES) for n in range(count)]


@dataclass
class Lab:
    """A stream, and what a publisher would have listed."""

    stream: Stream = field(default_factory=lambda: Stream("live", length=1.0, target=1, largest=2**20))
    superseded: list[str] = field(default_factory=list)
    now: float = NOW

    def begin(self, name: str, init: InitSection) -> Session:
        return self.stream.begin(name, init, self.now, lambda: self.superseded.append(name))

    def push(self, session: Session, fragments: list[Fragment]) -> None:
        for fragment in fragments:
            session.push(fragment, self.now)

    def listed(self, name: str) -> TrackWindow:
        """The window after everything numbered was listed; it never slides here."""
        for track, box in self.stream.outbox.items():
            while box:
                item = box.popleft()
                if item.init is not None:
                    window = self.stream.windows.setdefault(track, TrackWindow(track, item.init.track, item.init.id))
                    window.track, window.init = item.init.track, item.init.id
                else:
                    assert item.entry is not None
                    self.stream.windows[track].add(item.entry, target=self.stream.target)
        return self.stream.windows[name]

    def numbers(self, name: str) -> list[int]:
        return [one.number for one in self.listed(name).listed]

    def starts(self, name: str) -> list[float]:
        return [one.start for one in self.listed(name).listed]


def test_audio_is_cut_where_the_video_was_even_after_half_an_hour() -> None:
    """GOPs of 1.001 s against segments of 1 s: by length alone, audio would be 1.8 s off by now."""
    lab = Lab()
    pictures, sound = lab.begin("720p", video_init()), lab.begin("audio-128k", audio_init())
    lab.push(sound, audio(5))  # audio runs ahead: it has to wait for the boundaries
    assert lab.numbers("audio-128k") == []
    lab.push(pictures, video(1800))
    lab.push(sound, audio(1800)[len(audio(5)) :])
    video_starts, audio_starts = lab.starts("720p"), lab.starts("audio-128k")
    assert len(video_starts) > 1790
    assert abs(len(audio_starts) - len(video_starts)) <= 1
    for v, a in zip(video_starts, audio_starts, strict=False):
        assert abs(a - v) <= 512 / 48_000 + 1e-9, "half a sample"
    assert all(one.duration < 1.5 for one in lab.listed("audio-128k").listed)


def test_audio_alone_is_cut_by_length() -> None:
    lab = Lab()
    session = lab.begin("audio-128k", audio_init())
    lab.push(session, audio(10))
    session.finish(State.ENDED)
    segments = lab.listed("audio-128k").listed
    assert [one.number for one in segments] == list(range(11)), "ten of a second, and the 240 ms that are left"
    assert [one.start for one in segments] == pytest.approx(range(11), abs=512 / 48_000), "on a grid, without drift"
    assert lab.stream.ended


@pytest.mark.parametrize("pictures_until", [0.5, 2.0, 4.0])
def test_sound_that_joins_ahead_of_the_pictures_has_their_number(pictures_until: float) -> None:
    """It used to have the number of the segment in hand, however far ahead it began; its date-times then went back."""
    lab = Lab()
    pictures = lab.begin("720p", video_init())
    lab.push(pictures, video(pictures_until, frame=1000))
    joining = lab.begin("audio-128k", audio_init())
    lab.push(joining, audio(3, start=round(6.1 * AUDIO_RATE)))
    lab.push(pictures, video(10, frame=1000)[round(2 * pictures_until) :])
    assert lab.numbers("audio-128k") == [6, 7, 8]
    assert lab.starts("audio-128k") == pytest.approx([6.1, 7.0, 8.0], abs=512 / 48_000)


def test_audio_waits_for_video_that_is_on_its_way_and_not_for_ever() -> None:
    lab = Lab()
    lab.stream.awaiting("post", Kind.VIDEO)
    session = lab.begin("audio-128k", audio_init())
    lab.push(session, audio(2.6))
    assert lab.numbers("audio-128k") == []
    lab.push(session, audio(16)[5:])
    assert 5 <= len(lab.numbers("audio-128k")) <= 7, "video that lags by more than ten seconds is not waited for"
    lab.stream.stop_awaiting("post")
    assert len(lab.numbers("audio-128k")) >= 14, "nor video that never came"


def test_program_date_times_follow_the_media_not_the_arrivals() -> None:
    lab = Lab()
    session = lab.begin("720p", video_init())
    jitter = [0.0, 0.9, 0.1, 0.4, 2.0, 0.0, 0.3]
    for index, fragment in enumerate(video(20, frame=1000)):
        lab.now = NOW + fragment.end / 30_000 + jitter[index % len(jitter)]
        session.push(fragment, lab.now)
    times = [one.at for one in lab.listed("720p").listed]
    assert times == pytest.approx([NOW + n for n in range(len(times))], abs=1e-6)


def test_program_date_times_never_go_back_even_from_an_encoder_that_is_too_fast() -> None:
    lab = Lab()
    lab.push(lab.begin("720p", video_init()), video(60, frame=1000))
    lab.now += 5  # a minute of media came in five seconds
    lab.push(lab.begin("720p", video_init()), video(3, frame=1000))
    entries = list(lab.listed("720p").listed)
    assert all(b.at >= a.at + a.duration - 1e-6 for a, b in itertools.pairwise(entries))


def test_a_new_post_for_a_track_begins_a_generation_for_all() -> None:
    lab = Lab()
    first = {"720p": lab.begin("720p", video_init()), "360p": lab.begin("360p", video_init(360))}
    lab.push(first["720p"], video(5.6))
    lab.push(first["360p"], video(4.6))
    second = lab.begin("360p", video_init(360))
    assert sorted(lab.superseded) == ["360p", "720p"]
    assert {one.state for one in first.values()} == {State.SUPERSEDED}
    lab.push(first["720p"], video(9)[12:])  # what the old connection still holds is nobody's
    lab.push(second, video(3))
    lab.push(lab.begin("720p", video_init()), video(3))
    windows = [lab.listed("720p").listed, lab.listed("360p").listed]
    for one, other in zip(*windows, strict=True):
        assert (one.number, one.generation, one.discontinuity) == (
            other.number, other.generation, other.discontinuity,
        )  # fmt: skip
    gaps = [one.number for one in windows[1] if one.gap]
    assert gaps == [5], "360p had less of the old generation: a gap keeps the numbers in step"
    text = media_playlist(lab.listed("360p"), 1, ended=False)
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert text.count("#EXT-X-GAP") == 1
    assert text.count("#EXT-X-MAP") == 2


def test_generations_are_named_by_time_and_never_twice() -> None:
    lab = Lab()
    ids = []
    for _ in range(3):  # within one second
        session = lab.begin("720p", video_init())
        ids.append(session.generation.id)
        session.finish(State.BROKEN)
    assert ids == [int(NOW), int(NOW) + 1, int(NOW) + 2]


def test_a_generation_that_published_nothing_leaves_no_discontinuity() -> None:
    lab = Lab()
    lab.push(lab.begin("720p", video_init()), video(2))
    for _ in range(3):
        lab.begin("720p", video_init()).finish(State.BROKEN)
    lab.push(lab.begin("720p", video_init()), video(3))
    assert {one.discontinuity for one in lab.listed("720p").listed} == {0, 1}


def test_a_jump_in_all_tracks_is_one_discontinuity() -> None:
    """The encoder's source jumped an hour; the jump reaches the tracks at different moments."""
    lab = Lab()
    a, b = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    c = lab.begin("audio-128k", audio_init())
    lab.push(a, video(3.0))
    lab.push(b, video(2.5))
    lab.push(c, audio(3.5))
    later = 3600
    lab.push(a, video(3, start=later * 30_000))
    lab.push(b, video(3.0)[5:])  # still the old timeline
    lab.push(b, video(3, start=later * 30_000))
    lab.push(c, audio(4)[7:])
    lab.push(c, audio(4, start=later * AUDIO_RATE))
    for session in (a, b, c):
        session.finish(State.ENDED)
    assert lab.superseded == []
    for name in ("720p", "360p", "audio-128k"):
        new = [one for one in lab.listed(name).listed if one.discontinuity == 1]
        assert new[0].start == later
        assert {one.discontinuity for one in lab.listed(name).listed} == {0, 1}
    first = {n: next(e.number for e in lab.listed(n).listed if e.discontinuity == 1) for n in lab.stream.windows}
    assert len(set(first.values())) == 1, first
    assert lab.stream.ended


def test_rounding_is_no_jump() -> None:
    lab = Lab()
    session = lab.begin("720p", video_init())
    for fragment in video(5):
        fragment.start += 2
        session.push(fragment, NOW)
    assert {one.discontinuity for one in lab.listed("720p").listed} == {0}


LATE = [  # ticks between two fragments   after samples of    generations
    (1500, 3000, {0}),  # 50 ms: rounding
    (3000, 3000, {0}),  # a picture of a camera at 10/s, whose last duration was not known
    (4500, 3000, {0}),
    (4501, 3000, {0, 1}),
    (3000, 1001, {0, 1}),  # three pictures are missing
    (-1500, 3000, {0}),
    (-3000, 3000, {0, 1}),  # times that come a second time are others
]


@pytest.mark.parametrize(("ticks", "frame", "discontinuities"), LATE)
def test_a_fragment_may_begin_a_sample_and_a_half_late(ticks: int, frame: int, discontinuities: set[int]) -> None:
    lab = Lab()
    session = lab.begin("720p", video_init())
    for n, fragment in enumerate(video(4, gop=10, frame=frame)):
        fragment.start += ticks if n >= 2 else 0
        session.push(fragment, NOW)
    assert {one.discontinuity for one in lab.listed("720p").listed} == discontinuities


def test_a_last_sample_of_duration_0_loses_no_picture() -> None:
    """nginx-rtmp writes fragments whose last sample ends when the next one begins."""
    lab = Lab()
    session = lab.begin("720p", video_init())
    for n in range(40):
        session.push(pictures(n * 15_000, [3000, 3000, 3000, 3000, 0], key=n % 2 == 0), NOW)
    session.finish(State.ENDED)
    window, account = lab.listed("720p"), lab.stream.accounts["720p"]
    assert (account.received, account.published, account.refused) == (200, 200, 0)
    assert {one.discontinuity for one in window.listed} == {0}
    assert {one.duration for one in list(window.listed)[:-1]} == {1.0}, "EXTINF reaches to the next segment"


def test_pictures_that_are_cut_elsewhere_are_named_once_and_sound_follows_the_others() -> None:
    """x264 puts key frames at cuts of scenes, and not at the same ones in every rung."""
    lab = Lab()
    a, b = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    c = lab.begin("audio-128k", audio_init())
    fragments = [
        *((one, a) for one in video(12, frame=1000)),
        *((one, b) for one in video(12, frame=1000, gop=40)),  # 1.333 s
        *((one, c) for one in audio(12)),
    ]
    for fragment, session in sorted(fragments, key=lambda row: row[0].end / row[1].track.timescale):
        session.push(fragment, NOW)
    for session in (a, b, c):
        session.finish(State.ENDED)
    assert [len(lab.stream.accounts[name].complaints) for name in ("720p", "360p", "audio-128k")] == [0, 1, 0]
    assert str(lab.stream.accounts["360p"].complaints[0]).startswith(
        "a segment ends at 1.333 s, where the other pictures end one at 1.000 s: players cannot switch there"
    )
    cuts = [round(one.start) for one in lab.listed("audio-128k").listed]
    assert cuts == list(range(12)), "no segment of a third of a second"
    assert sum(account.refused for account in lab.stream.accounts.values()) == 0


@pytest.mark.parametrize(("gop", "shift"), [(30, 2000), (30, -2000), (10, 0)])
def test_pictures_that_are_reordered_otherwise_are_cut_at_the_same_key_frames(gop: int, shift: int) -> None:
    lab = Lab()
    a, b = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    later = video(8, frame=1000, gop=gop, start=30_000 + shift)
    for n, fragment in enumerate(video(8, frame=1000, start=30_000)):
        first, then = ([fragment], later[n : n + 1]) if n % 4 < 2 else (later[n : n + 1], [fragment])
        lab.push(a if n % 4 < 2 else b, first)
        lab.push(b if n % 4 < 2 else a, then)
    assert [list(one.complaints) for one in lab.stream.accounts.values()] == [[], []]


def test_an_equal_init_section_changes_nothing_and_another_does() -> None:
    lab = Lab()
    session = lab.begin("720p", video_init())
    lab.push(session, video(2))
    session.renew(video_init(), NOW)
    lab.push(session, video(4)[4:])
    assert {one.discontinuity for one in lab.listed("720p").listed} == {0}
    session.renew(video_init(480, b"other"), NOW)
    lab.push(session, video(3))
    entries = lab.listed("720p").listed
    assert {one.discontinuity for one in entries} == {0, 1}
    assert [one.init for one in entries if one.discontinuity == 1] == [video_init(480, b"other").id] * 2


def test_a_rung_that_joins_late_begins_where_the_others_are_cut() -> None:
    lab = Lab()
    early, late = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    lab.push(early, video(10))
    lab.push(late, video(10)[7:])  # its first fragments were lost: it begins inside a GOP
    both = dict(zip(lab.numbers("720p"), lab.starts("720p"), strict=True))
    for number, start in zip(lab.numbers("360p"), lab.starts("360p"), strict=True):
        assert both[number] == start
    assert lab.numbers("360p")[0] == 4


def test_a_rung_whose_key_frame_is_inside_its_first_fragment_begins_there() -> None:
    lab = Lab()
    early, late = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    lab.push(early, video(6))
    table = Samples((1001,) * 30, (3,) * 30, tuple(0 if n == 15 else NON_SYNC for n in range(30)), (0,) * 30)
    half = of_samples(table, 1, 45 * 1001, b"vid" * 30)
    half.keys = (15,)
    lab.push(late, [half, *video(3, start=60 * 1001)[1:]])
    both = dict(zip(lab.numbers("720p"), lab.starts("720p"), strict=True))
    starts = dict(zip(lab.numbers("360p"), lab.starts("360p"), strict=True))
    assert min(starts) == 2 and starts[2] == both[2], "not at the next key frame"
    assert lab.stream.accounts["360p"].refused == 15


def test_a_track_that_is_forgotten_says_what_it_held() -> None:
    lab = Lab()
    pictures_session, sound_session = lab.begin("720p", video_init()), lab.begin("audio-128k", audio_init())
    lab.push(pictures_session, video(0.5))
    lab.push(sound_session, audio(0.5))
    sound_session.finish(State.ENDED)  # it waits for the pictures to be cut
    assert [str(one) for one in lab.stream.forget("audio-128k")] == [
        "24 samples of sound from 0.000 s to 0.512 s are not published: the track has been forgotten"
    ]


@pytest.mark.parametrize("part", [None, 0.5])
def test_a_rung_that_begins_inside_the_first_segment_is_cut_where_the_others_are(part: float | None) -> None:
    """Segments of a request each, after a restart of the origin: rungs begin with different ones."""
    lab = Lab(Stream("live", length=4.0, target=4, largest=2**20, part=part))
    early, late = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    for n, fragment in enumerate(video(16, frame=1000)):
        lab.push(early, [fragment])
        lab.push(late, [fragment] if n >= 2 else [])
    starts = {
        name: [item.segment.start / 30_000 for item in box if item.segment is not None]
        for name, box in lab.stream.outbox.items()
    }
    _, *others = starts["720p"]
    assert starts["360p"] == ([1, 4, 8] if part is None else others), "with parts, the first segments are short"
    assert part is not None or others == [4, 8]
    assert [list(one.complaints) for one in lab.stream.accounts.values()] == [[], []]


def test_a_rung_that_begins_long_before_the_others_is_named() -> None:
    lab = Lab(Stream("live", length=4.0, target=4, largest=2**20))
    late, early = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    lab.push(late, video(16, frame=1000, start=45_000))
    lab.push(early, video(16, frame=1000))
    assert [len(one.complaints) for one in lab.stream.accounts.values()] == [0, 1]


def test_a_track_of_another_timeline_is_refused_in_words() -> None:
    lab = Lab()
    lab.push(lab.begin("720p", video_init()), video(3))
    with pytest.raises(BadMedia, match="share decode times"):
        lab.push(lab.begin("360p", video_init(360)), video(9, start=30_000 * 500 + 7777))


def test_the_stream_ends_when_all_tracks_have_ended_properly() -> None:
    lab = Lab()
    a, b = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    lab.push(a, video(2))
    lab.push(b, video(2))
    a.finish(State.ENDED)
    assert not lab.stream.ended
    b.finish(State.ENDED)
    assert lab.stream.ended
    lab.push(lab.begin("720p", video_init()), video(1))
    assert not lab.stream.ended, "a stream that begins again is live again"


def test_one_broken_track_is_no_end() -> None:
    lab = Lab()
    a, b = lab.begin("720p", video_init()), lab.begin("360p", video_init(360))
    a.finish(State.BROKEN)
    b.finish(State.ENDED)
    assert not lab.stream.ended


def test_a_stream_resumes_from_what_it_saved() -> None:
    lab = Lab()
    lab.push(lab.begin("720p", video_init()), video(5))
    before = list(lab.listed("720p").listed)
    again = Lab()
    saved = json.loads(json.dumps(lab.stream.to_json("720p")))
    again.stream.resume("720p", saved, NOW)
    assert list(again.listed("720p").listed) == before
    again.push(again.begin("720p", video_init()), video(3))
    entries = list(again.listed("720p").listed)
    assert entries[: len(before)] == before
    assert [one.number for one in entries] == list(range(len(entries)))
    assert entries[len(before)].discontinuity == before[-1].discontinuity + 1
    assert entries[len(before)].generation > before[-1].generation


def test_the_multivariant_pairs_rungs_with_the_ladders_audio() -> None:
    lab = Lab()
    for name, height in (("720p", 720), ("360p", 360)):
        lab.push(lab.begin(name, video_init(height)), video(3))
    for name in ("audio-128k", "audio-64k"):
        lab.push(lab.begin(name, audio_init(name.encode())), audio(3))
    lab.listed("720p")
    lines = multivariant_playlist(lab.stream.windows.values()).splitlines()
    assert 'AUDIO="audio-128k"' in lines[lines.index("720p/media.m3u8") - 1]
    assert 'AUDIO="audio-64k"' in lines[lines.index("360p/media.m3u8") - 1]
    assert sum(line.startswith("#EXT-X-MEDIA:") for line in lines) == 2
    assert lines.index("720p/media.m3u8") < lines.index("360p/media.m3u8"), "tallest first"
    # Another encoder's names: all there is.
    other = Lab()
    other.push(other.begin("hi", video_init(720)), video(3))
    other.push(other.begin("sound", audio_init()), audio(3))
    other.listed("hi")
    assert 'AUDIO="sound"' in multivariant_playlist(other.stream.windows.values())


TRACKS = ("720p", "360p", "audio-128k")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "push", "push", "push", "push", "break", "end", "jump", "tick"]),
            st.sampled_from(TRACKS),
            st.integers(1, 6),
        ),
        max_size=80,
    )
)
def test_whatever_happens_the_playlists_hold(steps: list[tuple[str, str, int]]) -> None:
    """Fragments of three tracks in any order, connections that break, end and come back, jumps of the source."""
    lab = Lab()
    sessions: dict[str, Session] = {}
    sent: dict[str, int] = {}
    timeline = 0
    offset: dict[str, int] = {}
    for what, name, count in steps:
        if what == "tick":
            lab.now += count / 2
        elif what == "jump":
            timeline += 1000
        elif what in ("break", "end") and name in sessions:
            sessions.pop(name).finish(State.BROKEN if what == "break" else State.ENDED)
        elif what == "push":
            session = sessions.get(name)
            if session is None or session.state is not State.LIVE:
                init = audio_init() if name.startswith("audio") else video_init(int(name[:-1]))
                session = sessions[name] = lab.begin(name, init)
                sent[name], offset[name] = 0, timeline
            if offset[name] != timeline:
                offset[name] = timeline
            make = audio if name.startswith("audio") else video
            scale = AUDIO_RATE if name.startswith("audio") else 30_000
            fragments = make(60, start=offset[name] * scale)[sent[name] : sent[name] + count]
            sent[name] += len(fragments)
            try:
                lab.push(session, fragments)
            except BadMedia:
                session.finish(State.BROKEN)
    for session in sessions.values():
        session.finish(State.BROKEN)
    for name in list(lab.stream.outbox):
        lab.listed(name)
    by_number: dict[int, set[tuple[int, int]]] = {}
    rungs: dict[int, set[Fraction]] = {}
    for name, window in lab.stream.windows.items():
        entries = list(window.listed)
        assert (
            [one.number for one in entries] == list(range(entries[0].number, entries[0].number + len(entries)))
            if (entries)
            else True
        )
        for before, after in itertools.pairwise(entries):
            assert after.discontinuity - before.discontinuity in (0, 1)
            assert after.at > before.at
            if not (before.gap or after.gap) and before.discontinuity == after.discontinuity:
                assert after.at - before.at == pytest.approx(after.start - before.start, abs=1e-6)
                # Sound alone, joined later by pictures that are cut elsewhere, loses up to a segment once.
                lost = after.start - before.start - before.duration
                assert lost == pytest.approx(0, abs=1e-3) or (name.startswith("audio") and 0 < lost < 1)
        for one in entries:
            assert round(one.duration) <= lab.stream.target
            by_number.setdefault(one.number, set()).add((one.generation, one.discontinuity))
            if not name.startswith("audio") and not one.gap:
                rungs.setdefault(one.number, set()).add(Fraction(one.start).limit_denominator(30_000))
    assert all(len(found) == 1 for found in by_number.values()), "a number is one generation in every track"
    assert all(len(found) == 1 for found in rungs.values()), "rungs start at identical decode times"
