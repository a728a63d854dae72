"""Low-latency DASH as it is reached: a real encoder, a real origin, two cache tiers, and a player that goes by its clock."""

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest

from origin.dash.low_latency import LOW_LATENCY_MANIFEST
from tests.kit.dash_invariants import DashWatch, read_mpd
from tests.kit.http import ask
from tests.kit.late import Late
from tests.kit.live_origin import Running
from tests.kit.ll_dash_player import Fetch, LowLatencyDashPlayer
from tests.kit.streaming import streaming
from tests.real.origin.lateness import PART, encoder_delay, less_than_three_seconds, two_tiers


@pytest.mark.live
@pytest.mark.long
def test_a_player_behind_two_tiers_is_less_than_three_seconds_late(
    origins: Callable[..., Running], ffmpeg: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chunks of 500 ms. The manifest is fetched once; no segment is refused, and no chunk comes after its time."""
    origin = origins(segment=2.0, window=20.0, part=PART)
    less_than_three_seconds(origin, ffmpeg, LOW_LATENCY_MANIFEST, watch, capsys)


async def watch(origin: Running, stream: str, captured_from: float) -> dict[str, tuple[float, ...]]:
    """How late players of each track are, end to end, and could be at best."""
    async with two_tiers(origin) as (_, edge):
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
