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


Found = dict[str, float]
"""Mean milliseconds by stage."""


def measured(origin: Running, counts: dict[str, int], slow_edge: float = 0.0) -> dict[str, tuple[Found, list[Unit]]]:
    """So many units of each protocol, at the same time, each through tiers of its own."""

    async def one(protocol: str, count: int) -> list[Unit]:
        async with AsyncExitStack() as stack:
            shield = await stack.enter_async_context(running_node(origin.url, *MEDIA_BEHAVIORS, name="shield"))
            edge = await stack.enter_async_context(
                running_node(shield.url, *MEDIA_BEHAVIORS, name="fra", link={"latency": slow_edge})
            )
            tiers = [Tier(*one) for one in zip(NAMES, (origin.url, shield.url, edge.url), strict=True)]
            watch = Watch(tiers, PATHS[protocol], "", time.monotonic() + 40)
            return await asyncio.to_thread(units_of, watch, protocol, count)

    async def all_of_them() -> list[list[Unit]]:
        return await asyncio.gather(*(one(protocol, count) for protocol, count in counts.items()))

    found = {}
    for protocol, units in zip(counts, asyncio.run(all_of_them()), strict=True):
        rows, whole = stages(units, NAMES)
        assert [row.name for row in rows] == ["encoder", *NAMES, "player"]
        assert sum(row.mean for row in rows) == pytest.approx(whole.mean, abs=1e-6), "the stages are the whole"
        found[protocol] = {row.name: 1000 * row.mean for row in (*rows, whole)}, units
    return found


HEALTHY = {  # protocol: units, and milliseconds end to end
    "hls": (3, 3000, 5500),  # three segments behind, and one to gather
    "ll-hls": (6, 1000, 2500),
    "ll-dash": (6, 1990, 2010),  # what the manifest asks for: a player keeps to it
}


def test_each_stage_of_a_healthy_stream(origin: Running, capsys: pytest.CaptureFixture[str]) -> None:
    left = dict(HEALTHY)

    def attempt() -> None:
        for protocol, (found, units) in measured(origin, {name: count for name, (count, *_) in left.items()}).items():
            count, least, most = left[protocol]
            with capsys.disabled():
                print(f"\n{protocol}: { ({name: round(ms) for name, ms in found.items()}) }")
            assert len({unit.name for unit in units}) >= count // 2
            assert least <= found["end to end"]
            wrong = found["end to end"] > most or max(found["origin"], found["shield"], found["fra"]) > 700
            if not wrong and 0.5 * 1000 * PART <= found["encoder"] <= 2000:
                del left[protocol]
        if left:
            raise Late(f"{list(left)}")

    again(attempt)


def test_a_delay_is_found_where_it_is(origin: Running) -> None:
    """An origin that is slow to answer; an edge that is far from its shield.

    A request that is held for a part would wait for half a second anyway: only what is beyond that makes it later.
    """
    left = dict.fromkeys(PATHS, 3)

    def attempt() -> None:
        healthy = measured(origin, left)
        distant = measured(origin, left, slow_edge=0.15)
        assert request(f"{origin.ingest}/faults", "PUT", body=json.dumps({"delay": "1s"})).status == 200
        slowed = measured(origin, left)
        assert request(f"{origin.ingest}/faults", "DELETE").status == 200
        for protocol in list(left):
            before, far, slow = (found[protocol][0] for found in (healthy, distant, slowed))
            by_far, by_slow = ({name: later[name] - before[name] for name in NAMES} for later in (far, slow))
            if by_far["fra"] > max(100, by_far["origin"]) and by_slow["origin"] > max(250, by_slow["fra"]):
                del left[protocol]
        if left:
            raise Late(f"{left}: healthy {healthy}, far {distant}, slow {slowed}")

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
