"""What playlists and manifests tell of time."""

import pytest

from cdnlab.latency.playlists import Unreadable, read_manifest, read_media_playlist, variant_of

MULTIVARIANT = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a/media.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/media.m3u8\n'
PLAIN = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-PROGRAM-DATE-TIME:2026-11-29T12:00:00.500Z
#EXTINF:2.000,
seg-1-7.m4s
#EXTINF:1.500,
seg-1-8.m4s
"""
LOW = (
    PLAIN
    + """#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.5,PART-HOLD-BACK=1.5
#EXT-X-PART:DURATION=0.5,URI="part-1-9-0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.48,URI="part-1-9-1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-1-9-2.m4s"
"""
)
AT = 1_795_953_600.5
MPD = """<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="2026-11-29T12:00:00.500Z">
<ServiceDescription id="0"><Latency target="2000" referenceId="0"/></ServiceDescription>
<Period id="1-0" start="PT0S" duration="PT1M"/>
<Period id="1-5" start="PT1M0.5S"><AdaptationSet><Representation id="720p">
<SegmentTemplate timescale="1000" presentationTimeOffset="5000" duration="2000" availabilityTimeOffset="1.500"
 availabilityTimeComplete="false" media="$RepresentationID$/seg-1-$Number$.m4s" startNumber="5"/>
</Representation></AdaptationSet></Period></MPD>"""


def test_a_playlist_of_segments() -> None:
    read = read_media_playlist(PLAIN)
    assert [(one.uri, one.number, one.at, one.duration) for one in read.segments] == [
        ("seg-1-7.m4s", 7, AT, 2.0),
        ("seg-1-8.m4s", 8, AT + 2, 1.5),
    ]
    assert (read.next_number, read.end, read.hold_back, read.part_target) == (9, AT + 3.5, 6.0, 0.0)


def test_a_playlist_of_parts() -> None:
    read = read_media_playlist(LOW)
    assert [(one.uri, one.at) for one in read.parts] == [("part-1-9-0.m4s", AT + 3.5), ("part-1-9-1.m4s", AT + 4.0)]
    assert (read.hint, read.next_part, read.end) == ("part-1-9-2.m4s", (9, 2), pytest.approx(AT + 4.48))
    assert (read.hold_back, read.part_hold_back, read.part_target) == (6.5, 1.5, 0.5)


def test_the_first_rendition_of_a_multivariant_playlist() -> None:
    assert variant_of(MULTIVARIANT, "/live/multivariant.m3u8") == "/live/720p/media.m3u8"
    assert variant_of(PLAIN, "/live/720p/media.m3u8") is None


@pytest.mark.parametrize(
    "text", ["", "<html>", "#EXTM3U\n", PLAIN.replace("#EXT-X-PROGRAM-DATE-TIME", "#X"), PLAIN.partition("#EXTINF")[0]]
)
def test_what_is_no_playlist_that_tells_time(text: str) -> None:
    with pytest.raises(Unreadable):
        variant_of(text, "/")
        read_media_playlist(text)


def test_a_low_latency_manifest() -> None:
    read = read_manifest(MPD)
    start = AT + 60.5
    assert (read.start, read.url(7), read.target) == (start, "720p/seg-1-7.m4s", 2.0)
    assert (read.due(5), read.due(6)) == (start + 0.5, start + 2.5)
    assert [read.number_at(start + at) for at in (-9.0, 0.4, 0.6, 2.6)] == [5, 5, 6, 7]
    assert (read.at(5500), read.played(5500)) == (start + 0.5, start + 2.5)


def test_latency_is_measured_by_the_reference_of_the_encoder() -> None:
    told = '<ProducerReferenceTime id="0" wallClockTime="2026-11-29T12:01:01.250Z" presentationTime="6000"/>'
    read = read_manifest(MPD.replace("<SegmentTemplate", f"{told}<SegmentTemplate"))
    assert read.referred == AT + 59.75, "three quarters of a second before the timeline"
    assert (read.at(5500), read.played(5500)) == (AT + 61, AT + 62.25)


@pytest.mark.parametrize(
    "text", ["", "<MPD", "<MPD/>", MPD.replace("dynamic", "static"), MPD.replace("availabilityTimeOffset", "x"),
             MPD.replace("PT1M0.5S", "P1D")]
)  # fmt: skip
def test_what_is_no_such_manifest(text: str) -> None:
    with pytest.raises(Unreadable):
        read_manifest(text)
