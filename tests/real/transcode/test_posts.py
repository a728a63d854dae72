"""An origin that asks its encoders who they are: a real ffmpeg gets in, and no argument of it says how."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cdnkit.serving.authority import make
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, until
from tests.real.origin.conftest import origins as origins  # a fixture
from tests.real.transcode.sink import Sink
from tests.real.transcode.test_live import FAST, of_kind, small
from transcode import posts
from transcode.child import Exit
from transcode.events import Died, Drained, Ended, Event, Started
from transcode.posts import Door, Posts
from transcode.process import run_live

pytestmark = pytest.mark.live

TOKEN = "a-token-that-nobody-sees"


async def run(
    url: str, door: Door, events: list[Event], shutdown: asyncio.Event | None = None, *, duration: float | None = 2.0
) -> None:
    """Encodes to the end, to the first failure or until `shutdown`."""
    shutdown = shutdown or asyncio.Event()
    plan = small(FAST.model_copy(update={"duration": duration}))

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, Died):
            shutdown.set()

    async with asyncio.timeout(2 * GUARD_S):
        await run_live(plan.stream, url, plan=plan, shutdown=shutdown, on_event=on_event, door=door)


def test_every_track_is_posted_with_the_token_and_ends_properly() -> None:
    async def test() -> None:
        events: list[Event] = []
        async with Sink() as sink:
            posting = asyncio.create_task(run(sink.url, Door(TOKEN, None), events))
            await sink.until(lambda: len(sink.posts) == 4)
            ffmpeg = psutil.Process(of_kind(events, Started)[0].pid)
            shown = f"{ffmpeg.cmdline()} {ffmpeg.environ()}"
            assert "pipe:" in shown and TOKEN not in shown
            await posting
        assert {post.headers["authorization"] for post in sink.posts} == {f"Bearer {TOKEN}"}
        assert sorted(post.path for post in sink.posts)[0] == "/ingest/live/180p.cmfv"
        assert all(post.complete and post.body[4:8] == b"ftyp" for post in sink.posts)
        assert isinstance(events[-1], Ended)
        assert not any(TOKEN in str(event) for event in events) and TOKEN not in repr(Door(TOKEN, None))

    asyncio.run(test())


@pytest.mark.parametrize("how", ["killed", "drained"])
def test_a_body_ends_as_ffmpeg_did(how: str) -> None:
    async def test() -> None:
        events: list[Event] = []
        shutdown = asyncio.Event()
        async with Sink() as sink:
            posting = asyncio.create_task(run(sink.url, Door(TOKEN, None), events, shutdown, duration=None))
            await sink.until(lambda: len(sink.posts) == 4 and all(post.chunks > 2 for post in sink.posts))
            if how == "killed":
                psutil.Process(of_kind(events, Started)[0].pid).kill()
                for post in sink.posts:
                    await post.ended.wait()
            shutdown.set()
            await posting
            for post in sink.posts:
                await post.ended.wait()
        assert {post.complete for post in sink.posts} == {how == "drained"}
        assert isinstance(events[-1], Drained)

    asyncio.run(test())


def test_an_origin_that_refuses_or_is_away_is_named(origins: Callable[..., Running]) -> None:
    origin = origins(encoders={"a": {"token": TOKEN}})

    def died(door: Door) -> Died:
        events: list[Event] = []
        asyncio.run(run(origin.ingest, door, events))
        return next(event for event in events if isinstance(event, Died))

    assert "401 Authorization: found credentials that are no encoder's" in died(Door("x" * 20, None)).why
    origin.stop()
    assert "Connect call failed" in died(Door(TOKEN, None)).why


def test_over_tls_it_trusts_the_origins_certificate_alone(origins: Callable[..., Running], tmp_path: Path) -> None:
    authority, other = make(tmp_path / "ca", time.time()), make(tmp_path / "other", time.time())
    files = tmp_path / "ingest.pem", tmp_path / "ingest-key.pem"
    for file, pem in zip(files, authority.issue(("ingest.test",), time.time()), strict=True):
        file.write_bytes(pem)
    origin = origins(ingest_tls={"certificate": files[0], "key": files[1]}, encoders={"a": {"token": TOKEN}})

    def encoded(trust: Path) -> list[Event]:
        events: list[Event] = []
        asyncio.run(run(origin.ingest, Door(TOKEN, trust), events))
        return events

    (gone,) = of_kind(encoded(other.certificate_file), Died)
    assert "certificate verify failed" in gone.why.lower()
    for trust in (files[0], authority.certificate_file):
        assert isinstance(encoded(trust)[-1], Ended)
        until(lambda: origin.get("live/180p/media.m3u8").text.endswith("#EXT-X-ENDLIST\n"))


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 409 Conflict\r\n\r\na newer encoder\n", "409 a newer encoder"),
        (b"", "did not take the last of the media in time"),
    ],
)
def test_an_end_that_is_not_taken_is_told(answer: bytes, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "FLUSH_S", 0.5)

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = await reader.readuntil(b"0\r\n\r\n")
        assert heard.endswith(b"\r\n5\r\nmedia\r\n0\r\n\r\n")
        writer.write(answer)
        if not answer:
            await reader.read()
        writer.close()

    async def test() -> str:
        server = await asyncio.start_server(takes, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ingest/live/a.cmfv"
        async with server, asyncio.timeout(GUARD_S):
            made = Posts(Door(TOKEN, None), [url], ["video/mp4"])
            os.write(made.write_ends[0], b"media")
            os.close(made.write_ends[0])
            await made.finish(Exit(0, "", ()))
            return made.trouble

    told = asyncio.run(test())
    assert trouble in told and bool(told) == bool(trouble)
