"""`python -m tests.soak.origin.republish`: what many streams cost one origin, in CPU and in memory.

50 streams of four rungs and sound, looped from one VOD without encoding, in real time. The origin is a process of its
own; this one sends, asks, and counts.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import mkdtemp

from tests.kit.http import ask
from tests.kit.looped import Republisher
from tests.kit.origin_process import OriginProcess
from tests.soak.origin.source import LADDER, looped_tracks
from tests.soak.watch import slope

SEGMENT_S = 2.0
MOST_CPU = 0.7
"""Of one core, in real time: what is left is for playlists and for a busy machine."""
REQUESTS = 2000


@dataclass
class Found:
    """What a run found."""

    segments: int = 0
    cpu_s: float = 0.0
    lasted: float = 0.0
    request_ms: dict[str, float] = field(default_factory=dict)
    """CPU of the origin for one request, by what is asked for."""
    rss: list[tuple[float, float]] = field(default_factory=list)
    """(seconds, MiB)."""
    latest: float = 0.0
    bytes: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def cores(self) -> float:
        return self.cpu_s / self.lasted if self.lasted else 0.0

    @property
    def slope(self) -> float:
        """MiB a minute, over the second half."""
        half = self.rss[len(self.rss) // 2 :]
        return 60 * slope([at for at, _ in half], [mib for _, mib in half])

    def lines(self) -> list[str]:
        each = 1000 * self.cpu_s / max(1, self.segments)
        return [
            f"{self.segments} segments, {self.bytes / 1e6:.0f} MB, in {self.lasted:.1f} s: {self.cpu_s:.1f} s of CPU, "
            f"{each:.2f} ms a segment, {100 * self.cores:.0f} % of a core",
            *(f"{what}: {ms:.2f} ms of CPU a request" for what, ms in self.request_ms.items()),
            f"memory: {self.rss[0][1]:.0f} to {self.rss[-1][1]:.0f} MiB, {self.slope:+.1f} MiB a minute in the second half",
            f"the latest fragment was sent {1000 * self.latest:.0f} ms after its time",
        ]


async def republish(
    folder: Path,
    *,
    streams: int,
    seconds: float,
    names: tuple[str, ...] = LADDER,
    settings: tuple[str, ...] = ('memory = "64MiB"',),
    fragment: Fraction = Fraction(1, 2),
    paced: bool = True,
    profile: Path | None = None,
) -> Found:
    """Runs it. What does not hold is in `complaints`."""
    found = Found()
    tracks = await looped_tracks(folder / "vod", names)
    origin = await OriginProcess(folder, [f'segment = "{SEGMENT_S:g}s"', *settings], profile).start()
    sender = Republisher(origin.ingest, tracks, [f"s{n}" for n in range(streams)], fragment, paced=paced)
    began = time.monotonic()

    async def sample() -> None:
        while True:
            found.rss.append((time.monotonic() - began, origin.rss_mib()))
            if len(found.rss) % 20 == 0:
                print(f"{found.rss[-1][0]:.0f} s: {found.rss[-1][1]:.0f} MiB", file=sys.stderr, flush=True)
            await asyncio.sleep(0.5)

    sampler = asyncio.create_task(sample())
    try:
        before = origin.cpu_s()
        await sender.run(seconds)
        found.cpu_s, found.lasted = origin.cpu_s() - before, time.monotonic() - began
        found.bytes = sum(one.bytes for one in sender.sent.values())
        found.latest = max(one.latest for one in sender.sent.values())
        listed = json.loads((await ask(origin.url, "/")).body)["streams"]
        _judge(found, sender, listed)
        video = tracks[0].name.partition(".")[0]
        for target in (f"/s0/{video}/media.m3u8", "/s0/multivariant.m3u8", "/s0/manifest.mpd"):
            found.request_ms[target] = await _cost_of(origin, target)
    finally:
        sampler.cancel()
        await origin.stop()
    return found


def _judge(found: Found, sender: Republisher, listed: list[dict[str, object]]) -> None:
    """Every sample that was sent is received and published, and nothing else."""
    seen = 0
    for stream in listed:
        for track in stream["tracks"]:  # type: ignore[attr-defined]
            sent, got = sender.sent[str(stream["name"]), track["name"]], track["samples"]
            found.segments += track["last"] + 1
            seen += 1
            wanted = {"received": sent.samples, "published": sent.samples, "refused": 0, "repeated": 0}
            if got != wanted or sent.status != 200:
                found.complaints.append(f"{stream['name']}/{track['name']}: {got}, sent {sent.samples}, {sent.status}")
    if seen != len(sender.sent):
        found.complaints.append(f"{seen} tracks are listed, {len(sender.sent)} were sent")


async def _cost_of(origin: OriginProcess, target: str) -> float:
    """Milliseconds of the origin's CPU for one request on a connection that stays."""
    address, _, port = origin.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    request = f"GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode()
    before = origin.cpu_s()
    for _ in range(REQUESTS):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()
    return 1000 * (origin.cpu_s() - before) / REQUESTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.origin.republish", description=__doc__)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fast", action="store_true", help="as fast as the origin takes it, not in real time")
    parser.add_argument("--part", default="", help="low latency, with parts of this length: 500ms")
    parser.add_argument("--profile", type=Path, default=None, help="a file for what cProfile finds in the origin")
    given = parser.parse_args()
    folder = Path(mkdtemp(prefix="republish-"))
    settings = ['memory = "64MiB"', *([f'part = "{given.part}"'] if given.part else [])]
    try:
        found = asyncio.run(
            republish(
                folder,
                streams=given.streams,
                seconds=given.seconds,
                settings=tuple(settings),
                paced=not given.fast,
                profile=given.profile,
            )
        )
    finally:
        shutil.rmtree(folder)
    print("\n".join([*found.lines(), *found.complaints[:20]]))
    return 1 if found.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
