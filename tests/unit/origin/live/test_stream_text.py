"""Text beside pictures: cut exactly where they are, whatever its samples; a cue that goes on is in both segments."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.media.fragments import of_samples
from origin.media.samples import Samples
from origin.media.tracks import InitSection, Kind, Track
from tests.unit.origin.live.test_stream_frames import Sender, new, pictures, read, samples_of

TICKS = 1000


def cues(durations: list[int], *, start: float = 0.0) -> Sender:
    """Samples of text; durations in milliseconds."""
    return Sender("t", Track(Kind.TEXT, 1, TICKS, "wvtt"), durations, [True] * len(durations), round(start * TICKS))


CUES = [  # milliseconds of each sample
    [1000] * 20,
    [4000] * 5,
    [3000] * 7,  # none ends where the pictures are cut
    [2500] * 8,
    [9000, 11_000],  # each longer than the target duration
    [20_000],
    [40] * 500,
]


@pytest.mark.parametrize("durations", CUES, ids=str)
@pytest.mark.parametrize("beside", [True, False])
def test_cues_of_any_length(durations: list[int], beside: bool) -> None:
    lab = new(4.0)
    text = cues(durations).pack([1])
    video = pictures(20)
    lab.run(*([video.pack([25]), text] if beside else [text]))
    account = lab.stream.accounts["t"]
    assert (account.received, account.published, account.refused) == (len(durations), len(durations), 0)
    starts = [Fraction(one.start, TICKS) for one in lab.segments["t"]]
    if beside:
        assert starts[:5] == [Fraction(one.start, 12_800) for one in lab.segments[video.name]]
    else:
        assert starts[:5] == [0, 4, 8, 12, 16][: len(starts)]
    assert sum(one.duration for one in lab.segments["t"]) == sum(durations)


@settings(max_examples=100, deadline=None)
@given(
    durations=st.lists(st.sampled_from([1, 40, 500, 1001, 3000, 4000, 9000]), min_size=1, max_size=30),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    length=st.sampled_from([1.0, 2.0, 4.0]),
    late=st.integers(-100, 400),
    beside=st.booleans(),
)
def test_every_cue_is_shown_as_long_as_it_was(
    durations: list[int], lengths: list[int], length: float, late: int, beside: bool
) -> None:
    lab = new(length)
    text = cues(durations, start=10 + late / 1000 * length).pack(lengths)
    video = pictures(sum(durations) / 1000 + 1, start=10).pack([25])
    lab.run(*([video, text] if beside else [text]))
    account = lab.stream.accounts["t"]
    assert account.received == len(durations) == account.published + account.refused
    assert account.refused == sum(one.samples for one in account.complaints) == 0
    shown: dict[int, int] = {}
    at = text.start
    for segment in lab.segments["t"]:
        assert segment.start == at and round(segment.duration / TICKS) <= lab.stream.target
        for fragment in read(segment.data, text.track):
            assert fragment.table is not None
            for n, duration in enumerate(fragment.table.durations):
                number = int.from_bytes(fragment.data[fragment.media + 4 * n :][:4], "big")
                shown[number] = shown.get(number, 0) + duration
            at = fragment.end
    assert [shown[number] for _, number in samples_of(text)] == durations


@pytest.mark.parametrize("durations", [[60_001], [1000] * 61])
def test_a_fragment_of_text_lasts_a_minute_at_most(durations: list[int]) -> None:
    lab = new(4.0)
    text = cues(durations).pack([len(durations)])
    lab.run(text)
    account = lab.stream.accounts["t"]
    assert (account.published, account.refused) == (0, len(durations))
    assert "larger than a fragment of text may be" in str(account.complaints[0])


def test_a_fragment_of_text_has_a_mebibyte_at_most() -> None:
    stream = new(4.0).stream
    session = stream.begin("t", InitSection(b"t", cues([1]).track), 1e9, lambda: None)
    table = Samples((1000,), (2**20,), (0,), (0,))
    with pytest.raises(
        BadMedia, match=r"a fragment of text of 1\.000 s and \d+ bytes, wanted at most 60 s and 1048576"
    ):
        session.push(of_samples(table, 1, 0, bytes(2**20)), 1e9)
