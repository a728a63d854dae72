"""A child of the cluster and its life line: whatever way that ends, the child leaves."""

import json
import os
import pty
import subprocess
import sys
import tty
from pathlib import Path

from tests.kit.late import GUARD_S


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
        os.write(ours, json.dumps({"origin": here}).encode() + b"\n")
        assert child.stdout is not None
        assert "ready" in json.loads(child.stdout.readline())
        os.close(ours)
        _, said = child.communicate(timeout=GUARD_S)
        assert (child.returncode, b"Traceback" in said) == (0, False), said
    finally:
        child.kill()
        child.wait()
