"""A node over HTTPS: what its viewers are shown, one cache behind both listeners, bad certificates told before it serves."""

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.serving.authority import Authority, BadAuthority, make, write_new
from cdnkit.settings.edge import Certificate
from cdnkit.vendors import CLOUDFRONT, FASTLY
from edge.errors import BadCertificate
from tests.kit.http import ask, read_reply
from tests.kit.http2 import Client
from tests.kit.local_ca import ask_over_tls, over_tls, secured
from tests.kit.node import running_node


def test_one_cache_behind_both_listeners_and_a_replay_that_agrees(authority: Authority, tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        async with secured(records=records) as (node, origin, port):
            first = await ask_over_tls(port, authority, "/a")
            plain = await node.get("/a")
            again = await ask_over_tls(port, authority, "/a")
            reader, writer = await over_tls(port, authority, "h2", "http/1.1")
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
            two = Client(reader, writer)
            two.h2.initiate_connection()
            stream = await two.ask("/a", authority="cdn.localhost")
            await two.until(stream)
            writer.close()
            assert [one.body for one in (first, plain, again)] == [b"ok"] * 3
            assert (stream.status, bytes(stream.body), stream.whole) == (200, b"ok", True)
            # The scheme is no part of the key: one fill for all.
            assert origin.count["/a"] == 1

    asyncio.run(run())
    trace = read_trace(records)
    schemes = [line.partition("://")[0] for line in _urls(records)]
    assert schemes == ["https", "http", "https", "https"]
    assert replay_node(trace, Service(name="fra"), RFC9111).differences == []


def _urls(records: Path) -> list[str]:
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    return [line["url"] for line in lines if line["kind"] == "request"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize(("version", "told"), [("--http1.1", "1.1"), ("--http2", "2")])
def test_curl_as_it_is(authority: Authority, version: str, told: str) -> None:
    async def run() -> tuple[bytes, bytes]:
        async with secured() as (_, _, port):
            curl = await asyncio.create_subprocess_exec(
                "curl", "-sS", version, "--cacert", str(authority.certificate_file), "--noproxy", "*",
                "--resolve", f"cdn.localhost:{port}:127.0.0.1", "-w", " %{http_version} %{ssl_verify_result}",
                f"https://cdn.localhost:{port}/a", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            return await asyncio.wait_for(curl.communicate(), 20)

    said, complaint = asyncio.run(run())
    assert said.decode() == f"ok {told} 0", complaint


def test_a_shield_is_asked_over_https_by_who_trusts_the_ca(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def status(**settings: Any) -> int:
        async with (
            secured() as (_, _, port),
            running_node(f"https://localhost:{port}", name="edge", **settings) as edge,
        ):
            return (await edge.get("/a")).status

    other = make(tmp_path / "other", time.time())
    assert asyncio.run(status()) == 502  # it is a stranger's to whom nobody said otherwise
    assert asyncio.run(status(parent_ca=other.certificate_file)) == 502
    assert asyncio.run(status(parent_ca="local")) == 200
    assert asyncio.run(status(parent_ca=authority.certificate_file)) == 200
    assert asyncio.run(status(parent_ca="local", parent_http="2")) == 200
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate_file))
    assert asyncio.run(status()) == 200


def test_a_shield_over_https_is_asked_for_any_host_that_its_edges_were_asked_for(authority: Authority) -> None:
    """Its certificate is for its own name; and it is TLS that it adds to X-Forwarded fields for (Fastly's pages)."""

    async def run() -> None:
        async with (
            secured(profile=FASTLY, service={"gate": False}) as (_, origin, port),
            running_node(f"https://localhost:{port}", name="edge", profile=FASTLY, parent_ca="local") as edge,
        ):
            assert (await edge.get("/a", host="www.test")).status == 200
            told = origin.asked[0].headers
            assert (told.first("host"), told.first("fastly-ssl")) == ("www.test", "1")
            assert (told.first("x-forwarded-for"), told.first("x-forwarded-host")) == ("127.0.0.1", "www.test")

    asyncio.run(run())


def test_who_is_believed_a_parent_is_told_before_anything_is_served(tmp_path: Path, authority: Authority) -> None:
    async def serve(file: Path) -> None:
        async with running_node("https://localhost:1", parent_ca=file):
            pass

    with pytest.raises(BadCertificate, match=r"node fra: parent_ca: found '.*gone\.pem' \(No such file or directory\)"):
        asyncio.run(serve(tmp_path / "gone.pem"))
    with pytest.raises(BadCertificate, match=r"no certificate in PEM\), wanted certificates of authorities in PEM"):
        asyncio.run(serve(authority.certificate_file.with_name("ca-key.pem")))


def test_who_comes_over_http_is_sent_to_https_and_the_replay_agrees(authority: Authority, tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"
    rule = Behavior(path="*", viewer_protocol="redirect-to-https")

    async def run() -> None:
        async with secured(rule, profile=CLOUDFRONT, records=records) as (node, origin, port):
            sent = await node.get("/a?x=1")
            assert (sent.status, sent["location"]) == (301, f"https://127.0.0.1:{port}/a?x=1")
            assert sent["x-cache"] == "Redirect from cloudfront" and b"301 Moved Permanently" in sent.body
            posted = await ask(node.url, "/a", method="POST", body=b"x")
            assert (posted.status, posted["location"]) == (307, f"https://127.0.0.1:{port}/a")
            reader, writer = await asyncio.open_connection(*node.url.removeprefix("http://").split(":"))
            writer.write(b"POST /a HTTP/1.0\r\nhost: cdn.test\r\ncontent-length: 0\r\n\r\n")
            assert (await read_reply(reader)).status == 403
            writer.close()
            assert origin.count == {}
            assert (await ask_over_tls(port, authority, "/a")).body == b"ok"
            assert (await node.get("/a")).status == 301  # also where it is stored

    asyncio.run(run())
    service = Service(name="fra", profile="cloudfront", behaviors=(rule,))
    assert replay_node(read_trace(records), service, CLOUDFRONT).differences == []


def test_what_cannot_be_shown_is_told_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    async def serve(**settings: Any) -> None:
        async with secured(**settings):
            pass

    with pytest.raises(BadAuthority, match=r"there is no local CA.*`cdnlab ca`"):
        asyncio.run(serve())
    authority = make(tmp_path / "other", time.time())
    certificate, key = authority.issue(("localhost",), time.time() - 40 * 86_400)
    pair = Certificate(certificate=tmp_path / "cdn.pem", key=tmp_path / "cdn-key.pem")
    write_new(pair.certificate, certificate)
    write_new(pair.key, key, secret=True)
    with pytest.raises(BadCertificate, match=r"node fra: tls: found '.*cdn\.pem' \(expired on "):
        asyncio.run(serve(tls=pair))


def test_a_pair_of_the_users_own(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue(("cdn.localhost",), time.time())
    pair = Certificate(certificate=tmp_path / "cdn.pem", key=tmp_path / "cdn-key.pem")
    write_new(pair.certificate, certificate)
    write_new(pair.key, key, secret=True)

    async def run() -> int:
        async with secured(tls=pair) as (_, _, port):
            return (await ask_over_tls(port, authority, "/a")).status

    assert asyncio.run(run()) == 200
