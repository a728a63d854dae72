"""Which track a path is for, and what an MPD says of that."""

import pytest

from origin.errors import BadMedia
from origin.live.ingest_paths import LARGEST_MPD, MOST_DEPTH, MOST_ELEMENTS, MOST_NAMES, Names, place_of, read_names
from origin.media.tracks import Kind

PATHS = [  # given a path, then the track and the kind that its extension promises
    ("720p.cmfv", "720p", Kind.VIDEO),
    ("audio-128k.cmfa", "audio-128k", Kind.AUDIO),
    ("720p.mp4", "720p", None),
    ("Streams(720p.cmfv)", "720p", Kind.VIDEO),
    ("Streams(audio-en.cmfa)", "audio-en", Kind.AUDIO),
    ("720p/1.cmfv", "720p", Kind.VIDEO),
    ("720p/init.cmfv", "720p", Kind.VIDEO),
    ("audio/t-1800000000.cmfa", "audio", Kind.AUDIO),
    ("720p/1.m4s", "720p", None),
    ("720p/init.mp4", "720p", None),
    ("720p/a.init", "720p", None),
    ("720p/segment 1.header", "720p", None),
]


@pytest.mark.parametrize(("path", "track", "kind"), PATHS)
def test_the_paths_of_interface_1(path: str, track: str, kind: Kind | None) -> None:
    place = place_of(path, None)
    assert (place.track, place.kind) == (track, kind)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("720p.m4s", "found .m4s, wanted .cmfv"),
        ("720p", "a name that cannot be used"),
        ("", "a name that cannot be used"),
        ("a/b/c.cmfv", "a name that cannot be used"),
        (".hidden/1.m4s", "a name that cannot be used"),
        ("../x.cmfv", "a name that cannot be used"),
        ("720p/" + "x" * 201 + ".m4s", "a name that cannot be used"),
        ("720p/1.ts", "a name that cannot be used"),
        ("Streams(720p)", "a name that cannot be used"),
        ("Streams(../x.cmfv)", "a name that cannot be used"),
    ],
)
def test_paths_that_name_no_track(path: str, words: str) -> None:
    with pytest.raises(BadMedia, match=words):
        place_of(path, None)


def mpd(
    media: str = "$RepresentationID$-$Number%05d$.m4s",
    initialization: str = "$RepresentationID$-init.m4s",
    *,
    began: str = "1970-01-01T00:00:00Z",
    ids: tuple[str, ...] = ("v1", "v2"),
    extra: str = "",
) -> bytes:
    template = f'<SegmentTemplate media="{media}" initialization="{initialization}" duration="4"/>'
    sets = "".join(
        f'<AdaptationSet contentType="video">{template}<Representation id="{one}" bandwidth="99"/></AdaptationSet>'
        for one in ids
    )
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" '
        f'availabilityStartTime="{began}">{extra}<Period start="PT0S">{sets}</Period></MPD>'
    ).encode()


def named(**changes: object) -> Names | None:
    return read_names(mpd(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "path", "track"),
    [
        ({}, "v1-00001.m4s", "v1"),
        ({}, "v2-init.m4s", "v2"),
        ({}, "v2-123456.m4s", "v2"),
        ({}, "v3-00001.m4s", None),
        ({}, "v1-x.m4s", None),
        ({"media": "video/$RepresentationID$/$Time$.cmfv"}, "video/v1/180000.cmfv", "v1"),
        ({"media": "$RepresentationID$_$Bandwidth$_$Number$$$.m4s"}, "v2_99_7$.m4s", "v2"),
        ({"media": "$RepresentationID$.+$Number$.m4s"}, "v1.+7.m4s", "v1"),
        ({"media": "$RepresentationID$.+$Number$.m4s"}, "v1xx7.m4s", None),
    ],
)
def test_an_mpd_names_the_requests(changes: dict[str, object], path: str, track: str | None) -> None:
    names = named(**changes)
    assert names is not None
    assert names.track_of(path) == track
    if track is not None:
        assert place_of(path, names).track == track


@pytest.mark.parametrize(
    "changes",
    [
        {"began": "2026-01-01T00:00:00Z"},  # a presentation for players
        {"extra": "<BaseURL>x/</BaseURL>"},
        {"extra": "<Period/>"},
        {"media": "$Number$.m4s"},
        {"media": "$RepresentationID$.m4s"},
        {"media": "$RepresentationID$-$Number$-$Time$.m4s"},
        {"initialization": "init.m4s"},
        {"ids": ()},
        {"ids": ("../x",)},
    ],
)
def test_a_presentation_that_is_none_of_interface_1_names_nothing(changes: dict[str, object]) -> None:
    assert named(**changes) is None


HOSTILE = [  # given an MPD, then the words of the error
    (b"", "no XML"),
    (b"<MPD", "no XML"),
    (b"<html/>", "the element html"),
    (b'<!DOCTYPE MPD [<!ENTITY a "aaaa">]><MPD>&a;</MPD>', "a document type declaration"),
    (b'<!DOCTYPE MPD SYSTEM "file:///etc/passwd"><MPD/>', "a document type declaration"),
    (b"<MPD>" + b"<S/>" * MOST_ELEMENTS + b"</MPD>", f"at most {MOST_ELEMENTS} elements"),
    (b"<MPD>" + b"<a>" * MOST_DEPTH, f"{MOST_DEPTH} deep"),
    (b"<MPD>" + b"<Representation/>" * (MOST_NAMES + 1), f"at most {MOST_NAMES}"),
    (b'<?xml version="1.0" encoding="nonsense"?><MPD/>', "no XML"),
    (b"\xff\xfe\x00", "no XML"),
]


@pytest.mark.parametrize(("data", "words"), HOSTILE)
def test_hostile_mpds(data: bytes, words: str) -> None:
    with pytest.raises(BadMedia, match=words):
        read_names(data)


def test_an_mpd_of_the_most_tracks_is_small_enough() -> None:
    assert len(mpd(ids=tuple(f"track-{n}" for n in range(MOST_NAMES)))) < LARGEST_MPD
