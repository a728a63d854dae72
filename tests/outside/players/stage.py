"""Pages with players, and what they play: a flash and a beep each second, live and stored, behind a shield and an edge."""

import asyncio
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdnkit.settings.transcode import Packaging, Stream
from origin.dash.mpd import MANIFEST, NUMBER_MANIFEST
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Running, request, until
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from transcode.command import live_command
from transcode.ffmpeg import find
from transcode.plan import prepare as plan_of
from transcode.process import run_live
from transcode.vod import transcode

HERE = Path(__file__).parent
RATE = 15
HEIGHTS = (360, 480)
SEGMENT = 2.0
LENGTH = 60
"""Seconds of what is stored: no player has loaded all of it when it is to go to another rung."""
FLASH_S = 0.1
LATE_S = 0.1
"""How late the sound is in a file that is wrong on purpose."""
JOINABLE = 4
"""Segments that are there before the first player comes: three are what a player stays behind the live edge."""

SCRIPTS = {
    "hls.js": "hls.js/dist/hls.min.js",
    "shaka": "shaka-player/dist/shaka-player.compiled.js",
    "video.js": "video.js/dist/video.min.js",
    "dash.js": "dashjs/dist/modern/umd/dash.all.min.js",
}
PAGE = """<!doctype html><meta charset="utf-8"><video width="320" height="180" playsinline></video>
<script src="watch.js"></script><script src="players.js"></script>"""
SCRIPT = '<script src="{}"></script>'

ADDRESSES = {
    ("live", "HLS"): "/live/multivariant.m3u8",
    ("live", "DASH"): f"/live/{MANIFEST}",
    ("live", "DASH by numbers"): f"/live/{NUMBER_MANIFEST}",
    ("ended", "HLS"): "/ended/multivariant.m3u8",
    ("ended", "DASH"): f"/ended/{MANIFEST}",
    ("VOD", "HLS"): "/vod/clip/multivariant.m3u8",
    ("VOD", "DASH"): "/vod/clip/manifest.mpd",
    ("VOD in single files", "HLS"): "/vod/single/multivariant.m3u8",
    ("VOD in single files", "DASH"): "/vod/single/manifest.mpd",
    ("file", "MP4"): "/vod/file.mp4",
    ("file late", "MP4"): "/vod/late.mp4",
}
"""Where the edge has what is played."""


def clip(path: Path, seconds: int, late: float = 0.0) -> Path:
    """Pictures with a white corner and a tone, both for a tenth of each second; the tone is `late` by some seconds."""
    picture = f"testsrc2=size=854x480:rate={RATE}:duration={seconds},drawbox=w=iw/2:h=ih/2:t=fill:color=black"
    flash = f"drawbox=w=iw/2:h=ih/2:t=fill:color=white:enable='lt(mod(t+0.001,1),{FLASH_S})'"
    tone = f"aevalsrc='0.5*sin(2*PI*1000*t)*gte(t,{late})*lt(mod(t+1-{late},1),{FLASH_S})':s=48000:d={seconds}"
    command = [str(find().path), "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", f"{picture},{flash}"]
    command += ["-f", "lavfi", "-i", tone, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30"]
    sound = ["-c:a", "aac", "-movflags", "+faststart"] if path.suffix == ".mp4" else ["-c:a", "pcm_s16le"]
    subprocess.run([*command, *sound, f"file:{path}"], check=True, timeout=60, stdin=subprocess.DEVNULL)
    return path


def ladder(source: Path, name: str, *, loop: bool = False) -> Stream:
    return Stream(
        name=name, source=str(source), ladder=("480p", "360p"), encoder="x264", preset="ultrafast",
        frame_rate=RATE, segment=SEGMENT, loop=loop,
    )  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """What a browser opens."""

    pages: str
    edge: str

    def url(self, kind: str, protocol: str) -> str:
        return f"{self.edge}{ADDRESSES[kind, protocol]}"


def prepare(ingest: str, vod: Path, source: Path) -> None:
    """All that is no live stream: two VODs by `cdnlab transcode`, a stream that has ended, whole files of a browser's own."""
    asyncio.run(transcode(ladder(source, "clip"), vod / "clip"))
    asyncio.run(transcode(ladder(source, "single"), vod / "single", packaging=Packaging(single_file=True)))
    plan = plan_of(ladder(source, "ended"))
    command = [word for word in live_command(plan, ingest) if word != "-re"]  # as fast as it can be encoded
    subprocess.run(command, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    clip(vod / "file.mp4", 12)
    clip(vod / "late.mp4", 12, late=LATE_S)


@contextmanager
def staged(origin: Running, source: Path) -> Iterator[Stage]:
    """A shield, an edge, pages and a live encoder, in a thread of their own until the caller is done."""
    shutdown, ready = asyncio.Event(), Future[Stage]()
    with ThreadPoolExecutor(1) as pool, asyncio.Runner() as runner:
        running = pool.submit(runner.run, _stage(origin, source, shutdown, ready))
        running.add_done_callback(lambda _: ready.cancel())
        try:
            stage = ready.result(GUARD_S)
            until(lambda: request(f"{stage.edge}/live/480p/media.m3u8").body.count(b"#EXTINF") >= JOINABLE)
            until(lambda: request(stage.url("live", "DASH")).status == 200)
            yield stage
        finally:
            runner.get_loop().call_soon_threadsafe(shutdown.set)
            running.result(GUARD_S)


async def _stage(origin: Running, source: Path, shutdown: asyncio.Event, ready: "Future[Stage]") -> None:
    async with (
        running_origin() as pages,
        running_node(origin.url, name="shield") as shield,
        running_node(shield.url, name="edge") as edge,
        asyncio.TaskGroup() as tasks,
    ):
        for name in ("watch.js", "players.js"):
            pages.says(f"/{name}", (HERE / name).read_bytes(), content_type="text/javascript")
        for name, file in SCRIPTS.items():
            pages.says(f"/{file}", (HERE / "node_modules" / file).read_bytes(), content_type="text/javascript")
            pages.says(f"/{name}", (PAGE + SCRIPT.format(file)).encode(), content_type="text/html")
        pages.says("/browser", PAGE.encode(), content_type="text/html")
        stream = ladder(source, "live", loop=True)
        tasks.create_task(run_live(stream, origin.ingest, shutdown=shutdown, on_event=lambda event: None))
        ready.set_result(Stage(pages.url, edge.url))
        await shutdown.wait()
