"""Pages with players, and what they play: a flash and a beep each second, live and stored, behind a shield and an edge."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdnkit.settings.transcode import Packaging, Stream
from origin.dash.mpd import MANIFEST, NUMBER_MANIFEST
from origin.mpegts.playlists import TS_MULTIVARIANT
from tests.kit.captions import shown_each_second, with_captions
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Feeder, Running, request, until
from tests.kit.node import running_node
from tests.kit.origin import Origin as Upstream
from tests.kit.origin import running_origin
from tests.kit.subtitles import Shown, text_fragment, text_init
from transcode.command import START, live_command
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
CUE_S = 0.5
LATE_S = 0.1
"""How late the sound is in a file that is wrong on purpose."""
JOINABLE = 4
"""Segments that are there before the first player comes: three are what a player stays behind the live edge."""

ENCRYPTED = {"whole": "AES-128", "cbcs": "SAMPLE-AES"}
"""Streams, and how they are encrypted."""

SCRIPTS = {
    "hls.js": "hls.js/dist/hls.min.js",
    "shaka": "shaka-player/dist/shaka-player.compiled.js",
    "video.js": "video.js/dist/video.min.js",
    "dash.js": "dashjs/dist/modern/umd/dash.all.min.js",
}
PAGE = """<!doctype html><meta charset="utf-8"><video width="320" height="180" playsinline></video>
<script src="watch.js"></script><script src="clock.js"></script><script src="captions.js"></script>
<script src="players.js"></script>"""
SCRIPT = '<script src="{}"></script>'

ADDRESSES = {
    ("live", "HLS"): "/live/multivariant.m3u8",
    ("live", "HLS in MPEG-TS"): f"/live/{TS_MULTIVARIANT}",
    ("live", "DASH"): f"/live/{MANIFEST}",
    ("live", "DASH by numbers"): f"/live/{NUMBER_MANIFEST}",
    ("ended", "HLS"): "/ended/multivariant.m3u8",
    ("ended", "HLS in MPEG-TS"): f"/ended/{TS_MULTIVARIANT}",
    ("ended", "DASH"): f"/ended/{MANIFEST}",
    ("AES-128", "HLS"): "/whole/multivariant.m3u8",
    ("cbcs", "HLS"): "/cbcs/multivariant.m3u8",
    ("captioned", "HLS"): "/captioned/multivariant.m3u8",
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


def prepare(origin: Running, vod: Path, source: Path) -> None:
    """All that is no live stream: two VODs by `cdnlab transcode`, a stream that has ended, whole files of a browser's own."""
    asyncio.run(transcode(ladder(source, "clip"), vod / "clip"))
    asyncio.run(transcode(ladder(source, "single"), vod / "single", packaging=Packaging(single_file=True)))
    plan = plan_of(ladder(source, "ended"))
    command = [word for word in live_command(plan, origin.ingest) if word != "-re"]  # as fast as it can be encoded
    text = Feeder(origin, "ended/untertitel.cmft")
    seconds = [text_fragment(cues(LENGTH), START + second, START + second + 1) for second in range(LENGTH)]
    text.send(text_init() + seconds[0])  # a track is there, and is waited for, from its first fragment on
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        until(lambda: origin.get("ended/360p/media.m3u8").status == 200)
        text.send(b"".join(seconds[1:]))
        assert process.wait(GUARD_S) == 0
        assert text.end().status == 200
    for name in ENCRYPTED:
        republish(origin, "ended", name)
    assert origin.post(f"captioned/{HEIGHTS[0]}p.cmfv", captioned(vod.parent, source)).status == 200
    clip(vod / "file.mp4", 12)
    clip(vod / "late.mp4", 12, late=LATE_S)


def cues(count: int) -> list[Shown]:
    """Of the stream that has ended: with each flash a cue, for half a second."""
    return [Shown(START + second, START + second + CUE_S, f"Sekunde {second}") for second in range(count)]


def republish(origin: Running, name: str, other: str) -> None:
    """Another stream of the same pictures and sound, which are posted track by track."""
    for track in (*(f"{height}p" for height in HEIGHTS), "audio-64k"):
        playlist = origin.get(f"{name}/{track}/media.m3u8").text
        files = re.findall(r'^#EXT-X-MAP:URI="(.+)"|^(seg-.+)', playlist, re.MULTILINE)
        body = b"".join(origin.get(f"{name}/{track}/{init or segment}").body for init, segment in files)
        kind = "cmfa" if track.startswith("audio") else "cmfv"
        assert origin.post(f"{other}/{track}.{kind}", body).status == 200


def captioned(folder: Path, source: Path) -> bytes:
    """A track of pictures with closed captions: with each flash but the first another one."""
    bare, said, track = folder / "bare.h264", folder / "captioned.h264", folder / "captioned.mp4"
    program, quiet = [str(find().path), "-nostdin", "-v", "error", "-y"], {"check": True, "stdin": subprocess.DEVNULL}
    encode = ["-vf", f"scale=-2:{HEIGHTS[0]}", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-slices", "1"]
    subprocess.run(
        [*program, "-t", "30", "-i", str(source), "-an", *encode, "-g", "30", str(bare)], timeout=60, **quiet
    )
    pairs = shown_each_second([f"Sekunde {second + 1}" for second in range(29)], RATE)
    said.write_bytes(with_captions(bare.read_bytes(), pairs))
    cmaf = ["-c", "copy", "-movflags", "+cmaf+empty_moov+frag_keyframe", "-f", "mp4"]
    subprocess.run([*program, "-r", str(RATE), "-i", str(said), *cmaf, str(track)], timeout=60, **quiet)
    return track.read_bytes()


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


def say_pages(pages: Upstream) -> None:
    """A page for each player at `/{player}`, and one without any at `/browser`."""
    for name in ("watch.js", "clock.js", "captions.js", "players.js"):
        pages.says(f"/{name}", (HERE / name).read_bytes(), content_type="text/javascript")
    installed = (HERE / "node_modules").is_dir()
    for name, file in SCRIPTS.items() if installed else ():
        pages.says(f"/{file}", (HERE / "node_modules" / file).read_bytes(), content_type="text/javascript")
        pages.says(f"/{name}", (PAGE + SCRIPT.format(file)).encode(), content_type="text/html")
    pages.says("/browser", PAGE.encode(), content_type="text/html")


async def _stage(origin: Running, source: Path, shutdown: asyncio.Event, ready: "Future[Stage]") -> None:
    async with (
        running_origin() as pages,
        running_node(origin.url, name="shield") as shield,
        running_node(shield.url, name="edge") as edge,
        asyncio.TaskGroup() as tasks,
    ):
        say_pages(pages)
        stream = ladder(source, "live", loop=True)
        tasks.create_task(run_live(stream, origin.ingest, shutdown=shutdown, on_event=lambda event: None))
        ready.set_result(Stage(pages.url, edge.url))
        await shutdown.wait()
