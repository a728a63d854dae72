"""Who may publish, over sockets: the answer comes on the head, and real encoders and clients find their way."""

import logging
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cdnkit.serving.authority import Authority, BadAuthority, make
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.encoder_secrets import BadCredentials
from tests.kit.client_certificates import Clients
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Feeder, Running, basic, encoder_command, pieces, request, until

PASSWORD, TOKEN = "p%ss/w@rd of:studio", "T0ken-of-news"
ENCODERS = {"studio": {"password": PASSWORD}, "news": {"token": TOKEN, "streams": ("news",)}}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def studio(password: str = PASSWORD) -> dict[str, str]:
    return basic("studio", password)


@pytest.fixture
def guarded(origins: Callable[..., Running]) -> Running:
    return origins(encoders=ENCODERS, faults=True)


def test_only_encoders_that_are_known_publish(guarded: Running, encoded: dict[str, bytes]) -> None:
    media = encoded["180p.cmfv"]
    rows = [  # stream, fields, status
        ("live", {}, 401),
        ("live", studio("guessed it"), 401),
        ("live", BEARER, 403),
        ("news", BEARER, 200),
        ("live", studio(), 200),
    ]
    for stream, fields, status in rows:
        reply = request(f"{guarded.ingest}/ingest/{stream}/180p.cmfv", "POST", fields, media)
        assert reply.status == status
        if status == 401:
            assert reply.headers["www-authenticate"] == 'Bearer realm="cdnlab ingest"', "the last of its lines"
        published = guarded.get(f"{stream}/180p/media.m3u8").status
        assert published == (200 if status == 200 else 404)


def test_objects_are_their_encoders_alone(guarded: Running) -> None:
    """To put, to read back, and to delete them; viewers need nothing of it."""
    url = f"{guarded.ingest}/ingest/live/v0/live0.ts"
    rows = [  # method, its status with leave
        ("PUT", 201),
        ("GET", 200),
        ("HEAD", 200),
        ("DELETE", 200),
        ("POST", 201),
    ]
    for method, status in rows:
        body = b"G" * 188 if method in ("PUT", "POST") else None
        for fields, refused in (({}, 401), (studio("guessed it"), 401), (BEARER, 403)):
            before = guarded.get("live/v0/live0.ts").status
            assert request(url, method, fields, body).status == refused
            assert guarded.get("live/v0/live0.ts").status == before
        assert request(url, method, studio(), body).status == status
    assert request(f"{guarded.ingest}/ingest/news/live0.ts", "PUT", BEARER, b"G").status == 201


def test_the_answer_comes_on_the_head(guarded: Running) -> None:
    """Before any content; also to who asks first, who must get no 100 before it."""
    parts = urlsplit(guarded.ingest)
    head = "POST /ingest/live/180p.cmfv HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    for asked in ("", "Expect: 100-continue\r\n"):
        with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as client:
            client.sendall(f"{head}{asked}\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 401"
    allowed = f"Authorization: {studio()['Authorization']}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S) as client:
        client.sendall(f"{head}{allowed}".encode())
        assert client.recv(12) == b"HTTP/1.1 100"


EMPTY = [  # fields, path, status
    (studio(), "live/180p.cmfv", 200),
    (studio(), "live/other.cmfa", 200),
    (studio(), "fresh/180p.cmfv", 200),
    ({}, "live/180p.cmfv", 401),
    (BEARER, "live/180p.cmfv", 403),
    (studio(), "closed/180p.cmfv", 404),
    (studio(), "vod/180p.cmfv", 403),
    # objects
    (studio(), "fresh/live.m3u8", 200),
    (studio(), "fresh/v0/live0.ts", 200),
    (studio(), "fresh/180p.mp4", 200),
    (studio(), "live/live.m3u8", 409),
    ({}, "fresh/live.m3u8", 401),
    (BEARER, "fresh/v0/live0.ts", 403),
    (studio(), "closed/live.m3u8", 404),
    (studio(), "vod/live.m3u8", 403),
]


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_empty_request_learns_whether_url_and_credentials_are_good_and_changes_nothing(
    origins: Callable[..., Running], encoded: dict[str, bytes], method: str, framing: str
) -> None:
    """DASH-IF ingest 1.2: while a stream is live, and after it has ended."""
    origin = origins(encoders=ENCODERS, ingest_streams=("live", "fresh", "news", "vod"))
    video = pieces(encoded["180p.cmfv"])
    feeder = Feeder(origin, "live/180p.cmfv", fields=studio())
    for piece in video[:6]:
        feeder.send(piece)
    until(lambda: origin.get("live/180p/media.m3u8").text.count("#EXTINF") == 2)  # all that is whole

    def ask() -> None:
        before = origin.get("").text, origin.get("live/180p/media.m3u8").text
        for fields, path, status in EMPTY:
            body: Any = b"" if framing == "Content-Length" else iter(())
            reply = request(f"{origin.ingest}/ingest/{path}", method, fields, body)
            assert (path, reply.status) == (path, status)
        assert (origin.get("").text, origin.get("live/180p/media.m3u8").text) == before

    ask()
    for piece in video[6:]:
        feeder.send(piece)
    assert feeder.end().status == 200
    text = origin.get("live/180p/media.m3u8").text
    assert text.endswith("#EXT-X-ENDLIST\n") and "EXT-X-DISCONTINUITY\n" not in text
    ask()


def test_the_switch_for_faults_needs_an_encoder_of_every_stream(guarded: Running) -> None:
    url = f"{guarded.ingest}/faults"
    for method in ("GET", "PUT", "DELETE"):
        for fields, status in (({}, 401), (BEARER, 403), (studio(), 200)):
            assert request(url, method, fields, b"{}" if method == "PUT" else None).status == status


@pytest.mark.parametrize("path", ["ingest/news/../live/a.cmfv", "ingest//live/a.cmfv", "ingest/news/./a.cmfv"])
def test_no_path_leads_from_one_stream_into_another(guarded: Running, path: str) -> None:
    reply = request(f"{guarded.ingest}/{path}", "POST", studio(), b"")
    assert reply.status == 403 and "wanted /ingest/STREAM/TRACK.cmfv" in reply.text
    assert request(f"{guarded.ingest}/{path.replace('/', '%2f')}", "POST", BEARER, b"").status == 403


def test_web_pages_are_still_refused_first(guarded: Running) -> None:
    assert request(f"{guarded.ingest}/faults", "GET", {**studio(), "Origin": "http://evil.example"}).status == 403
    assert request(f"{guarded.ingest}/faults", "GET", {**studio(), "Host": "evil.example"}).status == 421


def test_failed_attempts_take_one_line_of_the_log_and_no_secret_is_in_it(
    guarded: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    guess = "hunter2hunter2"
    for number in range(40):
        fields = studio(guess) if number % 2 else {"Authorization": f"Bearer {guess}"}
        assert request(f"{guarded.ingest}/ingest/live/{number}.cmfv", "POST", fields, b"x").status == 401
    guarded.stop()
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("/ingest/live/0.cmfv from 127.0.0.1: 401: Authorization: found credentials that are no")
    everything = "".join(record.getMessage() for record in caplog.records)
    assert guess not in everything and b64encode(guess.encode()).decode()[:10] not in everything


def test_what_cannot_be_used_is_said_at_start(
    origins: Callable[..., Running], tmp_path: Path, monkeypatch: Any
) -> None:
    with pytest.raises(BadCredentials, match=r"origin\.encoders\.a\.token_file: found .*No such file.*, wanted"):
        origins(encoders={"a": {"token_file": tmp_path / "none"}})
    with pytest.raises(BadCredentials, match=r"origin\.ingest_tls: found .*none.*, wanted a certificate"):
        origins(ingest_tls={"certificate": tmp_path / "none", "key": tmp_path / "none"})
    with pytest.raises(BadCredentials, match=r"origin\.ingest_client_ca: found .*none.*, wanted certificates"):
        origins(ingest_tls="local", ingest_client_ca=tmp_path / "none")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with pytest.raises(BadAuthority, match="no local CA"):
        origins(ingest_tls="local")


# ---- clients of others -----------------------------------------------------------------------------------------------


def _post_by_ffmpeg(ffmpeg: str, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = encoder_command(ffmpeg, {"90p": url}, seconds=2)
    return subprocess.run(
        [*command[:-1], *options, command[-1]], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def _has_ended(origin: Running) -> bool:
    """It does not wait for the answer to its last chunk."""
    return origin.get("live/90p/media.m3u8").text.endswith("#EXT-X-ENDLIST\n")


def _url(origin: Running, path: str, user: str = "") -> str:
    return f"{origin.ingest}/ingest/{path}".replace("://", f"://{user}@" if user else "://")


@pytest.mark.live
def test_ffmpeg_with_a_name_in_its_url(guarded: Running, ffmpeg: str, caplog: pytest.LogCaptureFixture) -> None:
    """It asks with `Expect: 100-continue` and no credentials, and sends them to the challenge; a 100 in between, and it
    would have sent its media without them."""
    done = _post_by_ffmpeg(ffmpeg, _url(guarded, "live/90p.cmfv", "studio:p%25ss%2Fw%40rd%20of%3Astudio"))
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: _has_ended(guarded))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == [], "asking is no attempt"


@pytest.mark.live
@pytest.mark.parametrize("how", ["auth_type", "headers", "send_expect_100"])
def test_ffmpeg_with_credentials_from_the_start(guarded: Running, ffmpeg: str, how: str) -> None:
    user, options = "studio:p%25ss%2Fw%40rd%20of%3Astudio", ["-auth_type", "basic"]
    if how == "headers":
        user, options = "", ["-headers", f"Authorization: {studio()['Authorization']}\r\n"]
    elif how == "send_expect_100":
        options += ["-send_expect_100", "1"]
    done = _post_by_ffmpeg(ffmpeg, _url(guarded, "live/90p.cmfv", user), *options)
    assert done.returncode == 0, done.stderr
    until(lambda: _has_ended(guarded))


@pytest.mark.live
def test_ffmpeg_with_a_wrong_password_publishes_nothing(guarded: Running, ffmpeg: str) -> None:
    """It sends all it has before it reads an answer, unless it asks first with each request."""
    _post_by_ffmpeg(ffmpeg, _url(guarded, "live/90p.cmfv", "studio:wrong"))
    asks = ["-auth_type", "basic", "-send_expect_100", "1"]
    done = _post_by_ffmpeg(ffmpeg, _url(guarded, "live/90p.cmfv", "studio:wrong"), *asks)
    assert done.returncode != 0 and "401" in done.stderr
    assert guarded.get("live/90p/media.m3u8").status == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("how", ["-T", "--data-binary"])
def test_curl_sends_what_it_has(guarded: Running, encoded: dict[str, bytes], tmp_path: Path, how: str) -> None:
    """Also after a challenge (`--anyauth`), and with `Expect: 100-continue`, which it sends by itself for large files."""
    (tmp_path / "a.cmfv").write_bytes(encoded["180p.cmfv"])
    file = str(tmp_path / "a.cmfv") if how == "-T" else f"@{tmp_path / 'a.cmfv'}"
    for number, options in enumerate([["--anyauth"], ["--basic"], ["--basic", "-H", "Expect: 100-continue"]]):
        command = [
            "curl",
            "-sS",
            "-f",
            "-u",
            f"studio:{PASSWORD}",
            *options,
            "-H",
            "Content-Type: video/mp4",
            how,
            file,
        ]
        done = subprocess.run([*command, _url(guarded, f"live{number}/180p.cmfv")], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert guarded.get(f"live{number}/180p/media.m3u8").text.endswith("#EXT-X-ENDLIST\n")


# ---- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return make(authority_folder(), time.time())


def test_a_client_certificate_is_as_good_as_a_password(
    origins: Callable[..., Running],
    encoded: dict[str, bytes],
    authority: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clients, strangers = Clients(tmp_path / "clients"), Clients(tmp_path / "strangers")
    origin = origins(
        ingest_tls="local",
        ingest_client_ca=clients.file,
        encoders={**ENCODERS, "truck": {"certificate": "Truck7", "streams": ("outside",)}},
    )
    assert origin.ingest.startswith("https://127.0.0.1:")

    def post(stream: str, shown: tuple[Path, Path] | None = None, fields: dict[str, str] | None = None) -> int:
        context = ssl.create_default_context(cafile=str(authority.certificate_file))
        if shown is not None:
            context.load_cert_chain(*shown)
        url = f"{origin.ingest}/ingest/{stream}/180p.cmfv"
        return request(url, "POST", fields, encoded["180p.cmfv"], context).status

    truck = clients.issue("truck7")
    assert post("outside", truck) == 200
    assert post("live", truck) == 403
    assert post("live", truck, studio()) == 200
    assert post("outside", clients.issue("truck8")) == 401
    assert post("outside") == 401
    assert post("news", None, BEARER) == 200
    for _ in range(3):
        with pytest.raises(OSError):
            post("outside", strangers.issue("truck7"))
    (line,) = [one.getMessage() for one in caplog.records if "cannot be verified" in one.getMessage()]
    assert "found a client certificate that cannot be verified (unable to get local issuer certificate)" in line
    assert line.endswith("wanted one that ingest_client_ca's authorities have signed")
    with pytest.raises((OSError, Exception)):
        request(origin.ingest.replace("https", "http"))


@pytest.mark.live
@pytest.mark.parametrize("proof", ["a certificate", "a name in its URL"])
def test_ffmpeg_over_tls(
    origins: Callable[..., Running], ffmpeg: str, authority: Authority, tmp_path: Path, proof: str
) -> None:
    clients = Clients(tmp_path / "clients")
    certificate, key = clients.issue("truck7")
    origin = origins(
        ingest_tls="local",
        ingest_client_ca=clients.file,
        encoders={"truck": {"certificate": "truck7"}, "studio": {"password": "correct-horse"}},
    )
    user, options = "studio:correct-horse", ["-ca_file", str(authority.certificate_file), "-tls_verify", "1"]
    if proof == "a certificate":
        user, options = "", [*options, "-cert_file", str(certificate), "-key_file", str(key)]
    done = _post_by_ffmpeg(ffmpeg, _url(origin, "live/90p.cmfv", user), *options)
    assert done.returncode == 0, done.stderr
    until(lambda: _has_ended(origin))
