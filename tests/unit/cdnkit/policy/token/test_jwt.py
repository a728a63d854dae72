"""JSON Web Tokens signed by PyJWT; and by hand where PyJWT would refuse to sign such a thing."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cdnkit.policy.token import Carriers, TokenFault
from cdnkit.policy.token.jwt import JwtToken, read_keys, signed
from tests.kit.refusals import fault_of
from tests.kit.tokens import EC_KEY, ED_KEY, END, OTHER_EC_KEY, RSA_KEY, START, TEXT_SECRET, get, private, public

NOW = END - 10.0
P384 = ec.generate_private_key(ec.SECP384R1())


def fault(
    token: JwtToken, text: str, path: str = "/live/a", now: float = NOW, country: str = "DE"
) -> TokenFault | None:
    refusal = token.refusal(get(f"https://h{path}?token={text}", country=country), now)
    return fault_of(refusal)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def by_hand(header: dict[str, Any], claims: Any, secret: bytes) -> str:
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode().rstrip('=')}"


ALGORITHMS = [  # who signs, with what; the key that checks
    (TEXT_SECRET, "HS256", TEXT_SECRET),
    (TEXT_SECRET, "HS256", json.dumps({"keys": [{"kty": "oct", "k": base64.urlsafe_b64encode(TEXT_SECRET.encode()).decode().rstrip("=")}]})),
    (TEXT_SECRET * 2, "HS384", TEXT_SECRET * 2),
    (TEXT_SECRET * 2, "HS512", TEXT_SECRET * 2),
    *((private(RSA_KEY), name, public(RSA_KEY)) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    (private(EC_KEY), "ES256", public(EC_KEY)),
    (private(P384), "ES384", public(P384)),
    (private(ED_KEY), "EdDSA", public(ED_KEY)),
]  # fmt: skip


@pytest.mark.parametrize(("signing_key", "algorithm", "key"), ALGORITHMS)
def test_algorithms(signing_key: str, algorithm: str, key: str) -> None:
    text = jwt.encode({"exp": END}, signing_key, algorithm=algorithm)
    assert fault(JwtToken(key), text) is None
    assert fault(JwtToken(public(OTHER_EC_KEY)), text) is TokenFault.FORGED


def test_a_key_has_its_own_algorithms_and_no_others() -> None:
    """RFC 8725 §2.1: `none`, and a public key taken for a shared secret."""
    claims = {"exp": END}
    for key in (TEXT_SECRET, public(RSA_KEY), public(EC_KEY), public(ED_KEY)):
        token = JwtToken(key)
        for algorithm in ("none", "None", "NONE", "", "HS256 ", "hs256", None, 5, ["HS256"]):
            forged = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."
            assert fault(token, forged) in (TokenFault.FORGED, TokenFault.MALFORMED)
        if key != TEXT_SECRET:
            for secret in (key.encode(), key.strip().encode(), b""):
                forged = by_hand({"alg": "HS256"}, claims, secret)
                assert fault(token, forged) is TokenFault.FORGED
    # The other way: a shared secret does not take a signature by an RSA key.
    assert fault(JwtToken(TEXT_SECRET), jwt.encode(claims, private(RSA_KEY), algorithm="RS256")) is TokenFault.FORGED
    # A key that the token brings along is not looked at.
    own = {"alg": "HS256", "jwk": {"kty": "oct", "k": part("x")}, "jku": "https://evil/keys"}
    assert fault(JwtToken(TEXT_SECRET), by_hand(own, claims, b"x" * 32)) is TokenFault.FORGED


CLAIMS = [  # claims beside exp, path, country, verdict
    ({}, "/live/a", "DE", None),
    ({"nbf": NOW}, "/live/a", "DE", None),
    ({"nbf": NOW + 1}, "/live/a", "DE", TokenFault.EARLY),
    ({"exp": NOW}, "/live/a", "DE", TokenFault.EXPIRED),
    ({"exp": NOW + 0.5}, "/live/a", "DE", None),
    ({"exp": None}, "/live/a", "DE", TokenFault.MALFORMED),  # one that never ends is a signer's mistake
    ({"exp": str(END)}, "/live/a", "DE", TokenFault.MALFORMED),
    ({"exp": True}, "/live/a", "DE", TokenFault.MALFORMED),
    ({"exp": END * 1000}, "/live/a", "DE", None),  # milliseconds: a year far away, but a number
    ({"exp": 10**400}, "/live/a", "DE", TokenFault.MALFORMED),
    ({"nbf": "now"}, "/live/a", "DE", TokenFault.MALFORMED),
    ({"paths": "/live/*"}, "/live/a", "DE", None),
    ({"paths": ["/vod/*", "/live/?"]}, "/live/a", "DE", None),
    ({"paths": ["/vod/*"]}, "/live/a", "DE", TokenFault.PATH),
    ({"paths": []}, "/live/a", "DE", TokenFault.PATH),
    ({"paths": 3}, "/live/a", "DE", TokenFault.MALFORMED),
    ({"countries": ["DE", "FR"]}, "/live/a", "FR", None),
    ({"countries": "DE"}, "/live/a", "US", TokenFault.COUNTRY),
    ({"countries": ["DE"]}, "/live/a", "", TokenFault.COUNTRY),
    ({"iss": "anybody", "aud": "anything"}, "/live/a", "DE", None),
]


@pytest.mark.parametrize(("claims", "path", "country", "wanted"), CLAIMS)
def test_claims(claims: dict[str, Any], path: str, country: str, wanted: TokenFault | None) -> None:
    text = by_hand({"alg": "HS256"}, {"exp": END} | claims, TEXT_SECRET.encode())
    assert fault(JwtToken(TEXT_SECRET), text, path, country=country) is wanted


@pytest.mark.parametrize("payload", ["x", 3, [], None])
def test_claims_that_are_no_object(payload: Any) -> None:
    assert (
        fault(JwtToken(TEXT_SECRET), by_hand({"alg": "HS256"}, payload, TEXT_SECRET.encode())) is TokenFault.MALFORMED
    )


def test_issuer_and_audience() -> None:
    token = JwtToken(TEXT_SECRET, issuer="me", audience="cdn")
    for claims, wanted in (
        ({"iss": "me", "aud": "cdn"}, None),
        ({"iss": "me", "aud": ["web", "cdn"]}, None),
        ({"iss": "you", "aud": "cdn"}, TokenFault.ISSUER),
        ({"aud": "cdn"}, TokenFault.ISSUER),
        ({"iss": "me", "aud": ["web"]}, TokenFault.AUDIENCE),
        ({"iss": "me"}, TokenFault.AUDIENCE),
    ):
        assert fault(token, jwt.encode({"exp": END, **claims}, TEXT_SECRET, algorithm="HS256")) is wanted


def test_keys_are_changed_by_their_ids() -> None:
    keys = [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "old"}]
    keys += [{**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "new"}]
    token = JwtToken(json.dumps({"keys": keys}))
    for key, algorithm, kid, wanted in (
        (RSA_KEY, "RS256", "old", None),
        (EC_KEY, "ES256", "new", None),
        (EC_KEY, "ES256", None, None),
        (EC_KEY, "ES256", "old", TokenFault.FORGED),
        (EC_KEY, "ES256", "none of them", TokenFault.UNKNOWN_KEY),
    ):
        text = jwt.encode({"exp": END}, key, algorithm=algorithm, headers={"kid": kid} if kid else None)
        assert fault(token, text) is wanted


PLACES = [  # carriers, what the request has, verdict; the first place that has one counts
    (Carriers(headers=frozenset({"authorization"})), {"authorization": "Bearer {}"}, "/live/a", None),
    (Carriers(headers=frozenset({"authorization"})), {"authorization": "bearer  {}"}, "/live/a", None),
    (Carriers(headers=frozenset({"authorization"})), {"authorization": "Basic {}"}, "/live/a", TokenFault.MALFORMED),
    (Carriers(cookies=frozenset({"t"})), {"cookie": "a=b; t={}; c=d"}, "/live/a", None),
    (Carriers(cookies=frozenset({"t"})), {"cookie": "t={}; t={}"}, "/live/a", TokenFault.MALFORMED),
    (Carriers(prefix="/t/"), {}, "/t/{}/live/a", None),
    (Carriers(prefix="/t/"), {}, "/t/{}", TokenFault.PATH),
    (Carriers(prefix="/t/"), {}, "/live/a", TokenFault.MISSING),
    (Carriers(params=frozenset({"token"}), cookies=frozenset({"t"})), {"cookie": "t={}"}, "/live/a?token=x", TokenFault.MALFORMED),
]  # fmt: skip


@pytest.mark.parametrize(("carriers", "fields", "target", "wanted"), PLACES)
def test_places(carriers: Carriers, fields: dict[str, str], target: str, wanted: TokenFault | None) -> None:
    text = jwt.encode({"exp": END, "paths": ["/live/*"]}, TEXT_SECRET, algorithm="HS256")
    token = JwtToken(TEXT_SECRET, carriers=carriers)
    request = get(
        f"https://h{target.replace('{}', text)}", **{name: value.replace("{}", text) for name, value in fields.items()}
    )
    refusal = token.refusal(request, NOW)
    assert fault_of(refusal) is wanted
    bare = carriers.stripped(request)
    assert text not in f"{bare.target} {bare.headers}"
    if wanted is None:
        assert bare.path == "/live/a"


BAD_KEYS = [
    ("", "32 characters"),
    ("too short", "32 characters"),
    (private(RSA_KEY), "private key"),
    (public(rsa.generate_private_key(65537, 1024)), "2048 bits"),
    ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "public key in PEM"),
    ("{", "JWK Set"),
    ('{"keys": []}', "JWK Set"),
    ('{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}', "JWK Set"),
    (jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY), "private key"),
]


@pytest.mark.parametrize(("key", "words"), BAD_KEYS)
def test_what_is_no_key(key: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_keys(key)


@pytest.mark.parametrize(
    ("key", "checks_with"),
    [
        (TEXT_SECRET, TEXT_SECRET),
        (private(RSA_KEY), public(RSA_KEY)),
        (private(EC_KEY), public(EC_KEY)),
        (private(ED_KEY), public(ED_KEY)),
    ],
)
def test_our_own_signer(key: str, checks_with: str) -> None:
    assert fault(JwtToken(checks_with), signed({"exp": END, "nbf": START}, key)) is None
    if key != checks_with:
        with pytest.raises(ValueError, match="public key"):
            signed({"exp": END}, checks_with)
