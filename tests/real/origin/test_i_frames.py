"""I-frame playlists as they are reached: each range is one picture, for programs of others, too."""

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path

import m3u8
import pytest

from tests.kit.live_origin import Running, encoder, encoder_command, until

pytestmark = pytest.mark.live


def decoded(ffmpeg: str, *options: str) -> list[str]:
    """The hash of each picture; AssertionError where ffmpeg complains about the pictures themselves."""
    command = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        *options,
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-f",
        "framehash",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "decode" not in done.stderr and "concealing" not in done.stderr, done.stderr
    return [line.rsplit(",", 1)[1].strip() for line in done.stdout.splitlines() if not line.startswith("#")]


@pytest.fixture
def ended(origins: Callable[..., Running], encoded: dict[str, bytes]) -> Running:
    """Five seconds, a key frame a second, segments of two seconds; an encoder of its own fragments."""
    origin = origins(segment=2.0)
    for name, data in encoded.items():
        assert origin.post(f"live/{name}", data).status == 200
    return origin


def test_each_range_decodes_to_exactly_one_key_frame(ended: Running, ffmpeg: str, tmp_path: Path) -> None:
    listed = m3u8.loads(ended.get("live/180p/iframes.m3u8").text)
    media = m3u8.loads(ended.get("live/180p/media.m3u8").text)
    init = ended.get(f"live/180p/{listed.segments[0].init_section.uri}").body
    whole = tmp_path / "whole.mp4"
    whole.write_bytes(init + b"".join(ended.get(f"live/180p/{one.uri}").body for one in media.segments))
    pictures = decoded(ffmpeg, "-i", str(whole))
    assert len(pictures) == 150
    shown = []
    for one in listed.segments:
        size, _, offset = one.byterange.partition("@")
        part = ended.get(f"live/180p/{one.uri}", Range=f"bytes={offset}-{int(offset) + int(size) - 1}")
        assert part.status == 206 and len(part.body) == int(size)
        piece = tmp_path / "piece.mp4"
        piece.write_bytes(init + part.body)
        shown += decoded(ffmpeg, "-i", str(piece))
    assert shown == pictures[::30], "one of each second, and nothing else"
    assert [one.duration for one in listed.segments] == [1.0] * 5
    assert listed.is_endlist


def test_the_multivariant_playlist_names_one_for_each_rung(ended: Running) -> None:
    found = m3u8.loads(ended.get("live/multivariant.m3u8").text)
    assert {one.uri for one in found.iframe_playlists} == {"180p/iframes.m3u8", "90p/iframes.m3u8"}
    for one in found.iframe_playlists:
        track = one.uri.partition("/")[0]
        (variant,) = [each for each in found.playlists if each.uri == f"{track}/media.m3u8"]
        info = one.iframe_stream_info
        assert info.resolution == variant.stream_info.resolution
        assert info.bandwidth >= info.average_bandwidth > 0
        assert info.bandwidth < variant.stream_info.bandwidth
        listed = m3u8.loads(ended.get(f"live/{one.uri}").text)
        sizes = sum(int(each.byterange.partition("@")[0]) for each in listed.segments)
        assert info.average_bandwidth == -(-8 * sizes // 5)
    assert m3u8.loads(ended.get("live/multivariant-ts.m3u8").text).iframe_playlists == []
    assert ended.get("live/audio-64k/iframes.m3u8").status == 404
    fields = ended.get("live/180p/iframes.m3u8").headers
    assert fields["surrogate-key"] == "live live/180p media-playlist" and fields["priority"] == "u=1"


def test_live_with_deletion_it_stays_in_step(origins: Callable[..., Running], ffmpeg: str) -> None:
    """A window of three segments, over a restart of the origin and of the encoder."""
    origin = origins(segment=1.0, window=3.0, linger=0.5)
    seen: dict[int, tuple[str, str]] = {}

    def poll() -> int:
        before, listed = origin.get("live/180p/media.m3u8"), origin.get("live/180p/iframes.m3u8")
        after = origin.get("live/180p/media.m3u8")
        if (before.status, listed.status, after.status) != (200, 200, 200) or before.text != after.text:
            return 0
        media, found = m3u8.loads(before.text), m3u8.loads(listed.text)
        assert list(dict.fromkeys(one.uri for one in found.segments)) == [one.uri for one in media.segments]
        for number, one in zip(itertools.count(found.media_sequence), found.segments, strict=False):
            assert seen.setdefault(number, (one.uri, one.byterange)) == (one.uri, one.byterange)
        return found.media_sequence

    def command() -> list[str]:
        outputs = {"180p": f"{origin.ingest}/ingest/live/180p.cmfv"}
        return encoder_command(ffmpeg, outputs, seconds=60, realtime=True, gop=15)

    with encoder(command()):
        until(lambda: poll() >= 4)
    origin.stop()
    origin = origins(segment=1.0, window=3.0, linger=0.5)
    assert poll() >= 4, "it is there again before an encoder is"
    with encoder(command()):
        last = max(seen)
        until(lambda: poll() > last - 2)
    text = origin.get("live/180p/iframes.m3u8").text
    assert "#EXT-X-DISCONTINUITY\n" in text or m3u8.loads(text).discontinuity_sequence == 1
