"""`cdnlab latency` of a cluster that runs, as a person and as a script meet it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.real.live.lab import QUICK, Up

pytestmark = pytest.mark.live


def cdnlab(up: Up, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cdnlab", *arguments],
        cwd=up.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_cluster_of_two_tiers(start: Callable[..., Up]) -> None:
    up = start(QUICK.replace('ingest = "127.0.0.1:0"', 'ingest = "127.0.0.1:0"\npart = "500ms"'))
    up.wait_for("Ctrl-C ends it")
    for protocol in ("ll-hls", "ll-dash", "hls"):
        done = cdnlab(up, "latency", "live", "--protocol", protocol, "--units", "3", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["protocol"], found["tiers"], found["units"]) == (protocol, ["origin", "shield", "fra"], 3)
        assert found["captured_by"] == "prft", "our encoder says when it was given a picture"
        stages = found["stages"]
        assert [one["stage"] for one in stages] == ["encoder", "origin", "shield", "fra", "player"]
        assert sum(one["mean_ms"] for one in stages) == pytest.approx(found["end_to_end"]["mean_ms"], abs=0.5)
        assert 500 < found["end_to_end"]["mean_ms"] < 20_000
    # At the URL of an edge the lowest latency is watched, and the tiers behind it are found.
    shown = cdnlab(up, "latency", f"{up.node('fra')['url']}/live/multivariant.m3u8", "--units", "2")
    assert shown.returncode == 0, shown.stderr
    first, _, *rows = shown.stdout.splitlines()
    assert first.endswith("ll-hls, 2 measured")
    assert [row.split()[0] for row in rows if re.search(r"[0-9] ms", row)] == [
        "encoder", "origin", "shield", "fra", "player", "end",
    ]  # fmt: skip
    assert "prft" in rows[-1]
    # A shield alone; and what is not there.
    alone = json.loads(cdnlab(up, "latency", "live", "--node", "shield", "--units", "2", "--json").stdout)
    assert alone["tiers"] == ["origin", "shield"]
    for wrong, status in [(("none",), 1), (("live", "--node", "lhr"), 2), (("live", "--timeout", "1s"), 1)]:
        done = cdnlab(up, "latency", *wrong)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert up.stop() == 130
