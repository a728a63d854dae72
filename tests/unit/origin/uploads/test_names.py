"""What an uploaded object's path may be, and what is told by it."""

import pytest

from origin.errors import Refused
from origin.uploads.names import TYPES, Class, check_path, class_of, media_type, surrogate_key

TAKEN = [
    "live.m3u8",
    "live0.ts",
    "init.mp4",
    "init-stream0.m4s",
    "chunk-stream0-00001.m4s",
    "v0/live_2026-10-03T12:00:00+02:00.ts",
    "a/b/c/d/e/f/g/seg.m4s",
    "_1.TS",
]

REFUSED = [  # given the path, its form in the request, then the status, and words of the sentence
    ("../x.ts", "../x.ts", 403, "leads elsewhere"),
    ("v0/../../x.ts", "v0/../../x.ts", 403, "leads elsewhere"),
    ("./x.ts", "./x.ts", 403, "leads elsewhere"),
    ("../x.ts", "%2e%2e/x.ts", 403, "leads elsewhere"),
    ("v0/x.ts", "v0%2Fx.ts", 403, "leads elsewhere"),
    ("v0\\x.ts", "v0%5cx.ts", 403, "leads elsewhere"),
    ("x\0.ts", "x%00.ts", 403, "leads elsewhere"),
    ("a b.ts", "a%20b.ts", 403, "a name that cannot be used"),
    ("a.ts", "%61.ts", 403, "a name that cannot be used"),  # two spellings of one URL are two entries in a cache
    ("film€.ts", "film%E2%82%AC.ts", 403, "a name that cannot be used"),
    ("", "", 403, "a name that cannot be used"),
    ("v0//x.ts", "v0//x.ts", 403, "a name that cannot be used"),
    ("v0/", "v0/", 403, "a name that cannot be used"),
    (".hidden.ts", ".hidden.ts", 403, "a name that cannot be used"),
    ("a,b.ts", "a,b.ts", 403, "a name that cannot be used"),  # a comma parts CloudFront's cache tags
    ("x" * 201 + ".ts", "x" * 201 + ".ts", 403, "a name that cannot be used"),
    ("a/b/c/d/e/f/g/h/x.ts", "a/b/c/d/e/f/g/h/x.ts", 403, "found 8 folders"),
    ("/".join(["x" * 150] * 3) + ".ts", "", 403, "wanted at most 7 and 400"),
    ("page.html", "page.html", 415, "found .html, wanted one of .m3u8"),
    ("x.js", "x.js", 415, "found .js"),
    ("drawing.svg", "drawing.svg", 415, "found .svg"),
    ("noextension", "noextension", 415, "found ., wanted"),
]


@pytest.mark.parametrize("path", TAKEN)
def test_paths_as_packagers_make_them(path: str) -> None:
    check_path("live", path, f"/ingest/live/{path}")
    assert media_type(path) in TYPES.values()


@pytest.mark.parametrize(("path", "target", "status", "words"), REFUSED)
def test_paths_that_are_refused(path: str, target: str, status: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        check_path("live", path, f"/ingest/live/{target}")
    assert refused.value.status == status


@pytest.mark.parametrize("stream", ["vod", "", "-live", "li.ve", "x" * 65, ".uploads"])
def test_streams_that_are_refused(stream: str) -> None:
    with pytest.raises(Refused, match="a stream name that cannot be used"):
        check_path(stream, "live.m3u8", f"/ingest/{stream}/live.m3u8")


def box(kind: str, payload: bytes = b"") -> bytes:
    return (8 + len(payload)).to_bytes(4, "big") + kind.encode() + payload


CLASSES = [  # given the path and the bytes, then the class
    ("master.m3u8", b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", Class.MULTIVARIANT),
    ("live.m3u8", b"#EXTM3U\n#EXTINF:1,\nlive0.ts\n", Class.MEDIA_PLAYLIST),
    ("manifest.mpd", b"<MPD/>", Class.MANIFEST),
    ("enc.key", b"\x00" * 16, Class.KEY),
    ("a.init", b"", Class.INIT),
    ("init-stream0.m4s", box("ftyp") + box("moov"), Class.INIT),
    ("chunk.m4s", box("styp") + box("moof") + box("mdat"), Class.SEGMENT),
    ("whole.mp4", box("ftyp") + box("moov") + box("moof") + box("mdat"), Class.SEGMENT),
    ("odd.mp4", box("ftyp") + b"\x00\x00\x00\x03moov", Class.SEGMENT),
    ("large.mp4", None, Class.SEGMENT),
    ("live0.ts", b"G" * 188, Class.SEGMENT),
]


@pytest.mark.parametrize(("path", "data", "kind"), CLASSES)
def test_classes(path: str, data: bytes | None, kind: Class) -> None:
    assert class_of(path, data) is kind


def test_surrogate_keys() -> None:
    assert surrogate_key("live", "v0/live0.ts", Class.SEGMENT) == "live live/v0 segment"
    assert surrogate_key("live", "live0.ts", Class.SEGMENT) == "live segment"
    assert surrogate_key("live", "a/b/c.mpd", Class.MANIFEST) == "live live/a/b manifest"
