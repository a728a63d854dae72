"""A cluster for a test: started as a user starts it, and gone when the test is."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.real.live.lab import Up, alive


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """`start(settings, *options)` runs `cdnlab up`; whatever a test leaves behind is ended by its pid."""
    started: list[Up] = []
    seen: list[psutil.Process] = []

    def run(settings: str, *options: str, program: tuple[str, ...] = (sys.executable, "-m", "cdnlab")) -> Up:
        (tmp_path / "cdn.toml").write_text(settings)
        output = tmp_path / "output.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                [*program, "up", *options],
                cwd=tmp_path,
                env=os.environ | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        started.append(Up(process, tmp_path, output))
        return started[-1]

    yield run
    for up in started:
        if up.process.poll() is None:
            seen += up.descendants()
            up.process.kill()
            up.process.wait()
    for process in alive(seen):
        process.kill()
