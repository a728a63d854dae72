"""The stage, made once: what is encoded for one row is played in all of them."""

from collections.abc import Iterator

import pytest

from origin import Origin
from tests.kit.live_origin import Running
from tests.outside.players.stage import ENCRYPTED, LENGTH, SEGMENT, Stage, clip, prepare, staged


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    source = clip(folder / "source.mkv", LENGTH)
    vod = folder / "vod"
    vod.mkdir()
    settings = Origin(
        listen="127.0.0.1:0",
        ingest="127.0.0.1:0",
        storage=folder / "media",
        vod=vod,
        segment=SEGMENT,
        window=LENGTH,
        encryption=tuple({"streams": (name,), "method": method} for name, method in ENCRYPTED.items()),
    )
    origin = Running(settings).start()
    try:
        prepare(origin, vod, source)
        with staged(origin, source) as one:
            yield one
    finally:
        origin.stop()
