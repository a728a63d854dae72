"""Subtitles in players of others: WebVTT in CMAF, posted beside the pictures, shown with the flashes that it names.

HLS has it as WebVTT text, DASH as it came.
"""

import pytest

from tests.outside.players.browser import BROWSER, opened
from tests.outside.players.stage import CUE_S, HEIGHTS, Stage

pytestmark = BROWSER

SECONDS = 12
NEAR_S = 0.05
"""Pictures come every 67 ms, and the flash is in one of them."""

ROWS = [
    ("hls.js", "HLS"),
    ("shaka", "HLS"),
    ("video.js", "HLS"),
    ("shaka", "DASH"),
    ("dash.js", "DASH"),
]


@pytest.mark.parametrize(("player", "protocol"), ROWS, ids=[" ".join(row) for row in ROWS])
def test_a_player_shows_text(stage: Stage, player: str, protocol: str) -> None:
    url = stage.url("ended", protocol)
    told = opened(f"{stage.pages}/{player}", "reading", player, url, HEIGHTS[0], SECONDS)
    assert told["fatal"] == []
    shown = sorted(told["shown"])
    assert len(shown) >= SECONDS - 4, told["minor"]
    numbers = [int(text.removeprefix("Sekunde ")) for _, _, text in shown]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for start, end, _ in shown:
        assert end - start == pytest.approx(CUE_S, abs=0.002)
    apart = [min((start - flash for flash in told["flashes"]), key=abs) for start, _, _ in shown]
    assert sorted(map(abs, apart))[len(apart) // 2] < NEAR_S, apart
