"""A real hls.js, and Shaka Player, play on while the origin is killed with -9 under them and started again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.crashes import Crashes
from tests.kit.late import Late, again
from tests.kit.live_origin import request, until
from tests.kit.origin import running_origin
from tests.outside.players.browser import BROWSER, opened
from tests.outside.players.stage import say_pages
from tests.real.origin.conftest import encoded, ffmpeg

__all__ = ["encoded", "ffmpeg"]

pytestmark = BROWSER

SECONDS = 40
KILLS = 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("player", "address"), [("hls.js", "seg/multivariant.m3u8"), ("shaka", "seg/manifest.mpd")])
def test_a_player_goes_on(encoded: dict[str, bytes], tmp_path: Path, player: str, address: str) -> None:
    """Four lives of the origin, each of some seconds: the player plays what it has loaded, asks again, and goes on."""

    def attempt() -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        asyncio.run(run(folder))

    async def run(folder: Path) -> None:
        crashes = Crashes(folder, encoded, [])
        await crashes.origin.start()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            async with running_origin() as pages:
                say_pages(pages)
                killing = asyncio.create_task(crashes.run_calmly(KILLS, before=10.0, between=8.0))
                url = f"{crashes.origin.url}/{address}"
                await asyncio.to_thread(until, lambda: there(url))
                told = await loop.run_in_executor(
                    pool, opened, f"{pages.url}/{player}", "watch", player, url, [180], SECONDS
                )
                crashes.over.set()
                await killing
        assert crashes.wrong == []
        played = told["samples"][-1][1] - told["samples"][0][1]
        if told["fatal"] or played < SECONDS - 12:
            raise Late(f"{played} s of {SECONDS} were played: {told['fatal']}, {told['waits']}")

    again(attempt)


def there(url: str) -> bool:
    """The stream has something to begin with."""
    try:
        playlist = request(
            url.replace("multivariant.m3u8", "180p/media.m3u8").replace("manifest.mpd", "180p/media.m3u8")
        )
        return playlist.status == 200 and playlist.body.count(b"#EXTINF") >= 5 and request(url).status == 200
    except OSError:
        return False
