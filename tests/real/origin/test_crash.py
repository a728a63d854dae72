"""kill -9 of an origin in mid-stream, on one storage: no promise is broken, nothing goes back, no URL has two bodies."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.crashes import Crashes
from tests.kit.s3_server import BUCKET, CREDENTIALS, s3_server


def crash(folder: Path, encoded: dict[str, bytes], kills: int, settings: list[str], seed: int = 1) -> None:
    folder.mkdir()
    crashes = Crashes(folder, encoded, settings, seed)
    asyncio.run(crashes.run(kills))
    log = (folder / "origin.log").read_text()
    promised = {one.track.name: (len(one.acknowledged), dict(one.statuses)) for one in crashes.promised}
    print(f"\n{crashes.kills} kills, {crashes.polls} polls, acknowledged and answered: {promised}")
    assert not crashes.wrong, "\n".join(crashes.wrong[:20])
    assert "Traceback" not in log and "cannot be read" not in log


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Lines of `[origin]` for one of the storages."""
    if request.param == "folder":
        yield []
        return
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as server:
        yield [f'storage = "s3://{BUCKET}/live"', f's3 = {{ endpoint = "{server.url}", region = "us-east-1" }}']


@pytest.mark.live
@pytest.mark.timeout(300)
def test_ten_kills(encoded: dict[str, bytes], tmp_path: Path, settings: list[str]) -> None:
    crash(tmp_path / "run", encoded, 10, settings)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills(encoded: dict[str, bytes], tmp_path: Path, settings: list[str]) -> None:
    crash(tmp_path / "run", encoded, 50, settings, seed=2)
