"""A real locust, a real HLS server, a few seconds."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil
import pytest

from cdnkit.settings.load import Load
from loadtests.errors import BadTarget, LoadFailed
from loadtests.identity import Target
from loadtests.launch import LOCUSTFILE, command, run, warnings
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.ports import free_port
from tests.real.loadtests.hls_origin import HlsOrigin

pytestmark = pytest.mark.live

QUICK = Load(viewers=5, duration=5, ramp=0.5, mix=(0.6, 0.4))


def in_time(seen: Callable[[float], None], seconds: float) -> None:
    """What viewers see in some seconds. On a busy machine they see it in more: a fault is there however long it takes."""

    def attempt(duration: float) -> None:
        try:
            seen(duration)
        except AssertionError as error:
            raise Late(str(error)) from error

    judged(attempt, seconds)


def test_ten_players_at_two_edges(tmp_path: Path) -> None:
    in_time(lambda seconds: ten_players(QUICK.model_copy(update={"duration": seconds}), tmp_path), QUICK.duration)


def ten_players(load: Load, tmp_path: Path) -> None:
    with HlsOrigin(token="1700000000_ab") as origin:
        targets = (Target("fra", origin.url, ("89.15.0.0/16",)), Target("nyc", origin.url, ("74.17.0.0/16",)))
        heard: list[dict[str, Any]] = []
        out = tmp_path / "deep" / "load.json"
        result = run(load, targets, out=out, token="1700000000_ab", on_status=heard.append)
    assert json.loads(out.read_text()) == result
    total = result["total"]
    assert (total["viewers"], total["started"], total["stalls"], total["failures"]) == (10, 10, 0, {})
    assert total["played"] > 25
    # Dates are real time: 3 segments behind, the first of them up to a second old.
    assert 2.5 <= total["live_latency"]["p50"] <= 5.5
    # What the players counted is what the server was asked, less what was under way at the end.
    assert 0 <= origin.asked.total() - total["requests"] <= 10
    assert total["requests"] == sum(row["requests"] for row in result["classes"])
    assert total["bytes"] == sum(row["bytes"] for row in result["classes"])
    viewers = {(row["edge"], row["rendition"]): row["viewers"] for row in result["renditions"]}
    assert viewers == {("fra", "high"): 3, ("fra", "low"): 2, ("nyc", "high"): 3, ("nyc", "low"): 2}
    segments = [row for row in result["classes"] if row["object_class"] == "segment"]
    missed = sum(row["cache_status"].get("fwd=uri-miss", 0) for row in segments)
    assert 0 <= sum(count > 0 for path, count in origin.asked.items() if "seg-" in path) - missed <= 10
    assert total["hit_share"] == pytest.approx(1 - len(origin.asked) / total["requests"], abs=0.02)
    # Each viewer said who it is; each init section was fetched once by each viewer.
    assert len(origin.clients) == len(origin.sessions) == 10
    assert {address.split(".")[0] for address in origin.clients} == {"89", "74"}
    assert all(text.startswith('sf=h,sid="') for text in origin.sessions)
    assert sum(count for path, count in origin.asked.items() if "init" in path) == 20
    # Names, not URLs; and a status each second.
    assert {row["object_class"] for row in result["classes"]} == {
        "multivariant", "media-playlist", "init", "segment",
    }  # fmt: skip
    assert len(heard) >= 3
    assert heard[-1]["players"] == 10 and heard[-1]["playing"] == 10
    assert 0 < result["generator"]["cpu_share"] < 1.5
    assert warnings(result) == [] or result["generator"]["bound"]


def test_refusals_are_counted_by_status(tmp_path: Path) -> None:
    def seen(seconds: float) -> None:
        with HlsOrigin(token="secret") as origin:
            load = Load(viewers=2, duration=seconds, ramp=0.1)
            result = run(load, [Target("fra", origin.url)], out=tmp_path / "load.json", token="wrong")
        assert result["total"]["started"] == 0
        assert set(result["total"]["failures"]) == {"403"}
        assert result["total"]["requests"] == sum(result["total"]["failures"].values()) >= 2
        assert any("2 of 2 viewers never saw a picture" in text for text in warnings(result))

    in_time(seen, 2)


def test_an_edge_that_is_not_there(tmp_path: Path) -> None:
    def seen(seconds: float) -> None:
        load = Load(viewers=1, duration=seconds, ramp=0.1)
        result = run(load, [Target("fra", "http://127.0.0.1:9")], out=tmp_path / "load.json")
        assert result["total"]["failures"].keys() == {"ConnectionRefusedError"}

    in_time(seen, 2)


def test_stop_ends_it_early_and_keeps_what_was_seen(tmp_path: Path) -> None:
    with HlsOrigin() as origin:
        stop = threading.Event()
        result = run(
            Load(viewers=3, duration=3600, ramp=0.1),
            [Target("fra", origin.url)],
            out=tmp_path / "load.json",
            stop=stop,
            on_status=lambda status: stop.set(),
        )
    assert result["total"]["viewers"] == 3


_PARENT = """
import signal
import sys
from pathlib import Path
from loadtests.identity import Target
from loadtests.launch import run
from cdnkit.settings.load import Load
signal.signal(signal.SIGINT, signal.default_int_handler)  # who is started in a shell's background ignores it
try:
    run(Load(viewers=2, duration=60, ramp=0.1), [Target("fra", sys.argv[1])], out=Path(sys.argv[2]),
        on_status=lambda status: print("running", flush=True))
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_orphan_whatever_becomes_of_the_parent(tmp_path: Path, how: signal.Signals) -> None:
    out = tmp_path / "load.json"
    with HlsOrigin() as origin:
        argv = [sys.executable, "-c", _PARENT, origin.url, str(out)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
            try:
                assert parent.stdout is not None and parent.stderr is not None
                assert parent.stdout.readline() == "running\n"
                children = psutil.Process(parent.pid).children(recursive=True)
                assert any("locust" in " ".join(child.cmdline()) for child in children)
                os.kill(parent.pid, how)
                _, alive = psutil.wait_procs(children, timeout=GUARD_S)
                assert alive == []
                parent.wait(GUARD_S)
                errors = parent.stderr.read()
            finally:
                parent.kill()
    assert "Traceback" not in errors
    assert out.exists(), "what was seen until then is kept"
    if how is signal.SIGINT:
        assert parent.returncode == 130
        assert json.loads(out.read_text())["total"]["viewers"] == 2


def test_a_run_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="--edge"):
        run(QUICK, [Target("a", "http://e"), Target("a", "http://f")], out=tmp_path / "load.json")
    with pytest.raises(BadTarget, match="at least one edge"):
        run(QUICK, [], out=tmp_path / "load.json")


OPTIONS = [  # given                                                 then, on standard error
    (["--host", "localhost:80"], "--host: found 'localhost:80', wanted the edge's URL"),
    (["--host", "http://e", "--rendition-mix", "a,b"], "--rendition-mix: found 'a,b', wanted weights"),
    (["--host", "http://e", "--rendition-mix", "0,0"], "--rendition-mix: found '0,0', wanted weights of at least 0"),
    (["--host", "http://e", "--player-buffer", "0"], "--player-buffer: found 0.0, wanted a number greater than 0"),
    (["--edge", "fra"], "--edge: found 'fra', wanted name=url"),
]


@pytest.mark.parametrize(("options", "told"), OPTIONS)
def test_wrong_options_of_locust_itself(options: list[str], told: str) -> None:
    argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "-u", "1", "-t", "1s", *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_token_is_not_on_the_command_line(tmp_path: Path) -> None:
    argv = command(QUICK, [Target("a", "http://e")], stream_url="/live/x.m3u8", out=tmp_path)
    assert argv[argv.index("--spawn-rate") + 1] == "10"
    assert "--token" not in argv


def test_the_parent_never_imports_locust_or_gevent() -> None:
    code = "import sys, loadtests.launch; sys.exit(any(m in sys.modules for m in ('locust', 'gevent')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_locust_by_itself_with_its_web_page() -> None:
    """What a person does: their own locust, a click on its page, numbers by object class."""
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    with HlsOrigin() as origin:
        argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", origin.url]
        argv += ["--web-host", "127.0.0.1", "--web-port", str(port)]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as locust:
            try:
                assert locust.stderr is not None
                assert any("Starting web interface" in line for line in locust.stderr)
                deadline = time.monotonic() + GUARD_S
                while (html := _fetch(page)) == "" and time.monotonic() < deadline:
                    time.sleep(0.1)  # it says so just before it listens
                assert "stream_url" in html and "rendition_mix" in html
                form = {"user_count": 3, "spawn_rate": 10, "host": origin.url}
                form |= {"stream_url": "/live/multivariant.m3u8", "rendition_mix": "1"}
                assert json.loads(_fetch(page + "/swarm", urlencode(form).encode()))["success"]
                names: set[str] = set()
                deadline = time.monotonic() + GUARD_S
                while "segment" not in names and time.monotonic() < deadline:
                    time.sleep(0.2)  # locust's page is polled; it has no event to wait for
                    stats = json.loads(_fetch(page + "/stats/requests"))
                    names = {row["name"] for row in stats["stats"]}
            finally:
                locust.terminate()
                locust.communicate(timeout=GUARD_S)
    assert names == {"multivariant", "media-playlist", "init", "segment", "Aggregated"}
    assert stats["errors"] == []
    assert origin.asked["/live/high/media.m3u8"] and not origin.asked["/live/low/media.m3u8"]


def test_locust_by_itself_says_what_the_viewers_saw() -> None:
    """Stalls are nobody's request: locust's own tables have no row for them."""

    def seen(seconds: float) -> None:
        with HlsOrigin() as origin:
            argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", origin.url]
            argv += ["-u", "2", "-r", "10", "-t", f"{seconds:.0f}s"]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 2 * GUARD_S, check=False)
        (said,) = (line for line in done.stdout.splitlines() if line.startswith("cdnlab: "))
        assert said.startswith("cdnlab: 2 of 2 viewers saw a picture, ") and " stalls, " in said

    in_time(seen, 3)


def test_a_viewer_of_one_s_own_is_spawned_instead_of_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("from loadtests.user import Viewer\n\n\nclass Mine(Viewer):\n    pass\n")
    for file, spawned in ((mine, "Mine"), (LOCUSTFILE, "Viewer")):
        argv = [sys.executable, "-m", "locust", "-f", str(file), "--list"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=GUARD_S, check=False)
        listed = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]
        assert listed == [spawned], done.stdout + done.stderr


def _fetch(url: str, data: bytes | None = None) -> str:
    """The answer's text; "" while nobody listens."""
    try:
        with urlopen(url, data, timeout=GUARD_S) as answer:
            text: str = answer.read().decode()
            return text
    except URLError:
        return ""
