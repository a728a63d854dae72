"""A node that measures the turns of its own loop; a script, so that another working tree's `edge` can be run by it.

A turn is what the loop does between two waits for the kernel. Its CPU time is the node's part of a stall; what its wall
time is above that, other processes had. A timer of a millisecond sees the turns; in between, a signal after each
millisecond of CPU notes where the node is, so that a long turn can be explained.
"""

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from heapq import heappushpop
from pathlib import Path
from types import FrameType

import uvloop

from cdnkit.policy.rules.service import Service
from cdnkit.settings.edge import Node
from edge.collector import settled
from edge.serve import serve

LONGEST = 8
"""Turns that are reported."""
EVERY_S = 0.001
DEPTH = 12


class Turns:
    """The longest turns since `reset`, by their CPU time."""

    def __init__(self) -> None:
        self.longest: list[tuple[float, float, list[str]]] = []
        self._seen: list[str] = []
        self.reset()

    def reset(self) -> None:
        self.longest = [(0.0, 0.0, [])] * LONGEST
        self._wall, self._cpu = time.monotonic(), time.thread_time()
        self._seen.clear()

    def start(self, *, stacks: bool) -> None:
        self._loop = asyncio.get_running_loop()
        if stacks:
            signal.signal(signal.SIGPROF, self._note)
            signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
        self._turn()

    def _note(self, _: int, frame: FrameType | None) -> None:
        lines = traceback.extract_stack(frame)[-DEPTH:]
        self._seen.append(" < ".join(f"{Path(one.filename).stem}:{one.name}:{one.lineno}" for one in reversed(lines)))

    def _turn(self) -> None:
        wall, cpu = time.monotonic(), time.thread_time()
        heappushpop(self.longest, (cpu - self._cpu, wall - self._wall, self._seen[:]))
        self._seen.clear()
        self._wall, self._cpu = wall, cpu
        self._loop.call_later(EVERY_S, self._turn)

    def report(self) -> list[dict[str, object]]:
        turns = sorted(self.longest, reverse=True)
        return [
            {"cpu_ms": cpu * 1e3, "wall_ms": wall * 1e3, "stacks": Counter(stacks).most_common(12)}
            for cpu, wall, stacks in turns
        ]


async def main(settings: dict[str, object], records: str, parent: str, stacks: bool) -> None:
    """Lines on standard input: "report" prints the longest turns and begins anew; the end of it ends the node."""
    loop, shutdown, turns = asyncio.get_running_loop(), asyncio.Event(), Turns()

    def read() -> None:
        given = os.read(0, 4096)
        if not given:
            loop.remove_reader(0)
            shutdown.set()
            return
        print(json.dumps(turns.report()), flush=True)
        turns.reset()

    def ready(urls: dict[str, object]) -> None:
        turns.start(stacks=stacks)
        print(json.dumps(urls), flush=True)

    loop.add_reader(0, read)
    service = Service.model_validate({"name": "fra"})
    path = Path(records) if records else None
    await serve(Node(**settings), service, parent=parent, records=path, shutdown=shutdown, ready=settled(ready))  # type: ignore[arg-type]


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "stacks"))
