"""Common Access Tokens (CTA-5007) made by the `cwt` package, claim by claim."""

import base64
import hashlib
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cwt import COSE, COSEKey

from cdnkit.policy.http.place import Place
from cdnkit.policy.token import Carriers, TokenFault
from cdnkit.policy.token.cat import CatToken, of_glob, read_key, signed
from tests.kit.refusals import fault_of
from tests.kit.tokens import (
    BASE64_SECRET,
    EC_KEY,
    ED_KEY,
    END,
    OTHER_EC_KEY,
    RSA_KEY,
    START,
    by_cwt,
    get,
    private,
    public,
)

NOW = END - 10.0
TOKEN = CatToken({"viewer": BASE64_SECRET})


def fault(
    text: str, url: str = "https://h/live/720p/a.m4s?q=1", token: CatToken = TOKEN, now: float = NOW, **fields: str
) -> TokenFault | None:
    request = get(f"{url}{'&' if '?' in url else '?'}cat={text}", **fields)
    request.place = Place("DE", "BE", asn=64496)
    refusal = token.refusal(request, now)
    return fault_of(refusal)


SHA256_OF_PATH = hashlib.sha256(b"/live/720p/a.m4s").digest()
SHA512_OF_PATH = hashlib.new("sha512_256", b"/live/720p/a.m4s").digest()

CLAIMS = [  # claims beside exp, verdict for GET https://h/live/720p/a.m4s?q=1 from 192.0.2.7, AS64496, in DE-BE
    ({}, None),
    ({2: "viewer 7", 6: START, 7: b"id", 310: 1}, None),
    ({5: NOW}, None),
    ({5: NOW + 1}, TokenFault.EARLY),
    ({4: NOW}, TokenFault.EXPIRED),
    ({4: "soon"}, TokenFault.MALFORMED),
    ({5: True}, TokenFault.MALFORMED),
    # catu: every demand on every part
    ({312: {0: {0: "https"}, 1: {0: "h"}, 2: {0: "443"}}}, None),
    ({312: {0: {0: "http"}}}, TokenFault.PATH),
    ({312: {1: {2: ".example"}}}, TokenFault.PATH),
    ({312: {3: {0: "/live/720p/a.m4s"}}}, None),
    ({312: {3: {1: "/live/"}}}, None),
    ({312: {3: {1: "/vod/"}}}, TokenFault.PATH),
    ({312: {3: {1: "/live/", 2: ".ts"}}}, TokenFault.PATH),
    ({312: {3: {3: "720p"}}}, None),
    ({312: {3: {4: "^/live/[0-9]+p/"}}}, None),
    ({312: {3: {4: ["^/live/[0-9]+$"]}}}, TokenFault.PATH),
    ({312: {3: {-1: SHA256_OF_PATH}}}, None),
    ({312: {3: {-1: SHA256_OF_PATH[::-1]}}}, TokenFault.PATH),
    ({312: {3: {-2: SHA512_OF_PATH}}}, None),
    ({312: {4: {0: "q=1"}}}, None),  # the query without the token
    ({312: {5: {0: "/live/720p"}, 6: {0: "a.m4s"}, 7: {0: "a"}, 8: {0: ".m4s"}}}, None),
    ({312: {8: {0: ".m3u8"}}}, TokenFault.PATH),
    ({312: {9: {0: "x"}}}, TokenFault.MALFORMED),
    ({312: {3: {5: "x"}}}, TokenFault.MALFORMED),
    ({312: {3: {4: "("}}}, TokenFault.MALFORMED),
    ({312: {3: {1: 7}}}, TokenFault.MALFORMED),
    ({312: {3: "x"}}, TokenFault.MALFORMED),
    ({312: []}, TokenFault.MALFORMED),
    # catm, cath
    ({313: ["GET", "HEAD"]}, None),
    ({313: ["POST"]}, TokenFault.METHOD),
    ({313: [1]}, TokenFault.MALFORMED),
    ({315: {"User-Agent": {1: "player/"}}}, None),
    ({315: {"User-Agent": {0: "another"}}}, TokenFault.FIELD),
    ({315: {"X-None": {3: ""}}}, TokenFault.FIELD),
    # catnip: RFC 9164's tags, and texts as node-cat writes them
    ({311: [cbor2.CBORTag(52, bytes([192, 0, 2, 7]))]}, None),
    ({311: [cbor2.CBORTag(52, [24, bytes([192, 0, 2])])]}, None),
    ({311: [cbor2.CBORTag(54, [32, bytes([0x20, 1, 0x0D, 0xB8])]), "192.0.2.0/24"]}, None),
    ({311: ["198.51.100.0/24"]}, TokenFault.ADDRESS),
    ({311: []}, TokenFault.ADDRESS),
    ({311: [64496]}, None),  # an AS number
    ({311: [64497, "198.51.100.0/24"]}, TokenFault.ADDRESS),
    ({311: [0, True]}, TokenFault.MALFORMED),
    ({311: ["here"]}, TokenFault.MALFORMED),
    # catgeoiso3166
    ({316: ["FR", "DE"]}, None),
    ({316: ["US"]}, TokenFault.COUNTRY),
    ({316: ["DE-BE"]}, None),
    ({316: ["DE-BY"]}, TokenFault.COUNTRY),
    # what is not checked here opens nothing
    ({308: 0}, None),
    ({308: 1}, TokenFault.UNSUPPORTED),
    ({310: 2}, TokenFault.UNSUPPORTED),
    ({282: "u33d"}, TokenFault.UNSUPPORTED),
    ({319: b"key"}, TokenFault.UNSUPPORTED),
    ({999: 1}, TokenFault.UNSUPPORTED),
    ({"private": 1}, TokenFault.UNSUPPORTED),
    # how to renew, and what to do after a refusal, narrows nothing
    ({323: {0: 0, 1: 120}, 322: {4: [403, {}]}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("claims", "wanted"), CLAIMS, ids=[str(claims)[:50] for claims, _ in CLAIMS])
def test_claims(claims: dict[Any, Any], wanted: TokenFault | None) -> None:
    assert fault(by_cwt({4: END} | claims), user_agent="player/1") is wanted


def test_one_without_an_end_is_refused() -> None:
    assert fault(by_cwt({1: "me"})) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({1: "me", 3: "cdn"}, None),
        ({1: "me", 3: ["web", "cdn"]}, None),
        ({3: "cdn"}, TokenFault.ISSUER),
        ({1: "me", 3: "web"}, TokenFault.AUDIENCE),
        ({1: "me"}, TokenFault.AUDIENCE),
    ],
)
def test_issuer_and_audience(claims: dict[int, Any], wanted: TokenFault | None) -> None:
    token = CatToken({"viewer": BASE64_SECRET}, issuer="me", audience="cdn")
    assert fault(by_cwt({4: END} | claims), token=token) is wanted


def by(key: Any, algorithm: str) -> str:
    made = COSE.new(alg_auto_inclusion=True).encode(
        cbor2.dumps({4: END}), COSEKey.from_pem(private(key), alg=algorithm)
    )
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


SIGNATURES = [(EC_KEY, "ES256"), (RSA_KEY, "PS256"), (ED_KEY, "EdDSA")]


@pytest.mark.parametrize(("key", "algorithm"), SIGNATURES)
def test_a_key_has_its_own_algorithm_and_no_other(key: Any, algorithm: str) -> None:
    token = CatToken({"viewer": public(key)})
    assert fault(by(key, algorithm), token=token) is None
    assert fault(by(OTHER_EC_KEY, "ES256"), token=token) is TokenFault.FORGED
    # The public key taken for a shared secret.
    secret = base64.b64encode(public(key).encode()).decode()
    assert fault(by_cwt({4: END}, secret), token=token) is TokenFault.FORGED
    if algorithm == "PS256":
        assert fault(by(key, "RS256"), token=token) is TokenFault.FORGED
    assert fault(by_cwt({4: END}, BASE64_SECRET, alg="HS512")) is TokenFault.FORGED


def test_tagged_as_a_cwt_and_not() -> None:
    """RFC 8392 §6: the tag 61 may stand around it."""
    plain = base64.urlsafe_b64decode(by_cwt({4: END}) + "==")
    tagged = cbor2.dumps(cbor2.CBORTag(61, cbor2.loads(plain)))
    assert fault(base64.urlsafe_b64encode(tagged).decode().rstrip("=")) is None
    for inner in (
        b"",
        cbor2.dumps(1),
        cbor2.dumps([]),
        cbor2.dumps(cbor2.CBORTag(17, [])),
        cbor2.dumps(cbor2.CBORTag(17, [b"", {}, b"", b""])),
        b"\xd9\xd9\xf7" * 400,
    ):
        assert fault(base64.urlsafe_b64encode(inner).decode().rstrip("=")) in (TokenFault.MALFORMED, TokenFault.FORGED)


def test_keys_by_their_ids() -> None:
    token = CatToken({"old": base64.b64encode(bytes(32)).decode(), "viewer": BASE64_SECRET})
    assert fault(by_cwt({4: END}), token=token) is None
    only_others = CatToken({"old": BASE64_SECRET, "older": BASE64_SECRET})
    assert fault(by_cwt({4: END}), token=only_others) is TokenFault.UNKNOWN_KEY


def test_field_before_cookie() -> None:
    name = "cta-common-access-token"
    token = CatToken({"viewer": BASE64_SECRET}, carriers=Carriers(headers=frozenset({name}), cookies=frozenset({name})))
    good, bad = by_cwt({4: END}), by_cwt({4: START})
    for fields, wanted in (
        ({"cta_common_access_token": good}, None),
        ({"cookie": f"a=b; {name}={good}"}, None),
        ({"cta_common_access_token": bad, "cookie": f"{name}={good}"}, TokenFault.EXPIRED),
    ):
        refusal = token.refusal(get("https://h/a", **fields), NOW)
        assert fault_of(refusal) is wanted


GLOBS = [
    ("/live/*", "/live/720p/a.m4s", True),
    ("/live/*", "/vod/a", False),
    ("/live/720p/a.m4s", "/live/720p/a.m4s", True),
    ("/*/a.m?s", "/live/720p/a.m4s", True),
    ("/*.ts", "/live/720p/a.m4s", False),
    ("/a+b", "/aab", False),
]


@pytest.mark.parametrize(("glob", "path", "covered"), GLOBS)
@pytest.mark.parametrize("key", [BASE64_SECRET, EC_KEY, RSA_KEY, ED_KEY], ids=["HS256", "ES256", "PS256", "EdDSA"])
def test_our_own_signer(glob: str, path: str, covered: bool, key: Any) -> None:
    checks_with, signs_with = (key, key) if isinstance(key, str) else (public(key), private(key))
    text = signed({4: END, 312: of_glob(glob)}, signs_with, "viewer")
    token = CatToken({"viewer": checks_with})
    assert fault(text, f"https://h{path}", token=token) is (None if covered else TokenFault.PATH)


BAD_KEYS = [
    ("", "32 octets"),
    ("not base64!", "base64"),
    (base64.b64encode(b"short").decode(), "32 octets"),
    (private(RSA_KEY), "private key"),
    (public(rsa.generate_private_key(65537, 1024)), "2048 bits"),
    ("-----BEGIN PUBLIC KEY-----", "PEM"),
]


@pytest.mark.parametrize(("key", "words"), BAD_KEYS)
def test_what_is_no_key(key: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_key(key, "viewer")
