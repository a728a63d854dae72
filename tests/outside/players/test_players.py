"""Players of others, in an unmodified Chromium, play what an edge behind a shield gives them."""

import asyncio
import json
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from tests.outside.players.stage import HEIGHTS, SEGMENT, Stage

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="`make players` installs the players"),
]

SECONDS = 20


def watched(stage: Stage, player: str, kind: str, protocol: str) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                env={**os.environ},
                args=["--no-proxy-server", "--autoplay-policy=no-user-gesture-required"],
            )
            page = await browser.new_page()
            await page.goto(f"{stage.pages}/{player}")
            arguments = json.dumps([player, stage.url(kind, protocol), [*HEIGHTS, HEIGHTS[0]], SECONDS])
            told: dict[str, Any] = json.loads(
                await asyncio.wait_for(page.evaluate(f"watch(...{arguments}).then(JSON.stringify)"), 4 * SECONDS)
            )
            await browser.close()
            return told

    told = asyncio.run(run())
    pairs = [(min((flash - beep for flash in told["flashes"]), key=abs), beep) for beep in told["beeps"]] if told["flashes"] else []
    print(player, kind, protocol, {k: v for k, v in told.items() if k not in ("samples", "beeps", "flashes")})
    print([round(p[0]) for p in pairs], len(told["beeps"]), len(told["flashes"]), told["samples"][::20])
    return told


ROWS = [("browser","file","MP4"),("browser","file late","MP4"),
    ("hls.js", "VOD", "HLS"),("hls.js", "live", "HLS"),
]


@pytest.mark.parametrize(("player", "kind", "protocol"), ROWS)
def test_a_player_plays(stage: Stage, player: str, kind: str, protocol: str) -> None:
    watched(stage, player, kind, protocol)
