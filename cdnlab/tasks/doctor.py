"""`cdnlab doctor`: tries what cdnlab needs of this machine, and advises on what is missing."""

import json
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from rich.table import Table
from rich.text import Text

from cdnlab.errors import EXTRA_OF, FAILED, LabError
from cdnlab.lab import ports
from cdnlab.screen import terminal


class State(StrEnum):
    """What a finding means for cdnlab."""

    GOOD = "good"
    LESS = "less"  # cdnlab works, with less
    MISSING = "missing"  # a part of cdnlab cannot work


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    what: str
    verdict: State
    found: str
    advice: str = ""


def examine(config: Path | None) -> list[Finding]:
    """Runs all checks side by side. They take about a second: a real encode probes NVENC."""
    geo = partial(_geo, config)
    checks: tuple[Callable[[], list[Finding]], ...] = (_python, _ffmpeg, _cores, _ports, geo, _redis, _extras)
    # Imported before the threads start: two threads that import packages which import one another can deadlock.
    for module in ("cdnlab.settings.addresses", "cdnlab.settings.example", "cdnkit.geo.databases", "transcode.plan"):
        import_module(module)

    with ThreadPoolExecutor(len(checks)) as pool:
        return [finding for found in pool.map(lambda check: check(), checks) for finding in found]


def run(config: Path | None, *, as_json: bool) -> int:
    """Prints the findings. Returns FAILED when something required is missing."""
    findings = examine(config)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    return FAILED if any(finding.verdict is State.MISSING for finding in findings) else 0


def _show(findings: list[Finding]) -> None:
    mark = {State.GOOD: ("ok", "green"), State.LESS: ("--", "yellow"), State.MISSING: ("!!", "red")}
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        table.add_row(Text(*mark[finding.verdict]), finding.what, finding.found)
        if finding.advice:
            table.add_row("", "", Text(finding.advice, "dim"))
    terminal.console().print(table)


def _python() -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    # pip refuses to install cdnlab on anything older than 3.11.
    if sys.version_info >= (3, 14):
        return [Finding("Python", State.LESS, f"{version}, which is not tested", "3.11 to 3.13 are.")]
    return [Finding("Python", State.GOOD, version)]


def _ffmpeg() -> list[Finding]:
    from transcode.encoders import probe_nvenc
    from transcode.errors import FfmpegMissing
    from transcode.ffmpeg import find

    try:
        ffmpeg = find()
    except FfmpegMissing as error:
        return [Finding("ffmpeg", State.MISSING, error.found, error.hint)]
    probe = probe_nvenc(ffmpeg)
    return [
        Finding("ffmpeg", State.GOOD, f"{ffmpeg.version}, {ffmpeg.path} ({ffmpeg.found_in})"),
        Finding("NVENC", State.GOOD, probe.reason)
        if probe.usable
        else Finding("NVENC", State.LESS, f"refused: {probe.reason}", "x264 encodes in its place, on the CPU."),
    ]


def _cores() -> list[Finding]:
    from cdnkit.settings.ladder import choose
    from transcode.plan import usable_cores

    cores = usable_cores()
    rungs = ", ".join(rung.name for rung in choose("auto", cores=cores))
    return [Finding("cores", State.GOOD, f'{cores}; ladder = "auto" encodes {rungs} with x264 veryfast')]


def _ports() -> list[Finding]:
    """Checks the addresses of the built-in example, which a fresh cdn.toml and the demo use too."""
    from cdnlab.settings import example
    from cdnlab.settings.addresses import addresses
    from cdnlab.settings.document import parse

    document = parse(example.text(), file="example", folder=Path(), environ={}).document
    taken = {
        setting: (address, ports.holder_of(address) or "another process")
        for setting, address in addresses(document).items()
        if ports.why_taken(address)
    }
    if not taken:
        names = ", ".join(address.rpartition(":")[2] for address in addresses(document).values())
        return [Finding("ports", State.GOOD, f"{names} are free")]
    return [
        Finding(
            "port",
            State.LESS,
            f"{address} is taken by {holder}",
            f"Stop it, set {setting} to another address, or use `cdnlab up {ports.FREE_PORTS}`.",
        )
        for setting, (address, holder) in taken.items()
    ]


_OLD = timedelta(days=180)
"""Publishers renew MMDB files weekly to monthly; after half a year a few percent of the networks have moved."""


def _geo(config: Path | None) -> list[Finding]:
    """Opens the databases in which the settings file has nodes look up addresses; without a file, the default ones."""
    from cdnkit.geo.databases import Mmdb, open_databases
    from cdnkit.settings.edge import Whereabouts
    from cdnlab.settings.document import read

    geo, here = Whereabouts(), Path("cdn.toml")
    if config is not None or here.is_file():
        try:
            geo = read(config or here).document.geo
        except LabError as error:
            return [Finding("geo", State.LESS, f"not checked: {str(error).splitlines()[0]}", "Mend the file first.")]
    findings = []
    for database in open_databases(geo.databases):
        if isinstance(database, Mmdb):
            made = database.metadata
            found = f"{database.name}, IPv{made.ip_version}, {made.nodes:,} nodes"
            old = datetime.now(UTC) - made.built_at > _OLD
            advice = "It is more than half a year old, and addresses move: get a newer one." if old else ""
            findings.append(Finding("geo", State.LESS if old else State.GOOD, found, advice))
        else:
            findings.append(Finding("geo", State.GOOD, f"{database.name}, country of allocation as of that release"))
    tables = len(geo.countries) + len(geo.asns) + len(geo.anonymous) + len(geo.hosting)
    if not findings:
        advice = "pip install 'cdnlab[geo]', or name an MMDB file in [geo] databases."
        findings = [Finding("geo", State.LESS, f"no database; {tables} networks in the settings' tables", advice)]
    return findings


def _redis() -> list[Finding]:
    address = os.environ.get("CDNLAB_REDIS", "127.0.0.1:6379")
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.5) as connection:
            connection.settimeout(0.5)
            connection.sendall(b"PING\r\n")
            reply = connection.recv(64)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        advice = "Only a cache tier that nodes share needs it. CDNLAB_REDIS=host:port names another address."
        return [Finding("Redis", State.LESS, f"not at {address} ({why})", advice)]
    if reply.startswith((b"+PONG", b"-NOAUTH")):
        return [Finding("Redis", State.GOOD, f"answers at {address}")]
    return [Finding("Redis", State.LESS, f"something else answers at {address}: {reply[:20]!r}")]


def _extras() -> list[Finding]:
    """Looks for the optional packages, by the extra that installs them."""
    modules: dict[str, list[str]] = {}
    for module, extra in EXTRA_OF.items():
        if module != "gevent":  # locust installs it
            modules.setdefault(extra, []).append(module)
    needed_for = {
        "media": "sources other than the test card",
        "ffmpeg": "machines without an ffmpeg of their own",
        "geo": "places of addresses outside the lab's tables",
        "load": "cdnlab load",
        "report": "cdnlab report",
        "compress": "br beside gzip where a behavior compresses",
        "shared": "a cache tier that nodes share",
        "tokens": "tokens of the schemes jwt and cat",
        "s3": "an origin that stores in S3",
    }
    findings = []
    for extra, names in modules.items():
        missing = [name for name in names if find_spec(name) is None]
        if missing:
            advice = f"pip install 'cdnlab[{extra}]' for {needed_for[extra]}."
            findings.append(Finding(f"extra {extra}", State.LESS, f"{', '.join(missing)} not installed", advice))
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in names)
            findings.append(Finding(f"extra {extra}", State.GOOD, versions))
    return findings


def _version(module: str) -> str:
    # PyJWT's module has another name than its distribution.
    return metadata.version({"jwt": "PyJWT"}.get(module, module.replace("_", "-")))
