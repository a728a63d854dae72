"""Every file in examples/ does what its first lines say."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cdnlab.client.viewer import ask
from cdnlab.settings.document import read
from tests.kit.late import GUARD_S
from transcode.ffmpeg import find

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FILES = sorted(EXAMPLES.rglob("*.toml"))


def test_there_are_examples_and_the_index_names_each() -> None:
    index = (EXAMPLES / "README.md").read_text()
    assert FILES
    assert all(f"({file.relative_to(EXAMPLES)})" in index for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_each_is_good_as_it_is(file: Path) -> None:
    read(file)


@contextmanager
def running(cwd: Path, *arguments: str, until: str) -> Iterator[str]:
    """A `cdnlab` command in the foreground, once it has said `until`; yields what it said so far."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cdnlab", *arguments],
        cwd=cwd,
        env=os.environ | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    # Ends the loop below if the words never come.
    watchdog = threading.Timer(2 * GUARD_S, process.kill)
    watchdog.start()
    try:
        said = ""
        for line in process.stdout:
            said += line
            if until in line:
                break
        else:
            pytest.fail(said)
        watchdog.cancel()
        yield said
    finally:
        watchdog.cancel()
        process.terminate()
        process.communicate(timeout=60)


def with_free_ports(file: Path, folder: Path) -> Path:
    """The example with every fixed port replaced: tests share the machine."""
    text = re.sub(r'"127\.0\.0\.1:\d+"', '"127.0.0.1:0"', file.read_text())
    if "[origin]" not in text:
        text += "\n[origin]\n"
    text = text.replace("[origin]", '[origin]\nlisten = "127.0.0.1:0"\ningest = "127.0.0.1:0"')
    copy = folder / "cdn.toml"
    copy.write_text(text)
    return copy


@pytest.mark.live
def test_own_origin(tmp_path: Path) -> None:
    """Python's own web server behind the edge: what changes is asked again, what is cached is not."""
    site = tmp_path / "site"
    (site / "api").mkdir(parents=True)
    (site / "logo.svg").write_text("<svg/>")
    (site / "api" / "now").write_text("12:00")
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        config = with_free_ports(EXAMPLES / "own-origin" / "cdn.toml", tmp_path)
        origin = f"http://127.0.0.1:{server.server_address[1]}"
        with running(tmp_path, "edge", "--config", str(config), "--origin", origin, "--json", until="ready") as said:
            urls = json.loads(said)
            answers = [
                ask(urls["url"] + path) for path in ("/logo.svg?v=1&utm=a", "/logo.svg?v=1&utm=b", "/logo.svg?v=2")
            ]
            assert [answer.body for answer in answers] == [b"<svg/>"] * 3
            assert [answer.headers["x-cache"].split()[0] for answer in answers] == [
                "Miss",
                "Hit",
                "Miss",
            ]  # CloudFront writes "Miss from cloudfront"
            for _ in range(2):
                assert ask(urls["url"] + "/api/now").body == b"12:00"
            done = subprocess.run(
                [sys.executable, "-m", "cdnlab", "explain", "/logo.svg?v=1", "--admin", urls["admin"], "--json"],
                capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            assert json.loads(done.stdout)["next"] == "hit"
        server.shutdown()
    # CloudFront shows the origin what is in the key, and no more unless an origin request policy says so.
    assert asked == ["/logo.svg?v=1", "/logo.svg?v=2", "/api/now", "/api/now"]


@pytest.mark.live
def test_signed_cookies(tmp_path: Path) -> None:
    """A new pair of keys, one signature for all of a stream: by cookies, by a URL that sets them, and not for others."""
    site = tmp_path / "site"
    for path, text in {"live/multivariant.m3u8": "#EXTM3U\n", "live/720p/seg-1.m4s": "media", "vod/a": "else"}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "viewer.private.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "viewer.public.pem").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            asked.append(f"{self.path} {self.headers.get('cookie')}")

    def signed(*arguments: str) -> str:
        command = [sys.executable, "-m", "cdnlab", "sign", *arguments, "--path", "/live/*"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with_free_ports(EXAMPLES / "signed-cookies" / "cdn.toml", tmp_path)
        origin = f"http://127.0.0.1:{server.server_address[1]}"
        with running(tmp_path, "edge", "--config", "cdn.toml", "--origin", origin, "--json", until="ready") as said:
            edge = json.loads(said)["url"]
            master, segment = f"{edge}/live/multivariant.m3u8", f"{edge}/live/720p/seg-1.m4s"
            refused = ask(master)
            assert (refused.status, b"<Code>MissingKey</Code>" in refused.body) == (403, True)
            cookies = signed(master, "--cookies")
            for url, body in ((master, b"#EXTM3U\n"), (segment, b"media")):
                assert ask(url, headers={"cookie": cookies}).body == body
            first = ask(signed(master))
            assert first.status == 200
            assert "; Path=/live/; HttpOnly" in first.headers["set-cookie"]
            # What one viewer's signature brought in is there for another's, and refused to those who have none.
            assert ask(signed(segment, "--ttl", "2h")).headers["x-cache"] == "Hit from cloudfront"
            assert ask(segment).status == 403
            assert ask(signed(segment, "--ttl", "0s")).status == 403
            assert ask(f"{edge}/vod/a").body == b"else"
        server.shutdown()
    assert asked == ["/live/multivariant.m3u8 None", "/live/720p/seg-1.m4s None", "/vod/a None"]


@pytest.mark.live
def test_geo(tmp_path: Path) -> None:
    """An origin that tells what it was told; viewers of every place in the file's tables."""
    asked: list[tuple[str, str | None]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            country = self.headers["CloudFront-Viewer-Country"]
            asked.append((self.path, country))
            body = f"for {country}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    films = [  # address, status
        ("203.0.113.9", 200), ("203.0.113.70", 403), ("203.0.113.200", 403), ("198.51.100.9", 403),
        ("198.51.100.200", 200), ("192.0.2.9", 403), ("127.0.0.1", 403),
    ]  # fmt: skip
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        config = with_free_ports(EXAMPLES / "geo" / "cdn.toml", tmp_path)
        origin = f"http://127.0.0.1:{server.server_address[1]}"
        with running(tmp_path, "edge", "--config", str(config), "--origin", origin, "--json", until="ready") as said:
            urls = json.loads(said)

            def viewer(path: str, ip: str) -> tuple[int, bytes]:
                answer = ask(urls["url"] + path, headers={"CDNLab-Client-IP": ip, "CloudFront-Viewer-Country": "XX"})
                return answer.status, answer.body

            assert [(ip, viewer("/films/one.mp4", ip)[0]) for ip, _ in films] == films
            for _ in range(2):
                assert viewer("/start/", "203.0.113.9") == (200, b"for DE")
                assert viewer("/start/", "198.51.100.9") == (200, b"for US")
            assert viewer("/logo", "192.0.2.9") == viewer("/logo", "203.0.113.9") == (200, b"for KP")
            explain = ["explain", "/films/one.mp4", "--client-ip", "198.51.100.9", "--admin", urls["admin"]]
            told = subprocess.run(
                [sys.executable, "-m", "cdnlab", *explain],
                capture_output=True, text=True, check=True, timeout=60, env=os.environ | {"COLUMNS": "200"},
            ).stdout  # fmt: skip
            assert "refused: 403 geo: US-CA is denied" in told
            assert "198.51.100.9: country US, region CA ([geo] countries 198.51.100.0/25); US-CA is denied" in told
        server.shutdown()
    assert asked == [("/films/one.mp4", None), ("/start/", "DE"), ("/start/", "US"), ("/logo", "KP")]


@pytest.mark.live
def test_vod(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make = [find().path, "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10", "-t", "3"]
    subprocess.run([*make, "-pix_fmt", "yuv420p", str(clip)], check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-m", "cdnlab", "transcode", str(clip), "--out", str(tmp_path / "library" / "clip"), "--segment", "1s"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with_free_ports(EXAMPLES / "vod" / "cdn.toml", tmp_path)
    with running(tmp_path, "up", until="Ctrl-C ends it") as said:
        edge = re.search(r"edge: ready +(\S+)", said)
        assert edge is not None, said
        url = f"{edge[1]}/vod/clip/multivariant.m3u8"
        pull = [find().path, "-nostdin", "-v", "warning", "-i", url, "-f", "framecrc", "-"]
        played = subprocess.run(pull, capture_output=True, text=True, check=False, timeout=60)
        assert (played.returncode, played.stderr) == (0, "")
        assert sum(line.startswith("0,") for line in played.stdout.splitlines()) >= 3 * 10
