"""`cdnlab transcode`: encodes a file into a folder of renditions, with a progress bar."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cdnkit.settings.transcode import Packaging, Stream
from cdnlab.errors import INTERRUPTED
from cdnlab.screen import terminal
from cdnlab.settings.options import checked
from transcode import events, vod


def run(clip: Path, out: Path, values: dict[str, Any], packaging: dict[str, Any], *, force: bool, verbose: bool) -> int:
    """Encodes to the end; returns the exit status. After Ctrl-C nothing is left behind.

    `values` and `packaging` are what options gave: of the stream, and of how it is laid out.
    """
    ladder = values["ladder"]
    rungs = ladder if ladder == "auto" else tuple(name.strip() for name in ladder.split(","))
    stream = checked(Stream, {**values, "source": str(clip), "ladder": rungs, "loop": False})
    layout = checked(Packaging, packaging)
    console = terminal.console()
    try:
        playlist = asyncio.run(_encode(stream, out, layout, force=force, verbose=verbose, console=console))
    except asyncio.CancelledError:
        console.print("interrupted: nothing was written", style="yellow")
        return INTERRUPTED
    console.print(f"written: {playlist}", soft_wrap=True)
    console.print(f"serve it: cdnlab origin --vod {out}", soft_wrap=True)
    return 0


async def _encode(
    stream: Stream, out: Path, packaging: Packaging, *, force: bool, verbose: bool, console: Console
) -> Path:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    printed = -10
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task(Path(stream.source).name, total=1.0)

        def on_event(event: events.Event) -> None:
            nonlocal printed
            if isinstance(event, events.Progress):
                bar.update(job, completed=event.fraction or 0.0)
                # Where there is no terminal: a line every ten per cent.
                done = int((event.fraction or 0.0) * 100)
                if not console.is_terminal and done >= printed + 10:
                    printed = done - done % 10
                    console.print(str(event))
            elif verbose or not isinstance(event, events.Started | events.LogLine):
                console.print(str(event), soft_wrap=True)

        return await vod.transcode(stream, out, packaging=packaging, force=force, on_event=on_event)
