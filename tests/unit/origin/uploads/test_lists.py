"""What an uploaded HLS playlist lists."""

import pytest

from origin.errors import BadMedia
from origin.uploads.lists import read_playlist, resolve

REFERENCES = [  # given the playlist's path and a reference in it, then the paths inside the stream `live`
    ("live.m3u8", "live0.ts", {"live0.ts"}),
    ("v0/live.m3u8", "live0.ts", {"v0/live0.ts"}),
    ("v0/live.m3u8", "../audio/a.m4s?x=1#t", {"audio/a.m4s"}),
    ("live.m3u8", "a%2Bb.ts", {"a+b.ts"}),
    ("live.m3u8", "../other/live0.ts", set()),
    ("v0/live.m3u8", "https://edge.example/live/v0/live0.ts", {"v0/live0.ts"}),
    ("v0/live.m3u8", "/live/v1/live0.ts", {"v1/live0.ts", "v0/live0.ts"}),
    ("v0/live.m3u8", "https://cdn.example/x/live0.ts", {"v0/live0.ts"}),  # -hls_base_url
    ("live.m3u8", "https://[broken/live0.ts", set()),
    ("live.m3u8", "skd://key", set()),
]


@pytest.mark.parametrize(("base", "reference", "paths"), REFERENCES)
def test_references(base: str, reference: str, paths: set[str]) -> None:
    assert resolve("live", base, reference) == paths


PLAYLIST = b"""#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-KEY:METHOD=AES-128,URI="enc.key"
#EXT-X-MAP:URI="init.mp4"
#EXTINF:2.000000,
live7.m4s\r
#EXTINF:1.5,title
live8.m4s
#EXT-X-PART:DURATION=0.5,URI="live9.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="live9.2.m4s"
# a comment
"""


def test_a_media_playlist() -> None:
    listing = read_playlist("live", "v0/live.m3u8", PLAYLIST)
    promised = {"v0/enc.key", "v0/init.mp4", "v0/live7.m4s", "v0/live8.m4s", "v0/live9.1.m4s"}
    assert listing.promised == promised
    assert listing.paths == promised | {"v0/live9.2.m4s"}, "a hint is no promise"
    assert (listing.duration, listing.target, listing.ended) == (3.5, 2.0, False)
    assert listing.lists("v0/live7.m4s", 1e9) and not listing.lists("v0/live6.m4s", 0.0)
    assert read_playlist("live", "a.m3u8", PLAYLIST + b"#EXT-X-ENDLIST\n").ended


@pytest.mark.parametrize(
    "data", [b"", b"\n#EXTM3U", b"#EXTM3U8\n", b"\xef\xbb\xbf#EXTM3U\n", b"#EXTM3U\n\xff", b"<html>"]
)
def test_what_is_no_playlist(data: bytes) -> None:
    with pytest.raises(BadMedia):
        read_playlist("live", "live.m3u8", data)


def test_numbers_that_are_none_count_as_nothing() -> None:
    listing = read_playlist(
        "live", "a.m3u8", b"#EXTM3U\n#EXTINF:nan,\na.ts\n#EXT-X-TARGETDURATION:1e9\n#EXTINF:-3\nb.ts\n"
    )
    assert (listing.duration, listing.target) == (0.0, 0.0)
