"""What processes hold, second by second: memory and file descriptors, and whether they stay flat."""

import time
from dataclasses import dataclass, field

import psutil

from cdnlab.lab.cluster import Cluster

STEADY_S = 120.0
"""A life shorter than this says nothing about a slope; its growth is bounded instead."""
MOST_SLOPE = 2.0
"""MiB a minute, by least squares over what follows a life's first quarter."""
MOST_GROWTH = 64.0
"""MiB in a short life: the room for bodies, what fills hold, and an allocator that keeps what it once had."""
MORE_FILES = 8
"""File descriptors that an idle process may have more than before: connections that rest."""


@dataclass
class Life:
    """One process from its start."""

    name: str
    pid: int
    at: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def complaint(self) -> str | None:
        """Why its memory is not flat."""
        quarter = len(self.at) // 4
        at, rss = self.at[quarter:], self.rss_mib[quarter:]
        if len(at) < 4:
            return None
        if at[-1] - at[0] < STEADY_S:
            grown = max(rss) - self.rss_mib[0]
            return f"{self.name}: grew by {grown:.0f} MiB" if grown > MOST_GROWTH else None
        per_minute = slope(at, rss) * 60
        return f"{self.name}: grows by {per_minute:.1f} MiB a minute" if per_minute > MOST_SLOPE else None

    def __str__(self) -> str:
        slant = f", {slope(self.at, self.rss_mib) * 60:+.2f} MiB/min" if len(self.at) > 3 else ""
        return f"{self.name}: {self.rss_mib[0]:.0f} to {self.rss_mib[-1]:.0f} MiB{slant}, {self.files[-1]} files"


def slope(xs: list[float], ys: list[float]) -> float:
    """Least squares, units of y per unit of x."""
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


class Watch:
    """Samples of all processes of a cluster; a restarted one begins a new life."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.lives: dict[str, Life] = {}

    def sample(self) -> None:
        for child in (self._cluster.origin, *self._cluster.nodes.values()):
            if child.pid is None:
                continue
            life = self.lives.get(child.name)
            if life is None or life.pid != child.pid:
                life = self.lives[child.name] = Life(child.name, child.pid)
            try:
                process = psutil.Process(child.pid)
                rss, files = process.memory_info().rss / 2**20, process.num_fds()
            except psutil.Error:  # just killed
                continue
            if rss:
                life.at.append(time.monotonic())
                life.rss_mib.append(rss)
                life.files.append(files)

    def files(self) -> dict[str, int]:
        """File descriptors now."""
        self.sample()
        return {name: life.files[-1] for name, life in self.lives.items()}
