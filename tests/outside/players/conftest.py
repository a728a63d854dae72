"""The stage, made once: what is encoded for one row is played in all of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from origin import Origin
from tests.kit.live_origin import Running
from tests.outside.players.stage import SEGMENT, Stage, clip, prepare, staged

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    source = clip(folder / "source.mkv", 24)
    vod = folder / "vod"
    vod.mkdir()
    settings = Origin(
        listen="127.0.0.1:0", ingest="127.0.0.1:0", storage=folder / "media", vod=vod, segment=SEGMENT, window=30.0
    )
    origin = Running(settings).start()
    try:
        prepare(origin.ingest, vod, source)
        with staged(origin, source) as one:
            yield one
    finally:
        origin.stop()
