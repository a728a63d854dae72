"""What one segment may be made of: on, under and over each bound; and what it costs in memory."""

import pytest

from origin.errors import BadMedia, TooLarge
from origin.live import segmenter
from origin.live.segmenter import MOST_FRAGMENTS, Segmenter, late
from origin.media.fragments import Fragment, of_samples
from origin.media.samples import MOST_SAMPLES, Samples
from origin.media.tracks import Kind, Track

TRACK = Track(Kind.AUDIO, 1, 1_000_000, "mp4a.40.2", sample_rate=48_000, channels=2)


def _pushed(count: int, *, samples: int = 1, size: int = 1, largest: int = 2**20) -> Segmenter:
    """A segmenter that was given so many fragments of a microsecond each."""
    one = Segmenter(TRACK, 4.0, 4, largest, lambda fragments, why: None)
    for start in range(count):
        for _ in one.push(Fragment(start, 1, True, samples, bytes(size))):
            raise AssertionError("too short for a segment")
    return one


@pytest.mark.parametrize(
    ("at", "over", "words"),
    [
        ((MOST_FRAGMENTS, {}), (MOST_FRAGMENTS + 1, {}), f"{MOST_FRAGMENTS + 1} fragments in one segment"),
        ((2, {"samples": MOST_SAMPLES // 2}), (3, {"samples": MOST_SAMPLES // 2}), "samples in one segment"),
        ((4, {"size": 25, "largest": 100}), (4, {"size": 26, "largest": 100}), "104 bytes in one segment"),
    ],
)
def test_a_segment_has_so_much(at: tuple[int, dict[str, int]], over: tuple[int, dict[str, int]], words: str) -> None:
    held = _pushed(at[0], **at[1])
    assert held.memory > held.samples
    with pytest.raises(TooLarge, match=words):
        _pushed(over[0], **over[1])


HOW_LATE = [  # kind, longest of the samples (ms), and seconds that a fragment of them may be late
    (Kind.VIDEO, [40, 40], 0.06),
    (Kind.VIDEO, [20, 20], 0.05),  # rounding
    (Kind.VIDEO, [40, 100, 0], 0.15),
    (Kind.VIDEO, [600], 0.9),
    (Kind.VIDEO, [5000], 1),  # a picture every five seconds
    (Kind.AUDIO, [64, 64], 0.096),  # AAC at 16 kHz
    (Kind.TEXT, [4000], 0.05),
]


@pytest.mark.parametrize(("kind", "durations", "seconds"), HOW_LATE)
def test_how_late_a_fragment_may_begin(kind: Kind, durations: list[int], seconds: float) -> None:
    count = len(durations)
    table = Samples(tuple(durations), (1,) * count, (0,) * count, (0,) * count)
    track = Track(kind, 1, 1000, "x")
    assert float(late(of_samples(table, 1, 0, bytes(count)), track)) == seconds


def test_its_memory_is_that_of_what_it_holds() -> None:
    one = _pushed(3, samples=10, size=7)
    assert one.memory == 3 * 7 + 3 * segmenter._PER_FRAGMENT + 30 * segmenter._PER_SAMPLE
    one.drop("enough")
    assert (one.memory, one.samples) == (0, 0)


@pytest.mark.parametrize(("seconds", "segments"), [(0.9, [0.9]), (1.2, [1.2, 1.2, 1.2]), (1.49, [1.49] * 3)])
def test_a_sample_that_lasts_for_more_than_two_segments_is_one_by_itself(seconds: float, segments: list[float]) -> None:
    """A damaged duration, or a still of sound: whoever cuts it must get on."""
    one, ticks = Segmenter(TRACK, 0.5, 1, 2**20, lambda fragments, why: None), round(1e6 * seconds)
    for index in range(len(segments)):
        assert not list(one.push(_long(index * ticks, ticks)))
    taken = []
    while one.reaches() and (segment := one.take()):
        taken.append(segment.duration / 1e6)
    assert taken == segments


def test_a_sample_longer_than_the_target_duration_is_refused() -> None:
    refused: list[Fragment] = []
    one = Segmenter(TRACK, 0.5, 1, 2**20, lambda fragments, why: refused.extend(fragments))
    with pytest.raises(BadMedia, match=r"found a sample of sound of 2147\.484 s, wanted shorter ones than 1\.5 s"):
        list(one.push(_long(0, 2**31)))
    assert [fragment.duration for fragment in refused] == [2**31]
    assert one.samples == 0


def _long(start: int, ticks: int) -> Fragment:
    return Fragment(start, ticks, True, 1, b"", Samples((ticks,), (0,), (0,), (0,)))
