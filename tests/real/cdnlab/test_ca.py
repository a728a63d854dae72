"""`cdnlab ca`, and what a settings file is told of certificates that a listener cannot use."""

import json
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from cdnkit.serving.authority import make, write_new
from cdnlab.errors import BadDocument
from cdnlab.settings.document import parse
from tests.kit.command import cdnlab


@pytest.mark.long
def test_it_is_made_once_shown_asked_and_taken_away(tmp_path: Path) -> None:
    data = str(tmp_path / "data")

    def ca(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return cdnlab("ca", *arguments, cwd=tmp_path, XDG_DATA_HOME=data)

    made = json.loads(ca("--json").stdout)
    key = tmp_path / "data/cdnlab/ca/ca-key.pem"
    assert made["made"] and made["certificate"] == str(key.with_name("ca.pem"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    shown = ca()
    assert made["sha256"] in shown.stdout and "NODE_EXTRA_CA_CERTS" in shown.stdout and "(new)" not in shown.stdout

    issued = json.loads(ca("--issue", "CDN.localhost", "--issue", "127.0.0.1", "--json").stdout)
    assert [one["host"] for one in issued["issued"]] == ["cdn.localhost", "127.0.0.1"] and not issued["made"]
    assert stat.S_IMODE((tmp_path / "cdn.localhost-key.pem").stat().st_mode) == 0o600
    if shutil.which("openssl"):
        verify = ["openssl", "verify", "-CAfile", made["certificate"], "-verify_hostname", "cdn.localhost"]
        done = subprocess.run([*verify, tmp_path / "cdn.localhost.pem"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    before = (tmp_path / "cdn.localhost.pem").read_bytes()
    again = ca("--issue", "cdn.localhost")
    assert again.returncode == 2 and "exists already" in again.stderr
    assert (tmp_path / "cdn.localhost.pem").read_bytes() == before
    stranger = ca("--issue", "www.fastly.com")
    assert stranger.returncode == 2 and "certificate of its own" in stranger.stderr

    assert "trust stores" in ca("--remove").stdout
    assert not key.exists()
    assert ca("--remove").returncode == 2


NODE = '[[node]]\nname = "fra"\nlisten_tls = "127.0.0.1:8440"\n'


def test_what_is_wrong_with_certificates_is_told_with_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def complaints(text: str) -> list[str]:
        try:
            parse(text, file="cdn.toml", folder=tmp_path, environ={})
        except BadDocument as bad:
            return [f"{one.line}: {one}" for one in bad.complaints]
        return []

    (no_ca,) = complaints(NODE)
    assert no_ca.startswith("3: node[0].listen_tls: found no CA that can be used") and "`cdnlab ca`" in no_ca
    authority = make(tmp_path / "data/cdnlab/ca", time.time())
    assert complaints(NODE) == []

    for name, made in (("old", time.time() - 40 * 86_400), ("good", time.time())):
        certificate, key = authority.issue(("localhost",), made)
        write_new(tmp_path / f"{name}.pem", certificate)
        write_new(tmp_path / f"{name}-key.pem", key)
    pair = 'tls = { certificate = "%s.pem", key = "%s-key.pem" }\n'
    assert complaints(NODE + pair % ("good", "good")) == []
    expired, parent = complaints(NODE + pair % ("old", "old") + 'parent = "nobody"\n')
    assert expired.startswith("4: node[0].tls.certificate: found") and "(expired on " in expired
    assert "nobody" in parent
    (mixed,) = complaints(NODE + pair % ("good", "old"))
    assert "node[0].tls.key" in mixed and "not the key of" in mixed
    (gone,) = complaints(NODE + pair % ("good", "gone"))
    assert "No such file or directory" in gone

    (plain,) = complaints('[[behavior]]\npath = "*"\nviewer_protocol = "https-only"\n[[node]]\nname = "fra"\n')
    assert plain == '3: behavior[0].viewer_protocol: found "https-only", wanted listen_tls at every edge; fra has none'

    loaded = parse(NODE + pair % ("good", "good"), file="cdn.toml", folder=tmp_path, environ={})
    tls = loaded.document.nodes[0].tls
    assert tls != "local" and tls.certificate == tmp_path / "good.pem"
    (taken,) = complaints(NODE + 'listen = "127.0.0.1:8440"\n')
    assert "another address: it is fra's listen already" in taken
