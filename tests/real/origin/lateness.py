"""How late real players are: a real encoder, a real origin and two cache tiers; judged again where the machine was busy."""

import asyncio
import itertools
import re
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit import ll_player
from tests.kit.late import Late, again
from tests.kit.live_origin import Running, encoder, encoder_command, until
from tests.kit.node import Running as Node
from tests.kit.node import running_node

PART = 0.5
CONTENT = {"180p": "cmfv", "90p": "cmfv", "audio-64k": "cmfa"}

Watch = Callable[[Running, str, float], Awaitable[dict[str, tuple[float, ...]]]]
"""(origin, stream, when the first frame came) -> how late a player of each track is, and what else is to be shown."""


@asynccontextmanager
async def two_tiers(origin: Running) -> AsyncIterator[tuple[Node, Node]]:
    """A shield, and an edge behind it."""
    async with (
        running_node(origin.url, *MEDIA_BEHAVIORS, name="shield") as shield,
        running_node(shield.url, *MEDIA_BEHAVIORS, name="fra") as edge,
    ):
        yield shield, edge


def less_than_three_seconds(
    origin: Running, ffmpeg: str, page: str, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `watch` finds, each time of a new stream, once it has its `page`."""
    numbers = itertools.count()

    def attempt() -> None:
        stream = f"live-{next(numbers)}"
        urls = {name: f"{origin.ingest}/ingest/{stream}/{name}.{kind}" for name, kind in CONTENT.items()}
        command = encoder_command(ffmpeg, urls, seconds=40, realtime=True, gop=60)
        command[command.index("-v") + 1] = "info"
        first = command.index("-vf") + 1
        command[first] = f"showinfo,{command[first]}"
        with encoder(command) as process:
            first_frame = until(started(process))
            until(lambda: origin.get(f"{stream}/{page}").status == 200)
            lates = asyncio.run(watch(origin, stream, first_frame))
        with capsys.disabled():
            print(f"\nseconds from the encoder's frame to its playing: {lates}")
        if max(late for late, *_ in lates.values()) >= 3.0:
            raise Late(f"{lates} s")

    again(attempt)


def started(process: "subprocess.Popen[bytes]") -> Callable[[], float]:
    """When the encoder's first frame came, in Unix seconds; 0 until then."""
    when: list[float] = []

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if not when and re.search(rb"showinfo.* n: *0 ", line):
                when.append(time.time())

    threading.Thread(target=read, daemon=True).start()
    return lambda: when[0] if when else 0.0


def encoder_delay(origin: Running, track: str, captured_from: float) -> float:
    """How much later than its capture the playlist dates the first frame, in seconds."""
    text = origin.get(f"{track}/media.m3u8").text
    assert ll_player.read(text).target == 2
    date = next(line for line in text.splitlines() if line.startswith("#EXT-X-PROGRAM-DATE-TIME"))
    at = ll_player.datetime.fromisoformat(date.partition(":")[2]).timestamp()
    number = int(re.search(r"seg-\d+-(\d+)", text)[1])  # type: ignore[index]
    return max(0.0, at - 2.0 * number - captured_from)
