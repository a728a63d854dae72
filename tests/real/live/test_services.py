"""Several services on a whole `cdnlab up`: through a shield, over a restart, for its commands and for a replay."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cdnkit.serving.authority import make
from cdnkit.serving.folder import authority_folder
from cdnlab.client.viewer import ask
from tests.real.live.lab import NO_STREAM, Up, until

pytestmark = pytest.mark.live


@pytest.fixture
def images(tmp_path: Path) -> Iterator[str]:
    """The URL of another origin, which serves another folder."""
    folder = tmp_path / "images"
    (folder / "vod").mkdir(parents=True)
    (folder / "vod" / "page.txt").write_text("image")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def cdnlab(up: Up, *arguments: str) -> str:
    command = [sys.executable, "-m", "cdnlab", *arguments]
    return subprocess.run(command, cwd=up.folder, check=True, capture_output=True, text=True).stdout


def test_two_hosts_two_caches_through_one_shield(
    start: Callable[..., Up], tmp_path: Path, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vod").mkdir()
    (tmp_path / "vod" / "page.txt").write_text("page")
    service = f"""
[service.images]
hostnames = ["img.test"]
origin = "{images}"
profile = "fastly"
[[service.images.behavior]]
path = "*"
ttl = {{ default = "1h" }}
"""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    make(authority_folder(), time.time())
    nodes = NO_STREAM.replace('parent = "shield"', 'parent = "shield"\nlisten_tls = "127.0.0.1:0"')
    up = start(nodes + 'vod = "vod"\n' + service)
    up.wait_for("Ctrl-C ends it")

    def seen(host: str) -> tuple[str, str]:
        answer = ask(f"{up.node('fra')['url']}/vod/page.txt", headers={"Host": host})
        return answer.text(), answer.headers["x-cache"]

    assert [seen("img.test"), seen("img.test")] == [("image", "MISS, MISS"), ("image", "MISS, HIT")]
    assert seen("www.test")[0] == "page"
    told = json.loads(cdnlab(up, "explain", "http://img.test/vod/page.txt", "--json"))
    assert (told["service"], told["profile"], told["node"], len(told["stored"])) == ("images", "fastly", "fra", 1)
    # A node is found by its HTTPS address, too, whatever name of the certificate is before the port.
    port = up.node("fra")["https"].rpartition(":")[2]
    told = json.loads(cdnlab(up, "explain", f"https://localhost:{port}/vod/page.txt", "--json"))
    assert (told["service"], told["node"]) == ("default", "fra")
    told = json.loads(cdnlab(up, "explain", f"https://img.test:{port}/vod/page.txt", "--json"))
    assert (told["service"], told["node"]) == ("images", "fra")
    purged = json.loads(cdnlab(up, "purge", "http://img.test/vod/page.txt", "--json"))
    assert {name: one["purged"] for name, one in purged.items()} == {"shield": 1, "fra": 1}
    assert seen("www.test") == ("page", "HIT")
    assert seen("img.test") == ("image", "MISS, MISS")
    # PURGE is Fastly's: the images service takes it, and its other node hears of it.
    assert ask(f"{up.node('fra')['url']}/vod/page.txt", method="PURGE", headers={"Host": "img.test"}).status == 200
    until(lambda: seen("img.test") == ("image", "MISS, MISS"), up.said)
    first = up.node("fra")["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: up.node("fra")["pid"] != first, up.said)
    assert seen("img.test") == ("image", "HIT, MISS")
    assert up.stop() == 130
    names = {file.name for file in (up.run / "records").iterdir()}
    assert names == {
        f"{one}.jsonl" for one in ("fra", "fra.2", "fra+images", "fra+images.2", "shield", "shield+images")
    }
    replayed = json.loads(cdnlab(up, "replay", str(up.run), "--json"))
    assert all(one["differences"] == [] for one in replayed.values())
    assert replayed["fra+images.2"]["requests"] == 1
