"""What is said of a disk that cannot be written, and when; on real files, /dev/full among them."""

import asyncio
import errno
import json
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cdnkit.policy.record.lines import PurgeRecord
from cdnlab.lab import children, disk_watch
from cdnlab.lab.cluster import Cluster, Event
from cdnlab.lab.disk_watch import MOST_PENDING, DiskWatch
from cdnlab.lab.process import State
from cdnlab.lab.run_folder import RunFolder
from cdnlab.settings.document import parse
from edge.log import RecordLog
from origin.errors import StorageFailed
from transcode.events import Behind

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


class Told(list[str]):
    def hear(self, name: str, text: str) -> None:
        self.append(f"{name}: {text}")


def watch(tmp_path: Path, *others: Path) -> tuple[DiskWatch, Told]:
    told = Told()
    folder = RunFolder.new(tmp_path)
    return DiskWatch(folder, others, told.hear), told


def kept(disks: DiskWatch, until: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks as often as it takes."""
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert looks < 10
        if until():
            raise asyncio.CancelledError

    monkeypatch.setattr(disk_watch.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(disks.keep())


def test_one_disk_is_said_once_however_much_of_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks, told = watch(tmp_path)
    for name in ("a", "b"):
        disks.unwritten("origin", tmp_path / name / "seg-1.m4s", errno.ENOSPC)
    disks.unwritten("fra", tmp_path / "records", errno.EDQUOT)
    assert disks.trouble
    assert told == [
        f"origin: cannot write {tmp_path}/a/seg-1.m4s: the disk is full (No space left on device); "
        "writes there are lost until it works again"
    ]
    kept(disks, lambda: not disks.trouble, monkeypatch)
    assert len(told) == 2 and " can be written again, after 0 s" in told[1]
    disks.unwritten("fra", tmp_path / "records", errno.EROFS)  # told late
    assert len(told) == 2 and not disks.trouble
    monkeypatch.setattr(disk_watch, "LATE", 0.0)
    disks.unwritten("fra", tmp_path / "records", errno.EROFS)  # another time
    assert told[2].startswith(f"fra: cannot write {tmp_path}/records (Read-only file system); ")


@FULL
def test_what_could_not_be_written_is_written_later_as_it_was_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks, told = watch(tmp_path)
    folder = next(tmp_path.iterdir())
    (folder / "cluster.partial").symlink_to("/dev/full")
    for pid in range(3):
        disks.write("cluster.json", {"pid": pid})
    assert len(told) == 1 and told[0].startswith(f"cluster: cannot write {folder}/cluster.json: the disk is full")
    (folder / "cluster.partial").unlink()
    kept(disks, lambda: not disks.trouble, monkeypatch)
    assert json.loads((folder / "cluster.json").read_text()) == {"pid": 2}


def test_what_waits_to_be_written_is_bounded(tmp_path: Path) -> None:
    disks, _ = watch(tmp_path)
    for life in range(10 * MOST_PENDING):
        disks.write(f"gone/{life}.json", {})
    assert len(disks._pending) == MOST_PENDING


def test_a_full_disk_is_seen_before_anybody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks, told = watch(tmp_path)
    monkeypatch.setattr(disk_watch, "LEAST_BYTES", 2**63)
    kept(disks, lambda: bool(told), monkeypatch)
    assert told[0].startswith("disk: cannot write ") and "the disk is full (No space left on device)" in told[0]


def _failed() -> StorageFailed:
    error = StorageFailed("/media/live/seg-1.m4s", "disk full", "room")
    error.__cause__ = OSError(errno.ENOSPC, "full")
    return error


def _sqlite() -> sqlite3.Error:
    connection = sqlite3.connect(":memory:")
    connection.execute("pragma max_page_count = 2")
    connection.execute("create table a (b)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("insert into a values (zeroblob(100000))")
    connection.close()
    return caught.value


@pytest.mark.parametrize(
    ("said", "then"),
    [
        (OSError(errno.ENOSPC, "full"), {"path": "/records/fra.jsonl", "errno": errno.ENOSPC}),  # write() names no file
        (OSError(errno.EFBIG, "large", "/cache/bodies/1"), {"path": "/cache/bodies/1", "errno": errno.EFBIG}),
        (_failed(), {"path": "/media/live/seg-1.m4s", "errno": errno.ENOSPC}),
        (_sqlite(), {"path": "/records/fra.jsonl", "errno": errno.ENOSPC}),
        (ConnectionResetError(errno.ECONNRESET, "reset"), None),
        ("No space left on device", None),  # a text may be a viewer's
    ],
)
def test_a_child_tells_its_parent_what_it_could_not_write(
    said: object, then: dict[str, object] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    monkeypatch.setattr(children, "_send", told.append)
    record = logging.LogRecord("cdnlab.edge", logging.ERROR, "", 0, "cannot write: %s", (said,), None)
    children._Unwritten("/records/fra.jsonl").handle(record)
    assert told == ([] if then is None else [{"event": "Unwritten", **then}])


@FULL
def test_records_that_cannot_be_written_are_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []
    monkeypatch.setattr(children, "_send", told.append)
    handler = children._Unwritten("/dev/full")
    logging.getLogger("cdnlab.edge").addHandler(handler)
    try:
        log = RecordLog(Path("/dev/full"))
        log.add(PurgeRecord("fra", 1, 0.0, "key", "live", False, 0))
        log.flush()
        log.close()
    finally:
        logging.getLogger("cdnlab.edge").removeHandler(handler)
    assert told == [{"event": "Unwritten", "path": "/dev/full", "errno": errno.ENOSPC}]


def test_an_encoder_is_not_said_to_be_slow_while_the_disk_is_full(tmp_path: Path) -> None:
    """The origin waits for its disk, and the encoder for the origin: what is wrong has been said."""
    heard: list[str] = []
    loaded = parse('[[stream]]\nname = "live"\n', file="", folder=tmp_path, environ={})
    folder = RunFolder.new(tmp_path / "runs")
    cluster = Cluster(loaded, folder, lambda event: heard.append(f"{event.process}: {event.detail['text']}"))
    encoder, behind = cluster.transcoders["live"], {"event": "Behind", "text": str(Behind(0.5, "drop rungs"))}
    cluster._on_message(encoder, behind)
    assert len(heard) == 1 and "cannot keep up" in heard[0]
    path = str(folder.media / "live/seg-1.m4s")
    cluster._on_message(cluster.origin, {"event": "Unwritten", "path": path, "errno": errno.ENOSPC})
    cluster._on_message(encoder, behind)
    assert len(heard) == 2 and heard[1].startswith(f"origin: cannot write {path}: the disk is full (")


def test_a_terminal_that_cannot_be_written_keeps_nobody_from_being_kept(tmp_path: Path) -> None:
    def full(event: Event) -> None:
        raise OSError(errno.ENOSPC, "the output is a file on a full disk")

    folder = RunFolder.new(tmp_path / "runs")
    cluster = Cluster(parse("", file="", folder=tmp_path, environ={}), folder, full)
    cluster._on_message(cluster.origin, {"state": State.RESTARTING, "why": "ended by SIGKILL", "pause": 0.2})
