"""Edit lists: what they say is said by the times of the samples instead, and no sample is lost but those they leave out."""

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from origin.errors import BadMedia
from origin.live.session import Session, State
from origin.live.stream import Stream
from origin.media.boxes import children
from origin.media.edit_lists import Edit
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection, read_init
from tests.unit.origin.live.test_stream import pictures as some_pictures
from tests.unit.origin.live.test_stream import sound
from tests.unit.origin.media.test_fragments import FTYP, box
from tests.unit.origin.media.test_sample_entries import avcc, pictures
from tests.unit.origin.media.test_tracks import full, init

AVC = box(b"avc1", pictures(avcc()))
MVHD = full(b"mvhd", bytes(8) + struct.pack(">I", 1000) + bytes(84))


def edts(*edits: tuple[int, int], version: int = 0, rate: int = 0x10000) -> bytes:
    row = ">qqI" if version else ">iiI"
    rows = b"".join(struct.pack(row, duration, time, rate) for duration, time in edits)
    return box(b"edts", full(b"elst", struct.pack(">I", len(edits)) + rows, version))


def read(lists: bytes, **more: object) -> InitSection:
    return read_init(FTYP, init(before=MVHD, edts=lists, **more))  # type: ignore[arg-type]


LISTS = [  # given this edit list in a track of 48,000 ticks a second
    (edts((0, 1024)), Edit(0, 1024)),
    (edts((0, 1024), version=1), Edit(0, 1024)),
    (edts((66, -1), (0, 1024)), Edit(3168, 1024)),
    (edts((66, -1), (0, 0), version=1), Edit(3168, 0)),
    (edts((0, 0)), None),  # it says nothing
    (edts(), None),
    (edts((500, 0), (500, 96_000)), None),  # cuts something out of the middle
    (edts((66, -1)), None),
    (edts((66, -1), (66, -1), (0, 0)), None),
    (edts((0, 1024), rate=0x8000), None),
    (edts(*[(0, 1024)] * 50), None),
    (edts((0, 61 * 48_000)), None),
    (edts((61_000, -1), (0, 0)), None),
    (edts((2**62, -1), (0, 2**62), version=1), None),
    (edts((0, -2)), None),
    (b"", None),
]


@pytest.mark.parametrize(("lists", "edit"), LISTS)
def test_which_lists_are_moved(lists: bytes, edit: Edit | None) -> None:
    found = read(lists)
    assert found.edit == edit
    assert (found.data == read(b"").data) if edit else (lists in found.data), "gone, or untouched"
    assert [kind for kind, _ in children(memoryview(found.data)[len(FTYP) + 8 :], "moov")] == ["mvhd", "trak", "mvex"]


def test_the_rest_of_the_init_section_stays_as_it_came() -> None:
    assert read(edts((0, 1024))).data == read(b"").data
    assert list(FragmentReader(2**20).feed(read(edts((0, 1024))).data)) == [read(b"")]


def test_a_list_cut_short_is_refused_in_words() -> None:
    with pytest.raises(BadMedia, match="trak/edts/elst: found"):
        read(box(b"edts", full(b"elst", struct.pack(">I", 2) + bytes(12))))


def live(section: InitSection) -> tuple[Stream, Session]:
    stream = Stream("live", length=1.0, target=1, largest=2**20)
    return stream, stream.begin("track", section, 1_800_000_000.0, lambda: None)


def out(stream: Stream) -> Iterator[tuple[int, int]]:
    """(decode time, composition time) of every sample that is numbered."""
    for item in stream.outbox["track"]:
        for fragment in item.segment.fragments if item.segment else ():
            assert fragment.table is not None
            for start, shift in zip(fragment.starts(), fragment.table.shifts, strict=False):
                yield start, start + shift


def test_pictures_are_composed_earlier_and_sound_is_decoded_later() -> None:
    """What ffmpeg's hls muxer makes of two tracks that begin together: pictures skip their reordering, sound waits."""
    stream, session = live(read(edts((66, -1), (0, 2002)), entry=AVC, handler=b"vide"))
    session.push(some_pictures(0, [1001] * 60, key=True), 1_800_000_000.0)
    session.finish(State.ENDED)
    assert next(out(stream)) == (3168, 3168 - 2002)

    stream, session = live(read(edts((45, -1), (0, 0))))
    session.push(sound(0, 40), 1_800_000_000.0)
    session.finish(State.ENDED)
    stream.stop_awaiting(None)
    assert next(out(stream)) == (2160, 2160)
    assert len(list(out(stream))) == 40


def test_priming_that_the_list_leaves_out_is_refused_by_name() -> None:
    stream, session = live(read(edts((0, 2112))))  # two frames, and 64 samples
    for start in range(0, 40 * 1024, 4 * 1024):
        session.push(sound(start, 4), 1_800_000_000.0)
    session.finish(State.ENDED)
    account = stream.accounts["track"]
    times = list(out(stream))
    assert times[0] == (3 * 1024 - 2112, 3 * 1024 - 2112)
    assert (account.received, account.published, account.refused) == (40, len(times), 3)
    assert [str(complaint) for complaint in account.complaints] == [
        "3 samples of sound from 0.000 s to 0.064 s are not published: left out by the edit list"
    ]


def test_fragments_that_are_all_priming() -> None:
    stream, session = live(read(edts((0, 2112))))
    for start in range(0, 8 * 1024, 1024):
        session.push(sound(start, 1), 1_800_000_000.0)
    assert stream.accounts["track"].refused == 3


def test_a_stream_that_is_joined_late_loses_nothing() -> None:
    stream, session = live(read(edts((0, 2112))))
    session.push(sound(2**40, 60), 1_800_000_000.0)
    session.finish(State.ENDED)
    assert stream.accounts["track"].refused == 0
    assert next(out(stream)) == (2**40 - 2112, 2**40 - 2112)


def out_of_bounds() -> Iterator[Fragment]:
    whole = sound(96_000, 4)
    whole.table = None
    yield whole
    yield sound(2**63 - 1024, 1)
    for shift in (-(2**31), 2**31):
        shifted = sound(96_000, 1)
        assert shifted.table is not None
        shifted.table = replace(shifted.table, shifts=(shift,))
        yield shifted


@pytest.mark.parametrize("fragment", out_of_bounds())
def test_what_cannot_be_written_anew_is_refused_in_words(fragment: Fragment) -> None:
    _, session = live(read(edts((45, -1), (0, 2112))))
    with pytest.raises(BadMedia, match=r"decode time .* s: found a fragment that cannot be written anew"):
        session.push(fragment, 1_800_000_000.0)
