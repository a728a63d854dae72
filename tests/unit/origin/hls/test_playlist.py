"""The names that an origin publishes, letter by letter: caches keep them for a year, players and reports read them."""

from contextlib import nullcontext
from enum import Enum
from pathlib import Path

import pytest

from cdnkit.hls import Start
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.object_class import ObjectClass, classify
from origin import Origin
from origin.hls.playlist import init_name, media_playlist
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track
from origin.mpegts.playlists import ts_media_playlist
from origin.publishing.catalog import Catalog
from tests.kit.memory_store import MemoryStore

VIDEO = Track(Kind.VIDEO, 1, 30_000, "avc1.64001f", width=1280, height=720)
AUDIO = Track(Kind.AUDIO, 1, 48_000, "mp4a.40.2", sample_rate=48_000, channels=2)

MEDIA_PLAYLIST = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:41
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init-aa.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-09-21T13:40:00.000Z
#EXTINF:2.000000,
seg-3-41.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-09-21T13:40:02.000Z
#EXTINF:1.500000,
seg-3-42.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-bb.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-09-21T13:40:03.500Z
#EXT-X-GAP
#EXTINF:2.000000,
seg-4-43.m4s
#EXT-X-ENDLIST
"""


def window() -> TrackWindow:
    at = 1_790_000_000.0
    one = TrackWindow("720p", VIDEO, "bb", frame_rate=29.97)
    one.add(Entry(41, 3, 3, 0.0, 2.0, at - 2000.0, 2500, "aa"), target=2)
    one.add(Entry(42, 3, 3, 2.0, 1.5, at - 1998.0, 1875, "aa"), target=2)
    one.add(Entry(43, 4, 4, 0.0, 2.0, at - 1996.5, 0, "bb", gap=True), target=2)
    return one


def test_a_media_playlist_to_the_letter() -> None:
    assert media_playlist(window(), 2, ended=True) == MEDIA_PLAYLIST
    live = MEDIA_PLAYLIST.removesuffix("#EXT-X-ENDLIST\n")
    assert media_playlist(window(), 2, ended=False) == live


A, B = "aa" * 16, "bb" * 16
KEYS = {A: "AES-128", B: "AES-128"}
WHOLE_A = f'#EXT-X-KEY:METHOD=AES-128,URI="../key-{A}.key"'
WHOLE_B = f'#EXT-X-KEY:METHOD=AES-128,URI="../key-{B}.key"'
SAMPLES_A, SAMPLES_B = (
    f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="../key-{id}.key",KEYFORMAT="identity",KEYFORMATVERSIONS="1"' for id in (A, B)
)
NONE, MAP, MAP_2 = "#EXT-X-KEY:METHOD=NONE", '#EXT-X-MAP:URI="init-1.mp4"', '#EXT-X-MAP:URI="init-2.mp4"'
SAMPLES = dict.fromkeys(KEYS, "SAMPLE-AES")

ENCRYPTED = [  # (init section, key, discontinuity) of each segment, then the tags before each
    ("none", KEYS, [("1", "", 0), ("1", "", 0)], [[MAP], []]),
    ("one", KEYS, [("1", A, 0), ("1", A, 0)], [[MAP, WHOLE_A], []]),
    ("rotated: the init section is clear", KEYS, [("1", A, 0), ("1", B, 0)], [[MAP, WHOLE_A], [WHOLE_B]]),
    ("another init section, clear", KEYS, [("1", A, 0), ("2", A, 1)], [[MAP, WHOLE_A], [NONE, MAP_2, WHOLE_A]]),
    ("switched on", KEYS, [("1", "", 0), ("1", A, 0)], [[MAP], [WHOLE_A]]),
    ("switched off", KEYS, [("1", A, 0), ("2", "", 1)], [[MAP, WHOLE_A], [NONE, MAP_2]]),
    ("samples: an init section each", SAMPLES, [("1", A, 0), ("2", B, 0)], [[SAMPLES_A, MAP], [SAMPLES_B, MAP_2]]),
    ("samples, one key", SAMPLES, [("1", A, 0), ("1", A, 0)], [[SAMPLES_A, MAP], []]),
    ("samples, then none", SAMPLES, [("1", A, 0), ("2", "", 1)], [[SAMPLES_A, MAP], [NONE, MAP_2]]),
    (
        "another method",
        {A: "AES-128", B: "SAMPLE-AES"},
        [("1", A, 0), ("2", B, 0)],
        [[MAP, WHOLE_A], [SAMPLES_B, MAP_2]],
    ),
    (
        "and back",
        {A: "SAMPLE-AES", B: "AES-128"},
        [("1", A, 0), ("2", B, 1)],
        [[SAMPLES_A, MAP], [NONE, MAP_2, WHOLE_B]],
    ),
]


@pytest.mark.parametrize(
    ("methods", "entries", "wanted"), [row[1:] for row in ENCRYPTED], ids=[r[0] for r in ENCRYPTED]
)
def test_keys_and_init_sections(
    methods: dict[str, str], entries: list[tuple[str, str, int]], wanted: list[list[str]]
) -> None:
    """What a key stands before, it is for; an init section of AES-128 is for none (HLS draft 4.4.4.4, 4.4.4.5)."""
    one = TrackWindow("720p", VIDEO, "1")
    for number, (init, key, discontinuity) in enumerate(entries):
        one.add(Entry(number, 3, discontinuity, 0.0, 2.0, 0.0, 9, init, key=key), target=2)
    tags: list[list[str]] = [[]]
    for line in media_playlist(one, 2, ended=True, methods=methods).splitlines():
        if line.startswith(("#EXT-X-KEY", "#EXT-X-MAP")):
            tags[-1].append(line)
        elif line.endswith(".m4s"):
            tags.append([])
    assert tags[:-1] == wanted


def test_6_2_1_a_start_is_there_from_the_first_playlist_to_the_last() -> None:
    """Also while the playlist is shorter than the offset, which then means its beginning (4.4.2.2)."""
    start = Start(-30.0, precise=True)
    lines = [media_playlist(window(), 2, ended=ended, start=start).splitlines() for ended in (False, True)]
    assert [one[6] for one in lines] == ["#EXT-X-START:TIME-OFFSET=-30,PRECISE=YES"] * 2
    assert lines[0] == lines[1][:-1]
    assert "#EXT-X-START:TIME-OFFSET=-30,PRECISE=YES" in ts_media_playlist("\n".join(lines[0])).splitlines()


START = [  # start, part, segment, may be: the window is 60 s
    ("-12s", None, "4s", True),
    ("-11s", None, "4s", False),
    ("48s", None, "4s", True),
    ("49s", None, "4s", False),
    ("-60s", None, "4s", True),
    ("-61s", None, "4s", False),
    ("-1.5s", "500ms", "4s", True),  # low latency: three parts, as PART-HOLD-BACK
    ("-1.4s", "500ms", "4s", False),
]


@pytest.mark.parametrize(("start", "part", "segment", "may"), START)
def test_4_4_2_2_a_start_that_cannot_be_is_refused(start: str, part: str | None, segment: str, may: bool) -> None:
    with nullcontext() if may else pytest.raises(ValueError, match=r"start is .*; wanted 0s to"):
        Origin.model_validate({"start": start, "part": part, "segment": segment})


def test_paths_types_and_surrogate_keys(tmp_path: Path) -> None:
    catalog = Catalog(Origin(storage=tmp_path), MemoryStore(), lambda: 1_790_000_000.0)
    catalog.offer_init("live", "720p", VIDEO, "aa", b"init", stored=True)
    catalog.offer_segment("live", "720p", VIDEO, Entry(41, 3, 3, 0.0, 2.0, 0.0, 7, "aa"), b"segment", 1_790_000_000.0)
    catalog.offer_segment("live", "audio-128k", AUDIO, Entry(41, 3, 3, 0.0, 2.0, 0.0, 7, "cc"), None, 0.0)
    catalog.offer_media_playlist("live", "720p", "#EXTM3U\n", 1.0)
    catalog.offer_multivariant_playlist("live", "#EXTM3U\n", 1.0)
    hls = "application/vnd.apple.mpegurl"
    for path, media_type, key, found in [
        ("live/720p/init-aa.mp4", "video/mp4", "live live/720p init", ObjectClass.INIT),
        ("live/720p/seg-3-41.m4s", "video/mp4", "live live/720p segment", ObjectClass.SEGMENT),
        ("live/audio-128k/seg-3-41.m4s", "audio/mp4", "live live/audio-128k segment", ObjectClass.SEGMENT),
        ("live/720p/media.m3u8", hls, "live live/720p media-playlist", ObjectClass.MEDIA_PLAYLIST),
        ("live/multivariant.m3u8", hls, "live multivariant", ObjectClass.MULTIVARIANT),
    ]:
        resource = catalog.get(path)
        assert resource is not None, path
        assert (resource.media_type, resource.surrogate_key) == (media_type, key)
        assert key.split(" ")[-1] == found.value
        assert (
            classify("/" + path)
            == classify("/" + path, media_type)
            == (found, path.split("/")[-2] if found is not ObjectClass.MULTIVARIANT else "")
        )
    segment = catalog.get("live/720p/seg-3-41.m4s")
    assert segment is not None and segment.etag == '"3-29-7"'
    assert init_name("aa") == "init-aa.mp4"


WORDS: list[tuple[type[Enum], list[str]]] = [  # what records, reports and surrogate keys call them: their words are read by programs of others
    (ObjectClass, ["multivariant", "media-playlist", "init", "segment", "part", "other"]),
    (Outcome, ["hit", "hit-stale", "miss", "revalidated", "collapsed", "pass", "refused", "failed"]),
    (
        Cause,
        [
            "cold", "expired", "evicted", "purged", "lost", "vary", "uncacheable", "bypass", "method", "request",
            "partial", "aborted",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WORDS)
def test_words_of_records(words: type[Enum], said: list[str]) -> None:
    assert [one.value for one in words] == said
