"""Tokens by the vendors' JavaScript packages, unmodified, in Node.js. `make signers` installs and runs them."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cdnkit.policy.http.messages import RequestHead, get_for_url
from cdnkit.policy.token import TokenFault
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.cat import CatToken, Claim, signed
from cdnkit.policy.token.cloudfront import CloudFrontToken
from tests.kit.refusals import fault_of

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or not (HERE / "node_modules").is_dir(), reason="`make signers` installs them"
    ),
]

START, END = 1_767_139_200, 1_767_225_600
HEX_KEY = "52a152a152a152a152a152a152a1"
CAT_KEY = bytes(range(32))
KEYS = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1())}


def by_node(*wishes: dict[str, Any]) -> list[str]:
    done = subprocess.run(
        ["node", "sign.cjs"], cwd=HERE, input="\n".join(map(json.dumps, wishes)), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def request(url: str, *, ip: str = "192.0.2.7", **fields: str) -> RequestHead:
    made = get_for_url(url)
    made.client_ip, made.headers.lines = ip, list(fields.items())
    return made


def pem(name: str) -> str:
    return KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


CLOUDFRONT = CloudFrontToken(
    {
        name: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for name, key in KEYS.items()
    }
)
URL = "https://media.example.net/live/720p/seg_00042.m4s?sid=7"
POLICY = json.dumps(
    {
        "Statement": [
            {
                "Resource": "https://media.example.net/live/*",
                "Condition": {
                    "DateLessThan": {"AWS:EpochTime": END},
                    "DateGreaterThan": {"AWS:EpochTime": START},
                    "IpAddress": {"AWS:SourceIp": "192.0.2.0/24"},
                },
            }
        ]
    }
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("algorithm", [None, "SHA1", "SHA256"])
@pytest.mark.parametrize("custom", [False, True])
def test_cloudfront(key: str, algorithm: str | None, custom: bool) -> None:
    how = {"keyPairId": key, "privateKey": pem(key), **({"algorithm": algorithm} if algorithm else {})}
    end = {"dateLessThan": "2026-01-01T00:00:00Z"}
    terms = {"policy": POLICY} if custom else end
    url, cookies = by_node(
        {"by": "cloudfront-url", "how": {"url": URL, **how, **terms}},
        {"by": "cloudfront-cookies", "how": {**({} if custom else {"url": URL}), **how, **terms}},
    )
    for good in (request(url), request(URL, cookie=cookies)):
        assert CLOUDFRONT.refusal(good, END - 1.0) is None
        late = CLOUDFRONT.refusal(good, float(END))
        assert late is not None
        assert fault_of(late) is TokenFault.EXPIRED
    if custom:
        for bad, now, why in (
            (request(url, ip="198.51.100.1"), END - 1.0, TokenFault.ADDRESS),
            (request(url), START - 1.0, TokenFault.EARLY),
            (request(url.replace("/live/", "/vod/")), END - 1.0, TokenFault.PATH),
        ):
            refusal = CLOUDFRONT.refusal(bad, now)
            assert refusal is not None
            assert fault_of(refusal) is why


def test_akamai() -> None:
    how = {"key": HEX_KEY, "startTime": START, "endTime": END}
    acl, url, both = by_node(
        {"by": "akamai-acl", "how": how, "acl": "/live/*"},
        {"by": "akamai-url", "how": {**how, "salt": "pepper"}, "url": "/live/a.m3u8"},
        {"by": "akamai-acl", "how": {**how, "ip": "192.0.2.7", "sessionId": "s9", "payload": "p1"}, "acl": ["/vod/*", "/live/*"]},
    )  # fmt: skip
    plain, salted = AkamaiToken(HEX_KEY), AkamaiToken(HEX_KEY, salt="pepper")
    target = "https://h/live/a.m3u8?__token__="
    for token, text in ((plain, acl), (salted, url), (plain, both)):
        assert token.refusal(request(target + text), END - 1.0) is None
        assert token.refusal(request(target + quote(text, safe="")), END - 1.0) is None
        assert token.refusal(request(target + text), START - 1.0) is not None
        assert token.refusal(request(target.replace("/live/", "/x/") + text), END - 1.0) is not None


def test_cat() -> None:
    wish = {"by": "cat", "kid": "viewer", "key": CAT_KEY.hex(), "tagged": True}
    claims = {"iss": "me", "exp": END, "nbf": START}
    by_path, by_address, by_method = by_node(
        {
            **wish,
            "claims": {**claims, "catu": {"path": {"prefix-match": "/live/"}, "scheme": {"exact-match": "https"}}},
        },
        {**wish, "claims": {**claims, "catnip": ["192.0.2.0/24"]}},
        {**wish, "claims": {**claims, "catm": ["GET"], "catv": 1}},
    )
    token = CatToken({"viewer": base64.b64encode(CAT_KEY).decode()}, issuer="me")
    for text, url, ip, why in (
        (by_path, "https://h/live/a", "192.0.2.7", None),
        (by_path, "https://h/vod/a", "192.0.2.7", TokenFault.PATH),
        (by_path, "http://h/live/a", "192.0.2.7", TokenFault.PATH),
        (by_address, "https://h/live/a", "192.0.2.7", None),
        (by_address, "https://h/live/a", "198.51.100.7", TokenFault.ADDRESS),
        (by_method, "https://h/live/a", "192.0.2.7", None),
    ):
        refusal = token.refusal(request(f"{url}?cat={text}", ip=ip), END - 1.0)
        assert fault_of(refusal) is why, f"{urlsplit(url).path} {refusal}"
    late = token.refusal(request(f"https://h/live/a?cat={by_path}"), END + 3.0)
    assert late is not None
    assert late.facts["seconds_past"] == 3.0


def test_what_is_no_cose_is_refused() -> None:
    """Without the CWT tag the package writes its claims as a text in hexadecimal, where RFC 9052 §4.1 has bytes."""
    [text] = by_node({"by": "cat", "kid": "viewer", "key": CAT_KEY.hex(), "tagged": False, "claims": {"exp": END}})
    refusal = CatToken({"viewer": base64.b64encode(CAT_KEY).decode()}).refusal(request(f"https://h/?cat={text}"), START)
    assert refusal is not None
    assert fault_of(refusal) is TokenFault.MALFORMED


def test_what_we_sign_opens_another_gate() -> None:
    """The other way round: a Common Access Token of ours, checked by the JavaScript package."""
    claims = {Claim.ISS: "me", Claim.EXP: 4_000_000_000, Claim.CATU: {3: {1: "/live/"}}}
    token = signed({int(name): value for name, value in claims.items()}, base64.b64encode(CAT_KEY).decode(), "viewer")
    ask = {"by": "cat-validate", "kid": "viewer", "key": CAT_KEY.hex(), "token": token, "issuer": "me"}
    good, other = by_node({**ask, "url": "https://h/live/a"}, {**ask, "url": "https://h/vod/a"})
    assert good == "good"
    assert other.startswith("refused: ")
