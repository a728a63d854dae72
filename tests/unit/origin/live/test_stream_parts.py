"""Parts as they are numbered while their segment is gathered: each is in the segment that comes, byte for byte."""

import itertools
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.live.parts import Part
from origin.live.segmenter import Segment
from origin.live.session import State
from origin.live.stream import Stream
from origin.media.tracks import InitSection, Kind
from tests.unit.origin.live.test_stream_frames import NOW, Sender, pictures, read, samples_of, sound


@dataclass
class Listed:
    """A segment with its parts, in the order in which they were numbered."""

    number: int
    parts: list[tuple[Part, bytes]] = field(default_factory=list)
    segment: Segment | None = None
    data: bytes = b""


@dataclass
class Lab:
    """A stream with parts; what it has numbered is taken after each fragment."""

    stream: Stream
    listed: dict[str, list[Listed]] = field(default_factory=dict)
    log: list[tuple[Fraction, str, Part | None]] = field(default_factory=list)
    """(media time of the fragment that came, track, the part that it made; None: a segment)."""

    def run(self, *senders: Sender) -> None:
        for sender in senders:
            init = InitSection(sender.name.encode(), sender.track)
            sender.session = self.stream.begin(sender.name, init, NOW, lambda: None)
        waiting = [(Fraction(one.end, s.track.timescale), s.name, one, s) for s in senders for one in s.fragments]
        for at, _, fragment, sender in sorted(waiting, key=lambda row: row[:2]):
            assert sender.session is not None
            try:
                sender.session.push(fragment, NOW)
            except BadMedia:
                sender.session.finish(State.BROKEN)
            self.take(at)
        for sender in senders:
            assert sender.session is not None
            sender.session.finish(State.ENDED)
        self.take(Fraction(10**6))

    def take(self, at: Fraction) -> None:
        for name, box in self.stream.outbox.items():
            segments = self.listed.setdefault(name, [])
            while box:
                item = box.popleft()
                if item.part is not None:
                    self.log.append((at, name, item.part))
                    if not segments or segments[-1].segment is not None:
                        segments.append(Listed(item.part.number))
                    assert segments[-1].number == item.part.number
                    segments[-1].parts.append((item.part, b"".join(one.data for one in item.fragments)))
                elif item.entry is not None and item.segment is not None:
                    self.log.append((at, name, None))
                    if not segments or segments[-1].segment is not None:
                        segments.append(Listed(item.entry.number))
                    assert segments[-1].number == item.entry.number
                    segments[-1].segment, segments[-1].data = item.segment, item.segment.data


def new(length: float, part: float = 0.5) -> Lab:
    return Lab(Stream("r", length=length, target=max(1, round(length)), largest=2**26, part=part))


def check(lab: Lab, sender: Sender, part: Fraction) -> None:
    """Every rule for the parts of one track."""
    for one in lab.listed.get(sender.name, []):
        assert one.segment is not None, "a part that was listed is in no segment"
        assert [part.index for part, _ in one.parts] == list(range(len(one.parts)))
        joined = b"".join(data for _, data in one.parts)
        if sender.session is not None and sender.session.parts is not None and sender.session.parts.misfit:
            assert one.data.startswith(joined)
            continue
        assert joined == one.data, "4.4.4.9: the parts of a segment are its bytes"
        exact = [
            Fraction(sum(f.duration for f in read(data, sender.track)), sender.track.timescale) for _, data in one.parts
        ]
        assert all(duration <= part for duration in exact)
        assert all(duration >= part * 85 / 100 for duration in exact[:-1])
        for (told, data), duration in zip(one.parts, exact, strict=True):
            assert told.duration == pytest.approx(float(duration))
            assert told.size == len(data)
            found = read(data, sender.track)
            keys = any(fragment.independent or fragment.keys for fragment in found)
            assert told.independent is (keys or sender.track.kind is Kind.AUDIO)


def samples(lab: Lab, sender: Sender) -> list[tuple[int, int]]:
    found = []
    for one in lab.listed.get(sender.name, []):
        for fragment in read(one.data, sender.track):
            numbers = [fragment.data[fragment.media + 4 * n :][:4] for n in range(fragment.samples)]
            found += zip(fragment.starts(), (int.from_bytes(n, "big") for n in numbers), strict=False)
    return found


PART = Fraction(1, 2)


@pytest.mark.parametrize("audio_lengths", [[4], [23], [1], [47], [188], [3, 40, 1]], ids=str)
@pytest.mark.parametrize("video_lengths", [[12], [13], [1], [5], [25], [100], [7, 30]], ids=str)
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_parts_of_pictures_and_sound_are_their_segments(
    audio_lengths: list[int], video_lengths: list[int], rate: int
) -> None:
    lab = new(4.0)
    video, audio = (
        pictures(21, gop=100, start=10).pack(video_lengths),
        sound(21, rate=rate, start=10).pack(audio_lengths),
    )
    lab.run(video, audio)
    for sender in (video, audio):
        check(lab, sender, PART)
        assert samples(lab, sender) == samples_of(sender)
        assert len(lab.listed[sender.name]) == 6


def test_what_our_own_encoder_sends_is_listed_as_it_comes() -> None:
    """Fragments of a part each: one is a part as it came; sound follows the pictures of the same time."""
    lab = new(4.0, 0.48)
    video, audio = pictures(20, gop=100, start=10).pack([12]), sound(20, start=10).pack([4])
    lab.run(video, audio)
    for sender in (video, audio):
        check(lab, sender, Fraction(48, 100))
    whole = [part for one in lab.listed["360p"] for part in one.parts]
    assert [data for _, data in whole if len(data) > 200][:8] == [one.data for one in video.fragments[:8]]
    for name, slack in (("360p", 0.0), ("audio-64k", 0.1)):
        made = [(float(at) - 10, part) for at, n, part in lab.log if n == name and part is not None and at < 29]
        ends = itertools.accumulate(part.duration for _, part in made)
        late = [at - end for (at, _), end in zip(made, ends, strict=True)]
        assert max(late) < 0.48 + slack + 0.01, name


@pytest.mark.parametrize("gop", [25, 50, 62, 40])
def test_segments_of_several_gops_are_cut_where_no_part_is_behind(gop: int) -> None:
    """Once the encoder is known, a segment is as long as it can be; before that, a GOP."""
    lab = new(6.0)
    video = pictures(60, gop=gop, start=10).pack([12, 13])
    lab.run(video)
    check(lab, video, PART)
    assert samples(lab, video) == samples_of(video)
    lengths = [one.segment.duration / 12_800 for one in lab.listed["360p"] if one.segment]
    period = gop / 25
    fits = max(n for n in range(1, 20) if n * period < 6.5 and (n - 1) * period <= 6 - 0.04)
    assert lengths[0] == pytest.approx(period)
    assert lengths[13:-1] == pytest.approx([fits * period] * len(lengths[13:-1]))


def test_a_key_frame_that_does_not_come_costs_what_no_segment_can_hold_and_no_part() -> None:
    """Key frames each second for half a minute, then none: what was listed as parts is published, the rest is refused."""
    lab = new(4.0)
    video = pictures(40, gop=25, start=10)
    video.sync = [n % 25 == 0 and n < 800 for n in range(1000)]
    lab.run(video.pack([12, 13]))
    check(lab, video, PART)
    account = lab.stream.accounts["360p"]
    assert account.received == account.published + account.refused
    assert account.refused > 0 and sum(one.samples for one in account.complaints) == account.refused
    assert samples(lab, video) == samples_of(video)[: account.published]


def test_sound_alone_has_parts(part: Fraction = PART) -> None:
    """Strangers': audio-only playlists that promised parts and never listed one kept players waiting for each reload."""
    lab = new(4.0)
    audio = sound(21, start=10).pack([4])
    lab.run(audio)
    check(lab, audio, part)
    assert samples(lab, audio) == samples_of(audio)
    delays = [at for at, _, part in lab.log if part is not None]
    assert delays == sorted(delays) and len(delays) > 40
    for (before, _, _), (after, _, _) in itertools.pairwise(row for row in lab.log if row[2] is not None):
        assert after - before <= PART + Fraction(1, 10) or after == 10**6, "6.2.1: within a part target of the last one"


def test_fragments_that_cannot_be_divided_and_are_too_long_make_segments_only() -> None:
    lab = new(4.0)
    video = pictures(20, gop=100, start=10).pack([25], divisible=False)
    lab.run(video)
    assert [len(one.parts) for one in lab.listed["360p"]] == [0] * 5
    assert list(lab.stream.without_parts) == ["360p"], "it is said once"
    assert samples(lab, video) == samples_of(video)


@pytest.mark.parametrize("beat", [[33, 33, 34], [34, 33, 33], [33, 34], [40, 7, 53]], ids=str)
def test_time_stamps_of_whole_milliseconds_make_no_part_longer_than_the_target(beat: list[int]) -> None:
    """Strangers': fragments of 0.501 s under a PART-TARGET of half a second, and no player of Apple's opens the stream."""
    lab = new(2.0)
    video = pictures(20, gop=60)
    video.track = replace(video.track, timescale=1000)
    video.durations = list(itertools.islice(itertools.cycle(beat), 500))
    video.sync = [n % 60 == 0 for n in range(500)]
    lab.run(video.pack([15]))
    check(lab, video, PART)
    assert samples(lab, video) == samples_of(video)
    assert all(one.parts for one in lab.listed["360p"])


packagings = st.lists(st.integers(1, 250), min_size=1, max_size=6)


@settings(max_examples=150, phases=[Phase.explicit, Phase.reuse, Phase.generate], deadline=None)
@given(
    length=st.sampled_from([1.0, 2.0, 4.0, 6.0]),
    part=st.sampled_from([0.2, 0.33334, 0.5, 1.0]),
    audio_lengths=packagings,
    video_lengths=packagings,
    rate=st.sampled_from([44_100, 48_000]),
    offset=st.integers(-900, 900),
    gops=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    divisible=st.tuples(st.booleans(), st.booleans()),
    rungs=st.integers(1, 2),
)
def test_every_part_that_was_listed_is_in_its_segment(
    length: float,
    part: float,
    audio_lengths: list[int],
    video_lengths: list[int],
    rate: int,
    offset: int,
    gops: list[int],
    divisible: tuple[bool, bool],
    rungs: int,
) -> None:
    """Whatever the packaging, and however irregular the key frames."""
    lab = new(length, part)
    keys = {0, *itertools.takewhile(lambda n: n < 325, itertools.accumulate(itertools.cycle(gops)))}
    videos = []
    for n in range(rungs):
        video = pictures(13, start=10)
        video.name = f"{180 * (n + 1)}p"
        video.sync = [at in keys for at in range(325)]
        videos.append(video.pack(video_lengths if n == 0 else [12, 13], divisible=divisible[1] or n > 0))
    audio = sound(13, rate=rate, start=10 + offset / 1000).pack(audio_lengths, divisible=divisible[0])
    lab.run(*videos, audio)
    for sender in (*videos, audio):
        check(lab, sender, Fraction(part).limit_denominator(1_000_000))
        account = lab.stream.accounts[sender.name]
        published = samples(lab, sender)
        assert len(published) == account.published
        assert account.received == account.published + account.refused
        assert published == sorted(set(published)) and set(published) <= set(samples_of(sender))
        assert all(
            round(one.segment.duration / sender.track.timescale) <= lab.stream.target
            for one in lab.listed.get(sender.name, [])
            if one.segment is not None
        )
    if rungs == 2 and all(divisible):
        one, other = ([(s.number, s.segment.start) for s in lab.listed.get(v.name, []) if s.segment] for v in videos)
        starts = dict(one)
        assert all(abs(starts.get(number, start) - start) < 640 for number, start in other), (
            "rungs are cut at the same frames"
        )
