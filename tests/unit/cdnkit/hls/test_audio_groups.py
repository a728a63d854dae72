"""Audio groups: which tracks are members of one group, and what their tags say (HLS draft 4.4.6.1.1)."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cdnkit.hls import Audio, Rates
from cdnkit.hls.audio_groups import Group, audio_groups, name_all, nearest


def audio(name: str, rate: int = 128_000, language: str = "", codec: str = "mp4a.40.2", **more: object) -> Audio:
    values: dict[str, object] = {"declared_bps": rate, "language": language, **more}
    return Audio(name, f"{name}/media.m3u8", codec, Rates(rate, rate), **values)  # type: ignore[arg-type]


def table(groups: list[list[Group]]) -> list[list[dict[str, str]]]:
    """Of each family, each group: NAME -> track."""
    return [[{one.name: one.rendition.name for one in group.members} for group in family] for family in groups]


def test_the_ladders_bit_rates_are_groups_of_one_member() -> None:
    (family,) = audio_groups([audio("audio-64k", 64_000), audio("audio-192k", 192_000), audio("audio-128k")])
    assert [group.id for group in family] == ["audio-192k", "audio-128k", "audio-64k"]
    assert table([family]) == [[{"audio": name} for name in ("audio-192k", "audio-128k", "audio-64k")]]


def test_languages_are_members_of_one_group() -> None:
    assert table(audio_groups([audio("b", language="fr"), audio("a", language="en")])) == [
        [{"English": "a", "français": "b"}]
    ]


def test_languages_by_bit_rates() -> None:
    tracks = [audio(f"{language}-{rate}k", 1000 * rate, language) for language in ("en", "fr") for rate in (128, 64)]
    assert table(audio_groups(tracks)) == [
        [{"English": "en-128k", "français": "fr-128k"}, {"English": "en-64k", "français": "fr-64k"}]
    ]


def test_a_member_with_fewer_bit_rates_is_in_every_group_all_the_same() -> None:
    tracks = [audio("en-128k", 128_000, "en"), audio("en-64k", 64_000, "en"), audio("fr-96k", 96_000, "fr")]
    assert table(audio_groups(tracks)) == [
        [{"English": "en-128k", "français": "fr-96k"}, {"English": "en-64k", "français": "fr-96k"}]
    ]


def test_every_bit_rate_that_there_is_makes_a_group() -> None:
    tracks = [audio("en-384k", 384_000, "en"), audio("en-128k", 128_000, "en")]
    tracks += [audio("fr-128k", 127_000, "fr"), audio("fr-64k", 64_000, "fr")]
    assert table(audio_groups(tracks)) == [
        [
            {"English": "en-384k", "français": "fr-128k"},
            {"English": "en-128k", "français": "fr-128k"},
            {"English": "en-128k", "français": "fr-64k"},
        ]
    ]


def test_channels_and_codecs_are_families() -> None:
    """Stereo and surround of one language (Bento4 473): the surround track was left out of the playlist."""
    tracks = [
        audio("en-51", 384_000, "en", channels=6),
        audio("en-20", language="en"),
        audio("en-ac3", 384_000, "en", "ac-3", channels=6),
    ]
    assert table(audio_groups(tracks)) == [[{"English": "en-20"}], [{"English": "en-51"}], [{"English": "en-ac3"}]]


def test_a_family_is_lent_the_members_it_does_not_have() -> None:
    """Groups of one playlist have the same members (4.4.6.1.1), or players fail (hls.js 4408): a group with English alone
    would end the French of those who switch to it."""
    tracks = [
        audio("en-20", language="en"),
        audio("fr-20", language="fr"),
        audio("en-51", 384_000, "en", "ec-3", channels=6),
    ]
    stereo, surround = table(audio_groups(tracks))
    assert stereo == [{"English": "en-20", "français": "fr-20"}]
    assert surround == [{"English": "en-51", "français": "fr-20"}]


def test_profiles_of_one_codec_are_one_family() -> None:
    (family,) = audio_groups([audio("audio-128k"), audio("audio-48k", 48_000, codec="mp4a.40.5")])
    assert [group.id for group in family] == ["audio-128k", "audio-48k"]


def test_tracks_that_nothing_tells_apart_are_members_with_names_that_differ() -> None:
    """Two of language `und`, no titles (fliks 263, nginx-vod-module 704): players showed one, and had nothing to switch to."""
    for rates in [(128_000, 128_000), (127_998, 128_017), (0, 0), (0, 128_000)]:
        tracks = [audio("main", rates[0]), audio("other", rates[1])]
        assert table(audio_groups(tracks)) == [[{"main": "main", "other": "other"}]]


def test_nameless_tracks_by_bit_rates() -> None:
    tracks = [audio(f"{which}-{rate}k", 1000 * rate) for which in ("left", "right") for rate in (128, 64)]
    assert table(audio_groups(tracks)) == [
        [{"left": "left-128k", "right": "right-128k"}, {"left": "left-64k", "right": "right-64k"}]
    ]


def test_names_that_are_equal_get_numbers() -> None:
    tracks = [audio(name, language="en") for name in ("a", "b", "c")]
    assert table(audio_groups(tracks)) == [[{"English": "a", "English 2": "b", "English 3": "c"}]]


def test_roles_stand_in_the_name() -> None:
    tracks = [
        audio("a", language="en", role="description"),
        audio("b", language="en"),
        audio("c", language="en", role="commentary"),
    ]
    ((group,),) = audio_groups(tracks)
    assert [one.name for one in group.members] == ["English", "English (commentary)", "English (description)"]
    assert [one.autoselect for one in group.members] == [True, False, True], (
        "distinct for each that is selected (4.4.6.1.1)"
    )


DEFAULTS = [  # given these tracks, the default is
    ([audio("a", language="en"), audio("b", language="fr")], "a"),  # the first by name: it is the same after a restart
    ([audio("a", language="en"), audio("b", language="fr", role="main")], "b"),
    ([audio("a", language="en", enabled=False), audio("b", language="fr")], "b"),
    ([audio("a", language="en", role="commentary"), audio("b", language="en")], "b"),
    ([audio("a", language="en", role="dub"), audio("b", language="fr", role="description")], "a"),
]


def test_4_4_6_1_1_which_member_is_the_default() -> None:
    for tracks, name in DEFAULTS:
        ((group,),) = audio_groups(tracks)
        assert [one.rendition.name for one in group.members if one.default] == [name]


def test_the_nearest_group_the_lower_of_two() -> None:
    (family,) = audio_groups([audio("audio-64k", 64_000), audio("audio-128k")])
    assert [nearest(family, rate).rate for rate in (None, 200_000, 96_000, 97_000, 1)] == [
        128_000, 128_000, 64_000, 128_000, 64_000
    ]  # fmt: skip


tracks_of_any_kind = st.lists(
    st.builds(
        audio,
        st.sampled_from([f"t{n}" for n in range(12)]),
        st.sampled_from([0, 64_000, 66_000, 96_000, 128_000, 384_000]),
        st.sampled_from(["", "en", "fr", "pt-BR"]),
        st.sampled_from(["mp4a.40.2", "mp4a.40.5", "ac-3"]),
        channels=st.sampled_from([1, 2, 6]),
        role=st.sampled_from(["", "main", "commentary", "description", "dub", "x"]),
        label=st.sampled_from(["", "", "English", "Kommentar"]),
        enabled=st.booleans(),
    ),
    unique_by=lambda one: one.name,
    max_size=12,
)


@given(tracks_of_any_kind)
def test_4_4_6_1_1_rules_of_rendition_groups(tracks: list[Audio]) -> None:
    groups = [group for family in audio_groups(tracks) for group in family]
    assert {one.rendition.name for group in groups for one in group.members} == {track.name for track in tracks}, "all"
    assert len({group.id for group in groups}) == len(groups)
    for group in groups:
        names = [one.name for one in group.members]
        assert len(set(names)) == len(names), "different NAMEs in one group"
        assert names == [one.name for one in groups[0].members], "the same members and order (hls.js 3729)"
        assert Counter(one.default for one in group.members)[True] == 1, "exactly one default"
        assert [one.default for one in group.members] == [one.default for one in groups[0].members]
        assert all(one.autoselect for one in group.members if one.default)
        said = [
            (one.rendition.language, one.characteristics) for one in group.members if one.autoselect and not one.default
        ]
        assert len(set(said)) == len(said), "no two are selected for the same reason"
        languages = [one.rendition.language for one in group.members]
        assert languages == [one.rendition.language for one in groups[0].members], "identical but for URI and CHANNELS"


@given(tracks_of_any_kind)
def test_the_order_in_which_tracks_come_changes_nothing(tracks: list[Audio]) -> None:
    assert audio_groups(tracks) == audio_groups(sorted(tracks, key=lambda one: one.name, reverse=True))


def test_a_name_is_made_only_if_those_before_it_are_taken() -> None:
    """The playlist is written with each segment: of a name's ten thousand alternatives, it is not to make them all."""
    made: list[str] = []

    class Label(str):
        __slots__ = ()

        def __format__(self, spec: str) -> str:
            made.append(self)
            return super().__format__(spec)

    assert [one.name for one in name_all([audio("a", label=Label("Director"))], "audio", default=True)] == ["Director"]
    assert not made
    three = [audio(name, label=Label("Director")) for name in "abc"]
    assert [one.name for one in name_all(three, "audio", default=True)] == ["Director", "Director 2", "Director 3"]
    assert len(made) == 3
