"""Whole clusters, started as a user starts them: `cdnlab up` as a process, stopped by the signals a user sends."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.kit.late import GUARD_S

QUICK = """
[[stream]]
name = "live"
ladder = ["360p"]
preset = "ultrafast"
frame_rate = 15
segment = "1s"
[[node]]
name = "shield"
[[node]]
name = "fra"
parent = "shield"
[origin]
listen = "127.0.0.1:0"
ingest = "127.0.0.1:0"
"""
"""The smallest cluster that has everything: nothing in it needs a fixed port."""

NO_STREAM = QUICK.partition("[[node]]")[1] + QUICK.partition("[[node]]")[2]


@dataclass
class Up:
    """A `cdnlab up` that runs."""

    process: subprocess.Popen[str]
    folder: Path
    """Where it was started."""
    output: Path

    @property
    def run(self) -> Path:
        """Its run folder: the newest, once it has said anything."""
        return max((self.folder / "runs").iterdir())

    @property
    def cluster(self) -> dict[str, Any]:
        return json.loads((self.run / "cluster.json").read_text())

    def node(self, name: str) -> dict[str, Any]:
        return next(node for node in self.cluster["nodes"] if node["name"] == name)

    def said(self) -> str:
        return self.output.read_text()

    def descendants(self) -> list[psutil.Process]:
        """All processes below it, ffmpeg included."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for(self, words: str, within: float = 2 * GUARD_S) -> None:
        until(lambda: words in self.said() or self.process.poll() is not None, self.said, within)
        assert words in self.said(), self.said()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(GUARD_S)


def until(true: Callable[[], bool], otherwise: Callable[[], str], within: float = GUARD_S) -> None:
    """Waits for something another process does; fails with `otherwise()`."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
