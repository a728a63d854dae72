"""Keys, requests, and one good token of every scheme, made by signers nobody here wrote where there are such."""

import base64
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import cbor2
import jwt
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cwt import COSE, COSEKey

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.place import Place
from cdnkit.policy.token import FastlyToken, Scheme
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.cat import CatToken
from cdnkit.policy.token.cloudfront import CloudFrontToken
from cdnkit.policy.token.jwt import JwtToken

START, END = 1_767_139_200, 1_767_225_600
"""The instants of the published vectors: 2025-12-31 and 2026-01-01, midnight."""

PATH = "/live/720p/seg_00042.m4s"
URL = f"https://media.example.net{PATH}"
KEY_ID = "K2JCJMDEHXQW5F"
BASE64_SECRET = base64.b64encode(bytes(range(32))).decode()
HEX_KEY = "52a152a152a152a152a152a152a1"
TEXT_SECRET = "a shared secret of thirty-two octets, or more"

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def public(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def get(url: str, *, ip: str = "192.0.2.7", country: str = "DE", method: str = "GET", **fields: str) -> RequestHead:
    """A request as a node reads it. Field names: underscores stand for hyphens."""
    parts = urlsplit(url)
    lines = [(name.replace("_", "-"), value) for name, value in fields.items()]
    query = url.partition("?")[2] if "?" in url else None
    return RequestHead(method, parts.scheme, parts.netloc, parts.path, query, Headers(lines), ip, Place(country))


def added(url: str, name: str, value: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{name}={value}"


def botocore_signer(key: rsa.RSAPrivateKey = RSA_KEY, key_id: str = KEY_ID) -> CloudFrontSigner:
    return CloudFrontSigner(key_id, lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA1()))


def at(instant: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(instant, datetime.UTC)


def by_botocore(url: str, end: int, *, custom: bool = False, ip: str | None = None, start: int | None = None) -> str:
    signer = botocore_signer()
    if not custom:
        return str(signer.generate_presigned_url(url, date_less_than=at(end)))
    policy = signer.build_policy(url, at(end), date_greater_than=at(start) if start else None, ip_address=ip)
    return str(signer.generate_presigned_url(url.replace("*", "x"), policy=policy))


def by_cwt(claims: dict[int, Any], secret: str = BASE64_SECRET, **how: Any) -> str:
    key = COSEKey.from_symmetric_key(base64.b64decode(secret), alg=how.get("alg", "HS256"), kid="viewer")
    made = COSE.new(alg_auto_inclusion=True, kid_auto_inclusion=True).encode(cbor2.dumps(claims), key)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


@dataclass
class Kind:
    """One scheme under test: who checks, and how to get a token for PATH that is good in [START, END)."""

    scheme: Callable[[], Scheme]
    other_key: Callable[[], Scheme]
    signed: Callable[[str, int], str]
    """URL and end to signed URL; the token is in its query."""
    param: str
    """Where the part of the token that no byte may change of stands."""


def _jwt(end: int) -> str:
    return jwt.encode({"exp": end, "paths": [PATH]}, TEXT_SECRET, algorithm="HS256")


def _cat(end: int) -> str:
    return by_cwt({4: end, 312: {3: {0: PATH}}})


KINDS = {
    "fastly": Kind(
        lambda: FastlyToken(BASE64_SECRET),
        lambda: FastlyToken(base64.b64encode(bytes(32)).decode()),
        lambda url, end: added(url, "token", FastlyToken(BASE64_SECRET).sign(urlsplit(url).path, end)),
        "token",
    ),
    "cloudfront canned": Kind(
        lambda: CloudFrontToken({KEY_ID: public(RSA_KEY)}),
        lambda: CloudFrontToken({KEY_ID: public(OTHER_RSA_KEY)}),
        by_botocore,
        "Signature",
    ),
    "cloudfront custom": Kind(
        lambda: CloudFrontToken({KEY_ID: public(RSA_KEY)}),
        lambda: CloudFrontToken({KEY_ID: public(OTHER_RSA_KEY)}),
        lambda url, end: by_botocore(url, end, custom=True),
        "Signature",
    ),
    "akamai url": Kind(
        lambda: AkamaiToken(HEX_KEY),
        lambda: AkamaiToken("00" * 14),
        lambda url, end: added(url, "__token__", AkamaiToken(HEX_KEY).sign(expires_at=end, url=urlsplit(url).path)),
        "__token__",
    ),
    "akamai acl": Kind(
        lambda: AkamaiToken(HEX_KEY),
        lambda: AkamaiToken("00" * 14),
        lambda url, end: added(url, "__token__", AkamaiToken(HEX_KEY).sign(expires_at=end, acls=(urlsplit(url).path,))),
        "__token__",
    ),
    "jwt": Kind(
        lambda: JwtToken(TEXT_SECRET),
        lambda: JwtToken(TEXT_SECRET.upper()),
        lambda url, end: added(url, "token", _jwt(end)),
        "token",
    ),
    "cat": Kind(
        lambda: CatToken({"viewer": BASE64_SECRET}),
        lambda: CatToken({"viewer": base64.b64encode(bytes(32)).decode()}),
        lambda url, end: added(url, "cat", _cat(end)),
        "cat",
    ),
}
