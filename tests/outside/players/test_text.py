"""Subtitles and closed captions in players of others, shown with the flashes that they name.

WebVTT in CMAF, posted beside the pictures: HLS has it as text, DASH as it came. CEA-608 in the pictures: as it came.
"""

import re
from typing import Any

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
    told = opened(
        f"{stage.pages}/{player}", "reading", player, stage.url("ended", protocol), HEIGHTS[0], "text", SECONDS
    )
    check(told, CUE_S)


@pytest.mark.parametrize("player", ["hls.js", "shaka"])
def test_a_player_shows_closed_captions(stage: Stage, player: str) -> None:
    """CEA-608 in the pictures, which the multivariant playlist declares."""
    url = stage.url("captioned", "HLS")
    told = opened(f"{stage.pages}/{player}", "reading", player, url, HEIGHTS[0], "captions", SECONDS)
    check(told, 1.0)


def check(told: dict[str, Any], lasts: float) -> None:
    assert told["fatal"] == []
    shown = sorted(told["shown"])
    assert len(shown) >= SECONDS - 4, told["minor"]
    numbers = [int(re.sub("<[^>]*>", "", text).removeprefix("Sekunde ")) for _, _, text in shown]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for start, end, _ in shown:
        assert end - start == pytest.approx(lasts, abs=0.002)
    apart = [min((start - flash for flash in told["flashes"]), key=abs) for start, _, _ in shown]
    assert sorted(map(abs, apart))[len(apart) // 2] < NEAR_S, apart
