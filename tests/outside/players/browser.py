"""An unmodified Chromium, and what a page in it tells."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from tests.kit.late import GUARD_S

CHROMIUM = shutil.which("chromium")

BROWSER = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
    pytest.mark.skipif(not (Path(__file__).parent / "node_modules").is_dir(), reason="`make players` installs them"),
]
"""Marks of tests that open a page."""

STALL_S = 0.6
"""A position that stands still for less is a busy machine's."""


def opened(page_url: str, function: str, *arguments: Any) -> dict[str, Any]:
    """What `function` of the page resolves to; the last of its arguments is how many seconds it plays.

    Any certificate is taken: a test of what browsers trust is in tests/outside/browser.
    """

    async def run() -> dict[str, Any]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                env={**os.environ},
                args=["--no-proxy-server", "--autoplay-policy=no-user-gesture-required"],
            )
            page = await browser.new_page(ignore_https_errors=True)
            await page.goto(page_url)
            call = page.evaluate(f"{function}(...{json.dumps(arguments)}).then(JSON.stringify)")
            told: dict[str, Any] = json.loads(await asyncio.wait_for(call, arguments[-1] + 2 * GUARD_S))
            await browser.close()
            return told

    return asyncio.run(run())


def stood_still(samples: list[tuple[float, float]]) -> float:
    """The longest time in seconds for which the position was the same."""
    since, longest = samples[0], 0.0
    for now, position in samples:
        if position != since[1]:
            since = (now, position)
        longest = max(longest, now - since[0])
    return longest
