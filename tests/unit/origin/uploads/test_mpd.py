"""What an uploaded MPD lists."""

from math import inf

import pytest

from origin.errors import BadMedia
from origin.uploads.mpd import read_mpd


def mpd(inside: str, attributes: str = 'type="dynamic" timeShiftBufferDepth="PT10S"') -> bytes:
    return f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" {attributes}>{inside}</MPD>'.encode()


def period(template: str, around: str = "") -> str:
    sets = f'<AdaptationSet>{template}<Representation id="v0" bandwidth="90"/><Representation id="v1"/></AdaptationSet>'
    return f"<Period>{around}{sets}</Period>"


NUMBERS = (
    '<SegmentTemplate timescale="10" initialization="init-$RepresentationID$.m4s" '
    'media="chunk-$RepresentationID$-$Number%05d$.m4s" startNumber="7">'
    '<SegmentTimeline><S t="0" d="20" r="2"/><S d="10"/></SegmentTimeline></SegmentTemplate>'
)
TIMES = (
    '<SegmentTemplate timescale="10" media="$RepresentationID$/$Time$.m4s">'
    '<SegmentTimeline><S t="100" d="20"/><S t="140" d="20" r="1"/></SegmentTimeline></SegmentTemplate>'
)
DURATION = '<SegmentTemplate timescale="10" duration="20" media="$Bandwidth$-$Number$.m4s"/>'

LISTED = [  # given the MPD, a path and the object's age, then whether it is listed
    (mpd(period(NUMBERS)), "init-v1.m4s", inf, True),
    (mpd(period(NUMBERS)), "init-v2.m4s", 0.0, False),
    (mpd(period(NUMBERS)), "chunk-v0-00006.m4s", 0.0, False),
    (mpd(period(NUMBERS)), "chunk-v0-00007.m4s", inf, True),
    (mpd(period(NUMBERS)), "chunk-v1-00010.m4s", inf, True),
    (mpd(period(NUMBERS)), "chunk-v1-00011.m4s", 0.0, False),
    (mpd(period(NUMBERS.replace('r="2"', 'r="-1"'))), "chunk-v1-99999.m4s", inf, True),
    (mpd(period(TIMES)), "v0/80.m4s", 0.0, False),
    (mpd(period(TIMES)), "v0/100.m4s", inf, True),
    (mpd(period(TIMES)), "v0/160.m4s", inf, True),
    (mpd(period(TIMES)), "v0/180.m4s", 0.0, False),
    (mpd(period(DURATION)), "90-4.m4s", 12.0, True),
    (mpd(period(DURATION)), "90-4.m4s", 12.1, False),
    (mpd(period(DURATION), 'type="dynamic"'), "90-4.m4s", inf, True),  # an endless time shift buffer
    (mpd(period(NUMBERS, "<BaseURL>dash/</BaseURL>")), "dash/chunk-v0-00007.m4s", inf, True),
    (mpd(period(NUMBERS, "<BaseURL>https://edge/live/</BaseURL>")), "chunk-v0-00007.m4s", inf, True),
    (mpd("<BaseURL>a/</BaseURL>" + period(TIMES, "<BaseURL>b/</BaseURL>")), "a/b/v1/100.m4s", inf, True),
    (mpd("<Period><AdaptationSet><Representation id='0'><BaseURL>one.mp4</BaseURL></Representation></AdaptationSet>"
         "</Period>"), "one.mp4", inf, True),
    (mpd("<Period><AdaptationSet><Representation><SegmentList><Initialization sourceURL='i.m4s'/>"
         "<SegmentURL media='c1.m4s'/></SegmentList></Representation></AdaptationSet></Period>"), "c1.m4s", inf, True),
]  # fmt: skip


@pytest.mark.parametrize(("data", "path", "age", "listed"), LISTED)
def test_what_is_listed(data: bytes, path: str, age: float, listed: bool) -> None:
    assert read_mpd("live", "manifest.mpd", data).lists(path, age) is listed


def test_an_mpd_in_a_folder() -> None:
    listing = read_mpd("live", "dash/a.mpd", mpd(period(NUMBERS)))
    assert listing.lists("dash/chunk-v0-00007.m4s", 0.0) and "dash/init-v0.m4s" in listing.paths


def test_a_timeline_promises_and_a_duration_does_not() -> None:
    """A low-latency encoder sends its MPD while the segment that a number template lists is on its way."""
    assert read_mpd("live", "a.mpd", mpd(period(NUMBERS))).promises("chunk-v0-00010.m4s")
    assert not read_mpd("live", "a.mpd", mpd(period(DURATION), 'type="dynamic"')).promises("90-4.m4s")


def test_its_end_and_its_segments() -> None:
    listing = read_mpd("live", "a.mpd", mpd(period(NUMBERS), 'type="static" maxSegmentDuration="P0DT0H0M2.5S"'))
    assert (listing.ended, listing.target, listing.duration) == (True, 2.5, 7.0)
    assert read_mpd("live", "a.mpd", mpd("")).duration == 10.0


def test_one_with_too_many_templates_lists_everything() -> None:
    many = "".join(period(NUMBERS.replace("chunk", f"chunk{n}")) for n in range(200))
    assert read_mpd("live", "a.mpd", mpd(many)).lists("whatever.m4s", inf)


NONE = [
    b"",
    b"<MPD>",
    b"<html/>",
    b"\xff\xfe<",
    b'<?xml version="1.0" encoding="x-nothing"?><MPD/>',
    b'<!DOCTYPE MPD [<!ENTITY a "b">]><MPD>&a;</MPD>',
    '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE MPD><MPD/>'.encode("utf-16"),
]


@pytest.mark.parametrize("data", NONE)
def test_what_is_no_mpd(data: bytes) -> None:
    with pytest.raises(BadMedia):
        read_mpd("live", "a.mpd", data)


def test_elements_deep_inside_each_other() -> None:
    deep = "<AdaptationSet>" * 20_000 + "</AdaptationSet>" * 20_000
    assert read_mpd("live", "a.mpd", mpd(f"<Period>{deep}</Period>")).paths == frozenset()
