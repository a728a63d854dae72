"""The HLS reader: what it reads, and what it says of a broken playlist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import BadPlaylist
from loadtests.playlist import AudioRendition, MediaPlaylist, Multivariant, Rendition, Resource, read

URL = "http://edge/live/multivariant.m3u8?token=x"


def test_reads_a_multivariant_playlist() -> None:
    text = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English, stereo",DEFAULT=YES,URI="audio-128k/media.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="x",URI="s.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2628000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,AUDIO="a"
720p/media.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=664000
http://other/360p/media.m3u8
"""
    assert read(text, URL) == Multivariant(
        (
            Rendition("http://edge/live/720p/media.m3u8", 2628000, "a"),
            Rendition("http://other/360p/media.m3u8", 664000),
        ),
        (AudioRendition("a", "English, stereo", "http://edge/live/audio-128k/media.m3u8", True),),
    )


def test_reads_a_media_playlist_with_dates_ranges_and_a_discontinuity() -> None:
    text = """#EXTM3U\r
#EXT-X-TARGETDURATION:4\r
#EXT-X-MEDIA-SEQUENCE:7\r
#EXT-X-MAP:URI="init-1.mp4"\r
#EXTINF:4.0,\r
a.m4s\r
#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:04.500Z\r
#EXTINF:4,title\r
b.m4s\r
#EXTINF:4.4,\r
c.m4s\r
#EXT-X-DISCONTINUITY\r
#EXT-X-MAP:URI="all.mp4",BYTERANGE="800@0"\r
#EXT-X-BYTERANGE:1000@800\r
#EXTINF:3.5,\r
all.mp4\r
#EXT-X-BYTERANGE:500\r
#EXTINF:2,\r
all.mp4\r
#EXT-X-ENDLIST\r
"""
    playlist = read(text, "http://e/t/media.m3u8")
    assert isinstance(playlist, MediaPlaylist)
    assert (playlist.target_duration, playlist.media_sequence, playlist.ended) == (4.0, 7, True)
    assert playlist.next_number == 12
    a, b, c, d, e = playlist.segments
    noon = 1769860800.0
    assert [s.number for s in playlist.segments] == [7, 8, 9, 10, 11]
    # The first gets its date from its successor; none is carried over the discontinuity.
    assert [s.starts_at for s in playlist.segments] == [noon + 0.5, noon + 4.5, noon + 8.5, None, None]
    assert [s.discontinuity for s in playlist.segments] == [False, False, False, True, False]
    assert a.init == b.init == c.init == Resource("http://e/t/init-1.mp4")
    assert d.init == Resource("http://e/t/all.mp4", 0, 799)
    assert d.resource == Resource("http://e/t/all.mp4", 800, 1799)
    assert e.resource == Resource("http://e/t/all.mp4", 1800, 2299)  # no offset: where the last one ended


MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
BROKEN = [  # given                                              line  wanted
    ("", 1, "#EXTM3U"),
    ("<html>not found</html>", 1, "#EXTM3U"),
    ("#EXTM3U\n#EXTINF:4,\na.m4s\n", 0, "EXT-X-TARGETDURATION"),
    ("#EXTM3U\n#EXT-X-TARGETDURATION:3.5\n", 2, "whole seconds"),
    (MEDIA + "a.m4s\n", 3, "EXTINF"),
    (MEDIA + "#EXTINF:x,\na.m4s\n", 3, "duration"),
    (MEDIA + "#EXTINF:4,\na.m4s\n#EXTINF:4.5,\nb.m4s\n", 5, "target duration"),  # rounds to 5
    (MEDIA + "#EXTINF:4,\n", 3, "URI"),
    (MEDIA + "#EXTINF:4,\na.m4s\n#EXT-X-MEDIA-SEQUENCE:3\n", 5, "before the first segment"),
    (MEDIA + "#EXT-X-MEDIA-SEQUENCE:-1\n", 3, "whole number"),
    (MEDIA + "#EXT-X-MAP:BYTERANGE=800@0\n", 3, "URI"),
    (MEDIA + "#EXT-X-BYTERANGE:0@0\n", 3, "byte range"),
    (MEDIA + "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:00\n#EXTINF:4,\na\n", 3, "zone"),
    (MEDIA + "#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n", 3, "not both"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", 2, "URI"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"a\"\nx.m3u8\n", 2, "BANDWIDTH"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=fast\nx.m3u8\n", 2, "bits per second"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,BANDWIDTH=2\nx.m3u8\n", 2, "once"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"open\nx.m3u8\n", 2, "attributes"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=720p\nx.m3u8\n", 2, "1280x720"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"no\"\nx.m3u8\n", 0, "GROUP-ID"),
    ("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"\n", 0, "EXT-X-STREAM-INF"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "wanted"), BROKEN)
def test_says_what_is_wrong(text: str, line: int, wanted: str) -> None:
    with pytest.raises(BadPlaylist) as caught:
        read(text, URL)
    assert caught.value.line == line
    assert wanted in caught.value.wanted
    assert "found" in str(caught.value)


_LINES = st.lists(
    st.one_of(
        st.sampled_from(sorted({line for text, _, _ in BROKEN for line in text.split("\n")})),
        st.text(max_size=30),
    ),
    max_size=12,
)


@given(_LINES)
def test_any_text_is_read_or_refused(lines: list[str]) -> None:
    try:
        playlist = read("\n".join(["#EXTM3U", *lines]), URL)
    except BadPlaylist:
        return
    assert isinstance(playlist, Multivariant | MediaPlaylist)
