"""The fixtures of this folder: real encoders, real origins on loopback."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from origin import Origin
from tests.kit.live_origin import Running, encoder_command, ffmpeg_program


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return ffmpeg_program()


@pytest.fixture(scope="session")
def encoded(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Five seconds of three tracks from one encoder, by file name: `180p.cmfv`, `90p.cmfv`, `audio-64k.cmfa`."""
    folder = tmp_path_factory.mktemp("encoded")
    outputs = {
        "180p": str(folder / "180p.cmfv"),
        "90p": str(folder / "90p.cmfv"),
        "audio-64k": str(folder / "audio-64k.cmfa"),
    }
    for path in outputs.values():
        Path(path).touch()
    command = encoder_command(ffmpeg, {t: f"file:{p}" for t, p in outputs.items()}, seconds=5)
    # .cmfv and .cmfa are no file extensions ffmpeg knows; -f mp4 says what they are.
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return {Path(path).name: Path(path).read_bytes() for path in outputs.values()}


@pytest.fixture
def origins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Running]]:
    """Starts origins; stops those that still run when the test ends."""
    running: list[Running] = []

    def start(*, faults: bool = False, **changes: Any) -> Running:
        settings = Origin(
            **{
                "listen": "127.0.0.1:0",
                "ingest": "127.0.0.1:0",
                "storage": tmp_path / "media",
                "segment": 1.0,
                "window": 30.0,
                **changes,
            }
        )
        running.append(Running(settings, faults=faults))
        return running[-1].start()

    yield start
    for one in running:
        one.stop()
    logged = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    loud = [record for record in logged if record.exc_info or (record.name == "asyncio" and record.levelno > 20)]
    assert [record.getMessage() for record in loud] == [], "no tracebacks"
