"""What the machine allows: the cores of its affinity, and of a container's quota (cgroup v2, cpu.max)."""

import os
from pathlib import Path

import pytest

from transcode.plan import usable_cores

QUOTAS = [  # what cpu.max says           of 4 cores
    ("max 100000\n", 4),
    ("100000 100000\n", 1),
    ("100001 100000\n", 2),  # rounded up: a core and a bit are two
    ("150000 100000\n", 2),
    ("400000 100000\n", 4),
    ("800000 100000\n", 4),  # more than there are
    ("1000 100000\n", 1),  # never none
    ("50000 50000\n", 1),
    ("200000 50000\n", 4),
    ("", 4),  # what says nothing is no quota
    ("max\n", 4),
    ("lots 100000\n", 4),
    ("100000 100000 100000\n", 4),
]


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("says", "cores"), QUOTAS)
def test_a_containers_quota(says: str, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def read_text(self: Path, *args: object, **more: object) -> str:
        asked.append(str(self))
        return says

    monkeypatch.setattr(Path, "read_text", read_text)
    assert usable_cores() == cores
    assert asked == ["/sys/fs/cgroup/cpu.max"]


@pytest.mark.usefixtures("four_cores")
def test_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(self: Path, *args: object, **more: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert usable_cores() == 4


def test_a_system_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(Path, "read_text", lambda self: "max 100000")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
