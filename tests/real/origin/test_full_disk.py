"""A disk that is full, really: said once with the file, played on from memory, caught up when there is room again."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.live_origin import Feeder, Running, pieces, until
from tests.kit.small_disk import Filler, small_disk
from tests.real.origin.playlists import read_playlist

pytestmark = pytest.mark.long


def test_a_full_disk_costs_nothing_that_memory_can_hold(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "6m") as mounted:
        if not mounted:
            pytest.skip("needs the right to mount a small disk")
        origin = origins(storage=disk / "media", memory=0)
        video = pieces(encoded["180p.cmfv"])
        feeder = Feeder(origin, "live/180p.cmfv")
        for piece in video[:4]:
            feeder.send(piece)
        until(lambda: origin.get("live/180p/media.m3u8").status == 200)
        before = read_playlist(origin.get("live/180p/media.m3u8").text).segments[0]
        stored = origin.get(f"live/180p/{before.uri}").body
        filler = Filler(disk)
        try:
            until(lambda: _is_full(disk))
            for piece in video[4:8]:
                feeder.send(piece)
            until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") == 3)
            health = origin.get("healthz")
            assert health.status == 503 and "disk full (No space left on device)" in health.text
            assert origin.get(f"live/180p/{before.uri}").body == stored, "what is stored stays served"
            for one in read_playlist(origin.get("live/180p/media.m3u8").text).segments:
                assert not one.gap and origin.get(f"live/180p/{one.uri}").status == 200
            other = Feeder(origin, "other/180p.cmfv")
            other.send(encoded["180p.cmfv"])
            assert other.end().status == 503, "nothing is acknowledged that is not stored"
        finally:
            filler.give_back()
        for piece in video[8:]:
            feeder.send(piece)
        until(lambda: origin.get("healthz").status == 200)
        assert feeder.end().status == 200
        said = [one for one in caplog.messages if "disk full" in one and "/ingest/" not in one]
        assert len(said) == 1 and str(disk / "media") in said[0]
        assert len([one for one in caplog.messages if "all is stored again" in one]) == 1
        listed = read_playlist(origin.get("live/180p/media.m3u8").text).segments
        assert len(listed) == 5 and not any(one.gap for one in listed)
        for one in listed:
            assert (disk / "media/live/180p" / one.uri).read_bytes() == origin.get(f"live/180p/{one.uri}").body
        origin.stop()


def _is_full(disk: Path) -> bool:
    try:
        (disk / "probe").write_bytes(bytes(70_000))
        return False
    except OSError:
        return True
    finally:
        (disk / "probe").unlink(missing_ok=True)
