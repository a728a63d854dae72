"""An MPEG-TS segment has the samples of its fMP4 segment, at their times: real ones, and ones of bad manners."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.media.fragments import Fragment, FragmentReader, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import InitSection
from origin.mpegts.elementary import H264, Aac, Codec, read_codec
from origin.mpegts.segments import OFFSET, at_90khz, remux
from tests.kit.mpegts import Stream, TsReader, access_units, adts_frames

MOST = 2**26


def fragments_of(body: bytes) -> tuple[InitSection, list[Fragment]]:
    init, *fragments = FragmentReader(2**26).feed(body)
    assert isinstance(init, InitSection)
    return init, [one for one in fragments if isinstance(one, Fragment)]


def samples_of(fragment: Fragment) -> Iterator[tuple[int, bytes]]:
    """(composition time in ticks, bytes)."""
    assert fragment.table is not None
    at, start = fragment.media, fragment.start
    for duration, size, shift in zip(
        fragment.table.durations, fragment.table.sizes, fragment.table.shifts, strict=True
    ):
        yield start + shift, fragment.data[at : at + size]
        at, start = at + size, start + duration


@pytest.mark.parametrize("name", ["180p.cmfv", "90p.cmfv", "audio-64k.cmfa"])
def test_a_real_track_segment_by_segment(encoded: Mapping[str, bytes], name: str) -> None:
    init, fragments = fragments_of(encoded[name])
    codec = read_codec(init.data)
    reader = TsReader()
    streams: list[Stream] = []
    for number in range(0, len(fragments), 2):
        data = remux(init.data, codec, b"".join(one.data for one in fragments[number : number + 2]), number // 2, MOST)
        streams.append(reader.read(data))
    pes = [one for stream in streams for one in stream.pes]
    assert [after.dts > before.dts for before, after in pairwise(pes)].count(False) == 0, "over segments, too"
    wanted = [sample for one in fragments for sample in samples_of(one)]
    timescale = init.track.timescale
    if isinstance(codec, H264):
        units = [[u for u in unit if u[0] & 0x1F not in (7, 8)] for stream in streams for unit in access_units(stream)]
        got = [b"".join(len(u).to_bytes(4, "big") + u for u in unit) for unit in units]
        assert got == [_without_sets(data) for _, data in wanted]
        assert [one.pts - OFFSET for one in pes] == [at_90khz(at, timescale) for at, _ in wanted]
        steps = {after.dts - before.dts for before, after in pairwise(pes)}
        assert steps == {3000}, "DTS of 30 frames a second, also from one segment to the next"
    else:
        frames = [frame for stream in streams for frame in adts_frames(stream)]
        assert [data for _, data in frames] == [data for _, data in wanted]
        for (pts, _), (at, _) in zip(frames, wanted, strict=True):
            assert abs(pts - OFFSET - Fraction(at * 90_000, timescale)) <= 1


def _without_sets(sample: bytes) -> bytes:
    kept, at = b"", 0
    while at < len(sample):
        end = at + 4 + int.from_bytes(sample[at : at + 4], "big")
        kept += sample[at:end] if sample[at + 4] & 0x1F not in (7, 8, 9) else b""
        at = end
    return kept


@pytest.mark.parametrize("shift", [0, 2])
def test_a_segment_without_reordering_has_the_delay_of_the_others(encoded: Mapping[str, bytes], shift: int) -> None:
    """Otherwise DTS would go back where the next segment reorders again; `shift`: without and with an edit list."""
    init, fragments = fragments_of(encoded["180p.cmfv"])
    frame, track_id = init.track.timescale // 30, init.track.track_id
    first, second = (one.moved(0, -shift * frame, track_id) for one in fragments[:2])
    assert first.row is not None and second.row is not None
    plain = replace(second.row, shifts=(shift * frame,) * second.samples)
    codec = H264(4, (), 2)
    still = of_samples(plain, track_id, second.start, second.data[second.media :])
    pes = [*TsReader().read(remux(init.data, codec, first.data, 0, MOST)).pes]
    pes += TsReader().read(remux(init.data, codec, still.data, 1, MOST)).pes
    assert {after.dts - before.dts for before, after in pairwise(pes)} == {3000}


def test_the_same_bytes_each_time(encoded: Mapping[str, bytes]) -> None:
    init, fragments = fragments_of(encoded["180p.cmfv"])
    codec = read_codec(init.data)
    assert len({remux(init.data, codec, fragments[0].data, 7, MOST) for _ in range(3)}) == 1


# ---- ones of bad manners --------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(1, 400), st.integers(-9_000, 90_000), st.booleans()),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(rows=ROWS, start=st.integers(0, 2**40), depth=st.sampled_from([None, 0, 2, 16]), number=st.integers(0, 2**33))
def test_any_times_make_a_stream_that_keeps_the_rules(
    encoded: Mapping[str, bytes],
    rows: list[tuple[int, int, int, bool]],
    start: int,
    depth: int | None,
    number: int,
) -> None:
    init, _ = fragments_of(encoded["180p.cmfv"])
    timescale = init.track.timescale
    durations = [duration for duration, *_ in rows]
    durations[-1] = max(1, durations[-1])
    media = [b"\0\0\0" + bytes((size,)) + b"\x41" * size for size in [min(size, 255) for _, size, *_ in rows]]
    table = Samples(
        tuple(durations),
        tuple(map(len, media)),
        tuple(0 if key else NON_SYNC for *_, key in rows),
        tuple(shift for *_, shift, _ in rows),
    )
    fragment = of_samples(table, init.track.track_id, start, b"".join(media))
    codec = H264(4, (), depth)
    stream = TsReader().read(remux(init.data, codec, fragment.data, number, MOST))
    assert len(stream.pes) == len(rows)
    pts = [at_90khz(at, timescale) for at, _ in samples_of(fragment)]
    assert [one.pts for one in stream.pes] == [(OFFSET + at) % 2**33 for at in pts]


def test_sound_that_skips_has_a_time_stamp_where_it_goes_on(encoded: Mapping[str, bytes]) -> None:
    init, fragments = fragments_of(encoded["audio-64k.cmfa"])
    later = fragments[1].moved(48_000, 0, init.track.track_id)
    stream = TsReader().read(remux(init.data, read_codec(init.data), fragments[0].data + later.data, 0, MOST))
    at = at_90khz(later.start, init.track.timescale) + OFFSET
    assert at in [one.pts for one in stream.pes]


REFUSED: list[tuple[str, bytes | None, int]] = [  # what, media of one sample, most
    ("NAL unit", b"\0\0\1\0\x41", MOST),
    ("0 bytes", b"", MOST),
    ("at most 100", None, 100),
]


@pytest.mark.parametrize(("what", "media", "most"), REFUSED)
def test_what_is_refused(encoded: Mapping[str, bytes], what: str, media: bytes | None, most: int) -> None:
    init, fragments = fragments_of(encoded["180p.cmfv"])
    codec: Codec = read_codec(init.data)
    data = fragments[0].data
    if media is not None:
        table = Samples((512,), (len(media),), (0,), (0,))
        data = of_samples(table, init.track.track_id, 0, media).data
    with pytest.raises(BadMedia, match=what):
        remux(init.data, codec, data, 0, most)


def test_an_aac_frame_each_second_has_clocks_between(encoded: Mapping[str, bytes]) -> None:
    init, _ = fragments_of(encoded["audio-64k.cmfa"])
    table = Samples((48_000,) * 3, (5,) * 3, (0,) * 3, (0,) * 3)
    fragment = of_samples(table, init.track.track_id, 0, bytes(15))
    codec = read_codec(init.data)
    assert isinstance(codec, Aac)
    stream = TsReader().read(remux(init.data, codec, fragment.data, 0, MOST))
    assert len(stream.pes) == 3
    assert len(stream.pcrs) > 20
