import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from transcode.ffmpeg import Ffmpeg, find


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    return find()


@pytest.fixture
def clip(ffmpeg: Ffmpeg, tmp_path: Path) -> Callable[..., Path]:
    """Makes small media files: `clip("a.mp4", seconds=2, size="320x180", sound=True, more=[...])`."""

    def make(
        name: str,
        *,
        seconds: float = 1,
        size: str = "320x180",
        rate: str = "30",
        picture: bool = True,
        sound: bool = True,
        more: tuple[str, ...] = (),
    ) -> Path:
        path = tmp_path / name
        inputs: list[str] = []
        if picture:
            inputs += ["-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=size={size}:rate={rate}"]
        if sound:
            inputs += ["-f", "lavfi", "-t", str(seconds), "-i", "sine=frequency=440:sample_rate=44100"]
        subprocess.run(
            [ffmpeg.path, "-v", "error", "-nostdin", "-y", *inputs, *more, f"file:{path}"],
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
        return path

    return make
