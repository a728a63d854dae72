"""`cdnlab up`: starts the cluster of a settings file and shows it until Ctrl-C."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from cdnkit.settings.transcode import Stream
from cdnlab.errors import BadUsage
from cdnlab.lab import ports
from cdnlab.lab.cluster import Cluster
from cdnlab.lab.playable import NotPlayable, wait_until_playable
from cdnlab.lab.run_folder import RunFolder
from cdnlab.lab.session import while_up
from cdnlab.screen import terminal
from cdnlab.screen.display import Display
from cdnlab.settings import document, example
from cdnlab.settings.addresses import addresses
from cdnlab.settings.document import Loaded


def load_settings(settings: Path | None, source: str | None) -> Loaded:
    """The named file, else ./cdn.toml, else the built-in example; `source` replaces the source of its first stream."""
    if settings is None and not Path("cdn.toml").exists():
        loaded = document.parse(example.text(), file="the built-in example", folder=Path.cwd(), environ={})
    else:
        loaded = document.read(settings or Path("cdn.toml"))
    return loaded if source is None else with_source(loaded, source)


def with_source(loaded: Loaded, source: str) -> Loaded:
    """The settings with another source for the first stream; a path is relative to the working directory."""
    if source != "testcard" and "://" not in source:
        if not Path(source).is_file():
            raise BadUsage(f"--source: found {source!r}, wanted a file that exists, a URL or testcard")
        source = str(Path(source).absolute())
    streams = loaded.document.streams or (Stream(),)
    first = streams[0].model_copy(update={"source": source})
    changed = loaded.document.model_copy(update={"streams": (first, *streams[1:])})
    return replace(loaded, document=changed)


def run(
    settings: Path | None, *, source: str | None, runs: Path, within: float, free_ports: bool, verbose: bool
) -> int:
    """Runs until Ctrl-C; returns the exit status."""
    began = time.monotonic()
    loaded = load_settings(settings, source)
    console = terminal.console()
    taken: list[str] = []
    if free_ports:
        loaded, taken = ports.with_free_ports(loaded)
    # Before the run folder is made: a run that could not start leaves none.
    ports.check(addresses(loaded.document))
    folder = RunFolder.new(runs)

    with Display(console, verbose=verbose) as display:

        async def stay(cluster: Cluster) -> int:
            try:
                await wait_until_playable(cluster, within=within)
            except NotPlayable as error:
                # The cluster stays up: a slow encoder may still become ready, and the user can look at what runs.
                display.say(str(error), "red")
            else:
                what = "playable through every edge" if loaded.document.streams else "up"
                display.say(f"{what} {time.monotonic() - began:.1f} s after the start", "green")
            display.urls(cluster)
            display.say("Ctrl-C ends it.")
            await asyncio.Event().wait()
            return 0

        if taken:
            display.say(f"taken, so it uses free ports instead: {', '.join(taken)}", "yellow")
        cluster = Cluster(loaded, folder, display.on_event)
        count = len(cluster.children())
        display.say(f"{loaded.file}: starting {count} process{'es' if count > 1 else ''}")
        return asyncio.run(while_up(cluster, stay))
