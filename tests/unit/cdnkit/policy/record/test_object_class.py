"""What a response is: by its type, and where that says nothing by its path."""

import pytest

from cdnkit.policy.http.content import Form, form_of, is_playlist
from cdnkit.policy.record.object_class import ObjectClass, classify

MULTIVARIANT, MEDIA = ObjectClass.MULTIVARIANT, ObjectClass.MEDIA_PLAYLIST
INIT, SEGMENT, PART, OTHER = ObjectClass.INIT, ObjectClass.SEGMENT, ObjectClass.PART, ObjectClass.OTHER
HLS, DASH = "application/vnd.apple.mpegurl", "application/dash+xml"

ROWS = [  # path                              Content-Type              class          rendition
    # by the path alone
    ("/live/multivariant.m3u8", "", MULTIVARIANT, ""),
    ("/live/master.m3u8", "", MULTIVARIANT, ""),
    ("/live/a.mpd", "", MULTIVARIANT, ""),
    ("/live/720p/media.m3u8", "", MEDIA, "720p"),
    ("/live/720p/media.M3U8", "", MEDIA, "720p"),
    ("/live/720p/media.m3u", "", MEDIA, "720p"),
    ("/live/720p/media.m3u8;jsessionid=1", "", MEDIA, "720p"),
    ("/live/master.m3u8;v=2", "", MULTIVARIANT, ""),
    ("/live/720p/init-1.mp4", "", INIT, "720p"),
    ("/live/720p/seg-3-41.m4s", "", SEGMENT, "720p"),
    ("/live/multivariant-ts.m3u8", "", MULTIVARIANT, ""),
    ("/live/720p/ts.m3u8", "", MEDIA, "720p"),
    ("/live/720p/seg-3-41.ts", "", SEGMENT, "720p"),
    ("/live/720p/seg-3-41.m4s;x=1", "", SEGMENT, "720p"),
    ("/live/720p/part-3-41.1.m4s", "", PART, "720p"),
    ("/a.ts", "", SEGMENT, ""),
    ("/logo.png", "", OTHER, ""),
    ("/live;x.m3u8/page", "", OTHER, ""),
    ("/", "", OTHER, ""),
    # by the type: RFC 8216 §4, IANA
    ("/x.ism/manifest(format=m3u8-aapl)", HLS, MULTIVARIANT, ""),
    ("/x.ism/QualityLevels(96)/Manifest(a,format=m3u8-aapl)", HLS, MEDIA, "QualityLevels(96)"),
    ("/live/720p/list", "audio/mpegurl", MEDIA, "720p"),
    ("/live/720p/list", "Audio/MpegURL ; charset=utf-8", MEDIA, "720p"),
    ("/live/720p/list", "application/x-mpegURL", MEDIA, "720p"),
    ("/live/master", HLS, MULTIVARIANT, ""),
    ("/live/manifest", DASH, MULTIVARIANT, ""),
    ("/live/720p/1", "video/iso.segment", SEGMENT, "720p"),
    ("/live/720p/init", "video/mp4", INIT, "720p"),
    ("/live/720p/1", "video/mp2t", SEGMENT, "720p"),
    # where both speak, the type
    ("/live/720p/seg-1.m4s", HLS, MEDIA, "720p"),
    ("/live/720p/seg-1.m4s", DASH, MULTIVARIANT, ""),
    ("/live/720p/media.m3u8", "video/mp2t", SEGMENT, "720p"),
    ("/live/a.mpd", HLS, MEDIA, ""),
    ("/live/720p/media.m3u8", DASH, MULTIVARIANT, ""),
    # types that say nothing of it
    ("/live/720p/media.m3u8", "text/plain", MEDIA, "720p"),
    ("/live/720p/media.m3u8", "binary/octet-stream", MEDIA, "720p"),
    ("/live/720p/seg-1.ts", "application/octet-stream", SEGMENT, "720p"),
    ("/live/a.mpd", "application/xml", MULTIVARIANT, ""),
    ("/live/page", "text/html", OTHER, ""),
    ("/live/subtitles.vtt", "text/vtt", OTHER, ""),
    ("/live/de/vtt.m3u8", "application/vnd.apple.mpegurl", MEDIA, "de"),
    ("/live/de/seg-1795952531-7.vtt", "text/vtt", SEGMENT, "de"),
    ("/live/720p/media.m3u8", ";", MEDIA, "720p"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "content_type", "object_class", "rendition"), ROWS)
def test_what_a_response_is(path: str, content_type: str, object_class: ObjectClass, rendition: str) -> None:
    assert classify(path, content_type) == (object_class, rendition)
    assert is_playlist(path, content_type) is (object_class in (MULTIVARIANT, MEDIA))
    assert (form_of(path, content_type) is Form.OTHER) is (object_class is OTHER)
