"""The commands one gives a cluster that runs, and the demo that gives them all."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cdnlab.client.viewer import ask
from tests.kit.late import GUARD_S
from tests.real.live.lab import QUICK, Up

pytestmark = pytest.mark.live

Start = Callable[..., Up]

GUARDED = QUICK.replace(
    "[[node]]",
    """
[[behavior]]
path = "*/multivariant.m3u8"
token = "viewer"
geo = { deny = ["KP"], unknown = "allow" }
[[behavior]]
path = "*"
[token.viewer]
key = "${LAB_KEY}"
[geo]
countries = { "203.0.113.0/24" = "DE", "192.0.2.0/24" = "KP" }
[[node]]""",
    1,
).replace('parent = "shield"', 'parent = "shield"\ncountries = ["DE"]')
KEY = "YSBrZXkgZm9yIHRoZSB0ZXN0cw=="


def cdnlab(up: Up, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cdnlab", *arguments],
        cwd=up.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sign_explain_purge_load_report_replay(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    up = start(GUARDED)
    up.wait_for("Ctrl-C ends it")
    fra = up.node("fra")["url"]
    url = f"{fra}/live/multivariant.m3u8"
    here, there = {"CDNLab-Client-IP": "203.0.113.9"}, {"CDNLab-Client-IP": "192.0.2.9"}

    # What a person may copy from the terminal plays.
    copied = re.search(r"play at fra: (\S+)  \(signed", up.said())
    assert copied is not None
    assert ask(copied[1], headers=here).status == 200

    # The gate: no token, the wrong place, and a token from `cdnlab sign`.
    signed = cdnlab(up, "sign", url).strip()
    assert (ask(url, headers=here).status, ask(url, headers=here).text().strip()) == (403, "403 token: missing")
    assert ask(signed, headers=there).text().strip() == "403 geo: KP is denied"
    assert ask(signed, headers=here).status == 200

    # A segment, explained before and after a purge.
    playlist = ask(f"{fra}/live/360p/media.m3u8").text()
    segment = f"{fra}/live/360p/" + [line for line in playlist.splitlines() if line.startswith("seg-")][-1]
    assert ask(segment).status == 200
    told = json.loads(cdnlab(up, "explain", segment, "--json"))
    assert (told["node"], told["next"]) == ("fra", "hit")
    assert json.loads(cdnlab(up, "explain", "/live/multivariant.m3u8", "--json"))["gate"]["reason"] == "token: missing"
    purged = json.loads(cdnlab(up, "purge", segment, "--json"))
    assert list(purged) == ["shield", "fra"], "an edge that is purged first refills from its shield"
    assert {answer["purged"] for answer in purged.values()} == {1}
    assert "purged" in ask(segment).headers["cache-status"]

    # Players, who have tokens and addresses, and their report.
    result = json.loads(cdnlab(up, "load", "--viewers", "4", "--duration", "4s", "--json"))
    assert result["total"]["viewers"] == result["total"]["started"] == 4
    assert up.stop() == 130
    report = json.loads(cdnlab(up, "report", str(up.run), "--json"))
    assert report["refusals"]
    assert (up.run / "report.html").stat().st_size > 100_000

    # Everything that was said is the same when it is said again; and no secret was written down.
    replayed = json.loads(cdnlab(up, "replay", str(up.run), "--json"))
    assert {name: node["differences"] for name, node in replayed.items()} == {"fra": [], "shield": []}
    written = b"".join(file.read_bytes() for file in up.run.rglob("*.json*"))
    assert KEY.encode() not in written
    assert b"token=" not in written


TAKEN_ALONG = {
    "fastly": 'key = "${LAB_KEY}"\npropagate = "query"',
    "akamai": 'scheme = "akamai"\nkey = "52a152a152a1"\npropagate = "query"',
}


@pytest.mark.parametrize("scheme", TAKEN_ALONG)
def test_a_stream_that_is_guarded_as_a_whole_plays(start: Start, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Players know the token of the multivariant playlist only: its children have theirs from the playlists."""
    monkeypatch.setenv("LAB_KEY", KEY)
    rules = GUARDED.replace('path = "*"\n', 'path = "*"\ntoken = "viewer"\n').replace(
        'key = "${LAB_KEY}"', TAKEN_ALONG[scheme]
    )
    up = start(rules)
    up.wait_for("Ctrl-C ends it")
    here = {"CDNLab-Client-IP": "203.0.113.9"}
    assert ask(f"{up.node('fra')['url']}/live/360p/media.m3u8", headers=here).status == 403
    result = json.loads(cdnlab(up, "load", "--viewers", "4", "--duration", "6s", "--json"))
    assert result["total"]["viewers"] == result["total"]["started"] == 4
    assert not result["total"]["failures"]
    assert up.stop() == 130
    replayed = json.loads(cdnlab(up, "replay", str(up.run), "--json"))
    assert {name: node["differences"] for name, node in replayed.items()} == {"fra": [], "shield": []}
    written = b"".join(file.read_bytes() for file in up.run.rglob("*") if file.is_file() and file.suffix != ".m4s")
    assert b"hmac=" not in written
    assert b"token=" not in written
    records = (up.run / "records" / "fra.jsonl").read_text()
    assert '"outcome": "hit"' in records or '"outcome":"hit"' in records


def test_a_load_test_of_a_cluster_that_ends_meanwhile_has_failed(start: Start) -> None:
    up = start(QUICK)
    up.wait_for("Ctrl-C ends it")
    argv = [sys.executable, "-m", "cdnlab", "load", "--viewers", "3", "--duration", "8s"]
    with subprocess.Popen(argv, cwd=up.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as load:
        assert load.stdout is not None
        begun = next(line for line in load.stdout if "playing" in line)
        up.stop()
        said = begun + load.stdout.read()
        assert load.wait(2 * GUARD_S) == 1, said
    assert "failed: the cluster ended during the load test; its logs: runs/" in said
    assert "requests had no answer" in said
    assert "report: " in said


def test_an_interrupted_demo_reports_what_was_seen_until_then(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "cdnlab", "demo", "--duration", "60s", "--viewers", "3"]
    environ = os.environ | {"COLUMNS": "160", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        argv, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdout is not None
        before = []
        for line in demo.stdout:
            before.append(line)
            if "requests/s" in line:
                break
        demo.send_signal(signal.SIGINT)
        said = demo.stdout.read()
        assert demo.wait(2 * GUARD_S) == 130, "".join(before) + said
    (run,) = (tmp_path / "runs").iterdir()
    assert f"Interrupted. `cdnlab report runs/{run.name}` is the report until then" in said
    assert f"report: {run / 'report.html'}" in said and (run / "report.html").exists()
    assert json.loads((run / "load.json").read_text())["total"]["viewers"] > 0


def test_the_demo_ends_well_without_a_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cdnlab", "demo", "--duration", "5s", "--viewers", "5"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "160", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "playable through both edges",
        "403 token: missing",
        "403 geo: KP is denied",
        "stored responses purged",
        "hit rate",
        "report: ",
    ):
        assert words in done.stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert f"report: {run / 'report.html'}" in done.stdout
    assert (run / "report.html").exists()
    assert (run / "viewer.key").stat().st_mode & 0o077 == 0, "a secret that others may read"


def test_the_demo_says_so_when_it_cannot_play(tmp_path: Path) -> None:
    """A broken encoder, found before anything is served: the status is not 0 and the reason is ffmpeg's own."""
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'ffmpeg version 4.4.1'\n")
    broken.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "cdnlab", "demo", "--duration", "1h"],
        cwd=tmp_path, env=os.environ | {"CDNLAB_FFMPEG": str(broken)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "version 4.4.1" in done.stderr
    assert "Traceback" not in done.stderr
