"""Which segments can be requested before they are complete."""

import pytest

from origin.dash.growth import Growth, growth_of, read_name
from origin.live.parts import Part
from origin.live.session import State
from origin.live.stream import Stream
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import InitSection, Kind, Track

NOW = 1_800_000_000.0
VIDEO = Track(Kind.VIDEO, 1, 12_800, "avc1.64001f", width=640, height=360)


def lab(*, listed: int = 3, parts: int = 0) -> tuple[Stream, TrackWindow]:
    """A stream of a running encoder that has listed so many segments, and parts of the next one."""
    stream = Stream("live", length=2.0, target=2, largest=2**20, part=0.5)
    stream.begin("360p", InitSection(b"", VIDEO), NOW, lambda: None)
    window = TrackWindow("360p", VIDEO, "aa")
    assert stream.generation is not None
    id = stream.generation.id
    for number in range(listed):
        window.add(Entry(number, id, 0, 2.0 * number, 2.0, NOW, 10, "aa"), target=2)
    for index in range(parts):
        window.parts.add(Part(listed, index, id, 0, "aa", NOW, 0.5, index == 0, 4))
    return stream, window


TABLE = [  # parts in hand, number: then
    (0, 2, Growth.ELSEWHERE),  # it is listed, or it is gone: whoever has it answers before this is asked
    (0, 3, Growth.EARLY),
    (2, 3, Growth.GROWING),
    (2, 4, Growth.EARLY),  # its first part may come before anybody knows that the one in hand is complete
    (2, 5, Growth.ELSEWHERE),
    (0, 5, Growth.ELSEWHERE),
]


@pytest.mark.parametrize(("parts", "number", "then"), TABLE)
def test_of_the_encoder_that_sends(parts: int, number: int, then: Growth) -> None:
    stream, window = lab(parts=parts)
    assert stream.generation is not None
    assert growth_of(stream, window, stream.generation.id, number) is then
    assert growth_of(stream, window, stream.generation.id - 1, number) is Growth.ELSEWHERE, "of another encoder"


def test_of_an_encoder_that_has_gone_only_what_has_parts_grows_on() -> None:
    """It is about to be completed short."""
    stream, window = lab(parts=1)
    assert stream.generation is not None
    stream.generation.sessions["360p"].state = State.BROKEN
    assert growth_of(stream, window, stream.generation.id, 3) is Growth.GROWING
    assert growth_of(stream, window, stream.generation.id, 4) is Growth.ELSEWHERE


def test_a_track_that_has_just_come_begins_where_its_siblings_are() -> None:
    stream, _ = lab()
    assert stream.generation is not None
    stream.generation.base = 40
    window = TrackWindow("360p", VIDEO, "aa")
    assert [growth_of(stream, window, stream.generation.id, number) for number in (0, 39, 40, 41, 42)] == [
        Growth.ELSEWHERE,
        Growth.ELSEWHERE,
        Growth.EARLY,
        Growth.EARLY,
        Growth.ELSEWHERE,
    ]


@pytest.mark.parametrize(
    ("file", "then"),
    [
        ("seg-1795952848-1.m4s", (1_795_952_848, 1)),
        ("seg-0-0.m4s", (0, 0)),
        ("seg-1-2.ts", None),
        ("seg-1-2.m4s.m4s", None),
        ("part-1-2-0.m4s", None),
        ("seg-1--2.m4s", None),
        ("seg-1-²3.m4s", None),
        (f"seg-1-{'9' * 20}.m4s", None),
    ],
)
def test_names(file: str, then: tuple[int, int] | None) -> None:
    assert read_name(file) == then
