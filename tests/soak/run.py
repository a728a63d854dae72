"""One soak: the demo's cluster, viewers at both edges, faults on and off; then what must have held.

- Every request was answered, or its edge was being killed.
- Nothing but 200s outside the faults.
- Every fault left its mark in the records, and what the viewers saw is what the report counts.
- Memory and file descriptors are flat.
- Where a small disk may be mounted, the run lies on one and it is full for a while: said once, and once that it is over.
"""

import asyncio
import json
import secrets
import shutil
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cdnlab import report
from cdnlab.client.signing import signed
from cdnlab.lab.cluster import Cluster, Event
from cdnlab.lab.playable import viewer_headers, wait_until_playable
from cdnlab.lab.run_folder import RunFolder
from cdnlab.settings.document import Loaded, read
from cdnlab.tasks.demo import ADDRESSES
from tests.kit.small_disk import small_disk
from tests.soak.faults import DISK_FULL, KILLS, TROUBLES, Fault, Window
from tests.soak.viewers import SESSION, Answer, Viewer
from tests.soak.watch import MORE_FILES, Watch

VIEWERS = 15
"""At each edge."""
SLACK_S = 4.0
"""Seconds by which a fault outlives its end: a stream that takes up again, stale copies, fills under way."""
REST_S = 6.0
"""After the viewers have gone: longer than a connection to a parent rests."""


@dataclass
class Soaked:
    """What a soak found."""

    answers: list[Answer] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def settings(folder: RunFolder) -> Loaded:
    """The demo's, on any free ports, with one small rendition and little room, so that stores are full soon."""
    text = files("cdnlab.tasks").joinpath("demo.toml").read_text(encoding="utf-8")
    for name, value in {**dict.fromkeys(ADDRESSES, "127.0.0.1:0"), "LADDER": '["360p"]'}.items():
        text = text.replace(f"@{name}@", value)
    text = text.replace('segment = "2s"', 'segment = "2s"\npreset = "ultrafast"\nframe_rate = 15')
    text = text.replace("[[node]]", '[[node]]\nmemory = "8MiB"\nlargest = "4MiB"')
    (folder.path / "viewer.key").write_bytes(b64encode(secrets.token_bytes(32)))
    path = folder.path / "soak.toml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def schedule(seconds: float, *, small: bool) -> list[Fault]:
    """Kills first, so that the lives that follow are long; then the troubles, again and again.

    `small`: the run lies on a small disk, which can be filled.
    """
    kills = [*KILLS, DISK_FULL] if small else [*KILLS]
    each = 2 * span(seconds)
    rounds = max(1, round((seconds - len(kills) * each) / (len(TROUBLES) * each)))
    return [*kills, *TROUBLES * rounds]


def span(seconds: float) -> float:
    """How long a fault lasts, and the calm after it."""
    return min(15.0, max(3.0, seconds / 40))


async def soak(seconds: float, runs: Path, console: Console) -> Soaked:
    """Runs it, and judges. What a cluster of processes cannot start is raised as `cdnlab up` does."""
    folder = RunFolder.new(runs)
    soaked = Soaked()
    with small_disk(folder.path, "128m") as small:
        if small:
            _furnish(folder)
        await _soak(folder, seconds, soaked, console, small=small)
        if small:
            kept = runs / f"{folder.path.name}-kept"
            shutil.copytree(folder.path, kept, symlinks=True, ignore=shutil.ignore_patterns("media"))
            soaked.notes.append(f"the run without its media: {kept}")
    return soaked


def _furnish(folder: RunFolder) -> None:
    """The folders of a run anew, but for its records, which must not be lost when the disk is full."""
    for name in ("logs", "services", "media"):
        (folder.path / name).mkdir()
    records = folder.path.absolute().with_name(f"{folder.path.name}-records")
    records.mkdir()
    (folder.path / "records").symlink_to(records)


async def _soak(folder: RunFolder, seconds: float, soaked: Soaked, console: Console, *, small: bool) -> None:
    restarts: list[str] = []
    said: list[str] = []

    def hear(event: Event) -> None:
        if event.state is not None and event.state.value == "restarting":
            restarts.append(event.process)
        said.append(str(event.detail.get("text", "")))

    cluster = Cluster(settings(folder), folder, hear)
    try:
        await cluster.start()
        await wait_until_playable(cluster, within=60.0, segments=3)
        watch = Watch(cluster)
        idle = watch.files()
        await _play(cluster, schedule(seconds, small=small), span(seconds), soaked, watch, console)
        await asyncio.sleep(REST_S)
        resting = watch.files()
        soaked.complaints += [
            f"{name}: {now} files at rest, {idle[name]} before"
            for name, now in resting.items()
            if now > idle[name] + MORE_FILES
        ]
    finally:
        await cluster.stop()
    soaked.complaints += [told for life in watch.lives.values() if (told := life.complaint()) is not None]
    soaked.notes += [str(life) for life in watch.lives.values()]
    soaked.notes.append(f"restarted: {dict(Counter(restarts))}")
    for words in ("the disk is full", "can be written again"):
        times = sum(words in text for text in said)
        if times != small:
            soaked.complaints.append(f"{words!r} was said {times} times, wanted {int(small)}")
    _judge_answers(soaked)
    _judge_records(soaked, folder)


async def _play(
    cluster: Cluster, faults: list[Fault], each: float, soaked: Soaked, watch: Watch, console: Console
) -> None:
    """Viewers, faults, samples and a progress bar, until every fault has had its turn of `each` seconds."""
    stop = asyncio.Event()
    watching = []
    for node in cluster.document.edges():
        url = cluster.edge_urls()[node.name]
        entrance = signed(
            cluster.document,
            f"{url}/live/multivariant.m3u8",
            expires_at=int(time.time() + 3 * each * len(faults) + 3600),
        )
        target = urlsplit(entrance)._replace(scheme="", netloc="").geturl()
        fields = {name.replace("-", "_"): value for name, value in viewer_headers(cluster.document, node).items()}
        for i in range(VIEWERS):
            viewer = Viewer(node.name, url, target, fields, soaked.answers.append)
            watching.append(asyncio.create_task(viewer.watch(stop, after=i / VIEWERS)))
    with Progress(
        TextColumn("{task.description:<20}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn(),
        console=console, transient=True,
    ) as progress:  # fmt: skip
        shown = progress.add_task("calm", total=len(faults), said="")

        async def sampling() -> None:
            while True:
                watch.sample()
                happy = sum(answer.happy for answer in soaked.answers)
                progress.update(shown, said=f"{len(soaked.answers)} requests, {len(soaked.answers) - happy} unhappy")
                await asyncio.sleep(1.0)

        sampler = asyncio.create_task(sampling())
        try:
            await asyncio.sleep(each)
            for fault in faults:
                progress.update(shown, description=fault.name)
                window = Window(fault, time.time())
                soaked.windows.append(window)
                await fault.on(cluster)
                await asyncio.sleep(each)
                await fault.off(cluster)
                window.ended = time.time()
                progress.update(shown, description="calm", advance=1)
                await asyncio.sleep(each)
            await asyncio.sleep(SLACK_S)
        finally:
            sampler.cancel()
            stop.set()
            await asyncio.gather(*watching)


def _judge_answers(soaked: Soaked) -> None:
    for answer in soaked.answers:
        if answer.happy:
            continue
        if answer.trouble == "none":
            soaked.complaints.append(f"never answered: {answer}")
            continue
        ended = answer.asked_at + answer.took
        faults = {
            w.fault for w in soaked.windows if w.began - SLACK_S <= ended and answer.asked_at <= w.ended + SLACK_S
        }
        if not faults:
            soaked.complaints.append(f"unhappy, and nothing was wrong: {answer}")
        elif answer.trouble and answer.edge not in {fault.kills for fault in faults}:
            soaked.complaints.append(f"no answer, and its edge was alive: {answer}, {[one.name for one in faults]}")
    unhappy = Counter(answer.trouble or answer.status for answer in soaked.answers if not answer.happy)
    soaked.notes.append(f"{len(soaked.answers)} requests; unhappy: {dict(unhappy)}")


def _judge_records(soaked: Soaked, folder: RunFolder) -> None:
    """The records hold each fault's mark; the report counts what the viewers of the edge that never died saw."""
    lines = [
        json.loads(line)
        for path in folder.path.glob("records/*.jsonl")
        for line in path.read_text().splitlines()
        if line
    ]
    for window in soaked.windows:
        began = [(line, line["sent_at" if line["kind"] == "fetch" else "at"]) for line in lines]
        near = [line for line, at in began if window.covers(at, slack=SLACK_S)]
        if not any(window.fault.mark(line) for line in near):
            soaked.complaints.append(f"{window.fault.name}: of {len(near)} records of its time none shows it")
    mine = [
        line for line in lines if line["kind"] == "request" and line["session"] == SESSION and line["node"] == "nyc"
    ]
    seen = Counter(answer.status for answer in soaked.answers if answer.edge == "nyc")
    recorded = Counter(line["status"] for line in mine)
    if seen != recorded:
        soaked.complaints.append(f"nyc's viewers saw {dict(seen)}, its records say {dict(recorded)}")
    told = report.build(folder.path)
    counted = sum(row["requests"] for row in told.outcomes)
    viewers = sum(line["kind"] == "request" and not line["from_node"] and line["node"] != "shield" for line in lines)
    if counted != viewers:
        soaked.complaints.append(f"the report's outcomes sum to {counted}, the records have {viewers}")
    outcomes: Counter[str] = Counter()
    for row in told.outcomes:
        outcomes[row["outcome"]] += row["requests"]
    soaked.notes.append(f"outcomes: {dict(outcomes)}; hit rate {told.total['hit_rate']:.3f}; run {folder.path}")
