"""What this machine has and what it lacks, each by trying it, and what to do about what is missing."""

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


class Verdict(StrEnum):
    GOOD = "good"
    LESS = "less"  # it works without, with less
    MISSING = "missing"  # a part of cdnlab cannot work


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""


def examine(config: Path | None = None) -> list[Finding]:
    """Every check, side by side; about a second, for NVENC is probed with a real encode."""
    geo = partial(_geo, config)
    checks: tuple[Callable[[], list[Finding]], ...] = (_python, _ffmpeg, _cores, _ports, geo, _redis, _extras)
    # Imported before the threads: two of them importing packages that import one another can lock each other out.
    for module in ("cdnlab.settings.addresses", "cdnlab.settings.example", "cdnkit.geo.databases", "transcode.plan"):
        import_module(module)

    with ThreadPoolExecutor(len(checks)) as pool:
        return [finding for found in pool.map(lambda check: check(), checks) for finding in found]


def run(config: Path | None, *, as_json: bool) -> int:
    """`cdnlab doctor`: prints the findings; FAILED when something required is missing."""
    findings = examine(config)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    return FAILED if any(finding.verdict is Verdict.MISSING for finding in findings) else 0


def _show(findings: list[Finding]) -> None:
    mark = {Verdict.GOOD: ("ok", "green"), Verdict.LESS: ("--", "yellow"), Verdict.MISSING: ("!!", "red")}
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
        return [Finding("Python", Verdict.LESS, f"{version}, which is not tested", "3.11 to 3.13 are.")]
    return [Finding("Python", Verdict.GOOD, version)]


def _ffmpeg() -> list[Finding]:
    from transcode.encoders import probe_nvenc
    from transcode.errors import FfmpegMissing
    from transcode.ffmpeg import find

    try:
        ffmpeg = find()
    except FfmpegMissing as error:
        return [Finding("ffmpeg", Verdict.MISSING, error.found, error.hint)]
    probe = probe_nvenc(ffmpeg)
    return [
        Finding("ffmpeg", Verdict.GOOD, f"{ffmpeg.version}, {ffmpeg.path} ({ffmpeg.found_in})"),
        Finding("NVENC", Verdict.GOOD, probe.reason)
        if probe.usable
        else Finding("NVENC", Verdict.LESS, f"refused: {probe.reason}", "x264 encodes in its place, on the CPU."),
    ]


def _cores() -> list[Finding]:
    from cdnkit.settings.ladder import choose
    from transcode.plan import usable_cores

    cores = usable_cores()
    rungs = ", ".join(rung.name for rung in choose("auto", cores=cores))
    return [Finding("cores", Verdict.GOOD, f'{cores}; ladder = "auto" encodes {rungs} with x264 veryfast')]


def _ports() -> list[Finding]:
    """The addresses of the built-in example, which are also those of a fresh cdn.toml and of the demo."""
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
        return [Finding("ports", Verdict.GOOD, f"{names} are free")]
    return [
        Finding(
            "port",
            Verdict.LESS,
            f"{address} is taken by {holder}",
            f"Stop it, set {setting} to another, or use `cdnlab up {ports.FREE_PORTS}`.",
        )
        for setting, (address, holder) in taken.items()
    ]


_OLD = timedelta(days=180)
"""Makers of MMDB files publish weekly to monthly; after half a year some percent of the networks have moved."""


def _geo(config: Path | None) -> list[Finding]:
    """What the nodes of a settings file ask for the places of addresses; without a file, what they ask by default."""
    from cdnkit.geo.databases import Mmdb, open_databases
    from cdnkit.settings.edge import Whereabouts
    from cdnlab.settings.document import read

    geo, here = Whereabouts(), Path("cdn.toml")
    if config is not None or here.is_file():
        try:
            geo = read(config or here).document.geo
        except LabError as error:
            return [
                Finding("geo", Verdict.LESS, f"not looked at: {str(error).splitlines()[0]}", "Mend the file first.")
            ]
    findings = []
    for database in open_databases(geo.databases):
        if isinstance(database, Mmdb):
            made = database.metadata
            found = f"{database.name}, IPv{made.ip_version}, {made.nodes:,} nodes"
            old = datetime.now(UTC) - made.built_at > _OLD
            advice = "It is more than half a year old, and addresses move: get a newer one." if old else ""
            findings.append(Finding("geo", Verdict.LESS if old else Verdict.GOOD, found, advice))
        else:
            findings.append(Finding("geo", Verdict.GOOD, f"{database.name}, country of allocation as of that release"))
    tables = len(geo.countries) + len(geo.asns) + len(geo.anonymous) + len(geo.hosting)
    if not findings:
        advice = "pip install 'cdnlab[geo]', or name an MMDB file in [geo] databases."
        findings = [Finding("geo", Verdict.LESS, f"no database; {tables} networks in the settings' tables", advice)]
    return findings


def _redis() -> list[Finding]:
    address = os.environ.get("CDNLAB_REDIS", "127.0.0.1:6379")
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.5) as connection:
            connection.settimeout(0.5)
            connection.sendall(b"PING\r\n")
            answer = connection.recv(64)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        advice = "Only a cache tier that nodes share needs it. CDNLAB_REDIS=host:port names another."
        return [Finding("Redis", Verdict.LESS, f"not at {address} ({why})", advice)]
    if answer.startswith((b"+PONG", b"-NOAUTH")):
        return [Finding("Redis", Verdict.GOOD, f"answers at {address}")]
    return [Finding("Redis", Verdict.LESS, f"something else answers at {address}: {answer[:20]!r}")]


def _extras() -> list[Finding]:
    """The optional packages, by the extra that brings them."""
    modules: dict[str, list[str]] = {}
    for module, extra in EXTRA_OF.items():
        if module != "gevent":  # locust's own
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
    }
    findings = []
    for extra, names in modules.items():
        missing = [name for name in names if find_spec(name) is None]
        if missing:
            advice = f"pip install 'cdnlab[{extra}]' for {needed_for[extra]}."
            findings.append(Finding(f"extra {extra}", Verdict.LESS, f"{', '.join(missing)} not installed", advice))
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in names)
            findings.append(Finding(f"extra {extra}", Verdict.GOOD, versions))
    return findings


def _version(module: str) -> str:
    # PyJWT's module has another name than its distribution.
    return metadata.version({"jwt": "PyJWT"}.get(module, module.replace("_", "-")))
