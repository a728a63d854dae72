"""kill -9 of an origin in mid-stream, on one storage: no promise is broken, nothing goes back, no URL has two bodies."""

import asyncio
from pathlib import Path

import pytest

from tests.kit.crashes import Crashes


def crash(folder: Path, encoded: dict[str, bytes], kills: int, settings: list[str], seed: int = 1) -> None:
    folder.mkdir()
    crashes = Crashes(folder, encoded, settings, seed)
    asyncio.run(crashes.run(kills))
    log = (folder / "origin.log").read_text()
    promised = {one.track.name: (len(one.acknowledged), dict(one.statuses)) for one in crashes.promised}
    print(f"\n{crashes.kills} kills, {crashes.polls} polls, acknowledged and answered: {promised}")
    assert not crashes.wrong, "\n".join(crashes.wrong[:20])
    assert "Traceback" not in log and "cannot be read" not in log


@pytest.mark.live
def test_ten_kills(encoded: dict[str, bytes], tmp_path: Path) -> None:
    crash(tmp_path / "run", encoded, 10, [])


@pytest.mark.slow
def test_fifty_kills(encoded: dict[str, bytes], tmp_path: Path) -> None:
    crash(tmp_path / "run", encoded, 50, [], seed=2)
