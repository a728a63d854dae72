"""A page of another origin, in an unmodified Chromium, tries to purge, to end a stream and to read what is told."""

import asyncio
import json
import os
import shutil
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright

from tests.kit.control import running_lab
from tests.kit.http import ask
from tests.kit.live_origin import Feeder, Running, pieces, until
from tests.kit.origin import running_origin

CHROMIUM = shutil.which("chromium")

pytestmark = [pytest.mark.live, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")]

PAGE = """<!doctype html><iframe name="hidden"></iframe><script>
const outcomes = [];
async function tell(what, asked) {
  try { const answer = await asked; outcomes.push([what, answer.type, answer.status]); }
  catch (error) { outcomes.push([what, "failed", 0]); }
}
async function attack(purge, ingest, faults, explain, control, media, sound) {
  const body = JSON.stringify({ everything: true });
  const video = new Uint8Array(media);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"]) {
    const headers = { "Content-Type": type };
    await tell("no-cors purge", fetch(purge, { method: "POST", mode: "no-cors", body, headers }));
    await tell("cors purge", fetch(purge, { method: "POST", body, headers }));
  }
  navigator.sendBeacon(purge, body);
  const quiet = { referrerPolicy: "no-referrer" };
  for (const at of [ingest, sound]) {
    await tell("no-cors ingest", fetch(at, { method: "POST", mode: "no-cors", body: video, ...quiet }));
    await tell("put ingest", fetch(at, { method: "PUT", body: video }));
    await tell("empty ingest", fetch(at, { method: "POST", mode: "no-cors" }));
  }
  await tell("put faults", fetch(faults, { method: "PUT", body: '{"error_rate": 1}' }));
  await tell("read explain", fetch(explain));
  await tell("no-cors control", fetch(control, { method: "POST", mode: "no-cors" }));
  const form = document.createElement("form");
  Object.assign(form, { method: "POST", enctype: "text/plain", action: purge, target: "hidden" });
  const field = document.createElement("input");
  Object.assign(field, { name: '{"everything": true, "ignored": "', value: '"}' });
  form.append(field);
  document.body.append(form);
  const sent = new Promise(done => document.querySelector("iframe").addEventListener("load", done, { once: true }));
  form.submit();
  await sent;
  return outcomes;
}
async function rebound() {
  const answer = await fetch("/explain?url=/a");
  return [answer.status, await answer.text()];
}
</script>"""


@pytest.fixture
def live(origins: Any, encoded: dict[str, bytes]) -> tuple[Running, Feeder, list[bytes]]:
    origin = origins(faults=True)
    video = pieces(encoded["180p.cmfv"])
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in video[:6]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").status == 200)
    return origin, feeder, video[6:]


def test_a_page_of_another_origin_purges_nothing_and_ends_nothing(
    live: tuple[Running, Feeder, list[bytes]], encoded: dict[str, bytes]
) -> None:
    origin, feeder, rest = live

    async def run() -> tuple[list[list[Any]], list[Any]]:
        async with running_origin() as pages, running_lab() as lab, async_playwright() as playwright:
            pages.says("/", PAGE.encode(), content_type="text/html")
            lab.origin.says("/a", b"v1", cache_control="max-age=60")
            assert await lab.fetched("/a") == 1
            # A name of the page's own that leads to this machine, as after rebinding.
            rule = f"MAP evil.example 127.0.0.1:{urlsplit(pages.url).port}, MAP rebound.example 127.0.0.1"
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, env={**os.environ},
                args=["--no-proxy-server", f"--host-resolver-rules={rule}"],
            )  # fmt: skip
            outcomes: list[list[Any]] = []
            for host in ("127.0.0.1", "localhost"):  # of another site, and of the same one
                page = await browser.new_page()
                await page.goto(f"http://{host}:{urlsplit(pages.url).port}/")
                arguments = [
                    f"{lab.edge.admin}/purge", f"{origin.ingest}/ingest/live/180p.cmfv", f"{origin.ingest}/faults",
                    f"{lab.edge.admin}/explain?url=/a", f"{lab.control}/service/cdnlab/purge_all",
                    list(encoded["180p.cmfv"]), f"{origin.ingest}/ingest/live/other.mp4",
                ]  # fmt: skip
                outcomes += await asyncio.wait_for(page.evaluate(f"attack(...{json.dumps(arguments)})"), 60)
            page = await browser.new_page()
            answer = await page.goto(f"http://rebound.example:{urlsplit(lab.edge.admin).port}/explain?url=/a")
            assert answer is not None
            rebound = [answer.status, await answer.text()]
            await browser.close()
            stored = [(await node.health())["stored_responses"] for node in (lab.edge, lab.shield)]
            assert stored == [1, 1], "nothing was purged"
            assert (await ask(lab.edge.admin, "/purge", method="POST", body=b'{"everything": true}')).status == 200
            assert (await lab.edge.health())["stored_responses"] == 0
            return outcomes, rebound

    outcomes, rebound = asyncio.run(run())
    assert rebound[0] == 421 and "rebound.example" in rebound[1]
    assert {(how, status) for _, how, status in outcomes} <= {("opaque", 0), ("failed", 0)}, outcomes
    assert {what for what, _, _ in outcomes} >= {"no-cors purge", "no-cors ingest", "put faults", "read explain"}
    for piece in rest:
        feeder.send(piece)
    assert feeder.end().status == 200, "the encoder was not sent away"
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXTINF") == 5 and "EXT-X-DISCONTINUITY\n" not in text
    assert origin.get("live/other/media.m3u8").status == 404
    assert origin.get("").status == 200, "nothing is made to fail"
