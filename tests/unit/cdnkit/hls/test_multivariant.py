"""The multivariant playlist, a test for each rule of the HLS draft (-22), named after its clause; m3u8 reads it, too."""

import itertools
import re
from dataclasses import replace

import m3u8
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdnkit.hls import Audio, Rates, Subtitles, Video, multivariant_playlist
from cdnkit.hls.multivariant import quoted
from loadtests.playlist import Multivariant, read
from tests.unit.cdnkit.hls.test_audio_groups import tracks_of_any_kind


def video(name: str = "720p", peak: float = 3_000_000, average: float = 2_000_000, **more: object) -> Video:
    height = int(name.removesuffix("p"))
    values: dict[str, object] = {"codec": "avc1.64001f", "width": height * 16 // 9, "height": height, **more}
    return Video(name, f"{name}/media.m3u8", rates=Rates(peak, average), **values)  # type: ignore[arg-type]


def audio(name: str, peak: float = 130_000, average: float = 128_000, **more: object) -> Audio:
    values: dict[str, object] = {"codec": "mp4a.40.2", "declared_bps": round(average), **more}
    return Audio(name, f"{name}/media.m3u8", rates=Rates(peak, average), **values)  # type: ignore[arg-type]


def text(name: str, **more: object) -> Subtitles:
    return Subtitles(name, f"{name}/media.m3u8", "wvtt", Rates(2_000, 500), **more)  # type: ignore[arg-type]


ENGLISH, FRENCH = audio("a-en", language="en"), audio("a-fr", peak=160_000, average=150_000, language="fr")


def tags(playlist: str, tag: str) -> list[dict[str, str]]:
    """Attributes of each tag of this name, quotes left on."""
    lines = [line.removeprefix(f"#{tag}:") for line in playlist.splitlines() if line.startswith(f"#{tag}:")]
    return [dict(re.findall(r'([A-Z-]+)=("[^"]*"|[^",]*)', line)) for line in lines]


def variants(playlist: str) -> list[dict[str, str]]:
    return tags(playlist, "EXT-X-STREAM-INF")


def media(playlist: str, kind: str = "AUDIO") -> list[dict[str, str]]:
    return [tag for tag in tags(playlist, "EXT-X-MEDIA") if tag["TYPE"] == kind]


def test_to_the_letter() -> None:
    sound = audio("audio-128k", 5_500, 5_500)
    pictures = video(peak=10_000, average=10_000, frame_rate=29.97, video_range="SDR")
    assert multivariant_playlist([pictures], [sound], [text("t", language="de")], ["CC1"]) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-128k",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio-128k/media.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,URI="t/media.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="CC1",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC1"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=17500,AVERAGE-BANDWIDTH=16000,CODECS="avc1.64001f,mp4a.40.2,wvtt",RESOLUTION=1280x720,'
        'FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO="audio-128k",SUBTITLES="subtitles",CLOSED-CAPTIONS="captions"\n'
        "720p/media.m3u8\n"
    )


def test_4_4_6_2_bandwidth_is_the_largest_sum_of_peaks_of_a_playable_combination() -> None:
    """The pictures' peak, the largest of the audio group, the largest of the subtitles: none is left out (moq 2250)."""
    (one,) = variants(multivariant_playlist([video()], [ENGLISH, FRENCH], [text("t")]))
    assert one["BANDWIDTH"] == str(3_000_000 + 160_000 + 2_000)


def test_4_4_6_2_bandwidth_of_a_single_playlist_is_its_peak() -> None:
    assert variants(multivariant_playlist([video()]))[0]["BANDWIDTH"] == "3000000"


def test_4_4_6_2_bandwidth_is_a_decimal_integer_rounded_up() -> None:
    (one,) = variants(multivariant_playlist([video(peak=1000.2, average=999.5)]))
    assert (one["BANDWIDTH"], one["AVERAGE-BANDWIDTH"]) == ("1001", "1000")


def test_4_4_6_2_average_bandwidth_is_the_largest_sum_of_averages() -> None:
    (one,) = variants(multivariant_playlist([video()], [ENGLISH, FRENCH], [text("t")]))
    assert one["AVERAGE-BANDWIDTH"] == str(2_000_000 + 150_000 + 500)


def test_4_4_6_2_average_bandwidth_is_never_more_than_bandwidth() -> None:
    (one,) = variants(multivariant_playlist([video(peak=0, average=5_000)]))
    assert one["BANDWIDTH"] == one["AVERAGE-BANDWIDTH"] == "5000"


def test_4_4_6_2_codecs_lists_every_sample_format_once() -> None:
    he = audio("b-de", language="de", codec="mp4a.40.5")
    (one,) = variants(multivariant_playlist([video()], [ENGLISH, FRENCH, he], [text("t"), text("u")]))
    assert one["CODECS"] == '"avc1.64001f,mp4a.40.2,mp4a.40.5,wvtt"'


def test_4_4_6_2_resolution_and_frame_rate_with_three_decimals() -> None:
    for rate, said in [(30_000 / 1001, "29.970"), (25.0, "25.000"), (24_000 / 1001, "23.976"), (59.9404, "59.940")]:
        (one,) = variants(multivariant_playlist([video(frame_rate=rate)]))
        assert (one["RESOLUTION"], one["FRAME-RATE"]) == ("1280x720", said)


def test_4_4_6_2_frame_rate_that_is_not_known_is_left_out() -> None:
    assert "FRAME-RATE" not in variants(multivariant_playlist([video()]))[0]


def test_4_4_6_2_video_range_where_it_is_known() -> None:
    assert variants(multivariant_playlist([video(video_range="PQ")]))[0]["VIDEO-RANGE"] == "PQ"
    assert "VIDEO-RANGE" not in variants(multivariant_playlist([video()]))[0]


def test_4_4_6_2_audio_names_a_group_that_is_there() -> None:
    playlist = multivariant_playlist(
        [video("720p"), video("360p", audio_bps=64_000)], [audio("x"), audio("y", 70_000, 64_000)]
    )
    assert (
        {one["AUDIO"] for one in variants(playlist)} == {one["GROUP-ID"] for one in media(playlist)} == {'"x"', '"y"'}
    )


def test_4_4_6_2_video_alone_names_no_group() -> None:
    playlist = multivariant_playlist([video()])
    assert "AUDIO" not in variants(playlist)[0] and media(playlist) == []


def test_4_4_6_2_sound_alone_is_a_variant_of_each_bit_rate() -> None:
    playlist = multivariant_playlist([], [audio("low", 70_000, 64_000), audio("high")])
    assert [line for line in playlist.splitlines() if line.endswith("media.m3u8")] == [
        "high/media.m3u8",
        "low/media.m3u8",
    ]
    assert media(playlist) == [] and all("RESOLUTION" not in one and "AUDIO" not in one for one in variants(playlist))
    assert variants(playlist)[0]["CODECS"] == '"mp4a.40.2"'
    assert "CLOSED-CAPTIONS" not in variants(playlist)[0], "there are no pictures that could carry any"


def test_4_4_6_2_sound_alone_in_several_languages_is_one_variant_with_a_group() -> None:
    playlist = multivariant_playlist([], [ENGLISH, FRENCH])
    (one,) = variants(playlist)
    assert one["AUDIO"] == '"a-fr"' and one["BANDWIDTH"] == "160000", "one of the two plays at a time"
    assert [tag["URI"] for tag in media(playlist)] == ['"a-en/media.m3u8"', '"a-fr/media.m3u8"']


def test_4_4_6_2_closed_captions_none_in_all_variants() -> None:
    """Without the attribute, players show an empty menu (shaka-packager 922, ExoPlayer 5736)."""
    for tracks in ([video()], [video("720p"), video("360p")]):
        assert {one["CLOSED-CAPTIONS"] for one in variants(multivariant_playlist(tracks, [ENGLISH]))} == {"NONE"}


def test_4_4_6_2_closed_captions_group_in_all_variants() -> None:
    playlist = multivariant_playlist([video("720p"), video("360p")], captions=["CC1", "CC3"])
    assert {one["CLOSED-CAPTIONS"] for one in variants(playlist)} == {'"captions"'}
    found = media(playlist, "CLOSED-CAPTIONS")
    assert [tag["INSTREAM-ID"] for tag in found] == ['"CC1"', '"CC3"']
    assert all(tag["GROUP-ID"] == '"captions"' for tag in found)


def test_4_4_6_2_closed_captions_that_nobody_looked_for_are_left_open() -> None:
    assert "CLOSED-CAPTIONS" not in variants(multivariant_playlist([video()], captions=None))[0]


def test_4_4_6_1_uri_must_not_be_present_with_closed_captions() -> None:
    assert "URI" not in media(multivariant_playlist([video()], captions=["CC1"]), "CLOSED-CAPTIONS")[0]


def test_4_4_6_1_language_that_is_not_known_is_left_out() -> None:
    one, two = media(multivariant_playlist([video()], [ENGLISH, audio("b")]))
    assert one["LANGUAGE"] == '"en"' and "LANGUAGE" not in two


def test_4_4_6_1_name_is_required_and_in_the_language() -> None:
    found = media(
        multivariant_playlist([video()], [ENGLISH, FRENCH, audio("x", language="haw"), audio("y", label="Director")])
    )
    assert [tag["NAME"] for tag in found] == ['"English"', '"français"', '"haw"', '"Director"']


def test_4_4_6_1_default_implies_autoselect() -> None:
    tracks = [audio("a", language="en", role="commentary"), audio("b", language="en")]
    for tag in media(multivariant_playlist([video()], tracks)):
        assert tag["DEFAULT"] == "NO" or tag["AUTOSELECT"] == "YES"


def test_4_4_6_1_forced_only_with_subtitles() -> None:
    playlist = multivariant_playlist(
        [video()], [ENGLISH], [text("a", role="forced-subtitle"), text("b", language="en")]
    )
    assert ["FORCED" in tag for tag in media(playlist, "SUBTITLES")] == [True, False]
    assert "FORCED" not in media(playlist)[0]


def test_4_4_6_1_characteristics() -> None:
    playlist = multivariant_playlist(
        [video()], [ENGLISH, audio("d", language="en", role="description")], [text("t", role="caption")]
    )
    assert [tag.get("CHARACTERISTICS") for tag in media(playlist)] == [None, '"public.accessibility.describes-video"']
    assert media(playlist, "SUBTITLES")[0]["CHARACTERISTICS"].startswith(
        '"public.accessibility.transcribes-spoken-dialog,'
    )


def test_4_4_6_1_channels_of_all_audio_and_nothing_else() -> None:
    playlist = multivariant_playlist([video()], [ENGLISH, audio("s", language="en", channels=6)], [text("t")], ["CC1"])
    assert sorted(tag["CHANNELS"] for tag in media(playlist)) == ['"2"', '"6"']
    assert all("CHANNELS" not in tag for kind in ("SUBTITLES", "CLOSED-CAPTIONS") for tag in media(playlist, kind))


def test_4_4_6_1_subtitles_are_off_until_chosen() -> None:
    playlist = multivariant_playlist([video()], [], [text("t-en", language="en"), text("t-fr", language="fr")])
    assert [(tag["DEFAULT"], tag["AUTOSELECT"]) for tag in media(playlist, "SUBTITLES")] == [("NO", "YES")] * 2
    assert variants(playlist)[0]["SUBTITLES"] == '"subtitles"'


HARM = ['a"b', "a\nb", "a\r#EXT-X-ENDLIST", "\u202eabc"]


@pytest.mark.parametrize("name", HARM)
def test_4_2_a_quoted_string_has_no_quote_and_no_line_end(name: str) -> None:
    assert re.fullmatch(r'"[^"\r\n]*"', quoted(name))
    playlist = multivariant_playlist([video()], [audio("a", label=name)])
    assert len(playlist.splitlines()) == 6
    m3u8.loads(playlist)


def test_the_tallest_first_each_with_the_sound_that_suits_it() -> None:
    rungs = [video("360p", audio_bps=64_000), video("1080p", audio_bps=128_000), video("480p", audio_bps=96_000)]
    playlist = multivariant_playlist(rungs, [audio("audio-64k", 70_000, 64_000), audio("audio-128k")])
    assert [(one["RESOLUTION"], one["AUDIO"]) for one in variants(playlist)] == [
        ("1920x1080", '"audio-128k"'),
        ("853x480", '"audio-64k"'),  # as near to both: the lower
        ("640x360", '"audio-64k"'),
    ]


def test_the_order_in_which_tracks_come_changes_nothing() -> None:
    tracks = [ENGLISH, FRENCH, audio("c", language="de")]
    assert multivariant_playlist([video("720p"), video("360p")], tracks) == multivariant_playlist(
        [video("360p"), video("720p")], tracks[::-1]
    )


def test_another_reader_reads_what_we_meant() -> None:
    pictures = [video("1080p", frame_rate=50.0), video("360p", frame_rate=25.0, video_range="SDR")]
    playlist = multivariant_playlist(pictures, [ENGLISH, FRENCH], [text("t", language="de")], ["CC1"])
    found = m3u8.loads(playlist)
    assert found.is_variant and len(found.playlists) == 2
    info = found.playlists[0].stream_info
    assert (info.resolution, info.frame_rate, info.audio) == ((1920, 1080), 50.0, "a-fr")
    assert info.codecs == "avc1.64001f,mp4a.40.2,wvtt"
    assert [(one.type, one.name, one.language) for one in found.media] == [
        ("AUDIO", "English", "en"),
        ("AUDIO", "français", "fr"),
        ("SUBTITLES", "Deutsch", "de"),
        ("CLOSED-CAPTIONS", "CC1", None),
    ]
    assert m3u8.loads(found.dumps()).data == found.data


@given(
    rungs=st.lists(st.sampled_from(["1080p", "720p", "480p", "360p"]), unique=True),
    sounds=tracks_of_any_kind,
    texts=st.lists(st.sampled_from(["x", "y", "z"]), unique=True),
    captions=st.sampled_from([None, [], ["CC1"], ["CC1", "CC3"]]),
)
def test_4_4_6_2_1_all_playable_combinations_of_any_tracks(
    rungs: list[str], sounds: list[Audio], texts: list[str], captions: list[str] | None
) -> None:
    assume(rungs or sounds)
    tracks = [video(name, audio_bps=96_000) for name in rungs]
    playlist = multivariant_playlist(tracks, sounds, [text(name) for name in texts], captions)
    found = m3u8.loads(playlist)
    assert m3u8.loads(found.dumps()).data == found.data
    assert isinstance(read(playlist, "http://origin/live/multivariant.m3u8"), Multivariant), "a strict reader, too"
    peaks = {one.uri: one.rates.peak_bps for one in [*tracks, *sounds, *(text(name) for name in texts)]}
    groups: dict[tuple[str, str], list[m3u8.Media]] = {}
    for one in found.media:
        groups.setdefault((one.type, one.group_id), []).append(one)
    for (kind, _), group in groups.items():
        assert len({one.name for one in group}) == len(group)
        assert [one.default for one in group].count("YES") == (kind == "AUDIO")
        assert all((one.uri is None) == (kind == "CLOSED-CAPTIONS") for one in group)
    for variant in found.playlists:
        info = variant.stream_info
        choices = [[variant.uri]] if rungs or not info.audio else []
        choices += [[one.uri for one in groups["AUDIO", info.audio]]] if info.audio else []
        choices += [[one.uri for one in groups["SUBTITLES", info.subtitles]]] if info.subtitles else []
        most = max(sum(peaks[uri] for uri in choice) for choice in itertools.product(*choices))
        assert info.bandwidth == most >= info.average_bandwidth
    said = {one.stream_info.closed_captions for one in found.playlists}
    assert said <= {None} or len(said) == 1, "in all or in none"


def test_two_codecs_of_sound_are_two_variants_of_each_video() -> None:
    """In one group with both, hls.js never opened its audio buffer (gohlslib 381, hls.js 5378)."""
    surround = replace(
        ENGLISH, name="ac3", uri="ac3/media.m3u8", codec="ac-3", channels=6, rates=Rates(400_000, 384_000)
    )
    playlist = multivariant_playlist([video()], [ENGLISH, surround])
    assert [(one["AUDIO"], one["CODECS"]) for one in variants(playlist)] == [
        ('"a-en"', '"avc1.64001f,mp4a.40.2"'),
        ('"ac3"', '"avc1.64001f,ac-3"'),
    ]
    assert [one["BANDWIDTH"] for one in variants(playlist)] == ["3130000", "3400000"]
