"""Low-Latency HLS in players of others, over HTTP/2 and TLS, behind a shield and an edge: less than 3 s end to end.

A clock in the picture, set when that is taken, is read from the page's canvas and compared with the clock of the same
machine: encoder, origin, two tiers of caches, the player and the browser are all in it. Parts have 500 ms.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdnkit.serving.authority import make
from cdnkit.serving.folder import authority_folder
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from origin import Origin
from tests.kit.late import GUARD_S, Late, again
from tests.kit.live_origin import Running, until
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from tests.outside.players.browser import BROWSER, STALL_S, opened, stood_still
from tests.outside.players.clock import HEIGHT, clock_stream
from tests.outside.players.stage import RATE, SEGMENT, say_pages

pytestmark = BROWSER

PART = 0.5
SECONDS = 15
LATEST_S = 3.0


@dataclass(frozen=True)
class LowLatencyStage:
    """What a browser opens, and where the edge records what it asks."""

    pages: str
    edge: str
    records: Path


@pytest.fixture(scope="module")
def low_latency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LowLatencyStage]:
    folder = tmp_path_factory.mktemp("low-latency")
    listen = {"listen": "127.0.0.1:0", "ingest": "127.0.0.1:0"}
    origin = Running(Origin(**listen, storage=folder / "media", segment=SEGMENT, window=20.0, part=PART)).start()
    ready, shutdown = Future[LowLatencyStage](), asyncio.Event()

    async def serve() -> None:
        async with (
            running_origin() as pages,
            running_node(origin.url, *MEDIA_BEHAVIORS, name="shield") as shield,
            running_node(
                shield.url, *MEDIA_BEHAVIORS, name="edge", listen_tls="127.0.0.1:0", records=folder / "edge.jsonl"
            ) as edge,
        ):
            say_pages(pages)
            port = str(edge.ready["https"]).rpartition(":")[2]
            ready.set_result(LowLatencyStage(pages.url, f"https://cdn.localhost:{port}", folder / "edge.jsonl"))
            await shutdown.wait()

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool, asyncio.Runner() as runner:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        make(authority_folder(), time.time())
        serving = pool.submit(runner.run, serve())
        serving.add_done_callback(lambda _: ready.cancel())
        try:
            stage = ready.result(GUARD_S)
            with clock_stream(f"{origin.ingest}/ingest/live", part=PART, segment=SEGMENT):
                until(lambda: origin.get(f"live/{HEIGHT}p/media.m3u8").text.count("#EXTINF") >= 3)
                yield stage
        finally:
            runner.get_loop().call_soon_threadsafe(shutdown.set)
            serving.result(GUARD_S)
            origin.stop()


@pytest.mark.parametrize("player", ["hls.js", "shaka"])
def test_less_than_three_seconds_late(
    low_latency: LowLatencyStage, player: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{low_latency.edge}/live/multivariant.m3u8"

    def attempt() -> None:
        before = len(requests(low_latency.records))
        told = opened(f"{low_latency.pages}/{player}", "lateness", player, url, HEIGHT, SECONDS)
        assert told["fatal"] == []
        asked = requests(low_latency.records)[before:]
        assert {one["version"] for one in asked} == {"2"}
        assert sum("_HLS_msn" in one["url"] for one in asked) > SECONDS, "blocking reloads"
        assert sum("/part-" in one["url"] for one in asked) > SECONDS, "parts"
        late = [seconds for _, seconds in told["late"]]
        with capsys.disabled():
            print(f"\n{player}: pictures are {min(late):.2f} to {max(late):.2f} s late, {told['unread']} are not read")
        # A player of this page does not catch up what it lost at its start: a busy machine's seconds stay.
        if max(late) >= LATEST_S or stood_still(told["samples"]) >= STALL_S:
            raise Late(f"{max(late)} s, {told['waits']}")
        assert len(late) > 0.8 * SECONDS * RATE > 20 * told["unread"]

    again(attempt)


def requests(records: Path) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []
    return [one for one in lines if one["kind"] == "request"]
