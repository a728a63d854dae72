"""The table: medians over the rounds, ratios beside the peers, and the part of docs/performance.md that shows them."""

import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.peers.load import Slice
from tests.bench.peers.rows import EDGE, Row

BEGIN, END = "<!-- make bench-peers: begin -->", "<!-- make bench-peers: end -->"


@dataclass
class Measured:
    """One row over one hot object, or over the working set."""

    row: Row
    over: str
    slices: dict[str, list[Slice]] = field(default_factory=dict)
    """By server."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Servers that gave another response, and which."""

    def cpu_us(self, server: str) -> float | None:
        found = self.slices.get(server)
        return statistics.median(one.cpu_us for one in found) if found else None

    def p99_us(self, server: str) -> float | None:
        found = self.slices.get(server)
        return statistics.median(one.p99_us for one in found) if found else None

    def failed(self) -> int:
        return sum(one.failed for found in self.slices.values() for one in found)

    def ratios(self) -> Iterable[str]:
        """Each target, and what was reached: "1.31 x nginx full (floor 0.8, goal 1.2)"."""
        for target in self.row.targets:
            value = self.p99_us if target.p99 else self.cpu_us
            ours, theirs = value(EDGE), value(target.peer)
            if not ours or not theirs:
                continue
            if target.p99:
                ratio, sign = ours / theirs, "p99 ≤ "
                verdict = "goal" if ratio <= target.goal else "floor" if ratio <= target.floor else "**short**"
            else:
                ratio, sign = theirs / ours, ""
                verdict = "goal" if ratio >= target.goal else "floor" if ratio >= target.floor else "**short**"
            yield f"{ratio:.2f} × {target.peer} ({sign}{target.floor:g}, {target.goal:g}): {verdict}"

    def as_json(self) -> dict[str, Any]:
        return {
            "row": self.row.name,
            "over": self.over,
            "cpu_us": {name: round(self.cpu_us(name) or 0.0, 2) for name in self.slices},
            "p99_us": {name: self.p99_us(name) for name in self.slices},
            "requests": {name: sum(one.requests for one in found) for name, found in self.slices.items()},
            "failed": self.failed(),
            "skipped": self.skipped,
            "ratios": list(self.ratios()),
        }


def markdown(measured: Sequence[Measured], servers: Sequence[str], missing: dict[str, str], rounds: int) -> str:
    head = ["what", "over", *servers, "beside (floor, goal)"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * len(servers) + "---|"]
    for one in measured:
        costs = [_cost(one.cpu_us(name)) for name in servers]
        lines.append("| " + " | ".join([one.row.label, one.over, *costs, "; ".join(one.ratios())]) + " |")
    notes = [f"{name}: {why}" for name, why in missing.items()]
    notes += [f"{one.row.label}, {name}: {why}" for one in measured for name, why in one.skipped.items()]
    notes += [f"{one.row.label}, {one.over}: {one.failed()} requests failed" for one in measured if one.failed()]
    left_out = "\n\nLeft out, or not as it should be: " + "; ".join(notes) + "." if notes else ""
    stamp = time.strftime("%d %b %Y, %H:%M UTC", time.gmtime())
    return (
        f"{stamp}; {machine()}; median of {rounds} slices each, µs of CPU per request.\n\n"
        + "\n".join(lines)
        + left_out
    )


def _cost(cpu_us: float | None) -> str:
    return "" if cpu_us is None else f"{cpu_us:.1f}" if cpu_us < 100 else f"{cpu_us:.0f}"


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} × {model}, Linux {platform.release()}, CPython {platform.python_version()}, load {load:.1f}"
    )


def written_into(page: Path, table: str) -> None:
    """Put the table between its marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
