"""A real HLS server for these tests: a live window that moves with the clock, over hypercorn on loopback."""

import asyncio
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.kit.late import GUARD_S

RENDITIONS = {"high": 300_000, "low": 100_000}


class HlsOrigin:
    """Live stream `/live/multivariant.m3u8`: one-second segments, a window of six, two rungs and one sound.

    `asked` counts requests by path; `heard` keeps the request fields of the last request by path.
    """

    def __init__(self, *, token: str = "") -> None:
        self.token = token
        self.asked: Counter[str] = Counter()
        self.heard: dict[str, dict[str, str]] = {}
        self.clients: set[str] = set()
        self.sessions: set[str] = set()
        self.began = time.time() - 20
        self.url = ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "HlsOrigin":
        self._thread.start()
        assert self._ready.wait(GUARD_S), "the test origin did not start"
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(GUARD_S)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        import socket

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.graceful_timeout = 0.5
        config.keep_alive_timeout = 30
        config.loglevel = "ERROR"
        app = Starlette(
            routes=[
                Route("/live/multivariant.m3u8", self._multivariant),
                Route("/live/{track}/media.m3u8", self._media),
                Route("/live/{track}/init.mp4", self._init),
                Route("/live/{track}/seg-{number:int}.m4s", self._segment),
            ]
        )
        self._loop.call_later(0.05, self._ready.set)
        await serve(app, config, shutdown_trigger=self._stop.wait)  # type: ignore[arg-type]
        listener.detach()

    def _note(self, request: Request) -> None:
        path = request.url.path
        self.asked[path] += 1
        self.heard[path] = dict(request.headers)
        self.clients.add(request.headers.get("cdnlab-client-ip", ""))
        self.sessions.add(request.headers.get("cmcd-session", ""))

    def _answer(self, body: bytes | str, kind: str) -> Response:
        response = PlainTextResponse(body) if isinstance(body, str) else Response(body)
        response.headers["content-type"] = kind
        return response

    def _signed(self, request: Request, response: Response) -> Response:
        # The first answer of each path is a miss, the later ones are hits: a cache with room for everything.
        first = self.asked[request.url.path] == 1
        response.headers["cache-status"] = "test; fwd=uri-miss; stored" if first else "test; hit; ttl=5"
        lifetime = 1 if request.url.path.endswith(".m3u8") else 3600
        response.headers["cache-control"] = f"max-age={lifetime}"
        response.headers["age"] = "0"
        return response

    async def _multivariant(self, request: Request) -> Response:
        self._note(request)
        if self.token and request.query_params.get("token") != self.token:
            return PlainTextResponse("no token", 403)
        lines = ["#EXTM3U", "#EXT-X-INDEPENDENT-SEGMENTS"]
        lines.append('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="sound",DEFAULT=YES,URI="audio/media.m3u8"')
        for name, bandwidth in RENDITIONS.items():
            lines.append(f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS="avc1.42c00c,mp4a.40.2",AUDIO="a"')
            lines.append(f"{name}/media.m3u8")
        return self._signed(request, self._answer("\n".join(lines) + "\n", "application/vnd.apple.mpegurl"))

    async def _media(self, request: Request) -> Response:
        self._note(request)
        newest = int(time.time() - self.began)
        first = newest - 5
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines.append('#EXT-X-MAP:URI="init.mp4"')
        when = datetime.fromtimestamp(self.began + first - 1, UTC).isoformat(timespec="milliseconds")
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{when}")
        for number in range(first, newest + 1):
            lines += ["#EXTINF:1.000,", f"seg-{number}.m4s"]
        return self._signed(request, self._answer("\n".join(lines) + "\n", "application/vnd.apple.mpegurl"))

    async def _init(self, request: Request) -> Response:
        self._note(request)
        return self._signed(request, self._answer(b"i" * 700, "video/mp4"))

    async def _segment(self, request: Request) -> Response:
        self._note(request)
        params: dict[str, Any] = request.path_params
        if params["number"] > time.time() - self.began:
            return PlainTextResponse("not yet", 404)
        size = RENDITIONS.get(params["track"], 48_000) // 8
        return self._signed(request, self._answer(b"s" * size, "video/iso.segment"))
