"""`cdnlab latency` on what it is for: a real encoder, a real origin, two tiers; what is made slow shows in its own row."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from cdnlab.errors import Failed
from cdnlab.latency.stages import Unit, stages
from cdnlab.latency.watch import Tier, Watch, units_of
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit.late import GUARD_S, Late, again
from tests.kit.live_origin import Running, encoder, encoder_command, ffmpeg_program, request, until
from tests.kit.node import running_node
from tests.real.origin.conftest import origins  # noqa: F401

pytestmark = [pytest.mark.live, pytest.mark.long]
PART = 0.5
NAMES = ["origin", "shield", "fra"]
PATHS = {
    "hls": "/live/multivariant.m3u8",
    "ll-hls": "/live/multivariant.m3u8",
    "ll-dash": "/live/manifest-low-latency.mpd",
}


@pytest.fixture
def origin(origins: Callable[..., Running]) -> Iterator[Running]:  # noqa: F811
    """With a stream of segments of a second, half a second a part, that goes on."""
    one = origins(segment=1.0, part=PART, faults=True)
    urls = {"180p": f"{one.ingest}/ingest/live/180p.cmfv", "audio-64k": f"{one.ingest}/ingest/live/audio-64k.cmfa"}
    with encoder(encoder_command(ffmpeg_program(), urls, seconds=90, realtime=True)):
        until(lambda: one.get("live/manifest-low-latency.mpd").status == 200)
        until(lambda: one.get("live/multivariant.m3u8").status == 200)
        yield one


def measured(origin: Running, protocol: str, count: int, slow_edge: float = 0.0) -> tuple[dict[str, float], list[Unit]]:
    """Mean milliseconds by stage, and what they are of."""

    async def run() -> list[Unit]:
        async with AsyncExitStack() as stack:
            shield = await stack.enter_async_context(running_node(origin.url, *MEDIA_BEHAVIORS, name="shield"))
            edge = await stack.enter_async_context(
                running_node(shield.url, *MEDIA_BEHAVIORS, name="fra", link={"latency": slow_edge})
            )
            tiers = [Tier(*one) for one in zip(NAMES, (origin.url, shield.url, edge.url), strict=True)]
            watch = Watch(tiers, PATHS[protocol], "", time.monotonic() + 40)
            return await asyncio.to_thread(units_of, watch, protocol, count)

    units = asyncio.run(run())
    rows, whole = stages(units, NAMES)
    assert [row.name for row in rows] == ["encoder", *NAMES, "player"]
    assert sum(row.mean for row in rows) == pytest.approx(whole.mean, abs=1e-6), "the stages are the whole"
    return {row.name: 1000 * row.mean for row in (*rows, whole)}, units


@pytest.mark.parametrize(
    ("protocol", "count", "least", "most"),
    [
        ("hls", 3, 3000, 5500),  # three segments behind, and one to gather
        ("ll-hls", 6, 1000, 2500),
        ("ll-dash", 6, 1990, 2010),  # what the manifest asks for: a player keeps to it
    ],
)
def test_each_stage_of_a_healthy_stream(
    origin: Running, protocol: str, count: int, least: float, most: float, capsys: pytest.CaptureFixture[str]
) -> None:
    def attempt() -> None:
        found, units = measured(origin, protocol, count)
        with capsys.disabled():
            print(f"\n{protocol}: { ({name: round(ms) for name, ms in found.items()}) }")
        assert len({unit.name for unit in units}) >= count // 2
        assert least <= found["end to end"]
        wrong = found["end to end"] > most or max(found["origin"], found["shield"], found["fra"]) > 700
        if wrong or not 0.5 * 1000 * PART <= found["encoder"] <= 2000:
            raise Late(f"{found}")

    again(attempt)


@pytest.mark.parametrize("protocol", ["hls", "ll-hls", "ll-dash"])
def test_a_delay_is_found_where_it_is(origin: Running, protocol: str) -> None:
    """An origin that is slow to answer; an edge that is far from its shield.

    A request that is held for a part would wait for half a second anyway: only what is beyond that makes it later.
    """

    def attempt() -> None:
        before, _ = measured(origin, protocol, 3)
        far, _ = measured(origin, protocol, 3, slow_edge=0.15)
        assert request(f"{origin.ingest}/faults", "PUT", body=json.dumps({"delay": "1s"})).status == 200
        slow, _ = measured(origin, protocol, 3)
        assert request(f"{origin.ingest}/faults", "DELETE").status == 200
        told = f"healthy {before}, far {far}, slow {slow}"
        if not (far["fra"] > before["fra"] + 100 and far["origin"] < before["origin"] + 100):
            raise Late(told)
        if not (slow["origin"] > before["origin"] + 250 and slow["fra"] < before["fra"] + 150):
            raise Late(told)

    again(attempt)


def test_what_cannot_be_measured_is_no_measurement(origin: Running, tmp_path: Path) -> None:
    def watch(path: str, within: float, url: str = origin.url) -> Any:
        return Watch([Tier("origin", url)], path, "", time.monotonic() + within)

    for path, protocol, why in [
        ("/none/multivariant.m3u8", "hls", "found 404"),
        ("/live/manifest.mpd", "ll-dash", "no low-latency manifest"),
        ("/live/manifest-low-latency.mpd", "hls", "no playlist"),
        ("/live/time", "ll-dash", "no MPD"),
    ]:
        with pytest.raises(Failed, match=why):
            units_of(watch(path, 10), protocol, 3)
    began = time.monotonic()
    with pytest.raises(Failed):
        units_of(watch(PATHS["ll-hls"], 2), "ll-hls", 5000)
    assert time.monotonic() - began < GUARD_S, "its time is bounded"
    with pytest.raises(Failed):
        units_of(watch(PATHS["hls"], 5, "http://127.0.0.1:1"), "hls", 1)
