"""Low-latency DASH as it is reached: a real encoder, a real origin, two cache tiers, and a player that goes by its clock."""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from origin.dash.low_latency import LOW_LATENCY_MANIFEST
from tests.kit.dash_invariants import DashWatch, read_mpd
from tests.kit.http import ask
from tests.kit.late import Late, again
from tests.kit.live_origin import Running, encoder, encoder_command, until
from tests.kit.ll_dash_player import Fetch, LowLatencyDashPlayer
from tests.kit.node import running_node
from tests.kit.streaming import streaming
from tests.real.origin.test_low_latency import CONTENT, PART, encoder_delay, started


@pytest.mark.live
@pytest.mark.long
def test_a_player_behind_two_tiers_is_less_than_three_seconds_late(
    origins: Callable[..., Running], ffmpeg: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chunks of 500 ms. The manifest is fetched once; no segment is refused, and no chunk comes after its time."""
    origin = origins(segment=2.0, window=20.0, part=PART)
    streams = (f"live-{n}" for n in itertools.count())

    def attempt() -> None:
        stream = next(streams)
        urls = {name: f"{origin.ingest}/ingest/{stream}/{name}.{kind}" for name, kind in CONTENT.items()}
        command = encoder_command(ffmpeg, urls, seconds=40, realtime=True, gop=60)
        command[command.index("-v") + 1] = "info"
        first = command.index("-vf") + 1
        command[first] = f"showinfo,{command[first]}"
        with encoder(command) as process:
            first_frame = until(started(process))
            until(lambda: origin.get(f"{stream}/{LOW_LATENCY_MANIFEST}").status == 200)
            lates = asyncio.run(watch(origin, stream, first_frame))
        with capsys.disabled():
            print(f"\nseconds from the encoder's frame to its playing, and the least possible: {lates}")
        if max(playing for playing, _ in lates.values()) >= 3.0:
            raise Late(f"{lates} s")

    again(attempt)


async def watch(origin: Running, stream: str, captured_from: float) -> dict[str, tuple[float, float]]:
    """How late players of each track are, end to end, and could be at best."""
    async with AsyncExitStack() as stack:
        shield = await stack.enter_async_context(running_node(origin.url, *MEDIA_BEHAVIORS, name="shield"))
        edge = await stack.enter_async_context(running_node(shield.url, *MEDIA_BEHAVIORS, name="fra"))
        text = (await ask(edge.url, f"/{stream}/{LOW_LATENCY_MANIFEST}")).body.decode()
        DashWatch(stale=1.0).check(text, time.time())
        mpd = read_mpd(text)
        period = mpd.periods[-1]
        assert set(period.ids) == {"180p", "90p", "audio-64k"}
        assert all(one.early == 1.5 for one in period.representations)

        def fetcher() -> Fetch:
            return lambda target: streaming(edge.url, f"/{stream}/{target}")

        players = [
            LowLatencyDashPlayer(fetcher(), mpd, period, one) for one in period.representations if one.id != "90p"
        ]
        await asyncio.gather(*(player.play(5) for player in players))
        lates = {}
        for player in players:
            name = player.one.id
            assert player.wrong == [], name
            for before, after in itertools.pairwise(player.got):
                assert abs(before.at + before.duration - after.at) < 0.05, "each chunk once, in order"
            assert len(player.got) >= 5 * 4
            if player.needed > player.target:
                raise Late(f"{name}: a chunk came {player.needed - player.target:.3f} s late: a stall")
            own = encoder_delay(origin, f"{stream}/{name}", captured_from)
            lates[name] = (round(player.target + own, 3), round(player.needed + own, 3))
        return lates
