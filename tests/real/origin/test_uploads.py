"""Objects that are uploaded: over real sockets, with senders of bad manners, a full disk, and a restart."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.settings.origin import Origin
from origin.errors import Refused, StorageFailed
from origin.publishing.catalog import Catalog
from origin.publishing.publisher import Publisher
from origin.uploads import uploads
from origin.uploads.files import FOLDER, INDEX, Spool
from origin.uploads.uploads import Uploads
from tests.kit.live_origin import Feeder, Reply, Running, pieces, request, until
from tests.kit.memory_store import MemoryStore
from tests.kit.small_disk import small_disk

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:4,\nlive0.ts\n"
MASTER = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nv0/live.m3u8\n"
TS = b"G" * 188 * 40


def put(origin: Running, path: str, body: bytes = TS, method: str = "PUT", **fields: str) -> Reply:
    return request(f"{origin.ingest}/ingest/{path}", method, {k.replace("_", "-"): v for k, v in fields.items()}, body)


def stream_of(origin: Running, name: str = "live") -> dict[str, Any] | None:
    return next((one for one in json.loads(origin.get("").text)["streams"] if one["name"] == name), None)


def test_every_class_has_its_fields(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    header = pieces(encoded["180p.cmfv"])[0]
    short, long, hls = "public, max-age=2", "public, max-age=120", "application/vnd.apple.mpegurl"
    for path, body, media_type, cache_control, key in [
        ("live/v0/live.m3u8", PLAYLIST, hls, short, "live live/v0 media-playlist"),
        ("live/v1/live.m3u8", PLAYLIST + b"#EXT-X-ENDLIST\n", hls, "public, max-age=60", "live live/v1 media-playlist"),
        ("live/master.m3u8", MASTER, hls, "public, max-age=1", "live multivariant"),
        ("live/manifest.mpd", b'<MPD type="dynamic"/>', "application/dash+xml", "public, max-age=1", "live manifest"),
        ("live/v0/init.mp4", header, "video/mp4", long, "live live/v0 init"),
        ("live/v0/live0.ts", TS, "video/mp2t", long, "live live/v0 segment"),
        ("live/chunk-0-1.m4s", b"\0" * 3_000_000, "video/iso.segment", long, "live segment"),
        ("live/enc.key", b"\0" * 16, "application/octet-stream", "private, no-store", "live key"),
    ]:
        assert put(origin, path, body).status == 201, path
        reply = origin.get(path)
        assert (reply.status, reply.body) == (200, body)
        assert reply.headers["content-type"] == media_type
        assert reply.headers["cache-control"] == cache_control
        assert reply.headers["surrogate-key"] == key
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["etag"].startswith('"')
        head = request(f"{origin.url}/{path}", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers | {"date": ""} == reply.headers | {"date": ""}
        assert origin.get(path, If_None_Match=reply.headers["etag"]).status == 304
        part = origin.get(path, Range="bytes=5-9")
        assert (part.status, part.body) == (206, body[5:10])
    missing = origin.get("live/v0/live9.ts")
    assert (missing.status, missing.headers["cache-control"]) == (404, "public, max-age=1")
    assert missing.headers["surrogate-key"] == "live"


def test_the_life_of_an_object(origins: Callable[..., Running]) -> None:
    origin = origins()
    assert put(origin, "live/live0.ts").status == 201
    first = origin.get("live/live0.ts").headers["etag"]
    assert put(origin, "live/live0.ts", TS, "POST", Content_Type="video/mp2t").status == 204
    assert origin.get("live/live0.ts").headers["etag"] == first, "the same bytes"
    assert put(origin, "live/live0.ts", TS[188:]).status == 204
    changed = origin.get("live/live0.ts")
    assert changed.body == TS[188:] and changed.headers["etag"] != first
    assert put(origin, "live/live0.ts", b"", "DELETE").status == 200
    assert origin.get("live/live0.ts").status == 404
    assert put(origin, "live/live0.ts", b"", "DELETE").status == 404
    assert stream_of(origin) is None, "a stream without objects is forgotten"


def test_conditions(origins: Callable[..., Running]) -> None:
    origin = origins()
    assert put(origin, "live/a.ts", TS, If_Match="*").status == 412
    assert put(origin, "live/a.ts", TS, If_None_Match="*").status == 201
    assert put(origin, "live/a.ts", TS, If_None_Match="*").status == 412
    etag = origin.get("live/a.ts").headers["etag"]
    assert put(origin, "live/a.ts", TS, If_Match=f"W/{etag}").status == 412
    assert put(origin, "live/a.ts", TS, If_Match=f'"x", {etag}').status == 204


def test_of_two_that_would_be_the_first_one_is(origins: Callable[..., Running]) -> None:
    origin = origins()
    parts = urlsplit(origin.ingest)
    with ExitStack() as stack:
        connections = []
        for _ in range(2):
            connections.append(stack.enter_context(closing(HTTPConnection(parts.hostname or "", parts.port))))
            connections[-1].putrequest("PUT", "/ingest/live/a.ts")
            connections[-1].putheader("If-None-Match", "*")
            connections[-1].putheader("Content-Length", str(len(TS)))
            connections[-1].endheaders(TS[:188])
        until(lambda: (stream_of(origin) or {}).get("bytes") == 2 * 188)
        connections[0].send(TS[188:])
        assert connections[0].getresponse().status == 201
        connections[1].send(TS[188:])
        assert connections[1].getresponse().status == 412


def test_an_empty_body_is_a_question(origins: Callable[..., Running]) -> None:
    """It is answered, stores nothing, and empties nothing: `ffmpeg -hls_flags single_file` sends one at its end."""
    origin = origins()
    assert put(origin, "live/live.ts", b"").status == 200
    assert stream_of(origin) is None
    put(origin, "live/live.ts", TS)
    assert put(origin, "live/live.ts", b"").status == 200
    assert origin.get("live/live.ts").body == TS


TYPES = [  # what encoders say in Content-Type, and what viewers are told
    ("live.m3u8", PLAYLIST, "application/octet-stream", "application/vnd.apple.mpegurl"),  # Shaka Packager: of all
    ("live0.ts", TS, "video/MP2T", "video/mp2t"),
    ("live0.ts", TS, "text/html", "video/mp2t"),
    ("audio-1.mp4a", TS, "", "audio/mp4"),  # hardware encoders
    ("LIVE0.TS", TS, "", "video/mp2t"),
]


@pytest.mark.parametrize(("path", "body", "said", "served"), TYPES)
def test_the_extension_says_the_media_type(
    origins: Callable[..., Running], path: str, body: bytes, said: str, served: str
) -> None:
    origin = origins()
    assert put(origin, f"live/{path}", body, **({"Content_Type": said} if said else {})).status == 201
    assert origin.get(f"live/{path}").headers["content-type"] == served


def test_a_delete_may_end_with_a_chunk(origins: Callable[..., Running]) -> None:
    """ffmpeg's does; nginx answers 415 to it, and the segments stay. The connection is used again."""
    origin = origins()
    put(origin, "live/live0.ts")
    feeder = Feeder(origin, "live/live0.ts", "DELETE")
    assert feeder.end().status == 200
    feeder._connection.request("DELETE", "/ingest/live/live0.ts")
    reply = feeder.reply()
    assert (reply.status, reply.text, reply.headers.get("connection")) == (404, "Not here.\n", None)
    feeder._connection.request("PUT", "/ingest/live/live1.ts", TS)
    assert feeder.reply().status == 201
    with_content = put(origin, "live/live1.ts", b"x", "DELETE")
    assert (with_content.status, "a DELETE with content" in with_content.text) == (400, True)


def test_the_same_segment_twice_at_once(origins: Callable[..., Running]) -> None:
    """GPAC sends some segments twice; two encoders of one stream send all."""
    origin = origins()
    first, second = (Feeder(origin, "live/live0.ts", "PUT") for _ in range(2))
    for feeder in (first, second):
        feeder.send(TS)
    until(lambda: (stream_of(origin) or {}).get("bytes") == 2 * len(TS))
    assert second.end().status == 201
    etag = origin.get("live/live0.ts").headers["etag"]
    assert first.end().status == 204
    reply = origin.get("live/live0.ts")
    assert (reply.body, reply.headers["etag"]) == (TS, etag)
    until(lambda: (stream_of(origin) or {})["bytes"] == len(TS))


REFUSED = [  # given a path, a body and fields, then the status and words of the sentence
    ("live/../x.ts", TS, {}, 403, "dot segments"),
    ("live/%2e%2e/x.ts", TS, {}, 403, "dot segments"),
    ("live/a%2Fb.ts", TS, {}, 403, "leads elsewhere"),
    ("live/a%20b.ts", TS, {}, 403, "a name that cannot be used"),
    ("live/", TS, {}, 403, "empty or dot segments"),
    ("vod/a.ts", TS, {}, 403, '"vod" is taken'),
    ("live/a.exe", TS, {}, 415, "found .exe"),
    ("live/a.ts", TS, {"Content_Encoding": "gzip"}, 415, "found Content-Encoding: gzip"),
    ("live/a.ts", TS, {"Content_Range": "bytes 0-9/20"}, 400, "found Content-Range"),
    ("live/a.m3u8", b"<html>", {}, 400, "live/a.m3u8: line 1: found '<html>', wanted #EXTM3U"),
    ("live/a.mpd", b"<html/>", {}, 400, "live/a.mpd: MPD: found the element html"),
    ("live/a.ts", TS * 300, {}, 413, "wanted at most 1048576 bytes (origin.uploads.largest)"),
    ("live/a.m3u8", PLAYLIST * 30_000, {}, 413, "wanted at most 1048576 bytes"),
]


@pytest.mark.parametrize(("path", "body", "fields", "status", "words"), REFUSED)
def test_refused_uploads_say_why(
    origins: Callable[..., Running], path: str, body: bytes, fields: dict[str, str], status: int, words: str
) -> None:
    origin = origins(uploads={"largest": "1MiB"})
    reply = put(origin, path, body, **fields)
    assert (reply.status, "Traceback" in reply.text) == (status, False)
    assert words in reply.text
    assert reply.headers.get("accept-encoding") == ("identity" if "Content_Encoding" in fields else None)
    assert stream_of(origin) is None, "a refused upload leaves nothing behind"


def test_a_body_of_unknown_length_is_bounded_too(origins: Callable[..., Running]) -> None:
    origin = origins(uploads={"largest": "1MiB"})
    feeder = Feeder(origin, "live/a.ts", "PUT")
    for _ in range(17):
        feeder.send(bytes(2**16))
    assert feeder.reply().status == 413
    assert stream_of(origin) is None


def test_methods(origins: Callable[..., Running]) -> None:
    origin = origins()
    put(origin, "live/live0.ts")
    reply = put(origin, "live/live0.ts", b"", "PATCH")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, PUT, POST, DELETE")
    assert request(f"{origin.url}/live/live0.ts", "PUT", body=TS).status == 405, "nothing is uploaded in public"


def test_an_encoder_reads_back_what_it_uploaded(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    put(origin, "live/live0.ts")
    url, viewed = f"{origin.ingest}/ingest/live/live0.ts", origin.get("live/live0.ts")
    assert [request(url, method).status for method in ("GET", "HEAD")] == [200, 200]
    read = request(url)
    assert (read.body, read.headers["etag"]) == (TS, viewed.headers["etag"])
    assert request(url, headers={"Range": "bytes=0-"}).status == 206
    for path in ("live/live1.ts", "other/live0.ts", "vod/x.ts"):
        assert put(origin, path, b"", "GET").status in (403, 404)
    assert origin.post("tracks/180p.cmfv", encoded["180p.cmfv"]).status == 200
    for path in ("tracks/multivariant.m3u8", "tracks/180p/media.m3u8", "live/../tracks/180p/media.m3u8"):
        assert put(origin, path, b"", "GET").status in (403, 404), "what others have sent is not read here"


def test_a_bound_is_a_507_and_takes_nothing_away(origins: Callable[..., Running]) -> None:
    origin = origins(uploads={"streams": 2, "objects": 2, "stream_size": "64KiB"})
    assert put(origin, "live/a.ts").status == put(origin, "live/b.ts").status == 201
    reply = put(origin, "live/c.ts")
    assert (reply.status, "live/c.ts: found 2 objects, wanted at most 2" in reply.text) == (507, True)
    assert put(origin, "live/a.ts", TS * 8).status == 507, "a and b are there while it comes"
    assert origin.get("live/a.ts").body == TS
    assert put(origin, "live/b.ts", b"", "DELETE").status == 200
    assert put(origin, "live/c.ts").status == 201
    assert put(origin, "other/a.ts").status == 201
    reply = put(origin, "third/a.ts")
    assert (reply.status, "found 2 uploaded streams, all in use" in reply.text) == (507, True)


def test_an_upload_is_seen_whole_or_not_at_all(origins: Callable[..., Running]) -> None:
    origin = origins()
    first = Feeder(origin, "live/live0.ts", "PUT")
    first.send(TS)
    until(lambda: stream_of(origin))
    assert origin.get("live/live0.ts").status == 404
    assert first.end().status == 201
    second = Feeder(origin, "live/live0.ts", "PUT")
    second.send(TS[:100] * 40_000)
    until(lambda: (stream_of(origin) or {})["bytes"] > len(TS))
    assert origin.get("live/live0.ts").body == TS
    second.break_off()
    until(lambda: (stream_of(origin) or {})["bytes"] == len(TS))
    assert origin.get("live/live0.ts").body == TS, "a broken upload leaves what was there"


def test_a_playlist_waits_for_the_segment_that_it_lists(origins: Callable[..., Running]) -> None:
    """An encoder that opens a connection for each object does not wait for the response to the one before."""
    origin = origins()
    segment = Feeder(origin, "live/live0.ts", "PUT")
    segment.send(TS)
    until(lambda: stream_of(origin))
    playlist = Feeder(origin, "live/live.m3u8", "PUT")
    playlist.send(PLAYLIST)
    playlist._connection.send(b"0\r\n\r\n")
    assert put(origin, "live/other.m3u8", PLAYLIST.replace(b"live0", b"live9")).status == 201
    assert origin.get("live/live.m3u8").status == 404
    assert segment.end().status == 201
    assert playlist.reply().status == 201
    assert origin.get("live/live.m3u8").body == PLAYLIST


def test_a_playlist_does_not_wait_for_good(origins: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "WAIT_S", 0.1)
    origin = origins()
    segment = Feeder(origin, "live/live0.ts", "PUT")
    segment.send(TS)
    until(lambda: stream_of(origin))
    assert put(origin, "live/live.m3u8", PLAYLIST).status == 201, "the segment has stalled"
    assert segment.end().status == 201


def test_an_encoder_that_pipelines_and_hangs_up(origins: Callable[..., Running]) -> None:
    """`ffmpeg -http_persistent 1` sends its last playlists in one go, reads no response, and is gone."""
    origin = origins()
    for round_ in range(5):
        feeder = Feeder(origin, f"live{round_}/live.m3u8", "PUT")
        for number in range(6):
            body = PLAYLIST + b"#EXT-X-ENDLIST\n" * (number == 5)
            feeder.send(body)
            head = (
                f"PUT /ingest/live{round_}/live.m3u8 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            feeder._connection.send(b"0\r\n\r\n" + (head.encode() if number < 5 else b""))
        feeder.break_off()
        until(lambda name=f"live{round_}": (stream_of(origin, name) or {}).get("ended"))


def test_tracks_and_objects_are_not_in_one_stream(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins()
    assert put(origin, "objects/live0.ts").status == 201
    for track in ("180p.cmfv", "audio-64k.cmfa"):
        reply = origin.post(f"objects/{track}", encoded[track])
        assert (reply.status, "objects: found objects that an encoder uploads" in reply.text) == (409, True)
    with_tracks = Feeder(origin, "tracks/180p.cmfv")
    until(lambda: stream_of(origin, "tracks"))
    reply = put(origin, "tracks/live0.ts")
    assert (reply.status, "tracks: found tracks that an encoder posts" in reply.text) == (409, True)
    with_tracks.send(encoded["180p.cmfv"])
    assert with_tracks.end().status == 200
    assert put(origin, "tracks/live0.ts").status == 409, "its last window is there"
    assert put(origin, "tracks/live0.ts", b"", "DELETE").status == 404
    assert origin.get("tracks/180p/media.m3u8").status == origin.get("objects/live0.ts").status == 200


def test_a_name_is_free_when_nobody_has_fed_it_for_a_while(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    origin = origins(ingest_stalled="100ms")
    assert put(origin, "live/live0.ts").status == 201
    until(lambda: origin.post("live/180p.cmfv", pieces(encoded["180p.cmfv"])[0]).status == 200)
    assert origin.get("live/live0.ts").status == 404
    until(lambda: put(origin, "live/live0.ts").status == 201)
    assert origin.get("live/live0.ts").status == 200
    assert origin.get("live/multivariant.m3u8").status == 404


@pytest.mark.parametrize("body", [b"", iter(())], ids=["Content-Length", "Transfer-Encoding"])
def test_no_stream_goes_for_a_question(origins: Callable[..., Running], encoded: dict[str, bytes], body: Any) -> None:
    origin = origins(ingest_stalled="100ms", uploads={"streams": 1})
    assert origin.post("tracks/180p.cmfv", encoded["180p.cmfv"]).status == 200
    until(lambda: request(f"{origin.ingest}/ingest/tracks/a.ts", "PUT", body=body).status == 200)
    assert origin.get("tracks/180p/media.m3u8").status == 200
    assert put(origin, "objects/a.ts").status == 201
    until(lambda: request(f"{origin.ingest}/ingest/objects/180p.cmfv", "POST", body=body).status == 200)
    assert origin.get("objects/a.ts").status == 200


def test_an_encoder_that_comes_back_keeps_its_name(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    """Another one has asked for the name meanwhile, and sent nothing yet."""
    origin = origins(ingest_stalled="500ms")
    assert put(origin, "live/a.ts").status == 201
    until(lambda: put(origin, "live/180p.cmfv", b"", "POST").status == 200)
    other = Feeder(origin, "live/180p.cmfv")
    assert put(origin, "live/b.ts").status == 201
    other.send(encoded["180p.cmfv"])
    assert other.reply().status == 409
    assert origin.get("live/a.ts").status == origin.get("live/b.ts").status == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_mp4_is_a_track_or_an_object_by_what_it_holds(
    origins: Callable[..., Running], encoded: dict[str, bytes], method: str
) -> None:
    origin = origins()
    header, *fragments = pieces(encoded["180p.cmfv"])
    fields = {"Content_Type": "video/mp4"}
    # a track: header and media in one request
    assert put(origin, "one/180p.mp4", encoded["180p.cmfv"], method, **fields).status == 200
    assert origin.get("one/180p/media.m3u8").text.count("#EXTINF") == 5
    # an object: a header alone, and what follows it
    assert put(origin, "two/init.mp4", header, method, **fields).status == 201
    assert put(origin, "two/seg0.mp4", fragments[0], method, **fields).status == 201
    assert put(origin, "two/live.m3u8", PLAYLIST).status == 201
    assert put(origin, "two/single.mp4", encoded["180p.cmfv"], method, **fields).status == 201
    assert origin.get("two/init.mp4").body == header and origin.get("two/seg0.mp4").body == fragments[0]
    # a track: its header in a request of its own (DASH-IF live media ingest 1.1)
    assert put(origin, "three/180p.mp4", header, method, **fields).status == 201
    assert put(origin, "three/180p.mp4", b"".join(fragments), method, **fields).status == 200
    assert origin.get("three/180p/media.m3u8").text.count("#EXTINF") == 5
    assert origin.get("three/180p.mp4").status == 404
    # in a folder it is always an object
    assert put(origin, "four/v0/180p.mp4", encoded["180p.cmfv"], method, **fields).status == 201


def test_a_restart_finds_the_same_objects(origins: Callable[..., Running], tmp_path: Path) -> None:
    origin = origins()
    bodies = {"live/live.m3u8": PLAYLIST, "live/live0.ts": TS, "other/v0/a.m4s": b"x" * 3_000_000}
    for path, body in bodies.items():
        put(origin, path, body)
    put(origin, "live/gone.ts")
    put(origin, "live/gone.ts", b"", "DELETE")
    before = {path: origin.get(path) for path in bodies}
    listed = stream_of(origin)
    origin.stop()
    (tmp_path / "media" / FOLDER / "live" / "99").write_bytes(b"left by a crash")
    again = origins()
    for path, reply in before.items():
        after = again.get(path)
        assert (after.status, after.body) == (200, reply.body)
        assert after.headers | {"date": ""} == reply.headers | {"date": ""}
    assert again.get("live/gone.ts").status == 404
    assert stream_of(again) == listed
    assert not (tmp_path / "media" / FOLDER / "live" / "99").exists()
    assert put(again, "live/live1.ts").status == 201, "its file is of a number that no other has"
    assert again.get("live/live0.ts").body == TS


def test_a_restart_with_files_that_are_not_as_they_were(origins: Callable[..., Running], tmp_path: Path) -> None:
    origin = origins()
    put(origin, "live/a.ts")
    put(origin, "live/b.ts")
    put(origin, "live/live.m3u8", PLAYLIST)
    origin.stop()
    files = sorted((tmp_path / "media" / FOLDER / "live").iterdir(), key=lambda file: int(file.name))
    files[0].write_bytes(b"short")
    files[2].write_bytes(b"x" * len(PLAYLIST))
    again = origins()
    assert [again.get(f"live/{name}").status for name in ("a.ts", "b.ts", "live.m3u8")] == [404, 200, 200]
    again.stop()
    (tmp_path / "media" / FOLDER / INDEX).write_bytes(b"no index at all" * 100)
    for log in (tmp_path / "media" / FOLDER).glob(f"{INDEX}-*"):
        log.unlink()
    third = origins()
    assert third.get("live/b.ts").status == 404
    assert put(third, "live/b.ts").status == 201


def test_storage_that_fails(origins: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    origin = origins()
    put(origin, "live/live0.ts")

    def full(spool: Spool) -> None:
        raise StorageFailed("media", "disk full", "room")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "close", full)
        reply = put(origin, "live/live0.ts", TS[188:])
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "disk full" in reply.text
        assert origin.get("healthz").status == 503
        assert origin.get("live/live0.ts").body == TS
    assert put(origin, "live/live0.ts", TS[188:]).status == 204
    assert origin.get("healthz").status == 200

    def locked(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr("origin.uploads.files.ObjectFiles._execute", _mapped(locked))
        assert put(origin, "live/live1.ts").status == 503
        assert put(origin, "live/live0.ts", b"", "DELETE").status == 503
    assert origin.get("live/live1.ts").status == 404
    assert origin.get("live/live0.ts").status == 200


def _mapped(fails: Callable[..., None]) -> Callable[..., None]:
    def execute(*_: object) -> None:
        try:
            fails()
        except sqlite3.Error as error:
            raise StorageFailed("index", str(error), "one that can be written") from error

    return execute


def test_a_disk_that_is_full(origins: Callable[..., Running], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "6m") as mounted:
        if not mounted:
            pytest.skip("mounting is not allowed here")
        origin = origins(storage=disk / "media")
        assert put(origin, "live/live0.ts", TS).status == 201
        reply = put(origin, "live/live0.ts", b"x" * 8 * 2**20)
        assert (reply.status, reply.headers["retry-after"], "disk full" in reply.text) == (503, "1", True)
        assert origin.get("live/live0.ts").body == TS
        assert put(origin, "live/live1.ts", b"x" * 4 * 2**20).status == 201, "what came of the other is gone"
        assert put(origin, "live/live2.ts", b"x" * 4 * 2**20).status == 503
        assert put(origin, "live/live1.ts", b"", "DELETE").status == 200
        assert put(origin, "live/live2.ts", b"x" * 4 * 2**20).status == 503, "a viewer may be reading it"
        assert put(origin, "live/live2.ts", b"x" * 4 * 2**20).status == 201
        origin.stop()


def test_a_stop_ends_open_uploads(origins: Callable[..., Running]) -> None:
    origin = origins()
    feeder = Feeder(origin, "live/live0.ts", "PUT")
    feeder.send(TS)
    until(lambda: stream_of(origin))
    assert origin.stop() < 10
    reply = feeder.reply()
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")


def test_an_upload_that_stalls(origins: Callable[..., Running]) -> None:
    origin = origins(ingest_stalled="200ms")
    feeder = Feeder(origin, "live/live0.ts", "PUT")
    feeder.send(TS)
    assert feeder.reply().status == 408
    assert stream_of(origin) is None


# ---- in virtual time ---------------------------------------------------------------------------------------------


class Lab:
    """The uploads of an origin whose clock the test sets."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.now = 1_800_000_000.0
        self.settings = Origin(storage=folder, segment=1.0, window=10.0, **changes)
        self.catalog = Catalog(self.settings, MemoryStore(), lambda: self.now)
        self.uploads = Uploads(self.settings, self.catalog, lambda: self.now)
        self.folder = folder / FOLDER

    async def put(self, path: str, body: bytes, name: str = "live") -> bool:
        stream = await self.uploads.stream(name)
        upload, spool = self.uploads.begin(stream, path)
        try:
            await self.uploads.take(stream, upload, spool, body)
            return await self.uploads.store(stream, upload, spool)
        finally:
            self.uploads.over(stream, upload)

    def files(self, name: str = "live") -> int:
        return len(list((self.folder / name).iterdir()))


@contextmanager
def lab(folder: Path, **changes: Any) -> Iterator[Lab]:
    one = Lab(folder, **changes)
    yield one
    one.uploads.close()


def test_an_encoder_that_deletes_nothing_does_not_fill_the_disk(tmp_path: Path) -> None:
    async def run(lab: Lab) -> None:
        await lab.uploads.resume()
        for number in range(200):
            await lab.put(f"live{number}.ts", TS)
            listed = b"".join(b"#EXTINF:1,\nlive%d.ts\n" % one for one in range(max(0, number - 4), number + 1))
            await lab.put("live.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + listed)
            lab.now += 1
            await lab.uploads.sweep()
            linger = lab.settings.linger_after(1.0)
            assert len(lab.uploads.streams["live"].objects) <= 5 + linger + 2
            assert lab.files() <= 5 + linger + 4
        there = [number for number in range(200) if lab.catalog.get(f"live/live{number}.ts")]
        assert there == list(range(there[0], 200)), "the oldest go first"
        assert there[0] < 200 - 5 - lab.settings.linger_after(1.0) + 3, "not sooner than they may be asked for"

    with lab(tmp_path) as one:
        asyncio.run(run(one))


def test_one_stream_more_takes_the_room_of_the_one_that_is_idle_longest(tmp_path: Path) -> None:
    async def run(lab: Lab) -> None:
        await lab.uploads.resume()
        await lab.put("a.ts", TS, "first")
        lab.now += 59
        await lab.put("a.ts", TS, "second")
        with pytest.raises(Refused):
            await lab.put("a.ts", TS, "third")
        lab.now += 1
        await lab.put("a.ts", TS, "third")
        assert lab.uploads.streams.keys() == {"second", "third"}
        assert lab.catalog.get("first/a.ts") is None
        await lab.uploads.sweep()
        assert not (lab.folder / "first").exists() or lab.files("first") == 0

    with lab(tmp_path, uploads={"streams": 2}) as one:
        asyncio.run(run(one))


ACTS = st.lists(
    st.tuples(st.sampled_from(["put", "list", "break", "delete", "sweep"]), st.integers(0, 3), st.integers(0, 3)),
    max_size=25,
)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(acts=ACTS)
def test_whatever_happens_at_once_index_memory_and_disk_agree(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]]
) -> None:
    """Uploads, deletions and sweeps of one stream, all at once, in whatever order the loop and its threads take."""

    async def act(lab: Lab, what: str, which: int, content: int) -> None:
        path, body = f"{which}.ts", bytes([content]) * (100 + content)
        await asyncio.sleep(0)
        match what:
            case "put":
                await lab.put(path, body)
            case "list":
                await lab.put("live.m3u8", b"#EXTM3U\n#EXTINF:1,\n%d.ts\n" % content)
            case "break":
                stream = await lab.uploads.stream("live")
                upload, spool = lab.uploads.begin(stream, path)
                await lab.uploads.take(stream, upload, spool, body)
                spool.discard()
                lab.uploads.over(stream, upload)
            case "delete" if (stream := lab.uploads.streams.get("live")) is not None:
                await lab.uploads.delete(stream, path)
            case "sweep":
                lab.now += 40
                await lab.uploads.sweep()

    async def run(lab: Lab, again: Lab) -> None:
        await lab.uploads.resume()
        await asyncio.gather(*(act(lab, *one) for one in acts))
        stream = lab.uploads.streams.get("live")
        objects = stream.objects if stream is not None else {}
        assert (stream.open if stream is not None else {}) == {}
        assert (stream.size if stream is not None else 0) == sum(one.size for one in objects.values())
        for path in ["live.m3u8", *(f"{number}.ts" for number in range(4))]:
            resource = lab.catalog.get(f"live/{path}")
            assert (resource.etag if resource else None) == (objects[path].etag if path in objects else None)
            if resource is not None and resource.path is not None:
                assert resource.path.stat().st_size == resource.size
        await lab.uploads.sweep()
        assert (lab.files() if objects else 0) == len(objects)
        lab.uploads.close()
        await again.uploads.resume()
        found = again.uploads.streams["live"].objects if objects else {}
        assert {path: (one.file, one.etag) for path, one in found.items()} == {
            path: (one.file, one.etag) for path, one in objects.items()
        }

    folder = tmp_path_factory.mktemp("uploads")
    with lab(folder) as one, lab(folder) as another:
        asyncio.run(run(one, another))


def test_the_publisher_passes_over_uploads(tmp_path: Path) -> None:
    async def run(lab: Lab) -> None:
        await lab.uploads.resume()
        await lab.put("v0/live0.ts", TS)
        publisher = Publisher(lab.settings, lambda: lab.now)
        await publisher.resume()
        assert publisher.streams == {}
        assert lab.files() == 1
        await publisher.storage.close()

    with lab(tmp_path) as one:
        asyncio.run(run(one))
