"""A real ffmpeg posts to a real origin, and everything listed is fetched as it appears."""

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.kit.late import GUARD_S, Late, again
from tests.kit.live_origin import Reply, Running, encoder, encoder_command, until
from tests.real.origin.playlists import Watch, read_playlist, read_segment

pytestmark = pytest.mark.live

TRACKS = ("180p", "90p", "audio-64k")


def urls(origin: Running, stream: str = "live") -> dict[str, str]:
    return {
        track: f"{origin.ingest}/ingest/{stream}/{track}.{'cmfa' if track.startswith('audio') else 'cmfv'}"
        for track in TRACKS
    }


def watches(origin: Running, stream: str = "live") -> dict[str, Watch]:
    def fetcher(track: str) -> Callable[[str], bytes]:
        def fetch(uri: str) -> bytes:
            reply = origin.get(f"{stream}/{track}/{uri}")
            assert reply.status == 200, f"{track}/{uri} is listed and absent"
            assert len(reply.body) == int(reply.headers["content-length"])
            return reply.body

        return fetch

    return {track: Watch(fetcher(track)) for track in TRACKS}


def poll(origin: Running, watching: dict[str, Watch], stream: str = "live") -> bool:
    """Reads every playlist once; whether all are there."""
    replies = {track: origin.get(f"{stream}/{track}/media.m3u8") for track in watching}
    for track, reply in replies.items():
        if reply.status == 200:
            watching[track].check(reply.text)
    return all(reply.status == 200 for reply in replies.values())


def ended(watching: dict[str, Watch]) -> bool:
    return all(watch.last is not None and watch.last.ended for watch in watching.values())


def test_live_from_first_segment_to_endlist(origins: Callable[..., Running], ffmpeg: str) -> None:
    """Six seconds in real time with a window of three: it slides, and every rule of HLS holds at every poll."""
    origin = origins(window=3.0, linger=60.0)
    watching = watches(origin)
    with encoder(encoder_command(ffmpeg, urls(origin), seconds=6.5, realtime=True)) as process:
        multivariant = until(lambda: _there(origin.get("live/multivariant.m3u8")))
        assert process.poll() is None, "it is there while the stream goes on"
        assert multivariant.text.count("#EXT-X-STREAM-INF") == 2
        assert multivariant.text.count('AUDIO="audio-64k"') == 2, "never without the sound that is on its way"

        def done() -> bool:
            poll(origin, watching)
            return ended(watching)

        until(done, 15)
        assert process.wait(GUARD_S) == 0
    video, other, audio = (watching[track] for track in TRACKS)
    assert video.starts == other.starts, "rungs start at the same decode times"
    assert sorted(video.starts) == list(range(7))
    assert [float(video.starts[n]) for n in range(7)] == [0, 1, 2, 3, 4, 5, 6]
    for number, start in audio.starts.items():
        assert abs(start - video.starts[number]) <= 0.0107, "sound is cut at the sample nearest to the picture's cut"
    assert video.last is not None and video.last.number > 0, "the window slid"
    assert len(video.last.segments) <= 4
    # Long after it left the playlist, a segment is there.
    assert origin.get(f"live/180p/{video.seen[0].uri}").status == 200
    after = _there(origin.get("live/180p/media.m3u8"))
    assert after and after.headers["cache-control"] == "public, max-age=60", "a VOD playlist is not polled for ever"


def _there(reply: Reply) -> Reply | None:
    return reply if reply.status == 200 else None


def test_declared_bandwidth_holds(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    for name, data in encoded.items():
        assert origin.post(f"live/{name}", data).status == 200
    lines = origin.get("live/multivariant.m3u8").text.splitlines()
    audio = sizes(origin, "audio-64k")
    for track in ("180p", "90p"):
        info = lines[lines.index(f"{track}/media.m3u8") - 1]
        fields = dict(one.split("=", 1) for one in info.removeprefix("#EXT-X-STREAM-INF:").split(",") if "=" in one)
        peak = max(8 * size / duration for size, duration in sizes(origin, track))
        peak += max(8 * size / duration for size, duration in audio)
        assert peak <= int(fields["BANDWIDTH"]) <= peak + 1000
        average = sum(8 * sum(s for s, _ in one) / sum(d for _, d in one) for one in (sizes(origin, track), audio))
        assert abs(int(fields["AVERAGE-BANDWIDTH"]) - average) <= 1
        assert fields["RESOLUTION"] == {"180p": "320x180", "90p": "160x90"}[track]
        assert fields["FRAME-RATE"] == "30.000"
        assert f'CODECS="avc1.{init_codec(encoded[f"{track}.cmfv"])},mp4a.40.2"' in info


def init_codec(data: bytes) -> str:
    at = data.index(b"avcC") + 4
    return data[at + 1 : at + 4].hex()


def sizes(origin: Running, track: str) -> list[tuple[int, float]]:
    playlist = read_playlist(origin.get(f"live/{track}/media.m3u8").text)
    return [(len(origin.get(f"live/{track}/{one.uri}").body), one.duration) for one in playlist.segments]


def test_ffmpeg_plays_it_without_a_word(
    origins: Callable[..., Running], ffmpeg: str, encoded: dict[str, bytes]
) -> None:
    origin = origins()
    for name, data in encoded.items():
        origin.post(f"live/{name}", data)
    command = [ffmpeg, "-nostdin", "-v", "warning", "-i", f"{origin.url}/live/multivariant.m3u8"]
    command += ["-map", "0:v", "-map", "0:a:0", "-f", "framecrc", "-"]
    played = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (played.returncode, played.stderr) == (0, "")
    frames = [line for line in played.stdout.splitlines() if line.startswith("0,")]
    assert len(frames) == 150
    # Init and segments in a row are the file that was posted.
    playlist = read_playlist(origin.get("live/180p/media.m3u8").text)
    pieces = [playlist.segments[0].init, *(one.uri for one in playlist.segments)]
    assert b"".join(origin.get(f"live/180p/{uri}").body for uri in pieces) == encoded["180p.cmfv"]


def test_a_killed_encoder_is_an_interruption(origins: Callable[..., Running], ffmpeg: str) -> None:
    """kill -9, a new encoder: numbers go on behind one discontinuity, alike in all tracks."""
    origin = origins()
    watching = watches(origin)

    def shown(count: int) -> Callable[[], bool]:
        return lambda: (
            poll(origin, watching)
            and all(sum(not one.gap for one in watch.seen.values()) >= count for watch in watching.values())
        )

    with encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)) as first:
        until(shown(2))
        first.send_signal(signal.SIGKILL)
        first.wait(GUARD_S)
    before = max(watching["180p"].seen)
    poll(origin, watching)
    assert not ended(watching), "an interruption is not the end"
    with encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)):
        until(shown(before + 4))
    for watch in watching.values():
        discontinuities = {one.discontinuity for one in watch.seen.values()}
        assert discontinuities == {0, 1}
    first_after = {
        track: min(n for n, one in watch.seen.items() if one.discontinuity == 1) for track, watch in watching.items()
    }
    assert len(set(first_after.values())) == 1, "the same number begins the new generation in every track"
    number = first_after["180p"]
    assert watching["180p"].starts[number] == watching["90p"].starts[number] == 0
    assert len({watch.seen[number].uri.split("-")[1] for watch in watching.values()}) == 1
    names = [one.uri for one in watching["180p"].seen.values()]
    assert len(set(names)) == len(names)


def test_a_new_encoder_takes_over_from_one_that_lingers(origins: Callable[..., Running], ffmpeg: str) -> None:
    origin = origins()
    watching = watches(origin)
    with ExitStack() as stack:
        old = stack.enter_context(encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)))
        until(lambda: poll(origin, watching))
        stack.enter_context(encoder(encoder_command(ffmpeg, urls(origin), seconds=30, realtime=True)))
        assert old.wait(GUARD_S) != 0, "the old one's connections were closed"

        def moved() -> bool:
            return poll(origin, watching) and all(
                sum(one.discontinuity == 1 for one in watch.seen.values()) >= 2 for watch in watching.values()
            )

        until(moved)
    assert {one.discontinuity for watch in watching.values() for one in watch.seen.values()} == {0, 1}


def test_the_origin_restarts(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    """What was listed is listed again, by the same names; what comes then goes on behind a discontinuity."""
    first = origins()
    for name, data in encoded.items():
        first.post(f"live/{name}", data)
    before = {track: first.get(f"live/{track}/media.m3u8").text for track in TRACKS}
    segment = read_playlist(before["180p"]).segments[2].uri
    bytes_before = first.get(f"live/180p/{segment}").body
    first.stop()
    left = first.settings.storage / "live/180p/seg-1-99.m4s"  # written, and the origin killed before it was listed
    left.write_bytes(b"x")

    second = origins()
    assert not left.exists()
    assert {track: second.get(f"live/{track}/media.m3u8").text for track in TRACKS} == before
    assert second.get("live/multivariant.m3u8").status == 200
    assert second.get(f"live/180p/{segment}").body == bytes_before
    assert second.get("live/180p/seg-1-99.m4s").status == 404
    for name, data in encoded.items():
        second.post(f"live/{name}", data)
    watching = watches(second)
    poll(second, watching)
    for track, watch in watching.items():
        old = read_playlist(before[track]).segments
        assert [watch.seen[one.number] for one in old] == old
        assert [one.discontinuity for one in watch.seen.values()] == [0] * 5 + [1] * 5
        assert len({one.uri for one in watch.seen.values()}) == 10


def test_a_segment_lost_from_storage_is_a_gap_after_a_restart(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    first = origins()
    first.post("live/180p.cmfv", encoded["180p.cmfv"])
    names = [one.uri for one in read_playlist(first.get("live/180p/media.m3u8").text).segments]
    first.stop()
    (first.settings.storage / "live/180p" / names[1]).unlink()
    (first.settings.storage / "live/180p" / names[3]).write_bytes(b"half")
    second = origins()
    listed = read_playlist(second.get("live/180p/media.m3u8").text).segments
    assert [one.gap for one in listed] == [False, True, False, True, False]
    assert [second.get(f"live/180p/{name}").status for name in names] == [200, 404, 200, 404, 200]


def test_shutdown_with_posts_open_is_quick_and_keeps_what_came(origins: Callable[..., Running], ffmpeg: str) -> None:
    streams = iter(("live", "live2", "live3"))

    def attempt() -> None:
        origin, stream = origins(), next(streams)
        watching = watches(origin, stream)
        with encoder(encoder_command(ffmpeg, urls(origin, stream), seconds=30, realtime=True)) as process:
            until(lambda: poll(origin, watching, stream))
            took = origin.stop()
            assert process.wait(GUARD_S) != 0
        resuming = origins()
        resumed = watches(resuming, stream)
        assert poll(resuming, resumed, stream)
        for track, watch in resumed.items():
            assert set(watching[track].seen) <= set(watch.seen)
        resuming.stop()
        if took >= 1:
            raise Late(f"it took {took:.1f} s")

    again(attempt)


def test_segments_are_whole_fragments(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    """Half-second fragments stay apart inside a segment: they will be its parts."""
    origin = origins()
    origin.post("live/180p.cmfv", encoded["180p.cmfv"])
    playlist = read_playlist(origin.get("live/180p/media.m3u8").text)
    init = origin.get(f"live/180p/{playlist.segments[0].init}").body
    fragments = read_segment(init, origin.get(f"live/180p/{playlist.segments[1].uri}").body)
    assert [one.samples for one in fragments] == [15, 15]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_two_minutes_of_polls(origins: Callable[..., Running], ffmpeg: str) -> None:
    """The rules of HLS at every poll of a two-minute run, with an encoder that dies in the middle."""
    origin = origins(window=10.0)
    watching = watches(origin)
    for seconds in (60, 60):
        with encoder(encoder_command(ffmpeg, urls(origin), seconds=seconds + 30, realtime=True)) as process:
            deadline = time.monotonic() + seconds
            until(lambda: poll(origin, watching))
            while time.monotonic() < deadline:
                poll(origin, watching)
                time.sleep(0.25)
            process.kill()
    video, other, audio = (watching[track] for track in TRACKS)
    assert len(video.seen) > 115
    assert {one.discontinuity for one in video.seen.values()} == {0, 1}
    assert {n: video.starts[n] for n in other.starts} == other.starts
    assert all(abs(start - video.starts[n]) <= 0.0107 for n, start in audio.starts.items())
