"""Many streams of one looped VOD, as fast as the origin takes them: everything that is sent is listed and there."""

import asyncio
import json
import math
from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.kit.live_origin import Running
from tests.kit.looped import LoopedTrack, Republisher
from tests.real.origin.playlists import Watch


@pytest.fixture(scope="module")
def tracks(encoded: dict[str, bytes]) -> list[LoopedTrack]:
    return [LoopedTrack(name, data) for name, data in encoded.items()]


def test_a_round_of_sound_ends_where_the_pictures_end(tracks: list[LoopedTrack]) -> None:
    """5 s of pictures, and of sound as many samples of 1024 ticks as it takes: they never drift apart."""
    length = Fraction(tracks[0].ticks, tracks[0].track.timescale)
    assert length == 5
    for track in tracks:
        at, frame = Fraction(0), Fraction(1024, 48_000)
        for piece in track.pieces(length, Fraction(1, 2)):
            assert piece.start == at, "no hole, and nothing twice"
            at = piece.end
            turn = math.floor(at / length + Fraction(1, 100)) * length
            assert abs(at - turn) <= frame / 2 or at - turn > Fraction(1, 4), "a round ends with a fragment"
            if at > 60:
                break


def test_streams_of_one_vod_have_every_sample_and_no_discontinuity(
    origins: Callable[..., Running], tracks: list[LoopedTrack]
) -> None:
    origin = origins(window=60.0)
    sender = Republisher(origin.ingest, tracks, ["a", "b", "c"], paced=False)
    asyncio.run(sender.run(33.0))
    assert {one.status for one in sender.sent.values()} == {200}
    for stream in json.loads(origin.get("").text)["streams"]:
        assert stream["ended"]
        for track in stream["tracks"]:
            sent = sender.sent[stream["name"], track["name"]].samples
            assert track["samples"] == {"received": sent, "published": sent, "refused": 0, "repeated": 0}
            folder = f"{stream['name']}/{track['name']}"
            watch = Watch(lambda uri, folder=folder: origin.get(f"{folder}/{uri}").body)  # type: ignore[misc]
            playlist = watch.check(origin.get(f"{folder}/media.m3u8").text)
            assert len(playlist.segments) == 33
            assert {one.discontinuity for one in playlist.segments} == {0}
