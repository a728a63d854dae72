"""A full disk costs what was to be written there, and neither a process nor its keeper."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdnlab.client.viewer import ask
from tests.kit.small_disk import Filler, small_disk
from tests.real.live.lab import NO_STREAM, QUICK, Up, until

pytestmark = pytest.mark.live

Start = Callable[..., Up]
QUIET = NO_STREAM + '[control]\nlisten = "127.0.0.1:0"\n'


def killed(up: Up, pid: int) -> None:
    before = up.said().count("fra: ready")
    os.kill(pid, signal.SIGKILL)
    until(lambda: up.said().count("fra: ready") > before, up.said)


def the_one_that_lives(up: Up) -> int:
    """fra's pid as the machine has it, whatever `cluster.json` says."""
    nodes = {one.pid for one in up.descendants() if one.cmdline()[-2:] == ["cdnlab.lab.children", "node"]}
    (pid,) = nodes - {up.node("shield")["pid"]}
    return pid


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_node_is_kept_alive_though_the_cluster_s_file_cannot_be_written(start: Start) -> None:
    up = start(QUIET)
    up.wait_for("Ctrl-C ends it")
    first = up.node("fra")["pid"]
    partial = up.run / "cluster.partial"
    partial.symlink_to("/dev/full")
    killed(up, first)
    said = f"cluster: cannot write {up.run.relative_to(up.folder)}/cluster.json: the disk is full ("
    up.wait_for(said)
    killed(up, the_one_that_lives(up))
    killed(up, the_one_that_lives(up))
    assert up.node("fra")["pid"] == first  # nothing could be written
    assert "can be written again" not in up.said()
    partial.unlink()
    up.wait_for(f"disk: {up.run.relative_to(up.folder)} can be written again, after ")
    assert up.node("fra")["pid"] == the_one_that_lives(up)
    assert up.said().count("the disk is full") == up.said().count("can be written again") == 1
    assert up.stop() == 130
    assert "Traceback" not in up.said()


def test_a_node_comes_back_without_a_log_where_none_can_be_opened(start: Start) -> None:
    up = start(QUIET)
    up.wait_for("Ctrl-C ends it")
    log = up.run / "logs" / "fra.log"
    log.unlink()
    log.mkdir()
    killed(up, up.node("fra")["pid"])
    assert f"fra: runs without its log {log.relative_to(up.folder)} (Is a directory)" in up.said()
    assert up.stop() == 130


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    with small_disk(folder, "6m") as mounted:
        if not mounted:
            pytest.skip("needs the right to mount a small disk")
        yield folder


def test_a_full_disk_is_said_at_once_and_ends_no_supervision(start: Start, small: Path) -> None:
    """A live stream, an edge killed while its disk is full, room again, the edge killed again."""
    up = start(QUICK + 'window = "12s"\nlinger = "1s"\n[control]\nlisten = "127.0.0.1:0"\n', "--runs", str(small))
    up.wait_for("Ctrl-C ends it")
    run = max(small.glob("*Z"))

    def fra() -> dict[str, object]:
        return next(one for one in json.loads((run / "cluster.json").read_text())["nodes"] if one["name"] == "fra")

    first = fra()["pid"]
    filler = Filler(small)
    try:
        up.wait_for("the disk is full (No space left on device)")
        killed(up, int(str(first)))
    finally:
        filler.give_back()
    up.wait_for(f"disk: {run} can be written again, after ")
    second = fra()["pid"]
    assert second != first
    assert ask(f"{fra()['admin']}/healthz").status == 200
    killed(up, int(str(second)))
    until(lambda: fra()["pid"] not in (first, second), up.said)
    assert up.stop() == 130
    assert up.said().count("the disk is full") == up.said().count("can be written again") == 1
    assert "cannot keep up" not in up.said() and "Traceback" not in up.said()
