"""A folder: whole files, what a kill leaves of them, and what an acknowledgement waits for."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from origin.errors import StorageFailed
from origin.storage.directory import Directory
from origin.storage.folder import Folder


def test_a_file_is_replaced_whole_and_read_in_part(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("live/v/state.json", b"old")
    folder.write("live/v/state.json", b"0123456789")
    assert folder.read("live/v/state.json") == b"0123456789"
    assert folder.read("live/v/state.json", 2, 5) == b"234"
    assert folder.read("live/v/none") is None
    assert [one.name for one in (tmp_path / "live/v").iterdir()] == ["state.json"]


def test_secrets_are_for_this_user_alone(tmp_path: Path) -> None:
    Folder(tmp_path).write(".keys/live.json", b"secret", secret=True)
    assert stat.S_IMODE((tmp_path / ".keys/live.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / ".keys").stat().st_mode) == 0o700


def test_folders_go_with_their_last_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in ("live/v/a", "live/v/b", "live/a/a"):
        folder.write(name, b"x")
    folder.delete(["live/v/a", "live/v/b", "live/v/none", "gone/v/a"])
    assert sorted(one.name for one in (tmp_path / "live").iterdir()) == ["a"]
    folder.delete(["live/a/a"])
    assert not (tmp_path / "live").exists() and tmp_path.exists()


def test_a_folder_that_goes_while_a_file_comes_is_made_again(tmp_path: Path) -> None:
    folder, failed = Folder(tmp_path), []

    def write(who: str) -> None:
        for n in range(300):
            try:
                folder.write(f"live/v/{who}{n}", b"x")
            except StorageFailed as error:
                failed.append(error)
            folder.delete([f"live/v/{who}{n}"])

    threads = [threading.Thread(target=write, args=(who,)) for who in "ab"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []


def test_files_are_listed_by_the_beginning_of_their_names(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in ("live/v/a", "live/v2/b", "lives/v/c", ".keys/live.json"):
        folder.write(name, b"12")
    assert folder.list("live/v/") == {"live/v/a": 2}
    assert folder.list("live/") == {"live/v/a": 2, "live/v2/b": 2}
    assert len(folder.list("")) == 4
    assert folder.list("none/") == {}


def test_settling_syncs_the_files_and_their_folders_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").resolve())))
    folder = Folder(tmp_path)
    for name in ("live/v/a", "live/v/b", "other/v/c"):
        folder.write(name, b"x")
    folder.delete(["live/v/b"])
    folder.settle("live/")
    assert synced == [str(tmp_path / name) for name in ("live/v/a", "live", "live/v")]
    folder.settle("live/")
    assert len(synced) == 3


def test_a_copy_has_the_bytes_and_outlives_its_original(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("live/v/a", b"media")
    folder.copy({"live/v/a": "clip/v/a"})
    folder.delete(["live/v/a"])
    assert folder.read("clip/v/a") == b"media"
    with pytest.raises(StorageFailed, match="No such file"):
        folder.copy({"live/v/a": "clip/v/b"})


@pytest.mark.parametrize("recovers", [False, True])
def test_a_later_run_learns_that_more_was_published_than_is_here(tmp_path: Path, recovers: bool) -> None:
    async def run() -> None:
        store = Directory(tmp_path)
        await store.prepare()
        assert not store.faltered
        store.falter()
        if recovers:
            store.recover()
        await store.release()  # or it was killed: it does nothing more
        for expected in (not recovers, False):
            later = Directory(tmp_path)
            await later.prepare()
            assert later.faltered is expected
            await later.release()

    asyncio.run(run())
