"""hls.js in an unmodified Chromium: it plays an ad break that an operator puts into a live stream, and goes where it is steered."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page, async_playwright

from cdnkit.settings.steering import Steering
from origin import Origin
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, encoder, encoder_command, ffmpeg_program, request, until
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from tests.kit.ports import free_port
from tests.outside.players.stage import HERE, SCRIPTS
from tests.outside.players.test_players import CHROMIUM
from tests.outside.players.test_players import pytestmark as needs

pytestmark = needs

AD_S = 4
PAGE = f"""<!doctype html><meta charset="utf-8"><video width="320" height="180" muted playsinline></video>
<script src="{SCRIPTS["hls.js"]}"></script><script>
const seen = {{ events: [], hosts: [], fatal: [] }}, video = document.querySelector("video"), hls = new Hls();
for (const name of ["INTERSTITIAL_STARTED", "INTERSTITIAL_ASSET_STARTED", "INTERSTITIAL_ENDED",
                    "INTERSTITIALS_PRIMARY_RESUMED"])
  hls.on(Hls.Events[name], (_, data) => seen.events.push([name, data.event?.identifier ?? ""]));
hls.on(Hls.Events.FRAG_LOADED, (_, data) => seen.hosts.push(new URL(data.frag.url).host));
hls.on(Hls.Events.ERROR, (_, error) => error.fatal && seen.fatal.push(`${{error.details}} ${{error.error?.message}}`));
function begin(url) {{ hls.attachMedia(video); hls.loadSource(url); video.play(); }}
</script>"""


def ad(vod: Path, ffmpeg: str) -> None:
    """A short VOD, as any packager makes one."""
    (vod / "ad").mkdir(parents=True)
    command = [ffmpeg, "-nostdin", "-v", "error", "-f", "lavfi", "-i", f"smptebars=s=320x180:r=30:d={AD_S}"]
    command += ["-f", "lavfi", "-i", f"sine=f=880:r=48000:d={AD_S}", "-c:v", "libx264", "-preset", "ultrafast"]
    command += ["-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_playlist_type"]
    command += ["vod", "-hls_segment_type", "fmp4", "-master_pl_name", "multivariant.m3u8", "media.m3u8"]
    subprocess.run(command, check=True, timeout=60, cwd=vod / "ad", stdin=subprocess.DEVNULL)


def order(origin: Running, path: str, value: Any) -> int:
    return request(f"{origin.ingest}/{path}", "PUT", None, json.dumps(value).encode()).status


async def seen(page: Page, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the page has seen, once it is this."""
    for _ in range(round(2 * GUARD_S / 0.1)):
        found: dict[str, Any] = json.loads(await page.evaluate("JSON.stringify({...seen, at: video.currentTime})"))
        if what(found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


def test_an_ad_break_and_a_drained_edge(tmp_path: Path) -> None:
    ffmpeg, (fra, nyc) = ffmpeg_program(), (f"127.0.0.1:{free_port()}" for _ in range(2))
    ad(tmp_path / "vod", ffmpeg)
    steering = Steering(pathways={"fra": f"http://{fra}", "nyc": f"http://{nyc}"}, ttl=1.0)
    settings = Origin(
        listen="127.0.0.1:0", ingest="127.0.0.1:0", storage=tmp_path / "media", vod=tmp_path / "vod", segment=1.0,
        window=20.0, steering=steering,
    )  # fmt: skip
    origin = Running(settings).start()
    urls = {
        "180p": f"{origin.ingest}/ingest/live/180p.cmfv",
        "audio-64k": f"{origin.ingest}/ingest/live/audio-64k.cmfa",
    }
    try:
        with encoder(encoder_command(ffmpeg, urls, seconds=150, realtime=True)):
            until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") >= 4)
            until(lambda: origin.get("live/multivariant.m3u8").status == 200)
            asyncio.run(_watch(origin, fra, nyc))
    finally:
        origin.stop()


async def _watch(origin: Running, fra: str, nyc: str) -> None:
    async with (
        running_origin() as pages,
        running_node(origin.url, name="shield") as shield,
        running_node(shield.url, name="fra", listen=fra) as edge,
        running_node(shield.url, name="nyc", listen=nyc),
        async_playwright() as playwright,
    ):
        file = SCRIPTS["hls.js"]
        pages.says(f"/{file}", (HERE / "node_modules" / file).read_bytes(), content_type="text/javascript")
        pages.says("/page", PAGE.encode(), content_type="text/html")
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, env={**os.environ}, args=["--no-proxy-server"]
        )
        page = await browser.new_page()
        await page.goto(f"{pages.url}/page")
        await page.evaluate(f"begin('{edge.url}/live/multivariant.m3u8')")
        await seen(page, lambda found: found["at"] > 1 and fra in found["hosts"])
        assets = [{"URI": f"{edge.url}/vod/ad/multivariant.m3u8", "DURATION": AD_S}]
        value = {"CLASS": "com.apple.hls.interstitial", "X-ASSET-LIST": assets}
        assert await asyncio.to_thread(order, origin, "date-ranges/live/ad-1", value) == 201
        names = ["INTERSTITIAL_STARTED", "INTERSTITIAL_ASSET_STARTED", "INTERSTITIAL_ENDED"]
        found = await seen(page, lambda found: ["INTERSTITIAL_ENDED", "ad-1"] in found["events"])
        assert [name for name, id in found["events"] if id == "ad-1" and name in names] == names
        back = found["at"]
        await seen(page, lambda found: found["at"] > back + 1)
        assert await asyncio.to_thread(order, origin, "steering", {"PATHWAY-PRIORITY": ["nyc"]}) == 200
        found = await seen(page, lambda found: found["hosts"][-2:] == [nyc, nyc])
        assert found["fatal"] == []
        assert {urlsplit(f"//{host}").port for host in found["hosts"]} >= {int(fra[10:]), int(nyc[10:])}
        await browser.close()
