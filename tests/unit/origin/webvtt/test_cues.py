"""WebVTT segments from samples of `wvtt`: what is shown when, on which timeline, whatever the text is."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.webvtt.cues import webvtt_segment
from tests.kit.subtitles import Shown, text_fragment, text_init

MOST = 2**20


def segment(cues: list[Shown], start: float, *ends: float, header: str = "WEBVTT") -> str:
    """The WebVTT of a segment of fragments that end at `ends`."""
    data = b"".join(text_fragment(cues, one, end) for one, end in pairwise((start, *ends)))
    return webvtt_segment(text_init(header), data, MOST).decode()


def test_a_cue_counts_from_the_start_of_its_segment() -> None:
    assert segment([Shown(11.0, 12.5, "Guten Tag.\nJa.", "7", "line:0")], 10.0, 14.0) == (
        "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n"
        "7\n00:00:01.000 --> 00:00:02.500 line:0\nGuten Tag.\nJa.\n"
    )


def test_nothing_is_shown() -> None:
    assert segment([], 0.0, 2.0) == "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"


CUES = [Shown(0.0, 3.0, "one"), Shown(1.0, 2.0, "two"), Shown(3.0, 4.0, "one")]


@pytest.mark.parametrize("ends", [(4.0,), (2.0, 4.0), (0.5, 1.5, 2.5, 4.0)])
def test_cues_that_overlap_are_whole_however_their_samples_are_cut(ends: tuple[float, ...]) -> None:
    lines = segment(CUES, 0.0, *ends).splitlines()
    assert [line for line in lines if "-->" in line] == [
        "00:00:00.000 --> 00:00:04.000",  # the same text, without a pause: nobody sees that there are two
        "00:00:01.000 --> 00:00:02.000",
    ]


MAPPED = [  # seconds on the encoder's timeline, MPEGTS
    (0.0, 0),
    (10.0, 900_000),
    (95_443.0, 8_589_870_000),
    (95_444.0, 8_589_960_000 - 2**33),
    (1_800_000_000.0, 162_000_000_000_000 % 2**33),  # since 1970
]


@pytest.mark.parametrize(("start", "mpegts"), MAPPED)
def test_the_timeline_is_that_of_pictures_modulo_33_bits(start: float, mpegts: int) -> None:
    text = segment([Shown(start + 1, start + 2, "x")], start, start + 2)
    assert f"MPEGTS:{mpegts}\n" in text
    assert "\n00:00:01.000 --> 00:00:02.000\n" in text


HEADERS = [  # vttC, lines before the first cue
    ("WEBVTT", []),
    ("WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\n", ["", "STYLE", "::cue { color: red }"]),
    ("WEBVTT\r\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:5\r\nKind: captions", ["Kind: captions"]),
    ("WEBVTT\n00:00:00.000 --> 00:00:01.000\nx", ["x"]),
    ("WEBVTTX", []),
    ("", []),
    ("\x00\xff", []),
]


@pytest.mark.parametrize(("header", "lines"), HEADERS)
def test_the_header_of_the_track(header: str, lines: list[str]) -> None:
    first, mapped, *rest = segment([], 0.0, 1.0, header=header).splitlines()
    assert first.startswith("WEBVTT") and first != "WEBVTTX"
    assert mapped.startswith("X-TIMESTAMP-MAP=") and rest == lines


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=5), st.text(max_size=5)), max_size=4))
def test_no_text_ends_a_cue_or_begins_another(words: list[tuple[str, str, str]]) -> None:
    encodable = [[one.encode("utf-8", "replace").decode() for one in three] for three in words]
    cues = [Shown(2.0 * index, 2.0 * index + 1, *three) for index, three in enumerate(encodable)]
    text = segment(cues, 0.0, 20.0)
    blocks = [block for block in re.split(r"\n\n+", text) if block]
    seen = [one for one in cues if re.sub(r"[\s\0]", "", one.text) or "\0" in one.text]
    assert len([line for line in text.split("\n") if " --> " in line]) == len(blocks) - 1 <= len(seen)
    assert "\r" not in text and "\0" not in text


def test_what_cannot_be_read_is_refused() -> None:
    good = text_fragment(CUES, 0.0, 4.0)
    for data in (b"", good[:-1], good + b"\0\0\0\x08free\0\0"):
        with pytest.raises(BadMedia):
            webvtt_segment(text_init(), data, MOST)
    with pytest.raises(BadMedia, match="at most 50"):
        webvtt_segment(text_init(), good, 50)
