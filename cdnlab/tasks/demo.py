"""`cdnlab demo`: a live test card through a shield and two edges; refusals at the gate, players, a purge, a report."""

import asyncio
import base64
import json
import secrets
import sys
import threading
import time
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from cdnkit.settings.ladder import choose
from cdnkit.settings.load import Load
from cdnlab.client.signing import signed
from cdnlab.client.viewer import ask
from cdnlab.errors import Failed
from cdnlab.lab import ports
from cdnlab.lab.cluster import Cluster
from cdnlab.lab.playable import from_country, viewer_headers, wait_until_playable
from cdnlab.lab.run_folder import RunFolder
from cdnlab.lab.session import while_up
from cdnlab.screen import terminal
from cdnlab.screen.display import Display
from cdnlab.settings.document import Loaded, read
from cdnlab.settings.options import checked
from cdnlab.tasks.load import load_edges, show_report, targets_of
from edge.purges.progress import Standing, carried
from transcode.plan import usable_cores

ADDRESSES = {
    "ORIGIN": "127.0.0.1:9000",
    "INGEST": "127.0.0.1:9001",
    "SHIELD": "127.0.0.1:8080",
    "SHIELD_ADMIN": "127.0.0.1:8180",
    "FRA": "127.0.0.1:8081",
    "FRA_ADMIN": "127.0.0.1:8181",
    "NYC": "127.0.0.1:8082",
    "NYC_ADMIN": "127.0.0.1:8182",
}
PLAYABLE_WITHIN = 60.0
"""Seconds. A cold start on two cores takes about six."""


def run(*, duration: str, viewers: int, runs: Path, stay: bool | None, verbose: bool) -> int:
    """Returns the exit status: 0 after playback, load test, purge and report."""
    load = checked(Load, {"duration": duration, "viewers": viewers})
    console = terminal.console()
    folder = RunFolder.new(runs)
    loaded = _settings(folder, console)
    staying = sys.stdout.isatty() if stay is None else stay
    done, loading = False, False

    with Display(console, verbose=verbose) as display:

        async def show(cluster: Cluster) -> int:
            nonlocal done, loading
            rungs = cluster.transcoders["live"].ready["renditions"]
            took = await wait_until_playable(cluster, within=PLAYABLE_WITHIN, renditions=rungs, segments=3)
            display.say(f"playable through both edges ({took:.1f} s after all processes were ready)", "green")
            display.urls(cluster)
            await asyncio.to_thread(_gate, cluster, display)
            display.say("")
            display.say(f"{load.viewers} viewers at each edge for {load.duration:g} s:")
            display.pause()
            loading = True
            await _load(cluster, load, console, verbose)
            await _purge(cluster, display)
            # Records are written in batches, once a second.
            await asyncio.sleep(1.5)
            await asyncio.to_thread(show_report, folder, console)
            done = True
            if staying:
                display.say("\nIt stays up: play it, purge it, `cdnlab explain` it. Ctrl-C ends it.")
                display.urls(cluster)
                await asyncio.Event().wait()
            return 0

        display.say(f"demo: origin, shield, fra and nyc; settings in {folder.path / 'demo.toml'}")
        status = asyncio.run(while_up(Cluster(loaded, folder, display.on_event), show))
    if loading and not done:
        _interrupted(folder, console)
    # Ctrl-C after everything was shown is the intended end of the demo.
    return 0 if done else status


def _interrupted(folder: RunFolder, console: Console) -> None:
    """Shows the report of the requests until then."""
    console.print(f"\nInterrupted. `cdnlab report {folder.path}` is the report until then:", soft_wrap=True)
    show_report(folder, console)


def _settings(folder: RunFolder, console: Console) -> Loaded:
    """Writes the demo's settings and a fresh key into the run folder, for `cdnlab sign` too, and reads the settings."""
    addresses = dict(ADDRESSES)
    taken = [address for address in addresses.values() if ports.why_taken(address)]
    if taken:
        console.print(f"{', '.join(taken)} taken: it uses free ports instead", style="yellow")
        addresses = dict.fromkeys(addresses, "127.0.0.1:0")
    ladder = [rung.name for rung in choose("auto", cores=usable_cores())][-3:]
    text = files("cdnlab.tasks").joinpath("demo.toml").read_text(encoding="utf-8")
    for name, value in {**addresses, "LADDER": json.dumps(ladder)}.items():
        text = text.replace(f"@{name}@", value)
    key = folder.path / "viewer.key"
    key.touch(mode=0o600)
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    settings = folder.path / "demo.toml"
    settings.write_text(text, encoding="utf-8")
    return read(settings)


def _gate(cluster: Cluster, display: Display) -> None:
    """Shows two refusals, and a request that the gate lets through."""
    url = f"{cluster.edge_urls()['fra']}/live/multivariant.m3u8"
    good = signed(cluster.document, url, expires_at=int(time.time()) + 600)
    here, there = viewer_headers(cluster.document, cluster.document.edges()[0]), from_country(cluster.document, "KP")
    display.say("\nThe gate at fra:")
    for what, target, headers, wanted in (
        ("no token, from Germany", url, here, 403),
        ("a good token, from North Korea", good, there, 403),
        ("a good token, from Germany", good, here, 200),
    ):
        response = ask(target, headers=headers)
        if response.status != wanted:
            raise Failed(f"{what}: found {response.status}, wanted {wanted}")
        why = response.text().strip() if wanted == 403 else f"200 {response.headers.get('cache-status', '')}"
        display.say(f"  {what + ':':<32} {why}")


async def _load(cluster: Cluster, load: Load, console: Console, verbose: bool) -> None:
    """Runs the players in a thread. A Ctrl-C must end them before the cluster drains."""
    stop = threading.Event()
    targets = targets_of(cluster.describe(), cluster.document)
    running = asyncio.ensure_future(
        asyncio.to_thread(
            load_edges, cluster.document, load, targets, out=cluster.folder.path / "load.json", stream="live",
            segment=float(cluster.document.streams[0].segment), console=console, verbose=verbose, stop=stop,
        )
    )  # fmt: skip
    try:
        result = await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({running}, timeout=2.0)
        raise
    if not result["total"]["started"]:
        raise Failed("no viewer saw a picture", f"See {cluster.folder.path / 'load.json'} and the logs beside it.")


async def _purge(cluster: Cluster, display: Display) -> None:
    """Purges one surrogate key on every node, shields first, and requests a URL again to show the cause of the miss."""
    display.say("\nA purge of everything with the surrogate key live:")
    assert cluster.purges is not None
    standing: dict[str, Standing] = {}
    async for latest in carried(cluster.purges, [{"surrogate_key": "live"}], within=5.0):
        standing = latest
    for name, one in standing.items():
        display.say(f"  {name}: {f'{one.purged} stored responses purged' if one.done else 'not yet'}")
    url = f"{cluster.edge_urls()['fra']}/live/multivariant.m3u8"
    url = signed(cluster.document, url, expires_at=int(time.time()) + 600)
    headers = viewer_headers(cluster.document, cluster.document.edges()[0])
    response = await asyncio.to_thread(ask, url, headers=headers)
    display.say(f"  {urlsplit(url).path} then: {response.headers.get('cache-status', '')}\n")
