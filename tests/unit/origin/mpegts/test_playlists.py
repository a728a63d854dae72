"""Playlists of MPEG-TS segments from those of fMP4: to the letter, and rates that nothing passes."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest

from origin.hls.multivariant import multivariant_playlist
from origin.hls.playlist import media_playlist
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind
from origin.mpegts.elementary import H264, Aac, Codec, read_codec
from origin.mpegts.playlists import is_encrypted, named_in, ts_media_playlist, ts_multivariant_playlist, ts_rates
from origin.mpegts.segments import remux
from tests.unit.origin.hls.test_multivariant import AUDIO, TEXT, VIDEO, window
from tests.unit.origin.mpegts.test_segments import fragments_of

FMP4 = """\
#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init-aa.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.5,URI="part-1-7-0.m4s",INDEPENDENT=YES
#EXTINF:4.000000,
seg-1-7.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:04.000Z
#EXT-X-GAP
#EXTINF:4.000000,
seg-1-8.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-bb.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:09.500Z
#EXTINF:3.900000,
seg-2-9.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:13.400Z
#EXT-X-PART:DURATION=0.5,URI="part-3-10-0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-3-10-1.m4s"
#EXT-X-RENDITION-REPORT:URI="../audio/media.m3u8",LAST-MSN=9
"""

TS = """\
#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXTINF:4.000000,
seg-1-7.ts
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:04.000Z
#EXT-X-GAP
#EXTINF:4.000000,
seg-1-8.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:09.500Z
#EXTINF:3.900000,
seg-2-9.ts
"""


def test_to_the_letter() -> None:
    assert ts_media_playlist(FMP4) == TS
    assert ts_media_playlist(f"{FMP4}#EXT-X-ENDLIST\n") == f"{TS}#EXT-X-ENDLIST\n"


def test_what_could_not_be_made_is_a_gap() -> None:
    unfit = {"seg-1-7.ts", "seg-1-8.ts"}
    wanted = TS.replace("#EXTINF:4.000000,\nseg-1-7", "#EXT-X-GAP\n#EXTINF:4.000000,\nseg-1-7")
    assert ts_media_playlist(FMP4, unfit) == wanted


def test_what_is_of_the_whole_playlist_stays() -> None:
    more = '#EXT-X-DATERANGE:ID="ad",START-DATE="2026-01-01T00:00:05Z"\n#EXT-X-START:TIME-OFFSET=-9\n'
    assert ts_media_playlist(FMP4.replace("#EXT-X-MAP", f"{more}#EXT-X-MAP", 1)) == TS.replace(
        "SEGMENTS\n", f"SEGMENTS\n{more}"
    )


def test_what_needs_a_key_is_known() -> None:
    assert not is_encrypted(FMP4)
    assert is_encrypted(FMP4.replace("#EXT-X-MAP", '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-MAP', 1))


def test_each_segment_of_a_window_is_there() -> None:
    made = window("cam", VIDEO, *[100] * 900)
    text = ts_media_playlist(media_playlist(made, 2, ended=False))
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert names == [f"seg-1-{number}.ts" for number in range(900)]


def test_the_same_groups() -> None:
    windows = [window("cam", VIDEO, 2500), window("en", replace(AUDIO, language="en"), 99), window("low", VIDEO, 200)]
    fmp4 = multivariant_playlist([*windows, window("t", TEXT, 9)])
    assert named_in(fmp4) == {"cam", "en", "low"}
    assert 'URI="t/vtt.m3u8"' in fmp4
    codecs: dict[str, Codec] = {"en": Aac(0, Fraction(1024, 48_000))}
    text = ts_multivariant_playlist([(one, codecs.get(one.name, H264(4, (), 2))) for one in windows])
    assert named_in(text) == set(), "none of fMP4"
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["cam/ts.m3u8", "low/ts.m3u8"]
    assert text.count('TYPE=AUDIO,GROUP-ID="en",NAME="English"') == 1
    assert text.count('URI="en/ts.m3u8"') == 1
    assert text.count('AUDIO="en"') == 2
    assert "#EXT-X-VERSION:4" in text
    assert "SUBTITLES" not in text


@pytest.mark.parametrize("name", ["180p.cmfv", "90p.cmfv", "audio-64k.cmfa"])
def test_no_segment_takes_more_than_is_announced(encoded: Mapping[str, bytes], name: str) -> None:
    """4.4.6.2: of segments as short as they may be, where a transport stream costs most."""
    init, fragments = fragments_of(encoded[name])
    track = init.track
    made = TrackWindow("any", track, init.id, frame_rate=30.0 if track.kind is Kind.VIDEO else 0.0)
    sizes = []
    for number, one in enumerate(fragments[:-1]):
        seconds = one.duration / track.timescale
        made.add(Entry(number, 1, 0, number / 2, seconds, 0.0, len(one.data), init.id), target=1)
        sizes.append(len(remux(init.data, read_codec(init.data), one.data, number, 2**26)))
    rates = ts_rates(made, read_codec(init.data))
    peak = max(8 * size / entry.duration for size, entry in zip(sizes, made.listed, strict=True))
    average = 8 * sum(sizes) / made.duration
    assert peak <= rates.peak_bps <= 1.6 * peak
    assert 0.8 * average <= rates.average_bps <= 1.4 * average
