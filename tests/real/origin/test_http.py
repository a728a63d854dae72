"""The two listeners as they are reached: real sockets, real media."""

import json
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cdnkit.serving import PortInUse
from origin import Origin, StorageFailed
from origin.live.stream import Stream
from origin.publishing.publisher import Publisher
from origin.publishing.retention import Retention
from origin.storage.folder import Folder
from tests.kit.late import GUARD_S, PROMPT_S, Late, again
from tests.kit.live_origin import Feeder, Running, encoder_command, pieces, request, until
from tests.real.origin.playlists import read_playlist


@pytest.fixture
def live(origins: Callable[..., Running], encoded: dict[str, bytes]) -> Running:
    """A stream of five segments that has not ended: two rungs and audio, connections left open."""
    origin = origins()
    feeders = [Feeder(origin, f"live/{name}") for name in encoded]
    for feeder, data in zip(feeders, encoded.values(), strict=True):
        feeder.send(data)
    tracks = [name.partition(".")[0] for name in encoded]
    until(lambda: all(origin.get(f"live/{track}/media.m3u8").text.count("#EXTINF") == 4 for track in tracks))
    origin.keep = feeders
    return origin


def playlist(origin: Running, track: str = "180p") -> list[str]:
    return [one.uri for one in read_playlist(origin.get(f"live/{track}/media.m3u8").text).segments]


def test_every_class_has_its_fields(live: Running) -> None:
    segment = playlist(live)[0]
    init = read_playlist(live.get("live/180p/media.m3u8").text).segments[0].init
    sound = read_playlist(live.get("live/audio-64k/media.m3u8").text).segments[0]
    year = "public, max-age=31536000, immutable"
    hls = "application/vnd.apple.mpegurl"
    for path, media_type, cache_control, key in [
        ("live/multivariant.m3u8", hls, "public, max-age=1", "live multivariant"),
        ("live/180p/media.m3u8", hls, "public, max-age=1", "live live/180p media-playlist"),
        (f"live/180p/{init}", "video/mp4", year, "live live/180p init"),
        (f"live/180p/{segment}", "video/mp4", year, "live live/180p segment"),
        (f"live/audio-64k/{sound.uri}", "audio/mp4", year, "live live/audio-64k segment"),
        (f"live/audio-64k/{sound.init}", "audio/mp4", year, "live live/audio-64k init"),
    ]:
        reply = live.get(path)
        assert reply.status == 200
        assert reply.headers["content-type"] == media_type
        assert reply.headers["cache-control"] == cache_control
        assert reply.headers["surrogate-key"] == key
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["accept-ranges"] == "bytes"
        assert reply.headers["etag"].startswith('"')
        assert {"date", "last-modified"} <= reply.headers.keys()
        assert "server" not in reply.headers
        assert int(reply.headers["content-length"]) == len(reply.body)
        head = request(f"{live.url}/{path}", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers | {"date": ""} == reply.headers | {"date": ""}
        again = live.get(path, If_None_Match=reply.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        part = live.get(path, Range="bytes=5-14")
        assert (part.status, part.body) == (206, reply.body[5:15])


def test_what_is_not_there(live: Running) -> None:
    for path in [
        "live/180p/seg-1-0.m4s",
        "live/180p/seg-9999999999-5.m4s",
        "live/720p/media.m3u8",
        "other/multivariant.m3u8",
        "live/180p",
        "live/180p/state.json",
        "live/90p/../180p/state.json",
        "live/90p/%2e%2e/180p/state.json",
        "../etc/passwd",
        "vod/x.mp4",
        "favicon.ico",
    ]:
        reply = live.get(path)
        assert reply.status == 404, path
        assert reply.headers["cache-control"] == "public, max-age=1"
        assert reply.headers["access-control-allow-origin"] == "*", "a player must be able to read the status"
        assert "Traceback" not in reply.text


def test_methods(live: Running) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        reply = request(f"{live.url}/live/multivariant.m3u8", method)
        assert reply.status == 405
        assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    reply = request(f"{live.url}/live/180p/{playlist(live)[0]}", "OPTIONS", {"Origin": "http://player.example"})
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "Range" in reply.headers["access-control-allow-headers"]
    assert request(f"{live.ingest}/ingest/live/180p.cmfv").status == 405
    assert request(f"{live.ingest}/live/multivariant.m3u8").status == 404, "nothing to read at the ingest"
    assert request(f"{live.url}/ingest/live/180p.cmfv", "POST", body=b"x").status == 405, "no ingest in public"


def test_the_list_of_streams_and_health(live: Running) -> None:
    reply = live.get("")
    assert reply.headers["content-type"] == "application/json"
    assert '"url": "live/multivariant.m3u8"' in reply.text
    assert live.get("healthz").text.startswith('{\n  "ok": true')


REFUSED = [  # given a path and a body, then the status and the words of the answer
    ("live/180p.cmfv", b"GET / HTTP/1.1\r\n\r\n", 415, "live/180p: byte 0: found bytes 47 45"),
    ("live/180p.avi", b"", 415, "found .avi, wanted one of .m3u8 .mpd"),
    ("live/180p", b"", 415, "found ., wanted one of .m3u8 .mpd"),
    ("li%2Fve/180p.cmfv", b"", 403, "a path that leads elsewhere"),
    ("live/%2e%2e%2fx.cmfv", b"", 403, "dot segments"),
    ("..%5c/x.cmfv", b"", 403, "found a name that cannot be used"),
    (".hidden/180p.cmfv", b"", 403, "found a name that cannot be used"),
    ("vod/180p.cmfv", b"", 403, '"vod" is taken'),
    ("x" * 65 + "/180p.cmfv", b"", 403, "64 at most"),
]


@pytest.mark.parametrize(("path", "body", "status", "words"), REFUSED)
def test_refused_ingests_say_why(
    origins: Callable[..., Running], path: str, body: bytes, status: int, words: str
) -> None:
    origin = origins()
    for method in ("POST", "PUT"):
        reply = origin.post(path, body, method)
        assert reply.status == status
        assert words in reply.text
        assert "Traceback" not in reply.text
    assert '"streams": []' in origin.get("").text, "a refused ingest leaves nothing behind"


def test_the_extension_promises_the_kind(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    reply = origin.post("live/180p.cmfa", encoded["180p.cmfv"])
    assert reply.status == 400
    assert "found video, wanted audio" in reply.text
    assert origin.post("live/180p.mp4", encoded["180p.cmfv"], "PUT").status == 200
    assert origin.get("live/180p/media.m3u8").status == 200


def test_an_empty_body_is_a_probe(origins: Callable[..., Running]) -> None:
    """DASH-IF ingest 5.3: an encoder may test the connection with an empty POST."""
    assert origins().post("live/180p.cmfv", b"").status == 200


def test_garbage_hurts_nobody_else(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    """Two thousand garbage posts, also at a track in use, while a stream goes on."""
    origin = origins()
    video = pieces(encoded["180p.cmfv"])
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in video[:5]:
        feeder.send(piece)
    chance = random.Random(3)
    bodies = [chance.randbytes(chance.randrange(1, 2000)) for _ in range(2000)]

    def throw(numbered: tuple[int, bytes]) -> int:
        number, body = numbered
        return origin.post(f"live/{'180p' if number % 2 else 'junk'}.cmfv", body).status

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(throw, enumerate(bodies)))
    assert statuses <= {400, 415}
    for piece in video[5:]:
        feeder.send(piece)
    assert feeder.end().status == 200
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXTINF") == 5
    assert "DISCONTINUITY\n" not in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert origin.stop() < PROMPT_S


@pytest.mark.parametrize("extension", ["mp4", "cmfv"])
def test_a_refused_post_leaves_the_stream_to_those_that_are_open(
    origins: Callable[..., Running], encoded: dict[str, bytes], extension: str
) -> None:
    """Two encoders that are live under one name, each in a stream of its own, would give one URL two bodies."""
    origin = origins()
    first = Feeder(origin, f"live/180p.{extension}")
    until(lambda: '"live"' in origin.get("").text)
    second = Feeder(origin, f"live/90p.{extension}")
    second.send(b"no media, not at all")
    assert second.reply().status == 415
    first.send(b"".join(pieces(encoded["180p.cmfv"])[:6]))
    until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") == 2)
    third = Feeder(origin, f"live/180p.{extension}")
    third.send(encoded["90p.cmfv"])
    assert first.reply().status == 409, "the newer encoder has taken over"
    assert third.end().status == 200
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXTINF") == 3 + 5 and text.count("#EXT-X-DISCONTINUITY\n") == 1
    listed = [one.uri for one in read_playlist(text).segments]
    assert len(set(listed)) == 8


def test_truncated_and_damaged_media_interrupt_their_track_alone(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins()
    good, bad = Feeder(origin, "live/180p.cmfv"), Feeder(origin, "live/90p.cmfv")
    good_pieces, bad_pieces = pieces(encoded["180p.cmfv"]), pieces(encoded["90p.cmfv"])
    for piece in bad_pieces[:6]:
        bad.send(piece)
    bad.send(bad_pieces[6][:100] + b"\0" * 5000)
    reply = bad.reply()
    assert reply.status == 400
    assert "live/90p: byte" in reply.text
    for piece in good_pieces:
        good.send(piece)
    assert good.end().status == 200
    assert len(playlist(origin, "180p")) == 5
    assert len(playlist(origin, "90p")) == 3, "two and a half segments were whole fragments: nothing is lost"
    truncated = Feeder(origin, "other/180p.cmfv")
    truncated.send(encoded["180p.cmfv"][:-10])
    reply = truncated.end()
    assert reply.status == 400
    assert "mdat: found the end after" in reply.text


def test_a_gop_that_cannot_be_cut_is_reported_by_name(
    origins: Callable[..., Running], ffmpeg: str, tmp_path: Path
) -> None:
    """S41: a key frame every two seconds, segments of one: refused, not stretched past the target duration."""
    path = tmp_path / "180p.cmfv"
    subprocess.run(encoder_command(ffmpeg, {"180p": f"file:{path}"}, seconds=4, gop=60), check=True, timeout=60)
    origin = origins(segment=1.0)
    reply = origin.post("live/180p.cmfv", path.read_bytes())
    assert reply.status == 400
    assert "live/180p: decode time 0.000 s: found no key frame" in reply.text
    assert "wanted one at least every 1 s" in reply.text
    assert origin.get("live/180p/media.m3u8").status == 404
    assert origins(segment=2.0, storage=tmp_path / "two").post("live/180p.cmfv", path.read_bytes()).status == 200


def test_a_large_box_is_refused_before_it_is_read(origins: Callable[..., Running]) -> None:
    origin = origins(largest="1MiB")
    feeder = Feeder(origin, "live/180p.cmfv")
    feeder.send((2**31).to_bytes(4, "big") + b"ftyp")
    reply = feeder.reply()
    assert reply.status == 413
    assert f"found size {2**31}, wanted at most {2**20} bytes" in reply.text


def test_an_encoder_that_is_refused_while_it_sends_gets_the_answer(origins: Callable[..., Running]) -> None:
    """More than any buffer on the way holds: our answer must not wait for a body nobody reads."""
    origin = origins()
    feeder = Feeder(origin, "live/180p.cmfv")
    sent = threading.Event()

    def send() -> None:
        try:
            for _ in range(400):
                feeder.send(b"\xff" * 65536)
        except OSError:
            pass  # refused, as it should be
        sent.set()

    threading.Thread(target=send, daemon=True).start()
    assert sent.wait(GUARD_S)
    assert origin.get("healthz").status == 200
    feeder.break_off()
    assert origin.stop() < PROMPT_S


def test_a_slow_reader_keeps_nobody(origins: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "vod").mkdir()
    (tmp_path / "vod/big.mp4").write_bytes(os.urandom(2**20) * 24)

    def attempt() -> None:
        origin = origins(vod=tmp_path / "vod")
        parts = urlsplit(origin.url)
        with socket.create_connection((parts.hostname, parts.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /vod/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert slow.recv(15) == b"HTTP/1.1 200 \r\n"[:15]
            began = time.monotonic()
            assert len(origin.get("vod/big.mp4").body) == 24 * 2**20
            fetched, stopped = time.monotonic() - began, origin.stop()
        if fetched >= 5 or stopped >= 1:
            raise Late(f"{fetched:.1f} s for the fast reader, {stopped:.1f} s to stop")

    again(attempt)


def test_while_a_disk_fails_a_stream_goes_on_from_memory(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    origin = origins()
    video = pieces(encoded["180p.cmfv"])
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in video[:4]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").status == 200)
    folder = tmp_path / "media/live/180p"
    folder.rename(tmp_path / "away")
    folder.touch()  # no folder any more: every write fails
    for piece in video[4:8]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") == 3)
    health = origin.get("healthz")
    assert health.status == 503
    assert "media/live/180p/" in health.text, "it says which file"
    told = [one for one in caplog.messages if "media/live/180p/" in one]
    assert len(told) == 1 and "go on from memory" in told[0]
    for one in read_playlist(origin.get("live/180p/media.m3u8").text).segments[1:]:
        assert not one.gap and origin.get(f"live/180p/{one.uri}").status == 200
    folder.unlink()
    (tmp_path / "away").rename(folder)
    for piece in video[8:]:
        feeder.send(piece)
    until(lambda: origin.get("healthz").status == 200)
    assert feeder.end().status == 200
    assert [one for one in caplog.messages if "all is stored again" in one]
    listed = read_playlist(origin.get("live/180p/media.m3u8").text).segments
    assert not any(one.gap for one in listed) and len(listed) == 5
    for one in listed:
        assert (folder / one.uri).read_bytes() == origin.get(f"live/180p/{one.uri}").body


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.write("live/state.json", b"old")
    (tmp_path / "live/state.json.part").symlink_to("/dev/full")
    with pytest.raises(StorageFailed) as caught:
        storage.write("live/state.json", b"new" * 1000)
    assert "disk full" in str(caught.value)
    assert "room for 3000 bytes" in str(caught.value)
    assert storage.read("live/state.json") == b"old"
    storage.write("live/state.json", b"new")
    assert storage.read("live/state.json") == b"new"


def test_a_saved_state_that_cannot_be_read_begins_anew(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    window = '{"columns":[],"listed":[[1]],"gone":[],"track":{"kind":"video"}}'
    for saved in ("", "{", "[]", '{"ended": 1}', '{"window": 3}', f'{{"ended":0,"window":{window}}}'):
        (tmp_path / "media/live/180p").mkdir(parents=True, exist_ok=True)
        (tmp_path / "media/live/180p/state.json").write_text(saved)
        origin = origins()
        assert origin.get("live/multivariant.m3u8").status == 404
        assert '"streams": []' in origin.get("").text
        origin.stop()
    origin = origins()
    assert origin.post("live/180p.cmfv", encoded["180p.cmfv"]).status == 200
    assert origin.get("live/multivariant.m3u8").status == 200


def test_a_port_in_use_is_named(origins: Callable[..., Running]) -> None:
    first = origins()
    taken = first.url.removeprefix("http://")
    for setting in ("listen", "ingest"):
        with pytest.raises(PortInUse) as caught:
            origins(**{setting: taken})
        assert f"origin.{setting}: cannot listen on {taken}" in str(caught.value)
        assert "in use" in str(caught.value)
    assert first.get("healthz").status == 200


def test_a_storage_folder_that_cannot_be_used_is_named(origins: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="wanted a folder that can be written to"):
        origins(storage=tmp_path / "file")


def test_two_origins_never_share_a_storage_folder(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    first = origins()
    assert first.post("live/180p.cmfv", encoded["180p.cmfv"]).status == 200
    before = first.get("live/180p/media.m3u8").text
    half_written = tmp_path / "media/live/180p/seg-1-0.m4s.part"
    half_written.touch()
    with pytest.raises(StorageFailed, match=rf"media: in use by another origin \(process {os.getpid()}\), wanted"):
        origins()
    assert half_written.exists(), "the second one has touched nothing"
    assert first.get("live/180p/media.m3u8").text == before
    first.stop()
    assert origins().get("live/180p/media.m3u8").text == before, "one after the other is as ever"


def test_a_lock_that_points_elsewhere_is_not_followed(tmp_path: Path, origins: Callable[..., Running]) -> None:
    (tmp_path / "media").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "media/.lock").symlink_to(victim)
    with pytest.raises(StorageFailed, match="symbolic"):
        origins()
    assert victim.read_text() == "precious"


def test_an_origin_that_was_killed_leaves_its_folder_free(tmp_path: Path, origins: Callable[..., Running]) -> None:
    program = "import sys, time; from pathlib import Path; from origin.storage.folder import Folder\n"
    program += "Folder(Path(sys.argv[1])).prepare(); print('ready', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", program, str(tmp_path / "media")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"ready\n"
            with pytest.raises(StorageFailed, match=rf"process {holder.pid}\)"):
                origins()
        finally:
            holder.kill()
    assert origins().get("healthz").status == 200


def test_keep_alive_outlasts_a_playlist_poll(live: Running) -> None:
    """Two requests on one connection, and one that is torn in half, which harms only itself."""
    parts = urlsplit(live.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as connection:
        for _ in range(2):
            connection.sendall(b"HEAD /live/multivariant.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /live/mul\0\r\n\r\n")
        assert b" 400 " in connection.recv(4096)
    assert live.get("healthz").status == 200


def test_windows_shorter_than_three_segments_are_refused() -> None:
    with pytest.raises(ValueError, match="window >= 3"):
        Origin(segment=6.0, window=12.0)


def test_it_serves_on_uvloop_as_well(encoded: dict[str, bytes], tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")
    settings = Origin(listen="127.0.0.1:0", ingest="127.0.0.1:0", storage=tmp_path / "media", segment=1.0)
    origin = Running(settings, uvloop.new_event_loop).start()
    try:
        for name, data in encoded.items():
            assert origin.post(f"live/{name}", data).status == 200
        assert len(playlist(origin)) == 5
        open_one = Feeder(origin, "other/180p.cmfv")
        open_one.send(encoded["180p.cmfv"])
        until(lambda: origin.get("other/180p/media.m3u8").status == 200)
    finally:
        assert origin.stop() < PROMPT_S
    open_one.break_off()
    assert origin.error is None


def test_work_in_the_background_that_ends_is_logged_and_seen_in_health(
    origins: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def ends(retention: Retention) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Retention, "keep_sweeping", ends)
    reply = origins().get("healthz")
    assert reply.status == 503
    assert json.loads(reply.text) == {
        "ok": False, "storage": "ok", "background": "retention has ended: RuntimeError('a defect')"
    }  # fmt: skip
    assert "retention has ended" in caplog.text


def test_a_stream_that_time_hurts_is_logged_once(
    origins: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = 0

    async def hurts(publisher: Publisher, stream: Stream) -> None:
        nonlocal ticks
        ticks += 1
        raise RuntimeError("a defect")

    monkeypatch.setattr(Publisher, "tick", hurts)
    origin = origins()
    feeder = Feeder(origin, "live/180p.cmfv")
    until(lambda: ticks >= 3)
    feeder.break_off()
    assert caplog.text.count("live: RuntimeError: a defect") == 1
