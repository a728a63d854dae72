"""The command as a script meets it: exit statuses, what goes to which stream, and never a traceback."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmdb_writer import MMDBWriter

from tests.kit.command import cdnlab

pytestmark = pytest.mark.long

COMMANDS = (
    "up", "demo", "edge", "origin", "transcode", "init", "schema", "ca",
    "explain", "purge", "recordings", "sign", "load", "latency", "report", "replay", "doctor",
)  # fmt: skip


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = cdnlab("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command: str, tmp_path: Path) -> None:
    done = cdnlab(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    example = done.stdout.partition("Example")[2]
    assert f"cdnlab {command}" in example


def test_a_latency_that_cannot_be_measured_is_a_failure(tmp_path: Path) -> None:
    done = cdnlab("latency", "http://127.0.0.1:1/live/multivariant.m3u8", "--timeout", "5s", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert "127.0.0.1:1" in done.stderr


BAD = [  # given                                                    then: words on standard error; the status is 2
    (["upp"], ["No such command"]),
    (["up", "no-such.toml"], ["no-such.toml: no such file", "cdnlab init"]),
    (["up", "bad.toml"], ["bad.toml:2:1:", "Did you mean 'name'?", "bad.toml:3:1:"]),
    (["up", "--within", "-5"], ["--within", "greater than or equal to 0"]),
    (["up", "--source", "no-such.mp4"], ["--source", "no-such.mp4"]),
    (["edge"], ["--origin: wanted the URL"]),
    (["edge", "--origin", "127.0.0.1:9000"], ["--origin: found '127.0.0.1:9000'", "http://"]),
    (["edge", "--origin", "http://x/base"], ["--origin: found 'http://x/base'", "no path"]),
    (["edge", "--origin", "http://x:99999"], ["--origin: found 'http://x:99999'"]),
    (["edge", "--origin", "http://a b"], ["--origin: found 'http://a b'"]),
    (["edge", "--origin", "http://x", "--purge-log", "redis://[::1"], ["--purge-log", "wanted a server such as"]),
    (["edge", "--origin", "http://x", "--purge-log", "redis://x:99999"], ["--purge-log", "wanted a server such as"]),
    (["edge", "--origin", "http://"], ["--origin: found 'http://'"]),
    (["edge", "--origin", "http://x", "--listen", "80"], ["--listen", "127.0.0.1:8080"]),
    (["edge", "--origin", "http://x", "--profile", "akamai"], ["--profile: found 'akamai'", "rfc9111"]),
    (["edge", "--origin", "http://x", "--node", "fra"], ["--node", "--config"]),
    (["edge", "--origin", "http://x", "--config", "two.toml"], ["--node: wanted one of fra, nyc"]),
    (["edge", "--origin", "http://x", "--config", "two.toml", "--node", "frs"], ["Did you mean 'fra'?"]),
    (["origin", "--vod", "no-such-folder"], ["--vod", "a folder that exists"]),
    (["origin", "--listen", "nowhere"], ["--listen"]),
    (["origin", "--ingest-hosts", "a:1"], ["--ingest-hosts", "without a port"]),
    (
        ["origin", "--ingest", "0.0.0.0:0"],
        ["anybody could publish", "--encoder NAME=FILE", "anybody_may_publish = true"],
    ),
    (["origin", "--encoder", "studio"], ["--encoder: found 'studio'", "NAME=FILE"]),
    (["origin", "--encoder", "studio=no-such-file"], ["origin.encoders.studio.password_file", "no-such-file"]),
    (["origin", "--ingest-tls", "cert.pem"], ["--ingest-tls", '"local" or CERTIFICATE,KEY']),
    (["transcode", "no-such.mp4", "--out", "vod"], ["no-such.mp4"]),
    (["transcode", "no-such.mp4"], ["--out"]),
    (["transcode", "no-such.mp4", "--out", "vod", "--start", "soon"], ["--start: found 'soon'", 'such as "12s"']),
    (["explain", "http://127.0.0.1:1/"], ["no cluster is running", "cdnlab up"]),
    (["explain", "http://[::1"], ["found 'http://[::1'", "wanted a URL"]),
    (["explain", "/x", "--admin", "127.0.0.1:1"], ["--admin: found '127.0.0.1:1'", "http://127.0.0.1:8181"]),
    (["explain", "/x", "--admin", "http://[::1"], ["--admin: found 'http://[::1'"]),
    (["purge", "--all", "--admin", "http://[::1"], ["--admin: found 'http://[::1'"]),
    (["purge", "--all", "--purge-log", "redis://[::1"], ["--purge-log", "wanted a server such as"]),
    (["latency", "live"], ["no cluster is running", "cdnlab up"]),
    (["latency", "live", "--protocol", "dash"], ["--protocol: found 'dash'", "hls, ll-hls, ll-dash"]),
    (["latency", "live", "--timeout", "soon"], ["--timeout: found 'soon'"]),
    (["latency", "ftp://127.0.0.1/live"], ["found 'ftp://127.0.0.1/live'", "wanted the name of a stream"]),
    (["purge"], ["exactly one of a URL, --prefix, --key and --all"]),
    (["purge", "--all", "--key", "live"], ["exactly one of"]),
    (["purge", "--all", "--key", "live", "--key", "vod"], ["exactly one of"]),
    (["purge", "--key", "live vod"], ["--key: found 'live vod'", "repeat --key"]),
    (["purge", "--all"], ["no cluster is running"]),
    (["purge", "img.example.com/a"], ["URL: found 'img.example.com/a'", "wanted a URL or a path"]),
    (["purge", "--prefix", "live"], ["--prefix: found 'live'", "such as /live/"]),
    (["load"], ["no cluster is running"]),
    (["load", "--edge", "fra=http://[::1"], ["--edge: found 'fra=http://[::1'", "name=url"]),
    (["load", "--edge", "fra=http://127.0.0.1:99999"], ["--edge", "name=url"]),
    (["load", "--edge", "fra"], ["--edge", "name=url"]),
    (["sign", "http://127.0.0.1/x", "--config", "two.toml"], ["/x needs no token"]),
    (["sign", "http://[::1", "--config", "two.toml"], ["found 'http://[::1'", "wanted a URL"]),
    (["sign", "/x", "--config", "two.toml", "--for", "ever"], ["--ttl: found 'ever'", "a duration"]),
    (["sign", "/x", "--config", "two.toml", "--token", "viewr"], ["--token: found 'viewr'"]),
    (["demo", "--duration", "soon"], ["--duration: found 'soon'"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_usage(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('[[node]]\nnam = "fra"\nlisten = "x"\n')
    (tmp_path / "two.toml").write_text('[[node]]\nname = "fra"\n[[node]]\nname = "nyc"\n')
    done = cdnlab(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "runs").exists(), "what was not tried leaves no run folder"


def test_no_one_listening_is_a_failure_not_a_bad_usage(tmp_path: Path) -> None:
    done = cdnlab("explain", "/x", "--admin", "http://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 1
    assert "http://127.0.0.1:1: no answer (Connection refused)" in done.stderr


def test_init_writes_once(tmp_path: Path) -> None:
    assert cdnlab("init", cwd=tmp_path).returncode == 0
    assert (tmp_path / "cdn.toml").stat().st_mode & 0o777 == 0o600, "it holds a key"
    (tmp_path / "cdn.toml").chmod(0o644)
    first = (tmp_path / "cdn.toml").read_text()
    again = cdnlab("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "cdn.toml").read_text() == first
    assert cdnlab("init", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "cdn.toml").read_text() != first, "a fresh file has a fresh key"
    assert (tmp_path / "cdn.toml").stat().st_mode & 0o777 == 0o600
    assert cdnlab("init", "--force", "/dev/stdout", cwd=tmp_path).stdout.startswith("# The settings of one lab")
    assert "folder" not in cdnlab("init", "no/such/folder.toml", cwd=tmp_path).stdout


def test_a_signed_url_opens_the_gate_it_is_for(tmp_path: Path) -> None:
    from cdnkit.policy.http.messages import get_for_url
    from cdnkit.policy.token import FastlyToken

    (tmp_path / "cdn.toml").write_text('[[behavior]]\npath="*"\ntoken="v"\n[token.v]\nkey="${KEY}"\nparam="t"\n')
    done = cdnlab(
        "sign", "http://h:1/live/multivariant.m3u8?a=1", "--for", "5m", "--json", cwd=tmp_path, KEY="c2VjcmV0"
    )
    told = json.loads(done.stdout)
    base, _, query = told["url"].partition("?")
    assert base == "http://h:1/live/multivariant.m3u8"
    token = FastlyToken("c2VjcmV0", param="t")
    assert token.refusal(get_for_url(told["url"]), told["expires_at"] - 1) is None
    for url, now, why in (
        (told["url"], told["expires_at"], "expired"),
        (f"http://h:1/live/other.m3u8?{query}", told["expires_at"] - 1, "signature does not match"),
    ):
        refusal = token.refusal(get_for_url(url), now)
        assert refusal is not None
        assert refusal.facts["check"] == why
    unset = cdnlab("sign", "/x", cwd=tmp_path)
    assert unset.returncode == 2
    assert "cdn.toml:5:1: token.v.key" in unset.stderr


def test_schema_is_json_and_the_reference_is_markdown(tmp_path: Path) -> None:
    assert json.loads(cdnlab("schema", cwd=tmp_path).stdout)["title"] == "cdn.toml"
    assert cdnlab("schema", "--markdown", cwd=tmp_path).stdout.startswith("# Settings\n")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    pipe = f"{sys.executable} -m cdnlab schema | head -n 1"
    done = subprocess.run(["sh", "-c", pipe], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_the_edge_and_help_start_without_the_extras() -> None:
    """Nothing optional is imported, and nothing that is slow to import."""
    code = "import cdnlab.cli, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    for module in ("", "; import cdnlab.settings.alone, edge.serve, cdnlab.lab.foreground"):
        done = subprocess.run(
            [sys.executable, "-c", code.replace(";", module + ";", 1)], capture_output=True, text=True, check=True
        )
        loaded = set(done.stdout.split())
        assert loaded.isdisjoint(
            {"av", "locust", "gevent", "duckdb", "plotly", "redis", "aiocache", "loadtests", "transcode"}
        )


def without(folder: Path, *modules: str) -> dict[str, str]:
    """An environment in which these cannot be imported, as in an installation without extras."""
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name in {modules!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
    )
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    environ = without(tmp_path, "duckdb", "locust")
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "fra.jsonl").write_text("")
    done = cdnlab("report", ".", cwd=tmp_path, **environ)
    assert done.returncode == 2
    assert "pip install 'cdnlab[report]'" in done.stderr


def test_a_missing_extra_of_a_node_is_named(tmp_path: Path) -> None:
    environ = without(tmp_path, "aiocache")
    addresses = "".join(f'[{one}]\nlisten = "127.0.0.1:0"\n' for one in ("control", "origin"))
    (tmp_path / "cdn.toml").write_text(
        f'[[node]]\nname = "fra"\nshared = "redis://127.0.0.1:9"\n{addresses}ingest = "127.0.0.1:0"\n'
    )
    done = cdnlab("up", "cdn.toml", cwd=tmp_path, **environ)
    assert done.returncode == 2 and "pip install 'cdnlab[shared]'" in done.stderr


def test_doctor_as_json(tmp_path: Path) -> None:
    done = cdnlab("doctor", "--json", cwd=tmp_path)
    found = {one["what"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0
    assert found["Python"]["verdict"] == "good"
    assert found["ffmpeg"]["found"]
    assert found["NVENC"]["verdict"] in ("good", "less")
    assert found["NVENC"]["found"] == "ten frames encoded" or found["NVENC"]["found"].startswith("refused: ")


def test_doctor_tells_which_geo_databases_are_asked_and_of_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> list[dict[str, str]]:
        told = json.loads(cdnlab("doctor", "--json", cwd=tmp_path).stdout)
        return [one for one in told if one["what"] == "geo"]

    (by_default,) = found()
    assert by_default["verdict"] == "good" and by_default["found"].startswith("iptocc 3.")
    for name, built_at in (("old.mmdb", 1_600_000_000.0), ("new.mmdb", time.time())):
        monkeypatch.setattr("mmdb_writer.time", SimpleNamespace(time=lambda at=built_at: at))
        MMDBWriter(database_type="Test-Country").to_db_file(str(tmp_path / name))
    (tmp_path / "cdn.toml").write_text('[geo]\ndatabases = ["old.mmdb", "new.mmdb", "iptocc"]')
    old, new, last = found()
    assert old["verdict"] == "less" and "(Test-Country, 2020-09-13)" in old["found"] and "newer" in old["advice"]
    assert new["verdict"] == "good" and new["found"].startswith("new.mmdb") and last["found"].startswith("iptocc")
    (tmp_path / "cdn.toml").write_text('[geo]\ndatabases = ["gone.mmdb"]')
    (bad,) = found()
    assert bad["verdict"] == "less" and "gone.mmdb, No such file" in bad["found"]


def test_doctor_fails_when_something_required_is_missing(tmp_path: Path) -> None:
    done = cdnlab("doctor", "--json", cwd=tmp_path, CDNLAB_FFMPEG=str(tmp_path / "no-ffmpeg"))
    found = {one["what"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["ffmpeg"]["verdict"] == "missing"
    assert "cdnlab[ffmpeg]" in found["ffmpeg"]["advice"]
