"""A live track's I-frame playlist beside its media playlist: the same segments, and numbers that never change."""

import json

import m3u8
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.hls import IFrame
from origin.hls.i_frames import has_i_frames, i_frame_playlist, i_frame_rates, shown_i_frames
from origin.hls.low_latency import LowLatency
from origin.hls.multivariant import multivariant_playlist
from origin.hls.playlist import media_playlist
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track

VIDEO = Track(Kind.VIDEO, 1, 12_800, "avc1.64001f", width=640, height=360)
NOW = 1_790_000_000.0


def entry(number: int, count: int, *, gap: bool = False, discontinuity: int = 0) -> Entry:
    """Two seconds with so many key frames."""
    frames = tuple(IFrame(1000 * index, 500 + number, 2.0 / count) for index in range(count))
    at = NOW + 2.0 * number
    one = Entry(number, 7, discontinuity, 2.0 * number, 2.0, at, 0 if gap else 10_000, "aa", gap)
    one.i_frames = frames
    return one


def window(*counts: int) -> TrackWindow:
    found = TrackWindow("360p", VIDEO, "aa")
    for number, count in enumerate(counts):
        found.add(entry(number, count), target=2)
    return found


segments = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=20)


@given(segments)
def test_6_2_2_it_slides_with_the_media_playlist_and_no_key_frame_changes_its_number(
    made: list[tuple[int, bool, bool]],
) -> None:
    """Also over a restart of the origin, before each segment."""
    found, seen, discontinuity = TrackWindow("360p", VIDEO, "aa"), {}, 0
    last = -1
    for number, (count, gap, broken) in enumerate(made):
        discontinuity += broken
        found = TrackWindow.from_json("360p", json.loads(json.dumps(found.to_json())))
        found.add(entry(number, count, gap=gap, discontinuity=discontinuity), target=2)
        found.slide(6.0, 60.0, NOW, 100)
        media = m3u8.loads(media_playlist(found, 2, ended=False))
        listed = m3u8.loads(i_frame_playlist(found, 2, ended=False))
        assert listed.is_i_frames_only
        assert listed.discontinuity_sequence == media.discontinuity_sequence
        names = list(dict.fromkeys(one.uri for one in listed.segments))
        assert names == [one.uri for one in media.segments]
        for one in media.segments:
            frames = [each for each in listed.segments if each.uri == one.uri]
            assert abs(sum(each.duration for each in frames) - one.duration) < 1e-5
            assert frames[0].program_date_time == one.program_date_time
            assert all(each.gap_tag for each in frames) if one.gap_tag else True
        assert listed.media_sequence >= last
        last = listed.media_sequence
        for at, one in enumerate(listed.segments, listed.media_sequence):
            assert seen.setdefault(at, (one.uri, one.byterange)) == (one.uri, one.byterange)
        assert at == found.next_i_frame - 1


def test_what_an_older_version_saved_is_a_row_of_gaps() -> None:
    saved = window(2, 2).to_json()
    left_out = [saved["columns"].index(name) for name in ("i_frames", "first_i_frame")]
    saved["columns"] = [name for at, name in enumerate(saved["columns"]) if at not in left_out]
    saved["listed"] = [[one for at, one in enumerate(row) if at not in left_out] for row in saved["listed"]]
    del saved["next_i_frame"], saved["i_frame_peak_bps"]
    found = TrackWindow.from_json("360p", json.loads(json.dumps(saved)))
    assert not has_i_frames(found)
    found.add(entry(2, 2), target=2)
    listed = m3u8.loads(i_frame_playlist(found, 2, ended=False))
    assert [(one.uri, bool(one.gap_tag)) for one in listed.segments] == [
        ("seg-7-0.m4s", True), ("seg-7-1.m4s", True), ("seg-7-2.m4s", False), ("seg-7-2.m4s", False)
    ]  # fmt: skip


def test_6_2_5_2_it_says_that_it_blocks_where_the_others_do() -> None:
    text = i_frame_playlist(window(1), 2, ended=False, low_latency=LowLatency(0.5, 2))
    assert "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.000\n" in text
    assert "PART" not in text and "SKIP" not in text and "REPORT" not in text
    found = window(2, 3)
    assert shown_i_frames(found) is None
    found.i_frames_shown = found.next_i_frame
    shown = shown_i_frames(found)
    assert shown is not None and (shown.hand, shown.parts, shown.before) == (5, 0, 0)


def test_4_4_6_3_its_rates_never_fall_and_are_not_below_the_average() -> None:
    found = window(1)
    assert i_frame_rates(found).peak_bps == 2000  # 500 bytes in 2 s
    for number in range(1, 12):
        one = entry(number, 2)
        one.i_frames = tuple(IFrame(0, 100_000 if number == 4 else 500, 1.0) for _ in range(2))
        found.add(one, target=2)
        found.slide(6.0, 60.0, NOW, 100)
    assert i_frame_rates(found).peak_bps == 800_000
    assert i_frame_rates(found).average_bps == 4000
    again = TrackWindow.from_json("360p", json.loads(json.dumps(found.to_json())))
    assert i_frame_rates(again) == i_frame_rates(found)


def test_only_what_is_there_is_named() -> None:
    """And not beside MPEG-TS: its segments are other bytes."""
    assert "I-FRAME" not in multivariant_playlist([window(0)])
    assert 'URI="360p/iframes.m3u8"' in multivariant_playlist([window(0, 1)])
    assert "I-FRAME" not in multivariant_playlist([window(1)], media="ts.m3u8")
