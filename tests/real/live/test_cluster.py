"""A cluster's life: what it needs to start, what it survives, and that it leaves nothing behind."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from cdnkit.serving.authority import make
from cdnkit.serving.folder import authority_folder
from cdnlab.client.viewer import ask
from tests.kit.late import GUARD_S, Late, again
from tests.kit.live_origin import basic, request
from tests.kit.ports import free_port
from tests.real.live.lab import NO_STREAM, QUICK, Up, alive, until

pytestmark = pytest.mark.live

Start = Callable[..., Up]


def test_ctrl_c_ends_everything_in_order_and_in_time(start: Start) -> None:
    def attempt() -> None:
        up = start(QUICK)
        up.wait_for("Ctrl-C ends it")
        processes = up.descendants()
        assert any("ffmpeg" in one.name() for one in processes)
        began = time.monotonic()
        status = up.stop()
        took = time.monotonic() - began
        assert status == 130
        assert alive(processes) == []
        assert "Traceback" not in up.said() + "".join(log.read_text() for log in (up.run / "logs").iterdir())
        # The encoder was drained before the origin: the stream ended properly.
        assert "transcode-live: drained" in up.said()
        assert up.cluster["stopped_at"] is not None
        # And the nodes before the origin: every line of theirs is whole.
        for file in (up.run / "records").iterdir():
            assert [json.loads(line)["node"] for line in file.read_text().splitlines()]
        if took >= 3.0:
            raise Late(f"it took {took:.1f} s")

    again(attempt)


def test_kill_9_of_the_parent_leaves_no_orphan(start: Start) -> None:
    up = start(QUICK)
    up.wait_for("Ctrl-C ends it")
    processes = up.descendants()
    assert len(processes) >= 5  # origin, two nodes, a transcoder and its ffmpeg
    up.stop(signal.SIGKILL)
    until(lambda: not alive(processes), lambda: f"still there: {alive(processes)}")


def test_a_second_ctrl_c_kills_at_once(start: Start) -> None:
    def attempt() -> None:
        up = start(NO_STREAM)
        up.wait_for("Ctrl-C ends it")
        processes = up.descendants()
        # A child that cannot drain, for it is stopped.
        os.kill(up.cluster["origin"]["pid"], signal.SIGSTOP)
        up.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        time.sleep(0.05)  # two signals of one number at one time are one
        assert up.stop() == 130
        took = time.monotonic() - began
        assert alive(processes) == []
        if took >= 1.5:
            raise Late(f"it took {took:.1f} s")

    again(attempt)


def test_sigterm_drains_too(start: Start) -> None:
    up = start(NO_STREAM)
    up.wait_for("Ctrl-C ends it")
    processes = up.descendants()
    assert up.stop(signal.SIGTERM) == 143
    assert alive(processes) == []


def test_a_node_that_gives_an_answer_its_grace_is_not_killed_for_it(start: Start, tmp_path: Path) -> None:
    """Viewers that do not read: the listeners' whole grace is spent, at both tiers, and then they leave by themselves."""

    def attempt() -> None:
        (tmp_path / "vod").mkdir(exist_ok=True)
        (tmp_path / "vod" / "large.bin").write_bytes(bytes(64 * 2**20))
        up = start(NO_STREAM + 'vod = "vod"\n[control]\nlisten = "127.0.0.1:0"\n')
        up.wait_for("Ctrl-C ends it")
        with ExitStack() as viewers:
            for name in ("fra", "shield"):
                host, port = up.node(name)["url"].removeprefix("http://").split(":")
                viewer = viewers.enter_context(socket.create_connection((host, int(port))))
                viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                viewer.sendall(b"GET /vod/large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
                assert viewer.recv(100).startswith(b"HTTP/1.1 200")
            assert up.stop() == 130
        if "killed" in up.said():
            raise Late(up.said())

    again(attempt)


@pytest.mark.parametrize("victim", ["fra", "origin"])
def test_a_killed_process_comes_back_at_its_address(start: Start, victim: str) -> None:
    up = start(NO_STREAM)
    up.wait_for("Ctrl-C ends it")

    def told() -> dict[str, object]:
        return up.cluster["origin"] if victim == "origin" else up.node(victim)

    before = told()
    os.kill(int(str(before["pid"])), signal.SIGKILL)
    up.wait_for(f"{victim}: ended by SIGKILL; restarted in 0.2 s")
    until(lambda: told()["pid"] != before["pid"], up.said)
    assert told()["url"] == before["url"]
    if victim == "fra":
        assert ask(f"{told()['admin']}/healthz").json()["node"] == "fra"
        # A life of its own has a file of its own.
        until(lambda: (up.run / "records" / "fra.2.jsonl").exists(), lambda: "no fra.2.jsonl")
    else:
        assert ask(f"{told()['url']}/healthz").status == 200


def test_ports_in_use_are_all_named_before_anything_starts_or_replaced(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        addresses = [f"127.0.0.1:{taken.getsockname()[1]}" for taken in (one, other)]
        settings = NO_STREAM.replace('listen = "127.0.0.1:0"', f'listen = "{addresses[0]}"')
        settings += f'[[node]]\nname = "nyc"\nadmin = "{addresses[1]}"\n[control]\nlisten = "127.0.0.1:0"\n'
        up = start(settings)
        assert up.process.wait(GUARD_S) == 2
        for setting, address in zip(("origin.listen", "node[2].admin (nyc)"), addresses, strict=True):
            assert f"{setting}: found {address}, which is taken by" in up.said()
        assert up.said().count(f"(pid {os.getpid()})") == 2
        assert "`cdnlab up --free-ports`" in up.said()
        assert not (up.folder / "runs").exists()

        up = start(settings, "--free-ports")
        up.wait_for("Ctrl-C ends it")
        instead = (
            f"taken, so it uses free ports instead: origin.listen {addresses[0]}, node[2].admin (nyc) {addresses[1]}"
        )
        assert instead in up.said()
        assert up.cluster["origin"]["url"] not in addresses
        assert ask(f"{up.node('nyc')['admin']}/healthz").status == 200
        assert up.stop() == 130


def test_no_origin_is_started_where_nobody_asks_it(start: Start) -> None:
    """Nodes whose parents are URLs, nothing to encode: the origin's ports may be somebody else's, and a node's."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        taken = f"127.0.0.1:{one.getsockname()[1]}"
        up = start(
            f'[origin]\nlisten = "{taken}"\ningest = "{taken}"\n[control]\nlisten = "127.0.0.1:0"\n'
            '[[node]]\nname = "fra"\nparent = "http://127.0.0.1:9"\n'
        )
        up.wait_for("Ctrl-C ends it")
    assert "starting 1 process\n" in up.said()
    assert up.cluster["origin"] == {"url": None, "ingest": None, "pid": None}
    assert len(up.descendants()) == 1
    assert ask(f"{up.node('fra')['url']}/a").status == 502
    assert up.stop() == 130


def test_a_source_that_cannot_play_ends_the_start_with_its_reason(start: Start) -> None:
    up = start(QUICK.replace('name = "live"', 'name = "live"\nsource = "cdn.toml"'))
    assert up.process.wait(GUARD_S) != 0
    assert re.search(r"error: transcode-live: source .*cdn\.toml: found ", up.said())
    assert "Traceback" not in up.said()


def test_ctrl_c_while_it_starts(start: Start) -> None:
    up = start(QUICK)
    up.wait_for("starting 4 processes")
    until(lambda: len(up.descendants()) >= 2, up.said)
    processes = up.descendants()
    assert up.stop() == 130
    assert alive(processes) == []
    assert "Traceback" not in up.said()


def test_a_folder_called_like_a_package_is_not_imported(start: Start, tmp_path: Path) -> None:
    """`cdnlab up` where the user has an `edge/` or `origin.py` of their own; as the installed command, not with -m."""
    for name in ("edge", "cdnkit"):
        (tmp_path / name).mkdir()
    (tmp_path / "origin.py").write_text("raise SystemExit('the wrong one')")
    up = start(NO_STREAM, program=(str(Path(sys.executable).with_name("cdnlab")),))
    up.wait_for("Ctrl-C ends it")
    assert up.stop() == 130


def sequence_and_segments(up: Up) -> tuple[int, list[str]]:
    """The media sequence and the segments of the playlist as the edge has it; (0, []) while there is none."""
    playlist = ask(f"{up.node('fra')['url']}/live/360p/media.m3u8", timeout=GUARD_S).text()
    first = re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", playlist)
    return int(first[1]) if first else 0, [line for line in playlist.splitlines() if line.startswith("seg-")]


@pytest.mark.parametrize("victim", ["transcode-live", "origin"])
def test_a_stream_goes_on_when_what_makes_it_is_killed(start: Start, victim: str) -> None:
    """Behind a discontinuity, with other names, and without a step back; what was stored can still be fetched."""
    up = start(QUICK)
    up.wait_for("Ctrl-C ends it")
    sequence, before = sequence_and_segments(up)
    pid = up.cluster["origin"]["pid"] if victim == "origin" else up.cluster["streams"][0]["pid"]
    os.kill(pid, signal.SIGKILL)
    up.wait_for(f"{victim}: ended by SIGKILL; restarted")

    def new_segments() -> bool:
        later, now = sequence_and_segments(up)
        assert later >= sequence
        return len(set(now) - set(before)) >= 3

    until(new_segments, up.said, 2 * GUARD_S)
    assert "#EXT-X-DISCONTINUITY\n" in ask(f"{up.cluster['origin']['url']}/live/360p/media.m3u8").text()
    assert ask(f"{up.cluster['origin']['url']}/live/360p/{before[0]}").status == 200
    assert sum("ffmpeg" in one.name() for one in up.descendants()) == 1, "the old encoder lives on"
    assert up.stop() == 130


def test_an_order_reaches_a_node_that_is_down_and_a_cluster_that_was_stopped(start: Start, tmp_path: Path) -> None:
    """What viewers see on the way: the file of the origin is new, the edge's store is not until it is purged."""
    clip = tmp_path / "vod" / "a.txt"
    clip.parent.mkdir()
    port, parent = free_port(), free_port()  # what is stored is of a parent at an address
    settings = NO_STREAM + 'vod = "vod"\n'
    settings = settings.replace('name = "shield"', f'name = "shield"\nlisten = "127.0.0.1:{parent}"', 1)
    settings = settings.replace(
        'parent = "shield"', f'parent = "shield"\nlisten = "127.0.0.1:{port}"\ndisk = {{ path = "cache" }}'
    )
    settings += '[[behavior]]\npath = "*"\nttl = { min = "1h", default = "1h" }\n[control]\nlisten = "127.0.0.1:0"\n'
    url = f"http://127.0.0.1:{port}/vod/a.txt"

    def purge(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "cdnlab", "purge", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=2 * GUARD_S,
        )
        return done.returncode, done.stdout

    clip.write_text("one")
    up = start(settings)
    up.wait_for("Ctrl-C ends it")
    assert ask(url).text() == "one"
    clip.write_text("two")
    assert ask(url).text() == "one"
    assert purge("--key", "none", "--wait")[0] == 0  # what is stored is on disk now
    os.kill(up.node("fra")["pid"], signal.SIGSTOP)
    status, said = purge(url)
    assert status == 3 and said.splitlines()[1] == "fra    is away: will catch up before it serves"
    os.kill(up.node("fra")["pid"], signal.SIGKILL)
    assert purge("--key", "none", "--wait")[0] == 0  # it is back
    assert ask(url).text() == "two"
    assert purge("--key", "none", "--wait")[0] == 0
    up.stop()

    clip.write_text("three")
    again = start(settings)
    again.wait_for("Ctrl-C ends it")
    assert ask(url).text() == "two"
    again.stop()
    assert purge("--all", "--purge-log", "cache-purges.sqlite3")[0] == 3
    last = start(settings)
    last.wait_for("Ctrl-C ends it")
    assert ask(url).text() == "three"
    last.stop()


def test_encoders_of_the_lab_get_into_an_origin_that_asks_who_they_are(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS, by a token that is in no argument, no log and no file; others need credentials of the settings."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    make(authority_folder(), time.time())
    password = "correct-horse"
    up = start(f'{QUICK}ingest_tls = "local"\n[origin.encoders.studio]\npassword = "{password}"\n')
    up.wait_for("Ctrl-C ends it")
    url = f"{up.cluster['origin']['url']}/live/360p/media.m3u8"
    until(lambda: "#EXTINF" in ask(url).body.decode(), up.said)
    ingest = up.cluster["origin"]["ingest"]
    assert ingest.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(authority_folder() / "ca.pem"))
    for fields, status in (({}, 401), (basic("studio", password), 200)):
        assert request(f"{ingest}/faults", headers=fields, tls=context).status == status
    commands = [" ".join(one.cmdline()) for one in up.descendants()]
    assert sum("pipe:" in one for one in commands) == 1, "ffmpeg does not post itself"
    up.stop()
    everything = [path.read_text() for path in up.run.rglob("*") if path.suffix in (".json", ".jsonl", ".log")]
    assert password not in "".join((*everything, *commands, up.said()))
    assert "Bearer" not in "".join((*everything, *commands, up.said()))
