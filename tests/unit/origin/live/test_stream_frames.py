"""Frames out are frames in, unless a complaint names the ones refused: whatever fragments an encoder makes."""

import itertools
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.live.account import Complaint
from origin.live.segmenter import Segment
from origin.live.session import Session, State
from origin.live.stream import Stream
from origin.media.fragments import Fragment, FragmentReader, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import InitSection, Kind, Track

NOW = 1_800_000_000.0
RATES = {"48k": 48_000, "44k1": 44_100}


def cut(total: int, lengths: list[int]) -> list[tuple[int, int]]:
    """(first, end) of the samples of each fragment; the lengths in samples are taken in turn."""
    ends = itertools.takewhile(lambda end: end < total, itertools.accumulate(itertools.cycle(lengths)))
    edges = [0, *ends, total]
    return list(itertools.pairwise(edges))


@dataclass
class Sender:
    """One track's samples, each with bytes of its own, in fragments."""

    name: str
    track: Track
    durations: list[int]
    sync: list[bool]
    start: int
    fragments: list[Fragment] = field(default_factory=list)
    session: Session | None = None

    def pack(self, lengths: list[int], *, divisible: bool = True) -> "Sender":
        at = self.start
        for first, end in cut(len(self.durations), lengths):
            count = end - first
            table = Samples(
                tuple(self.durations[first:end]),
                (4,) * count,
                tuple(0 if sync else NON_SYNC for sync in self.sync[first:end]),
                (0,) * count,
            )
            media = b"".join(n.to_bytes(4, "big") for n in range(first, end))
            fragment = of_samples(table, 1, at, media)
            fragment.keys = tuple(k for k in table.sync_samples() if k) if self.track.kind is Kind.VIDEO else ()
            if not divisible:
                fragment.table = None
            self.fragments.append(fragment)
            at = fragment.end
        return self


def sound(seconds: float, *, rate: int = 48_000, start: float = 0.0) -> Sender:
    track = Track(Kind.AUDIO, 1, rate, "mp4a.40.2", sample_rate=rate, channels=2)
    count = round(seconds * rate / 1024)
    return Sender("audio-64k", track, [1024] * count, [True] * count, round(start * rate))


def pictures(seconds: float, *, gop: int = 25, start: float = 0.0) -> Sender:
    track = Track(Kind.VIDEO, 1, 12_800, "avc1.64001f", width=640, height=360)
    count = round(seconds * 25)
    return Sender("360p", track, [512] * count, [n % gop == 0 for n in range(count)], round(start * 12_800))


@dataclass
class Lab:
    stream: Stream
    segments: dict[str, list[Segment]] = field(default_factory=dict)

    def run(self, *senders: Sender) -> None:
        """Fragments in the order of their ends, as encoders send them; then both bodies end."""
        for sender in senders:
            init = InitSection(sender.name.encode(), sender.track)
            sender.session = self.stream.begin(sender.name, init, NOW, lambda: None)
        waiting = [(Fraction(one.end, s.track.timescale), s.name, one, s) for s in senders for one in s.fragments]
        for _, _, fragment, sender in sorted(waiting, key=lambda row: row[:2]):
            assert sender.session is not None
            try:
                sender.session.push(fragment, NOW)
            except BadMedia:
                sender.session.finish(State.BROKEN)
        for sender in senders:
            assert sender.session is not None
            sender.session.finish(State.ENDED)
        for name, box in self.stream.outbox.items():
            self.segments[name] = [item.segment for item in box if item.segment is not None]

    def samples(self, name: str, track: Track) -> list[tuple[int, int]]:
        """(decode time, the number in its bytes) of every sample published, read back from the bytes."""
        found = []
        for segment in self.segments.get(name, []):
            for fragment in read(segment.data, track):
                numbers = [fragment.data[fragment.media + 4 * n :][:4] for n in range(fragment.samples)]
                found += zip(fragment.starts(), (int.from_bytes(one, "big") for one in numbers), strict=False)
        return found


def read(data: bytes, track: Track) -> list[Fragment]:
    reader = FragmentReader(2**26)
    reader._ftyp, reader._track = b"", track  # the init section is not what is looked at
    return [one for one in reader.feed(data) if isinstance(one, Fragment)]


def new(length: float) -> Lab:
    return Lab(Stream("r", length=length, target=max(1, round(length)), largest=2**26))


def samples_of(sender: Sender) -> list[tuple[int, int]]:
    starts = itertools.accumulate(sender.durations, initial=sender.start)
    return [(at, n) for at, n in zip(starts, range(len(sender.durations)), strict=False)]


# Fragment lengths in frames of 1024 samples: the segment length of 4 s is 187.5 of them at 48 kHz.
PACKAGINGS = {
    "a frame": [1],
    "half a second": [23],
    "two seconds": [94],
    "a frame less than a segment": [186],
    "3.98 s": [187],
    "a segment": [188],
    "a frame more than a segment": [189],
    "six seconds": [281],
    "a minute": [2813],
    "whatever comes": [3, 200, 1, 57, 400],
}


@pytest.mark.parametrize("lengths", PACKAGINGS.values(), ids=PACKAGINGS.keys())
@pytest.mark.parametrize("rate", RATES.values(), ids=RATES.keys())
@pytest.mark.parametrize("offset", [-0.02, -0.005, 0.0, 0.005, 0.02])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside pictures"])
def test_every_frame_of_sound_is_published(lengths: list[int], rate: int, offset: float, beside: bool) -> None:
    lab = new(4.0)
    audio = sound(40, rate=rate, start=10 + offset).pack(lengths)
    video = pictures(40, start=10).pack([12, 13])
    lab.run(*([video, audio] if beside else [audio]))
    assert lab.samples(audio.name, audio.track) == samples_of(audio)
    account = lab.stream.accounts[audio.name]
    assert (account.received, account.published, account.refused) == (len(audio.durations), len(audio.durations), 0)
    if beside:
        assert lab.samples(video.name, video.track) == samples_of(video)
        starts = [Fraction(one.start, rate) for one in lab.segments[audio.name]]
        cuts = [Fraction(one.start, 12_800) for one in lab.segments[video.name]]
        assert len(starts) == len(cuts)
        assert all(abs(a - v) <= Fraction(512, rate) for a, v in list(zip(starts, cuts, strict=True))[1:])


@pytest.mark.parametrize("frames", [[50], [100], [150], [125, 25], [1], [300], [7, 90, 3]])
@pytest.mark.parametrize("gop", [25, 50, 100])
def test_every_picture_is_published(frames: list[int], gop: int) -> None:
    lab = new(4.0)
    video = pictures(40, gop=gop).pack(frames)
    lab.run(video)
    assert lab.samples(video.name, video.track) == samples_of(video)
    assert {one.duration for one in lab.segments[video.name]} == {4 * 12_800}
    assert all(read(one.data, video.track)[0].independent for one in lab.segments[video.name])


def test_a_gop_that_does_not_divide_the_length_ends_segments_early_rather_than_the_stream() -> None:
    lab = new(6.0)
    video = pictures(50, gop=62).pack([31])  # 2.48 s: the third ends at 7.44 s, which would round to more than 6
    lab.run(video)
    assert lab.samples(video.name, video.track) == samples_of(video)
    assert {one.duration / 12_800 for one in lab.segments[video.name][:-1]} == {2 * 2.48}


def test_what_comes_before_the_first_key_frame_is_refused_by_name() -> None:
    lab = new(4.0)
    video = pictures(12, gop=25)
    video.sync = [n % 25 == 10 for n in range(300)]
    lab.run(video.pack([25]))
    account = lab.stream.accounts["360p"]
    assert (account.received, account.published, account.refused) == (300, 290, 10)
    assert [str(one) for one in account.complaints] == [
        "10 pictures from 0.000 s to 0.400 s are not published: before the first key frame, where no decoding can begin"
    ]
    assert lab.samples("360p", video.track) == samples_of(video)[10:]


def test_no_key_frame_for_longer_than_a_segment_is_refused_by_name() -> None:
    lab = new(4.0)
    video = pictures(12, gop=250).pack([25])
    lab.run(video)
    account = lab.stream.accounts["360p"]
    assert account.received == account.published + account.refused == 125, "the fifth second is one too many"
    assert sum(one.samples for one in account.complaints) == account.refused == 125


packagings = st.lists(st.integers(1, 250), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    length=st.sampled_from([1.0, 2.0, 4.0, 6.0]),
    audio_lengths=packagings,
    video_lengths=packagings,
    rate=st.sampled_from([44_100, 48_000]),
    offset=st.integers(-900, 900),
    gop=st.integers(1, 60),
    longer=st.integers(-1500, 1500),
    divisible=st.tuples(st.booleans(), st.booleans()),
)
def test_frames_out_are_frames_in(
    length: float,
    audio_lengths: list[int],
    video_lengths: list[int],
    rate: int,
    offset: int,
    gop: int,
    longer: int,
    divisible: tuple[bool, bool],
) -> None:
    lab = new(length)
    audio = sound(13 + longer / 1000, rate=rate, start=10 + offset / 1000).pack(audio_lengths, divisible=divisible[0])
    video = pictures(13, gop=gop, start=10).pack(video_lengths, divisible=divisible[1])
    lab.run(video, audio)
    for sender in (audio, video):
        account = lab.stream.accounts[sender.name]
        published = lab.samples(sender.name, sender.track)
        assert len(published) == account.published
        assert account.received == account.published + account.refused
        assert account.refused == sum(one.samples for one in account.complaints)
        missing = sorted(set(samples_of(sender)) - set(published))
        assert published == sorted(set(published)) and set(published) <= set(samples_of(sender)), "none twice"
        for at, number in missing[: account.refused]:
            seconds = at / sender.track.timescale
            assert any(one.start - 1e-6 <= seconds <= one.end for one in account.complaints), (number, seconds)
        assert all(
            round(one.duration / sender.track.timescale) <= lab.stream.target for one in lab.segments[sender.name]
        )
    if all(divisible) and gop <= 25 * length and abs(offset) < 400 * length and offset > -500:
        assert not lab.stream.accounts[audio.name].complaints
        assert not lab.stream.accounts[video.name].complaints


@settings(max_examples=60, deadline=None)
@given(
    gops=st.tuples(st.integers(10, 60), st.integers(10, 60)),
    shift=st.integers(-3, 3),
    lengths=packagings,
    video_lengths=packagings,
)
def test_rungs_with_key_frames_of_their_own_lose_nothing(
    gops: tuple[int, int], shift: int, lengths: list[int], video_lengths: list[int]
) -> None:
    lab = new(2.0)
    audio = sound(21, start=10).pack(lengths)
    one = pictures(21, gop=gops[0], start=10).pack(video_lengths)
    other = pictures(21, gop=gops[1], start=10 + shift / 25).pack(video_lengths)
    other.name = "180p"
    lab.run(one, other, audio)
    for sender in (audio, one, other):
        account = lab.stream.accounts[sender.name]
        assert account.received == account.published + account.refused
        refused = [said for said in account.complaints if isinstance(said, Complaint)]
        assert account.refused == sum(said.samples for said in refused)
        missing = set(samples_of(sender)) - set(lab.samples(sender.name, sender.track))
        assert len(missing) == account.refused
    if gops[0] == gops[1]:
        named = [len(lab.stream.accounts[name].complaints) for name in ("360p", "180p")]
        assert named == [0, 0], "a shift of three pictures is reordering"
