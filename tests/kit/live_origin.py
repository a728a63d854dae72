"""Real encoders, a real origin on loopback: what every test of this folder talks to."""

import asyncio
import http.client
import re
import shutil
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from origin import Origin, serve
from origin.media.fragments import FragmentReader
from tests.kit.late import GUARD_S

RATE = 30
"""Frames a second of the test card."""


def ffmpeg_program() -> str:
    """The system's ffmpeg if it is new enough for `cmaf`, else the one the ffmpeg extra ships."""
    found = shutil.which("ffmpeg")
    if found:
        said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60).stdout
        version = re.match(r"ffmpeg version n?(\d+)", said)
        if version is None or int(version[1]) >= 6:  # one that gives no number was built from its newest sources
            return found
    imageio = pytest.importorskip("imageio_ffmpeg", reason="no ffmpeg 6 or later, and no imageio-ffmpeg")
    return str(imageio.get_ffmpeg_exe())


def encoder_command(
    program: str,
    outputs: dict[str, str],
    *,
    seconds: float,
    realtime: bool = False,
    gop: int = RATE,
    fragment_us: int = 500_000,
) -> list[str]:
    """One ffmpeg for all tracks; `outputs` maps track names (`180p`, `audio-64k`) to files or URLs."""
    pace = ["-re"] if realtime else []
    command = [program, "-nostdin", "-hide_banner", "-v", "error", "-y"]
    command += [*pace, "-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=s=320x180:r={RATE}"]
    command += [*pace, "-f", "lavfi", "-t", str(seconds), "-i", "sine=frequency=440:sample_rate=48000"]
    for track, where in outputs.items():
        if track.startswith("audio-"):
            command += ["-map", "1:a", "-c:a", "aac", "-b:a", track.removeprefix("audio-"), "-ac", "2"]
        else:
            height = int(track.removesuffix("p"))
            command += ["-map", "0:v", "-vf", f"scale={height * 16 // 9 // 2 * 2}:{height}", "-c:v", "libx264"]
            command += ["-preset", "ultrafast", "-bf", "2", "-threads", "1", "-pix_fmt", "yuv420p"]
            command += ["-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0", "-flags", "+cgop"]
        movflags = "+cmaf+empty_moov+default_base_moof+skip_trailer"
        command += ["-f", "mp4", "-movflags", movflags if track.startswith("audio-") else f"{movflags}+frag_keyframe"]
        command += ["-frag_duration", str(fragment_us)]
        command += ["-method", "POST", "-multiple_requests", "0", where] if where.startswith("http") else [where]
    return command


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def request(
    url: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: Any = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """One HTTP request on a connection of its own; header names come back in lower case."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if tls is None:
        connection = http.client.HTTPConnection(host, parts.port, timeout=GUARD_S)
    else:
        connection = http.client.HTTPSConnection(host, parts.port, timeout=GUARD_S, context=tls)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def basic(user: str, password: str) -> dict[str, str]:
    """The field with these Basic credentials."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


@dataclass
class Running:
    """An origin in a thread of its own."""

    settings: Origin
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    faults: bool = False
    url: str = ""
    ingest: str = ""
    error: BaseException | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _shutdown: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Running":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(GUARD_S), "the origin did not become ready"
        if self.error is not None:
            raise self.error
        return self

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._shutdown = asyncio.get_running_loop(), asyncio.Event()
            await serve(self.settings, shutdown=self._shutdown, ready=self._said, faults=self.faults)

        try:
            with asyncio.Runner(loop_factory=self.loop_factory) as runner:
                runner.run(main())
        except BaseException as error:
            self.error = error
        finally:
            self._ready.set()

    def _said(self, what: dict[str, object]) -> None:
        assert what["ready"] == "origin"
        self.url, self.ingest = str(what["url"]), str(what["ingest"])
        self._ready.set()

    def stop(self) -> float:
        """Seconds that shutting down took."""
        assert self._loop is not None and self._shutdown is not None and self._thread is not None
        began = time.monotonic()
        with suppress(RuntimeError):  # it has ended by itself: its loop is closed
            self._loop.call_soon_threadsafe(self._shutdown.set)
        self._thread.join(GUARD_S)
        assert not self._thread.is_alive(), "the origin did not stop"
        return time.monotonic() - began

    def get(self, path: str, **headers: str) -> Reply:
        return request(f"{self.url}/{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: Any, method: str = "POST") -> Reply:
        return request(f"{self.ingest}/ingest/{path}", method, body=body)


@contextmanager
def encoder(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A running ffmpeg, killed at the end if it is still there."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=GUARD_S)


def until(what: Callable[[], Any], seconds: float = GUARD_S) -> Any:
    """What `what` returns as soon as it is true; it asks a server that tells nobody when it changes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class Feeder:
    """One ingest request whose body is sent piece by piece, as an encoder would."""

    def __init__(self, origin: Running, path: str, method: str = "POST", fields: dict[str, str] | None = None) -> None:
        parts = urlsplit(origin.ingest)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=GUARD_S)
        self._connection.putrequest(method, f"/ingest/{path}")
        self._connection.putheader("Transfer-Encoding", "chunked")
        for name, value in (fields or {}).items():
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def send(self, data: bytes) -> None:
        self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> Reply:
        """Ends the body as HTTP says it should."""
        self._connection.send(b"0\r\n\r\n")
        return self.reply()

    def reply(self) -> Reply:
        response = self._connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def break_off(self) -> None:
        """Closes the connection in the middle of the body."""
        self._connection.close()


def pieces(data: bytes) -> list[bytes]:
    """Init section and fragments of a body, each by itself."""
    return [one.data for one in FragmentReader(2**26).feed(data)]
