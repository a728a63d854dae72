"""I-frame playlists, a test for each rule of the HLS draft (-22); m3u8 reads them, too."""

import m3u8

from cdnkit.hls import IFrame, IFrames, Pictures, Rates, i_frame_playlist, i_frame_rates, multivariant_playlist
from tests.unit.cdnkit.hls.test_multivariant import audio, tags, video

TWO = (IFrame(100, 2_000, 1.0), IFrame(9_000, 3_000, 1.5))
DATE = "2026-09-21T13:40:00.000Z"

TO_THE_LETTER = """\
#EXTM3U
#EXT-X-VERSION:5
#EXT-X-TARGETDURATION:3
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:2
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI="init-aa.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-09-21T13:40:00.000Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:2000@100
seg-1.m4s
#EXTINF:1.500000,
#EXT-X-BYTERANGE:3000@9000
seg-1.m4s
#EXT-X-GAP
#EXTINF:2.500000,
seg-2.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-bb.mp4"
#EXT-X-GAP
#EXTINF:1.000000,
#EXT-X-BYTERANGE:2000@100
seg-3.m4s
#EXT-X-GAP
#EXTINF:1.500000,
#EXT-X-BYTERANGE:3000@9000
seg-3.m4s
#EXT-X-ENDLIST
"""


def test_to_the_letter() -> None:
    """Version 5 is what EXT-X-MAP needs here (section 8); a segment without key frames is one gap."""
    segments = [
        Pictures("seg-1.m4s", "init-aa.mp4", TWO, 2.5, 2, DATE),
        Pictures("seg-2.m4s", "init-aa.mp4", (), 2.5, 2),
        Pictures("seg-3.m4s", "init-bb.mp4", TWO, 2.5, 3, gap=True),
    ]
    text = i_frame_playlist(segments, 3, number=7, control="CAN-BLOCK-RELOAD=YES", ended=True)
    assert text == TO_THE_LETTER
    found = m3u8.loads(text)
    assert found.is_i_frames_only and found.media_sequence == 7
    assert [one.byterange for one in found.segments] == ["2000@100", "3000@9000", None, "2000@100", "3000@9000"]
    assert [one.duration for one in found.segments] == [1.0, 1.5, 2.5, 1.0, 1.5]
    assert [one.init_section.uri for one in found.segments] == ["init-aa.mp4"] * 3 + ["init-bb.mp4"] * 2


def test_4_3_5_a_playlist_of_vod_says_so() -> None:
    text = i_frame_playlist([Pictures("seg-0.m4s", "init.mp4", TWO, 2.5)], 3, ended=True, vod=True)
    assert m3u8.loads(text).playlist_type == "vod"
    assert "SERVER-CONTROL" not in text and "DATE-TIME" not in text


def test_4_4_6_3_the_multivariant_playlist_names_it_with_the_pictures_alone() -> None:
    rates = Rates(400_123.4, 300_000.5)
    with_one = video("1080p", video_range="SDR", frame_rate=25.0, i_frames=IFrames("1080p/iframes.m3u8", rates))
    text = multivariant_playlist([with_one, video("720p")], [audio("a-en")], captions=["CC1"])
    assert tags(text, "EXT-X-I-FRAME-STREAM-INF") == [
        {
            "BANDWIDTH": "400124",
            "AVERAGE-BANDWIDTH": "300001",
            "CODECS": '"avc1.64001f"',
            "RESOLUTION": "1920x1080",
            "VIDEO-RANGE": "SDR",
            "URI": '"1080p/iframes.m3u8"',
        }
    ]
    found = m3u8.loads(text)
    assert [(one.uri, one.iframe_stream_info.codecs) for one in found.iframe_playlists] == [
        ("1080p/iframes.m3u8", "avc1.64001f")
    ]
    assert len(found.playlists) == 2


def test_4_1_the_rates_are_of_key_frames_shown_at_normal_speed() -> None:
    rates = i_frame_rates([TWO, TWO], 3)
    assert rates.average_bps == 8 * 10_000 / 5.0
    assert rates.peak_bps == 8 * 8_000 / 4.0  # the set of 0.5 to 1.5 target durations that takes most: 3000, 2000, 3000
