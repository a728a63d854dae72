"""What comes out of an edge is the stream that went in: whole, in time, decodable, and once from the origin."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin

import pytest

from cdnlab.client.viewer import ask
from tests.real.live.lab import QUICK, Up, until
from transcode.ffmpeg import find
from transcode.plan import usable_cores

pytestmark = pytest.mark.live

Start = Callable[..., Up]
SECONDS, FRAME_RATE = 5, 15
FINITE = QUICK.replace('segment = "1s"', f'segment = "1s"\nduration = "{SECONDS}s"')


def pulled(url: str, *options: str, level: str = "warning") -> tuple[str, str]:
    """(frames, error lines) of ffmpeg decoding what `url` serves; a frame line is `stream, dts, pts, duration, ...`."""
    command = [find().path, "-nostdin", "-hide_banner", "-v", level, "-i", url, *options, "-f", "framecrc", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def pts_of(frames: str, stream: int) -> list[int]:
    return [int(line.split(",")[2]) for line in frames.splitlines() if line.startswith(f"{stream},")]


def test_a_finite_stream_comes_through_an_edge_whole(start: Start) -> None:
    up = start(FINITE)
    up.wait_for("Ctrl-C ends it")
    url = f"{up.node('fra')['url']}/live/multivariant.m3u8"
    # An ended source is an ended process, not a dead one that must come back.
    up.wait_for("transcode-live: ended")
    until(lambda: "#EXT-X-ENDLIST" in ask(urljoin(url, "360p/media.m3u8")).text(), lambda: "no ENDLIST")
    frames, errors = pulled(url)
    assert errors == ""
    video, audio = pts_of(frames, 0), pts_of(frames, 1)
    assert video == [video[0] + i * (video[1] - video[0]) for i in range(SECONDS * FRAME_RATE)], "a frame is missing"
    assert {after - before for before, after in pairwise(audio)} == {1024}, "an AAC frame is missing"
    assert up.stop() == 130
    # Every segment left the origin once: the shield asked for each once, and the edge asked the shield.
    seen: dict[str, int] = {}
    for line in (up.run / "records" / "shield.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "fetch" and "/seg-" in record["url"]:
            seen[record["url"]] = seen.get(record["url"], 0) + 1
    assert len(seen) == 2 * SECONDS
    assert set(seen.values()) == {1}


def test_a_live_stream_plays_while_it_is_made_and_in_time(start: Start) -> None:
    up = start(QUICK)
    up.wait_for("Ctrl-C ends it")
    took = re.search(r"playable through every edge ([0-9.]+) s after the start", up.said())
    assert took is not None
    # Under 5 s beyond encoding the first segment, which is a second long and encoded as fast as it goes by;
    # a machine that others use at the same time is slower by as much as it is overbooked.
    overbooked = max(1.0, os.getloadavg()[0] / usable_cores())
    assert float(took[1]) < 6.0 * overbooked
    # At each reload ffmpeg reads the init section again and warns that it is there twice: its habit, no error.
    frames, errors = pulled(
        f"{up.node('fra')['url']}/live/multivariant.m3u8",
        "-map",
        "0:v",
        "-frames:v",
        str(3 * FRAME_RATE),
        level="error",
    )
    assert errors == ""
    video = pts_of(frames, 0)
    assert len(video) == 3 * FRAME_RATE
    assert {after - before for before, after in pairwise(video)} == {video[1] - video[0]}


def test_a_file_is_looped_live_and_its_time_goes_on(start: Start, tmp_path: Path) -> None:
    """`cdnlab up --source clip.mp4`: a clip shorter than what is pulled, without audio of its own."""
    clip = tmp_path / "clip.mp4"
    make = [find().path, "-nostdin", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={FRAME_RATE}"]
    subprocess.run([*make, "-t", "2", "-pix_fmt", "yuv420p", str(clip)], check=True, timeout=60)
    up = start(QUICK, "--source", "clip.mp4")
    up.wait_for("Ctrl-C ends it")
    assert "the source has no audio: silence is encoded" in up.said()
    frames, errors = pulled(
        f"{up.node('fra')['url']}/live/multivariant.m3u8",
        "-map",
        "0:v",
        "-frames:v",
        str(4 * FRAME_RATE),
        level="error",
    )
    assert errors == ""
    video = pts_of(frames, 0)
    assert len(video) == 4 * FRAME_RATE
    assert {after - before for before, after in pairwise(video)} == {video[1] - video[0]}
