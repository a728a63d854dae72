"""The multivariant playlist of a live stream: what is measured, what is declared, and what is known of its tracks."""

from dataclasses import replace

from origin.hls.multivariant import multivariant_playlist, rates
from origin.live.segmenter import Segment
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track
from tests.unit.cdnkit.hls.test_multivariant import media, variants
from tests.unit.origin.live.test_stream import pictures

VIDEO = Track(Kind.VIDEO, 1, 30_000, "avc1.64001f", width=1280, height=720, length_size=4)
AUDIO = Track(Kind.AUDIO, 1, 48_000, "mp4a.40.2", sample_rate=48_000, channels=2)
TEXT = Track(Kind.TEXT, 1, 1000, "wvtt")


def window(name: str, track: Track, *sizes: int, seconds: float = 2.0) -> TrackWindow:
    made = TrackWindow(name, replace(track), "aa")
    for number, size in enumerate(sizes):
        made.add(Entry(number, 1, 0, seconds * number, seconds, 0.0, size, "aa"), target=2)
    return made


def test_to_the_letter() -> None:
    pictures = window("cam", replace(VIDEO, video_range="SDR", captions=("CC1",)), 2500, 2500)
    pictures.frame_rate = 30_000 / 1001
    tracks = [
        window("sound", replace(AUDIO, language="en"), 1375),
        window("de", replace(TEXT, language="de"), 25),
        pictures,
    ]
    assert multivariant_playlist(tracks) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="sound/media.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,URI="de/vtt.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="CC1",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC1"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=17000,AVERAGE-BANDWIDTH=15600,CODECS="avc1.64001f,mp4a.40.2,wvtt",RESOLUTION=1280x720,'
        'FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO="sound",SUBTITLES="subtitles",CLOSED-CAPTIONS="captions"\n'
        "cam/media.m3u8\n"
    )


def test_4_4_6_2_a_stream_that_begins_in_black_announces_what_its_encoder_declares() -> None:
    declared = replace(VIDEO, max_bps=3_000_000, average_bps=2_500_000)
    black = window("cam", declared, 2500)
    assert (rates(black).peak_bps, rates(black).average_bps) == (3_000_000, 2_500_000)
    (one,) = variants(multivariant_playlist([black]))
    assert (one["BANDWIDTH"], one["AVERAGE-BANDWIDTH"]) == ("3000000", "2500000")


def test_4_4_6_2_or_what_its_name_says() -> None:
    (one,) = variants(multivariant_playlist([window("720p", VIDEO, 2500), window("audio-128k", AUDIO, 10)]))
    assert (one["BANDWIDTH"], one["AVERAGE-BANDWIDTH"]) == ("2628000", "2628000")


def test_4_4_6_2_what_an_encoder_declares_beyond_belief_is_not_announced() -> None:
    assert rates(window("cam", replace(VIDEO, max_bps=2**32 - 1), 2500)).peak_bps == 10_000


def test_4_4_6_2_a_peak_above_what_was_declared_is_announced_from_then_on() -> None:
    cam = window("cam", replace(VIDEO, max_bps=20_000, average_bps=15_000), 1000)
    announced = []
    for number, size in enumerate([1000, 10_000, 1000, 1000, 1000], 1):
        cam.add(Entry(number, 1, 0, 2.0 * number, 2.0, 0.0, size, "aa"), target=2)
        cam.slide(4.0, 10.0, 0.0, 100)
        announced.append(rates(cam).peak_bps)
    assert announced == [20_000, 40_000, 40_000, 40_000, 40_000], "never less than before"


def test_4_4_6_2_bandwidth_survives_a_restart() -> None:
    cam = window("cam", VIDEO, 10_000, 100)
    cam.track.captions = ("CC1",)
    again = TrackWindow.from_json("cam", cam.to_json())
    assert rates(again).peak_bps == 40_000 and again.track == cam.track


def test_4_4_6_2_frame_rate_is_the_highest_of_an_init_section() -> None:
    cam = window("cam", VIDEO)
    rates_seen = []
    for number, (durations, init) in enumerate([([1001] * 30, "a"), ([2002] * 15, "a"), ([1200] * 25, "b")]):
        entry = Entry(number, 1, 0, number, 1.0, 0.0, 100, init)
        cam.measure_frame_rate(entry, Segment(0, 30_030, [pictures(0, durations, key=True)]))
        cam.add(entry, target=1)
        rates_seen.append(round(cam.frame_rate, 3))
    assert rates_seen == [29.97, 29.97, 25.0]


def test_4_4_6_2_closed_captions_of_one_rung_are_those_of_all() -> None:
    rungs = [window("a", replace(VIDEO, captions=("CC1",)), 100), window("b", VIDEO, 100)]
    assert {one["CLOSED-CAPTIONS"] for one in variants(multivariant_playlist(rungs))} == {'"captions"'}


def test_4_4_6_2_closed_captions_of_samples_that_cannot_be_looked_into() -> None:
    av1 = window("a", replace(VIDEO, codec="av01.0.04M.08", length_size=0), 100)
    assert "CLOSED-CAPTIONS" not in variants(multivariant_playlist([av1, window("b", VIDEO, 100)]))[0]


def test_tracks_with_languages_are_one_group() -> None:
    sounds = [window(name, replace(AUDIO, language=name), 100) for name in ("fr", "en", "de")]
    playlist = multivariant_playlist([window("720p", VIDEO, 100), *sounds])
    assert [tag["NAME"] for tag in media(playlist)] == ['"Deutsch"', '"English"', '"français"']
    assert len({tag["GROUP-ID"] for tag in media(playlist)}) == len(variants(playlist)) == 1


def test_declared_rates_tell_encodings_from_renditions() -> None:
    def sounds(*declared: int) -> list[TrackWindow]:
        return [window(f"s{n}", replace(AUDIO, average_bps=rate), 100) for n, rate in enumerate(declared)]

    two_rates = multivariant_playlist([window("720p", VIDEO, 100), *sounds(128_000, 64_000)])
    two_tracks = multivariant_playlist([window("720p", VIDEO, 100), *sounds(128_000, 127_900)])
    assert [tag["NAME"] for tag in media(two_rates)] == ['"audio"'], "the other is of no video"
    assert [tag["NAME"] for tag in media(two_tracks)] == ['"s0"', '"s1"']
