"""`cdnlab sign`: what it mints of every scheme opens the gate of the same settings, and what it cannot say it refuses."""

import contextlib
import io
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cdnkit.policy.http.messages import RequestHead, get_for_url
from cdnkit.policy.http.place import Place
from cdnkit.policy.token import TokenFault, scheme_of
from cdnlab.cli import main
from cdnlab.settings.document import read
from edge.keys import keys_of
from tests.kit.refusals import fault_of

SETTINGS = """
[[behavior]]
path = "/live/*"
token = "fastly"

[token.fastly]
key = "c2VjcmV0"

[token.cloudfront]
scheme = "cloudfront"
keys = { K2OTHER = "ec.public.pem", K2VIEWER = "rsa.public.pem" }
signing_key = "ec.pem"

[token.akamai]
scheme = "akamai"
key_file = "akamai.hex"
salt = "pepper"
cookie = "hdntl"

[token.hdntl]
scheme = "akamai"
key_file = "akamai.hex"
path_prefix = "/hdntl="
param = ""

[token.jwt]
scheme = "jwt"
key_file = "ed.public.pem"
signing_key = "ed.pem"
issuer = "me"
audience = "cdn"
path_prefix = "/t/"
param = ""

[token.secret]
scheme = "jwt"
key = "a shared secret of thirty-two octets, or more"
header = "Authorization"

[token.cat]
scheme = "cat"
key_file = "rsa.public.pem"
signing_key = "rsa.pem"
"""
PAIRS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
}
URL = "http://h:1/live/a.m3u8?sid=7"


def cdnlab(*arguments: str, cwd: Path) -> SimpleNamespace:
    """The command in this process: its exit status and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(arguments))
        except SystemExit as left:
            return SimpleNamespace(returncode=left.code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for name, key in PAIRS.items():
        (tmp_path / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (tmp_path / f"{name}.public.pem").write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    (tmp_path / "akamai.hex").write_text("52a152a152a152a152a152a152a1\n")
    (tmp_path / "cdn.toml").write_text(SETTINGS)
    return tmp_path


def request_of(url: str, *, ip: str = "192.0.2.7", country: str = "DE", **fields: str) -> RequestHead:
    request = get_for_url(url)
    request.client_ip, request.place = ip, Place(country)
    request.headers.lines = list(fields.items())
    return request


def fault(lab: Path, name: str, request: RequestHead, now: float | None = None) -> TokenFault | None:
    token = read(lab / "cdn.toml").document.tokens[name]
    refusal = scheme_of(token, keys_of(name, token)).refusal(request, time.time() if now is None else now)
    return fault_of(refusal)


@pytest.mark.parametrize("name", ["fastly", "cloudfront", "akamai", "jwt", "secret", "cat"])
def test_a_minted_url_opens_for_its_time(name: str, lab: Path) -> None:
    told = json.loads(cdnlab("sign", URL, "--token", name, "--ttl", "1h", "--json", cwd=lab).stdout)
    assert told["expires_at"] == pytest.approx(time.time() + 3600, abs=30)
    assert fault(lab, name, request_of(told["url"])) is None
    assert fault(lab, name, request_of(told["url"]), told["expires_at"]) is TokenFault.EXPIRED
    other = told["url"].replace("/live/a.m3u8", "/live/b.m3u8")
    assert fault(lab, name, request_of(other)) in (TokenFault.FORGED, TokenFault.PATH)
    bare = cdnlab("sign", URL, "--token", name, cwd=lab)
    assert fault(lab, name, request_of(bare.stdout.strip())) is None


@pytest.mark.parametrize("name", ["cloudfront", "akamai", "hdntl", "jwt", "secret", "cat"])
def test_for_more_than_one_path(name: str, lab: Path) -> None:
    done = cdnlab("sign", URL, "--token", name, "--path", "/live/*", "--starts-in", "10m", cwd=lab)
    other = done.stdout.strip().replace("/live/a.m3u8", "/live/720p/seg-1.m4s")
    soon = time.time() + 900
    assert fault(lab, name, request_of(other), soon) is None
    assert fault(lab, name, request_of(other)) is TokenFault.EARLY
    assert fault(lab, name, request_of(other.replace("/live/720p/", "/vod/720p/")), soon) is TokenFault.PATH


@pytest.mark.parametrize("name", ["cloudfront", "akamai", "cat"])
def test_for_one_address(name: str, lab: Path) -> None:
    done = cdnlab("sign", URL, "--token", name, "--ip", "192.0.2.7", cwd=lab)
    assert fault(lab, name, request_of(done.stdout.strip())) is None
    assert fault(lab, name, request_of(done.stdout.strip(), ip="192.0.2.8")) is TokenFault.ADDRESS


@pytest.mark.parametrize("name", ["jwt", "cat"])
def test_for_some_countries(name: str, lab: Path) -> None:
    done = cdnlab("sign", URL, "--token", name, "--country", "DE", "--country", "FR", cwd=lab)
    assert fault(lab, name, request_of(done.stdout.strip(), country="FR")) is None
    assert fault(lab, name, request_of(done.stdout.strip(), country="US")) is TokenFault.COUNTRY


@pytest.mark.parametrize("name", ["cloudfront", "akamai", "cat"])
def test_as_cookies(name: str, lab: Path) -> None:
    done = cdnlab("sign", URL, "--token", name, "--path", "/live/*", "--cookies", cwd=lab)
    assert fault(lab, name, request_of("http://h:1/live/x", cookie=done.stdout.strip())) is None


def test_as_a_field(lab: Path) -> None:
    told = json.loads(cdnlab("sign", URL, "--token", "secret", "--json", cwd=lab).stdout)
    assert fault(lab, "secret", request_of(URL, authorization=told["headers"]["Authorization"])) is None


def test_by_flags_alone(lab: Path) -> None:
    """No settings file: a scheme, a key, and its id where the scheme has such."""
    (lab / "other").mkdir()
    flags = ("--scheme", "cloudfront", "--key", "../rsa.pem", "--key-id", "K2VIEWER", "--hash", "SHA256")
    url = cdnlab("sign", URL, *flags, cwd=lab / "other").stdout.strip()
    assert fault(lab, "cloudfront", request_of(url)) is None
    assert "Hash-Algorithm=SHA256" in url
    (lab / "fastly.b64").write_text("c2VjcmV0")
    url = cdnlab("sign", URL, "--scheme", "fastly", "--key", "fastly.b64", cwd=lab).stdout.strip()
    assert fault(lab, "fastly", request_of(url)) is None
    url = cdnlab("sign", URL, "--scheme", "cat", "--key", "rsa.pem", "--key-id", "viewer", cwd=lab).stdout.strip()
    assert fault(lab, "cat", request_of(url)) is None


BAD = [
    (["--token", "fastly", "--path", "/live/*"], ["fastly cannot name more than one path"]),
    (["--token", "fastly", "--ip", "192.0.2.7"], ["fastly cannot name an address"]),
    (["--token", "akamai", "--country", "DE"], ["akamai cannot name a country"]),
    (["--token", "jwt", "--ip", "192.0.2.7"], ["jwt cannot name an address"]),
    (["--token", "fastly", "--cookies"], ["token fastly has no cookie"]),
    (["--token", "cloudfront", "--key", "no-such.pem"], ["no-such.pem: No such file"]),
    (
        ["--token", "cloudfront", "--key", "rsa.public.pem"],
        ["the key of token cloudfront", "wanted a private key in PEM"],
    ),
    (["--token", "jwt", "--key", "ed.public.pem"], ["found a public key, wanted the private one"]),
    (["--token", "cat", "--key", "ed.public.pem"], ["found a public key, wanted the private one"]),
    (["--scheme", "cloudfrnt", "--key", "rsa.pem"], ["found 'cloudfrnt'", "Did you mean 'cloudfront'?"]),
    (["--scheme", "cloudfront", "--key", "rsa.pem"], ["wants the key's id: --key-id"]),
    (["--scheme", "jwt"], ["--scheme wants a key: --key FILE"]),
    (["--scheme", "jwt", "--key", "akamai.hex"], ["32 characters"]),
    (["--token", "fastly", "--starts-in", "soon"], ["--starts-in: found 'soon'"]),
    (["--token", "cloudfront", "--hash", "MD5"], ["--hash: found 'MD5'"]),
]


@pytest.mark.parametrize(("flags", "words"), BAD, ids=[" ".join(flags) for flags, _ in BAD])
def test_what_cannot_be_signed(flags: list[str], words: list[str], lab: Path) -> None:
    done = cdnlab("sign", URL, *flags, cwd=lab)
    assert (done.returncode, done.stdout) == (2, "")
    for word in words:
        assert word in done.stderr


def test_a_public_key_alone_does_not_sign(lab: Path) -> None:
    (lab / "cdn.toml").write_text(SETTINGS.replace("signing_key", "#signing_key"))
    for name, words in (("cloudfront", "public keys only"), ("jwt", "wanted the private one")):
        done = cdnlab("sign", URL, "--token", name, cwd=lab)
        assert done.returncode == 2
        assert words in done.stderr


COMPLAINTS = [  # a token's table; what is said of it
    ('scheme = "cloudfrnt"', ["token.t.scheme", 'found "cloudfrnt"', '"akamai"', "Did you mean 'cloudfront'?"]),
    ('scheme = "cloudfront"', ["the key 'keys', which has no default"]),
    ('scheme = "cloudfront"\nkeys = {}', ["token.t.keys", "at least 1"]),
    ('scheme = "cloudfront"\nkeys = { K1 = "rsa.pem" }', ["token.t.keys", "found a private key", "wanted the public one"]),
    ('scheme = "cloudfront"\nkeys = { K1 = "none.pem" }', ["token.t.keys.K1", "No such file"]),
    ('scheme = "cloudfront"\nkeys = { K1 = "rsa.public.pem" }\nparam = "t"', ["an unknown key 'param'", "Known keys: leeway, propagate, scheme, keys, signing_key"]),
    ('scheme = "akamai"\nkey = "00"\nissuer = "me"', ["an unknown key 'issuer'"]),
    ('scheme = "akamai"\nkey = "zz"', ["token.t.key", "hexadecimal", "openssl rand -hex 32"]),
    ('scheme = "akamai"\nkey = "00"\nhash = "sha512"', ["token.t.hash", 'found "sha512"']),
    ('scheme = "jwt"\nkey = "short"', ["token.t.key", "32 characters or more"]),
    ('scheme = "jwt"\nkey = "${SECRET}"\nparam = ""', ["wanted at least one of param, cookie, header and path_prefix"]),
    ('scheme = "cat"\nkey = "c2hvcnQ="', ["token.t.key", "32 octets"]),
    ('key = "c2VjcmV0"\npropagate = "cookie"', ['wanted a name in cookie with propagate = "cookie"']),
    ('key = "c2VjcmV0"\npropagate = "cookie"\ncookie = "t"', ["a token of this scheme is valid for one path"]),
    ('key = "c2VjcmV0"\npath_prefix = "t"', ["token.t.path_prefix", "text that matches"]),
    ('key = "c2VjcmV0"\nparam = "a=b"', ["token.t.param", "text that matches"]),
    ('key = "c2VjcmV0"\ncookie = "a;b"', ["token.t.cookie", "text that matches"]),
    ('key = "c2VjcmV0"\nleeway = "soon"', ["token.t.leeway", "a duration"]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "words"), COMPLAINTS, ids=[table.replace("\n", " ") for table, _ in COMPLAINTS])
def test_what_a_tokens_table_may_not_say(
    table: str, words: list[str], lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "a shared secret of thirty-two octets")
    (lab / "cdn.toml").write_text(f"[token.t]\n{table}\n")
    done = cdnlab("sign", "/live/a", "--token", "t", cwd=lab)
    assert (done.returncode, done.stdout) == (2, "")
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_written_of_a_run_holds_no_key(lab: Path) -> None:
    public = str(read(lab / "cdn.toml").public())
    for secret in ("c2VjcmV0", "a shared secret", "pepper", "PRIVATE", "52a152"):
        assert secret not in public
    assert str(lab / "rsa.public.pem") in public
