"""Languages as media files have them, and as playlists want them (RFC 5646)."""

import pytest

from cdnkit.hls.languages import language_tag, own_name

SAID = [  # in mdhd or elng, LANGUAGE, NAME
    ("eng", "en", "English"),
    ("fra", "fr", "français"),
    ("fre", "fr", "français"),  # the bibliographic code
    ("ger", "de", "Deutsch"),
    ("haw", "haw", "haw"),
    ("pt-BR", "pt-BR", "português (pt-BR)"),
    ("eng-US", "en-US", "English (en-US)"),
    ("zh-Hant-TW", "zh-Hant-TW", "中文 (zh-Hant-TW)"),
    ("ENG", "en", "English"),
    ("und", "", ""),
    ("und-Latn", "", ""),
    ("zxx", "", ""),
    ("", "", ""),
    ("```", "", ""),  # a language field of zero
    ("en,fr", "", ""),
    ('en"', "", ""),
    ("en\n", "", ""),
    ("x", "", ""),
    ("-en", "", ""),
]


@pytest.mark.parametrize(("said", "tag", "name"), SAID)
def test_tags_and_names(said: str, tag: str, name: str) -> None:
    assert language_tag(said) == tag
    assert own_name(tag) == name
