"""JSON Web Tokens (RFC 7519): PyJWT verifies the signature; this module checks what the claims allow.

A key's type fixes the algorithms that it may be used with, so a token can neither choose `none` nor have a public key
used as a shared secret (RFC 8725 §3.1). Two claims are read in addition to the registered ones; the settings choose
their names: the paths that a token is for (globs, as in ACLs), and the countries.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.token.akamai import matches
from cdnkit.policy.token.scheme import Carriers, Memo, OneToken, TokenFault, refused, untimely

_OF_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

SHORTEST_SECRET = 32
"""In octets: a shared secret may not be shorter than its hash (RFC 7518 §3.2)."""

_JWS = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the only algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token that are read here."""

    ends_at: float
    starts_at: float | None
    issuer: str | None
    audience: tuple[str, ...]
    paths: tuple[str, ...] | None
    countries: tuple[str, ...] | None


class JwtToken(OneToken):
    """Checks tokens; it cannot sign them."""

    __slots__ = (
        "_audience", "_country_claim", "_issuer", "_keys", "_leeway", "_memo", "_path_claim",
    )  # fmt: skip

    def __init__(
        self,
        key: str,
        *,
        param: str = "token",
        carriers: Carriers | None = None,
        issuer: str = "",
        audience: str = "",
        path_claim: str = "paths",
        country_claim: str = "countries",
        leeway: float = 0.0,
        expired_status: int = 403,
    ) -> None:
        """`key`: a public key in PEM, a JWK or JWK Set, or a shared secret; ValueError says what is wrong with it."""
        self._keys = read_keys(key)
        self.param = param
        self.carriers = carriers or Carriers(params=frozenset({param}))
        self._issuer, self._audience = issuer, audience
        self._path_claim, self._country_claim = path_claim, country_claim
        self._leeway, self._expired_status = leeway, expired_status
        self._memo: Memo[Claims] = Memo(self._verify)

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        value = self.carriers.one(request)
        if isinstance(value, Refusal):
            return value
        claims = self._memo(value)
        if isinstance(claims, Refusal):
            return claims
        late = untimely(
            now, end=claims.ends_at, start=claims.starts_at, leeway=self._leeway, expired_status=self._expired_status
        )
        if late is not None:
            return late
        if self._issuer and claims.issuer != self._issuer:
            return refused(TokenFault.ISSUER, claims.issuer or "no iss", self._issuer)
        if self._audience and self._audience not in claims.audience:
            return refused(TokenFault.AUDIENCE, ", ".join(claims.audience) or "no aud", self._audience)
        if claims.paths is not None:
            path = self.carriers.path(request)
            if not any(matches(glob, path) for glob in claims.paths):
                return refused(TokenFault.PATH, path, " or ".join(claims.paths))
        if claims.countries is not None and request.country not in claims.countries:
            return refused(TokenFault.COUNTRY, request.country or "country unknown", " or ".join(claims.countries))
        return None

    def _verify(self, value: str) -> Claims | Refusal:
        try:
            header = jwt.get_unverified_header(value)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return refused(
                TokenFault.MALFORMED, f"{value.count('.') + 1} parts", "header.claims.signature, each base64url"
            )
        algorithm, kid = header.get("alg"), header.get("kid")
        candidates = [key for key in self._keys if kid is None or key.kid is None or key.kid == kid]
        if not candidates:
            return refused(TokenFault.UNKNOWN_KEY, f"kid {kid}", " or ".join(str(key.kid) for key in self._keys))
        fitting = [key for key in candidates if algorithm in key.algorithms]
        if not fitting:
            known = " or ".join(dict.fromkeys(name for key in candidates for name in key.algorithms))
            return refused(TokenFault.FORGED, f"alg {algorithm}", known)
        for key in fitting:
            try:
                payload = _JWS.decode(value, key.key, algorithms=list(key.algorithms))
            except jwt.InvalidTokenError:
                continue
            return self._claims(payload)
        return refused(TokenFault.FORGED, "a signature of something else", f"{algorithm} over header and claims")

    def _claims(self, payload: bytes) -> Claims | Refusal:
        try:
            claims = json.loads(payload)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            return refused(TokenFault.MALFORMED, "claims that are no JSON object", "a JSON object")
        try:
            return Claims(
                ends_at=_date(claims, "exp", required=True) or 0.0,
                starts_at=_date(claims, "nbf"),
                issuer=claims["iss"] if isinstance(claims.get("iss"), str) else None,
                audience=_texts(claims, "aud") or (),
                paths=_texts(claims, self._path_claim),
                countries=_texts(claims, self._country_claim),
            )
        except ValueError as error:
            return refused(TokenFault.MALFORMED, "another claim", str(error))


def _date(claims: dict[str, Any], name: str, *, required: bool = False) -> float | None:
    at = claims.get(name)
    if at is None and not required:
        return None
    if not isinstance(at, int | float) or isinstance(at, bool) or not abs(at) < 1e15:
        raise ValueError(f"{name}: wanted Unix seconds")
    return float(at)


def _texts(claims: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """A claim that is a text or a list of texts (RFC 7519 §4.1.3); None if it is absent."""
    value = claims.get(name) if name else None
    if value is None:
        return None
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ValueError(f"{name}: wanted a text or a list of texts")
    return tuple(values)


def read_keys(text: str) -> list[Key]:
    """The keys of a PEM, a JWK (Set), or a shared secret, each with its algorithms; ValueError says what is wrong."""
    text = text.strip()
    if "-----BEGIN" in text:
        if "PRIVATE KEY" in text:
            raise ValueError("found a private key, wanted the public one: a node checks, it does not sign")
        try:
            return [_public(serialization.load_pem_public_key(text.encode("ascii")))]
        except ValueError as error:
            raise ValueError(f"wanted a public key in PEM: {error}") from error
    if text.startswith("{"):
        return _jwks(text)
    return [_shared(text.encode())]


def _shared(secret: bytes, kid: str | None = None) -> Key:
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"wanted a shared secret of {SHORTEST_SECRET} characters or more, a public key, or a JWK Set")
    return Key(secret, tuple(f"HS{bits}" for bits in (256, 384, 512) if len(secret) * 8 >= bits), kid)


def _public(key: Any, kid: str | None = None) -> Key:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return Key(key, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), kid)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _OF_CURVE:
        return Key(key, (_OF_CURVE[key.curve.name],), kid)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return Key(key, ("EdDSA",), kid)
    raise ValueError("RSA with 2048 bits or more, ECDSA on P-256, P-384 or P-521, or Ed25519")


def _jwks(text: str) -> list[Key]:
    try:
        document = json.loads(text)
        entries = document.get("keys", [document])
        keys = []
        for entry in entries:
            kid = entry.get("kid")
            made = jwt.PyJWK.from_dict(entry, algorithm=entry.get("alg")).key
            if isinstance(made, bytes):
                keys.append(_shared(made, kid))
            elif hasattr(made, "private_bytes"):
                raise ValueError("a private key: a node checks, it does not sign")
            else:
                keys.append(_public(made, kid))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"wanted a JWK Set with public keys or shared secrets: {error}") from error
    if not keys:
        raise ValueError("wanted a JWK Set with a key in it")
    return keys


def signed(claims: Mapping[str, Any], key: str) -> str:
    """A token signed with a shared secret (the first of a JWK Set) or a private key in PEM; ValueError says what is
    wrong with the key."""
    if "PRIVATE KEY" not in key:
        by = read_keys(key)[0]
        if not isinstance(by.key, bytes):
            raise ValueError("found a public key, wanted the private one: this signs")
        return jwt.encode(dict(claims), by.key, algorithm=by.algorithms[0], headers={"kid": by.kid} if by.kid else None)
    try:
        private = serialization.load_pem_private_key(key.strip().encode("ascii"), password=None)
        algorithm = _public(private.public_key()).algorithms[0]
    except (ValueError, TypeError) as error:
        raise ValueError(f"wanted a private key in PEM, without a password: {error}") from error
    return jwt.encode(dict(claims), private, algorithm=algorithm)  # type: ignore[arg-type]
