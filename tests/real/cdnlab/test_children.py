"""A child of the cluster and its life line: whatever way that ends, the child leaves."""

import json
import os
import pty
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from tests.kit.late import GUARD_S
from tests.kit.live_origin import request


def test_a_life_line_that_breaks_is_one_that_ended(tmp_path: Path) -> None:
    """A terminal that is hung up is no end of a file, but an error (EIO): it must not end the thread that watches."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "cdnlab.lab.children", "origin"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        here = {"listen": "127.0.0.1:0", "ingest": "127.0.0.1:0", "storage": str(tmp_path)}
        os.write(ours, json.dumps({"origin": here, "lengths": {}}).encode() + b"\n")
        assert child.stdout is not None
        assert "ready" in json.loads(child.stdout.readline())
        os.close(ours)
        _, said = child.communicate(timeout=GUARD_S)
        assert (child.returncode, b"Traceback" in said) == (0, False), said
    finally:
        child.kill()
        child.wait()


@pytest.mark.live
def test_the_origin_of_a_cluster_cuts_each_stream_at_its_own_length(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    """Five seconds with a key frame each second: five segments of a stream of 1 s, two or three of one of 2 s."""
    here = {"listen": "127.0.0.1:0", "ingest": "127.0.0.1:0", "storage": str(tmp_path), "segment": 1.0}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "cdnlab.lab.children", "origin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(json.dumps({"origin": here, "lengths": {"slow": 2.0}}).encode() + b"\n")
        child.stdin.flush()
        ready = json.loads(child.stdout.readline())
        targets = {}
        for stream in ("slow", "other"):
            posted = request(f"{ready['ingest']}/ingest/{stream}/180p.cmfv", "POST", body=encoded["180p.cmfv"])
            assert posted.status == 200
            lines = request(f"{ready['url']}/{stream}/180p/media.m3u8").text.splitlines()
            targets[stream] = (lines[2], sum(line.startswith("#EXTINF") for line in lines))
        assert targets == {"slow": ("#EXT-X-TARGETDURATION:2", 3), "other": ("#EXT-X-TARGETDURATION:1", 5)}
        child.stdin.close()
        assert child.wait(GUARD_S) == 0
    finally:
        child.kill()
        child.wait()
