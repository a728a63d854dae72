"""What a request for a playlist costs the origin's application, as it is and as gzip; and an I-frame playlist to write.

A window of ten minutes: 150 segments of 4 s, the last ones with parts. The server's own work per request is not in it.
"""

import asyncio
import gzip
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from starlette.types import Message

from cdnkit.hls import IFrame
from origin import Origin
from origin.app import origin_app
from origin.hls.i_frames import i_frame_playlist
from origin.hls.low_latency import LowLatency
from origin.hls.playlist import media_playlist
from origin.live.parts import Part
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track
from origin.publishing.codings import Gzipped
from origin.publishing.publisher import Publisher
from origin.uploads.uploads import Uploads

NOW = 1_790_000_000.0
PATH = "live/720p/media.m3u8"


def window() -> TrackWindow:
    found = TrackWindow("720p", Track(Kind.VIDEO, 1, 90_000, "avc1.64001f", width=1280, height=720), "aa")
    for number in range(150):
        entry = Entry(number, 7, 0, 4.0 * number, 4.0, NOW + 4.0 * number, 1_000_000, "aa")
        entry.i_frames = tuple(IFrame(250_000 * index, 40_000, 1.0) for index in range(4))
        found.add(entry, target=4)
        if number > 146:
            for index in range(8):
                found.parts.add(Part(number, index, 7, 0, "aa", NOW, 0.5, index == 0, 125_000))
    return found


def served(folder: Path) -> Publisher:
    publisher = Publisher(Origin(storage=folder), lambda: NOW)
    text = media_playlist(window(), 4, ended=False, low_latency=LowLatency(0.5, 4))
    publisher.catalog.offer_media_playlist("live", "720p", text, 2.0)
    return publisher


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_answer_a_request(benchmark: BenchmarkFixture, tmp_path: Path, accepted: str) -> None:
    publisher = served(tmp_path)
    app = origin_app(publisher, Uploads(publisher.settings, publisher.catalog, publisher.clock))
    sent: list[Message] = []
    scope = {
        "type": "http", "method": "GET", "path": f"/{PATH}", "raw_path": f"/{PATH}".encode(), "query_string": b"",
        "headers": [(b"accept-encoding", accepted.encode())], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    with asyncio.Runner() as runner:
        loop = runner.get_loop()

        async def a_hundred() -> None:
            for _ in range(100):
                await app(dict(scope), receive, send)

        benchmark(lambda: loop.run_until_complete(a_hundred()))
    assert sent[0]["status"] == 200
    benchmark.extra_info["bytes"] = len(sent[1]["body"])
    benchmark.extra_info["requests"] = 100


def test_compress_a_playlist(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Once for each change of a playlist that somebody asks for as gzip."""
    resource = served(tmp_path).catalog.get(PATH)
    assert resource is not None and resource.body is not None

    def compress() -> bytes:
        _, body = asyncio.run(Gzipped().chosen(PATH, resource, resource.body, {"accept-encoding": "gzip"}))
        assert body is not None
        return body

    assert gzip.decompress(benchmark(compress)) == resource.body


def test_write_an_i_frame_playlist(benchmark: BenchmarkFixture) -> None:
    """600 key frames: once for each segment and track."""
    found = window()
    text = benchmark(lambda: i_frame_playlist(found, 4, ended=False))
    assert text.count("#EXT-X-BYTERANGE") == 600
