"""`cdnlab recordings` over a real origin: its table, its JSON, its exit statuses."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cdnkit.settings.ingest import Encoder
from cdnkit.settings.recordings import Recordings
from tests.kit.command import cdnlab
from tests.kit.live_origin import Feeder, Running, basic, until
from tests.real.origin.conftest import encoded, ffmpeg, origins

__all__ = ["encoded", "ffmpeg", "origins"]

pytestmark = pytest.mark.long


def test_list_trim_delete(origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password\n")
    origin = origins(
        recordings=Recordings(streams=("news",)), encoders={"studio": Encoder(password="password")}, window=3.0
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        user = f"studio={tmp_path / 'secret'}"
        return cdnlab("recordings", *words, "--ingest", origin.ingest, "--user", user, cwd=tmp_path)

    assert run().stdout == "no recordings\n"
    feeder = Feeder(origin, "news/180p.cmfv", fields=basic("studio", "password"))
    feeder.send(encoded["180p.cmfv"])
    assert feeder.end().status == 200
    until(lambda: "ENDLIST" in origin.get("news/180p/media.m3u8").text)
    listed = run()
    assert listed.returncode == 0 and listed.stderr == ""
    title, row = listed.stdout.splitlines()
    assert title.split() == ["recording", "state", "begins", "lasts", "size", "tracks"]
    assert row.split()[:2] == ["news", "ended"] and row.split()[3] == "5s" and row.split()[-1] == "180p"
    (one,) = json.loads(run("--json").stdout)
    assert one["name"] == "news" and one["type"] == "EVENT"
    made = run("trim", "news", "goal", "--from", "-2s", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["duration"] == pytest.approx(2.0, abs=0.1)
    assert origin.get("goal/multivariant.m3u8").status == 200
    dated = run("trim", "news", "first", "--to", json.loads(run("list", "news", "--json").stdout)["begins"][:-5] + "Z")
    assert dated.returncode == 1, "no segment before the first one"
    assert "found no segment from" in dated.stderr
    assert "goal" in run("list").stdout
    assert run("delete", "news").stdout == "news: deleted\n"
    assert origin.get("news/180p/media.m3u8").status == 404
    gone = run("delete", "news")
    assert (gone.returncode, gone.stdout) == (1, "") and "404" in gone.stderr
    refused = cdnlab("recordings", "--ingest", origin.ingest, cwd=tmp_path)
    assert refused.returncode == 1 and "401" in refused.stderr and "password" not in refused.stderr


WRONG = [
    (("erase",), "wanted list, trim or delete"),
    (("trim",), "wanted the name of a stream"),
    (("trim", "news"), "wanted a name for the VOD"),
    (("delete", "news", "goal"), "only trim has"),
    (("trim", "news", "goal", "--from", "yesterday"), "--from: found 'yesterday', wanted a date-time"),
    (("trim", "news", "goal", "--to", "2026-11-29T17:00:00"), "with its zone"),
    (("list", "--ingest", "nowhere"), "--ingest: found 'nowhere'"),
    (("list", "--user", "studio"), "--user: found 'studio', wanted NAME=FILE"),
    (("list", "--user", "studio=none"), "No such file"),
    (("list", "--user", "a=b", "--token-file", "c"), "wanted one of them"),
]


@pytest.mark.parametrize(
    ("words", "told"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_what_a_command_line_lacks_is_said(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    ingest = () if "--ingest" in words else ("--ingest", "http://127.0.0.1:1")
    done = cdnlab("recordings", *words, *ingest, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and told in done.stderr, done.stderr
