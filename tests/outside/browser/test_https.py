"""An unmodified Chromium that trusts the local CA: it plays a stream over HTTPS from another host than the page's."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Playwright, async_playwright

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.response_headers import Cors, ResponseHeaders
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.serving.authority import Authority
from edge.serve import records_of
from edge.services import Hosted
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from transcode.ffmpeg import find

CHROMIUM, CERTUTIL = shutil.which("chromium"), shutil.which("certutil")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        CHROMIUM is None or CERTUTIL is None, reason="there is no chromium, or no certutil (libnss3-tools)"
    ),
]

PAGE = """<!doctype html><video muted autoplay></video><script>
const stream = new URL(decodeURIComponent(location.hash.slice(1)));
const video = document.querySelector("video");
async function play() {
  const lines = (await (await fetch(stream)).text()).split("\\n");
  const init = lines.map(line => /^#EXT-X-MAP:URI="(.+)"/.exec(line)).find(found => found)[1];
  const media = new MediaSource();
  video.src = URL.createObjectURL(media);
  await new Promise(opened => media.addEventListener("sourceopen", opened, { once: true }));
  const buffer = media.addSourceBuffer('video/mp4; codecs="avc1.42c00b"');
  for (const name of [init, ...lines.filter(line => line && !line.startsWith("#"))]) {
    buffer.appendBuffer(await (await fetch(new URL(name, stream))).arrayBuffer());
    await new Promise(done => buffer.addEventListener("updateend", done, { once: true }));
  }
  media.endOfStream();
  await new Promise(ended => video.addEventListener("ended", ended, { once: true }));
  return { seconds: video.currentTime, failed: video.error && video.error.message };
}
</script>"""


def home_that_trusts(authority: Authority | None, folder: Path) -> Path:
    """A home folder whose certificates, where Chromium looks for them, are the CA's or nobody's."""
    database = folder / ".pki" / "nssdb"
    database.mkdir(parents=True)
    assert CERTUTIL is not None
    subprocess.run([CERTUTIL, "-N", "-d", f"sql:{database}", "--empty-password"], check=True)
    if authority is not None:
        add = ["-A", "-n", "cdnlab", "-t", "C,,", "-i", str(authority.certificate_file)]
        subprocess.run([CERTUTIL, "-d", f"sql:{database}", *add], check=True)
    return folder


async def started(playwright: Playwright, home: Path) -> Browser:
    env: dict[str, Any] = {**os.environ, "HOME": str(home)}
    env.pop("XDG_DATA_HOME", None)
    # Names beneath localhost are this machine's to a browser (RFC 6761 section 6.3): nothing is mapped here.
    return await playwright.chromium.launch(executable_path=CHROMIUM, env=env, args=["--no-proxy-server"])


def encoded(folder: Path) -> Path:
    """Two seconds of HLS in fragmented MP4, a segment a second."""
    folder.mkdir()
    source = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=2", "-pix_fmt", "yuv420p"]
    codec = ["-c:v", "libx264", "-profile:v", "baseline", "-level", "1.1", "-g", "10"]
    hls = ["-f", "hls", "-hls_time", "1", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod"]
    program = str(find().path)
    subprocess.run([program, "-v", "error", *source, *codec, *hls, "media.m3u8"], cwd=folder, check=True)
    return folder


def test_a_stream_plays_over_https_for_who_trusts_the_ca(authority: Authority, tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"
    files = {file.name: file.read_bytes() for file in encoded(tmp_path / "stream").iterdir()}
    anyone = ResponseHeaders(cors=Cors(origins=("*",)))
    media_rules = Service(
        behaviors=(Behavior(path="*", response_headers_policy="anyone"),), response_headers={"anyone": anyone}
    )

    async def run() -> dict[str, Any]:
        async with running_origin() as pages, running_origin() as media, async_playwright() as playwright:
            pages.says("/", PAGE.encode(), content_type="text/html", cache_control="max-age=60")
            for name, body in files.items():
                media.says(f"/{name}", body, cache_control="max-age=60")
            hosted = Hosted("media", ("media.localhost",), media_rules, RFC9111, (media.url,))
            async with running_node(pages.url, hosted=[hosted], listen_tls="127.0.0.1:0", records=records) as node:
                port = node.ready["https"].rpartition(":")[2]
                page_url = f"https://www.localhost:{port}/#https://media.localhost:{port}/media.m3u8"
                browser = await started(playwright, home_that_trusts(None, tmp_path / "stranger"))
                page = await browser.new_page()
                with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
                    await page.goto(page_url)
                await browser.close()
                browser = await started(playwright, home_that_trusts(authority, tmp_path / "home"))
                page = await browser.new_page()
                answer = await page.goto(page_url)
                assert answer is not None and answer.status == 200
                said: dict[str, Any] = json.loads(
                    await asyncio.wait_for(page.evaluate("play().then(JSON.stringify)"), 30)
                )
                await browser.close()
                assert media.count == {f"/{name}": 1 for name in files}
                return said

    said = asyncio.run(run())
    assert (said["failed"], round(said["seconds"])) == (None, 2)
    asked = [json.loads(line) for line in records_of(records, "media").read_text().splitlines()]
    came = [(one["url"].partition("://")[0], one["version"]) for one in asked if one["kind"] == "request"]
    assert came == [("https", "2")] * len(files)
