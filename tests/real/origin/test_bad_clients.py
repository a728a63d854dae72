"""Clients that leave in the middle, fall silent, or hope to write into the log: they harm themselves alone."""

import asyncio
import http.client
import logging
import os
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from origin.app import _FileResponse
from origin.publishing.bodies import CHUNK, read_pieces
from origin.publishing.responses import Resource
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Feeder, Running, pieces, request, until
from tests.real.origin.playlists import read_playlist


def listed(origin: Running) -> list[str]:
    return [one.uri for one in read_playlist(origin.get("live/180p/media.m3u8").text).segments]


@pytest.mark.parametrize("kind", ["vod", "segment"])
def test_a_viewer_that_leaves_in_the_middle_is_no_error(
    origins: Callable[..., Running],
    encoded: dict[str, bytes],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    (tmp_path / "vod").mkdir()
    (tmp_path / "vod/big.mp4").write_bytes(bytes(2**25))
    origin = origins(vod=tmp_path / "vod", memory=1)
    path = "vod/big.mp4"
    if kind == "segment":
        assert origin.post("live/180p.cmfv", encoded["180p.cmfv"]).status == 200
        path = f"live/180p/{listed(origin)[0]}"
        file = tmp_path / "media" / path
        file.write_bytes(bytes(2**25))  # longer than any buffer on the way
        origin.stop()
        state = tmp_path / "media/live/180p/state.json"
        size = re.escape(str(len(pieces(encoded["180p.cmfv"])[1]) + len(pieces(encoded["180p.cmfv"])[2])))
        state.write_text(re.sub(rf"\b{size}\b", str(2**25), state.read_text(), count=1))
        origin = origins(vod=tmp_path / "vod", memory=1)
    parts = urlsplit(origin.url)
    for _ in range(3):
        with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as leaving:
            leaving.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert leaving.recv(12) == b"HTTP/1.1 200"
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    assert origin.get("healthz").status == 200
    origin.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = origins(memory=1)
    assert origin.post("live/180p.cmfv", encoded["180p.cmfv"]).status == 200
    gone, short, *_ = listed(origin)
    (tmp_path / "media/live/180p" / gone).unlink()
    (tmp_path / "media/live/180p" / short).write_bytes(b"x")
    reply = origin.get(f"live/180p/{gone}")
    assert (reply.status, reply.headers["cache-control"]) == (500, "no-store")
    assert f"live/180p/{gone}" in caplog.text
    assert origin.get(f"live/180p/{short}").status == 500  # a body cut short must not look whole
    assert f"live/180p/{short}: has 1 bytes" in caplog.text


def _ended(origin: Running, stream: str) -> bool:
    return origin.get(f"{stream}/180p/media.m3u8").text.endswith("#EXT-X-ENDLIST\n")


def test_an_encoder_that_ends_and_hangs_up_at_once_is_no_error(
    origins: Callable[..., Running], encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    origin = origins()
    parts = urlsplit(origin.ingest)
    media = encoded["180p.cmfv"]
    for number in range(5):
        with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as leaving:
            head = f"POST /ingest/live{number}/180p.cmfv HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(media)}\r\n\r\n"
            leaving.sendall(head.encode() + media)
            leaving.shutdown(socket.SHUT_WR)
        until(partial(_ended, origin, f"live{number}"))
    origin.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_whoever_orders_a_fault_and_hangs_up_in_the_middle_is_no_error(
    origins: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    origin = origins(faults=True)
    parts = urlsplit(origin.ingest)
    with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as leaving:
        leaving.sendall(b"PUT /faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        leaving.shutdown(socket.SHUT_WR)
        while leaving.recv(4096):
            pass
    assert request(f"{origin.ingest}/faults").status == 200
    origin.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


FORGED = "%0a%1b[2J%c2%9b31m%e2%80%aeERROR:origin:all%20is%20lost"


@pytest.mark.parametrize("where", ["stream", "track", "extension", "box", "host"])
def test_nobody_writes_lines_of_their_own_into_the_log(
    origins: Callable[..., Running], encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Nor moves the cursor of whoever reads it, or the answer, on a terminal."""
    origin = origins()
    path, body, fields = "live/180p.cmfv", b"", {}
    match where:
        case "stream":
            path = f"{FORGED}/180p.cmfv"
        case "track":
            path = f"live/{FORGED}.cmfv"
        case "extension":
            path = f"live/180p.{FORGED}"
        case "box":
            media = encoded["180p.cmfv"]
            body = media.replace(b"tkhd", b"\n\x1b\x9bX", 1).replace(b"mdia", b"\x1b[2J", 1)
            at = body.index(b"\x1b[2J")
            body = body[: at - 4] + b"\0\0\0\4" + body[at:]  # a size that cannot be: an error that names the box
            body = body.replace(b"\n\x1b\x9bX", b"tkhd", 1)
        case "host":
            fields = {"Host": "x\x1b[2J"}
    reply = request(f"{origin.ingest}/ingest/{path}", "POST", fields, body)
    assert reply.status in (400, 403, 415, 421)
    origin.stop()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told, "it is told"
    assert all(line.isprintable() and len(line) < 1_000 for line in told), told
    assert reply.text.removesuffix("\n").isprintable()


def test_nor_by_an_answer_that_fails(origins: Callable[..., Running], caplog: pytest.LogCaptureFixture) -> None:
    origin = origins(faults=True)
    assert request(f"{origin.ingest}/faults", "PUT", body=b'{"break_rate": 1}').status == 200
    with suppress(http.client.HTTPException, OSError):
        origin.get(FORGED)
    (told,) = until(lambda: [one for one in caplog.records if one.levelno >= logging.ERROR])
    assert "BrokenOff" in told.getMessage() and told.getMessage().isprintable()


def test_a_long_name_takes_one_short_line_of_the_log(
    origins: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    origin = origins()
    for fields in ({}, {"Host": "x" * 10_000}):
        assert request(f"{origin.ingest}/ingest/{'x' * 20_000}/a.cmfv", "POST", fields).status in (403, 421)
    origin.stop()
    assert all(len(record.getMessage()) < 1_000 for record in caplog.records)


def test_an_encoder_that_falls_silent_is_taken_for_gone(
    origins: Callable[..., Running], encoded: dict[str, bytes]
) -> None:
    """Before its init section, and after; a drop now and then is no media."""
    origin = origins(segment=0.5, window=30.0, ingest_stalled=0.1)
    silent = Feeder(origin, "silent/180p.cmfv")
    reply = silent.reply()
    assert reply.status == 408 and "silent/180p: found no media for 1 s" in reply.text
    feeder = Feeder(origin, "live/180p.cmfv")
    feeder.send(b"".join(pieces(encoded["180p.cmfv"])[:5]))
    stop = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            feeder.send((2**20).to_bytes(4, "big") + b"free")
            while not stop.wait(0.05):
                feeder.send(b"x")

    dripping = threading.Thread(target=drip, daemon=True)
    dripping.start()
    reply = feeder.reply()
    stop.set()
    dripping.join(GUARD_S)
    assert reply.status == 408
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXTINF") >= 2 and "EXT-X-ENDLIST" not in text, "an interruption, not the end"
    assert "silent" not in origin.get("").text


ODD_TARGETS = [
    b"/vod/%00", b"/vod/a%00.js", b"/%ff", b"/vod/%ed%a0%80", b"/vod/we%0aird/a", b"/vod/..%2f..%2fetc/passwd",
    b"/vod/%2e%2e/%2e%2e/etc/passwd", b"/vod//etc/passwd", b"/vod/%2fetc%2fpasswd", b"/vod/a.mp4/..", b"/vod/pipe",
    b"/vod/" + b"a" * 300, b"/vod/" + b"a/" * 3000, b"/" + b"a" * 20_000, b"*", b"http://[::1/vod/a.mp4", b"//", b"/%2fhealthz",
    b"/faults/", b"/ingest/", b"/ingest/a/b", b"/ingest/a%2fb/c.cmfv", b"/ingest/%ed%a0%80/c.cmfv", b"/%E2%80%AE/a", b"x:80",
    b"/vod/\xc3\xa4", b"/vod/a.mp4\x00", b"/vod/a b",
]  # fmt: skip
ODD_FIELDS = [
    b"Range: bytes=-0", b"Range: bytes=5-1", b"Range: bytes=99999999999999999999-", b"Range: bytes=\xb2-5",
    b"Range: bytes=" + b"0-1," * 2000, b"Range: bytes=-999999999999999999", b"Range: lines=1-2",
    b"If-Modified-Since: 0", b"If-Modified-Since: " + b"9" * 50, b"If-Modified-Since: , ,",
    b"If-Modified-Since: Sun, 06 Nov 99999999 08:49:37 GMT", b"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 +9999999",
    b"If-Modified-Since: Mon, 01 Jan 0001 00:00:00 +2300", b"If-Modified-Since: Mon, 31 Dec 9999 23:59:59 -2300",
    b'If-None-Match: "\xff', b"If-None-Match: " + b'"a",' * 5000, b"If-Range: \xff\r\nRange: bytes=0-1",
    b"Expect: x", b"Host: [::1", b"Connection: close, \xff", b"Cookie: \xff",
]  # fmt: skip


def test_odd_requests_are_no_defect_of_ours(
    origins: Callable[..., Running], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "vod/we\nird").mkdir(parents=True)
    (tmp_path / "vod/we\nird/a").touch()
    (tmp_path / "vod/a.mp4").write_bytes(bytes(100))
    os.mkfifo(tmp_path / "vod/pipe")
    origin = origins(vod=tmp_path / "vod", faults=True)
    asked = [
        (method, target, b"")
        for target in ODD_TARGETS
        for method in (b"GET", b"HEAD", b"OPTIONS", b"POST", b"get", b"CONNECT", b"TRACE", b"X" * 300)
    ]
    paths = (b"/vod/a.mp4", b"/", b"/healthz", b"/faults", b"/ingest/a/b.cmfv")
    asked += [(method, path, line) for line in ODD_FIELDS for path in paths for method in (b"GET", b"HEAD", b"POST")]
    for url in (origin.url, origin.ingest):
        for method, target, line in asked:
            host = b"" if line.startswith(b"Host") else b"Host: localhost\r\n"
            head = method + b" " + target + b" HTTP/1.1\r\n" + host + line + (b"\r\n" if line else b"") + b"\r\n"
            status = _status(url, head)
            assert 100 <= status < 500, (method, target, line, status)
    origin.stop()
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []


def _status(url: str, head: bytes) -> int:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


def test_a_file_is_closed_with_the_answer_whose_viewer_has_left(tmp_path: Path) -> None:
    path = tmp_path / "big.mp4"
    path.write_bytes(bytes(4 * CHUNK))
    resource = Resource("video/mp4", 4 * CHUNK, '"1"', 0.0, 60.0, path=path)

    async def run() -> None:
        chunks = read_pieces(resource, 0, 4 * CHUNK)
        response = _FileResponse(await anext(chunks), chunks, 200)

        async def left(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise OSError("the viewer has left")

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}}
        with pytest.raises((ClientDisconnect, OSError)):
            await response(scope, receive, left)
        assert chunks.ag_frame is None

    asyncio.run(run())
