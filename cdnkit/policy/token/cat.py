"""Common Access Token (CTA-5007): a CWT (RFC 8392) with a COSE MAC or signature, and the claims that limit its use.

Every claim is checked, or the token is refused: no claim that demands a check is ignored. The `cwt` package verifies
COSE. The claims' numbers are those of the IANA CWT registry.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import cbor2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cwt import COSE, COSEKey

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.token.scheme import Carriers, Memo, OneToken, TokenFault, refused, split_off, untimely, within

CWT_TAG, MAC0, SIGN1 = 61, 17, 18
ALGORITHM = {5: "HS256", -7: "ES256", -8: "EdDSA", -37: "PS256"}
"""COSE's number of each algorithm (IANA COSE registry)."""


class Claim(IntEnum):
    """Known claims. SUB, IAT, CTI, CATIF, CATIFDATA and CATR name the holder, a time, how to renew, or what to do
    after a refusal: none of them restricts a request."""

    ISS, SUB, AUD, EXP, NBF, IAT, CTI = 1, 2, 3, 4, 5, 6, 7
    CATREPLAY, CATV, CATNIP, CATU, CATM, CATH, CATGEOISO3166 = 308, 310, 311, 312, 313, 315, 316
    CATIFDATA, CATIF, CATR = 320, 322, 323


PARTS = {
    0: "scheme",
    1: "host",
    2: "port",
    3: "path",
    4: "query",
    5: "parent-path",
    6: "filename",
    7: "stem",
    8: "extension",
}
_MATCHES = {
    0: "exactly",
    1: "beginning with",
    2: "ending with",
    3: "containing",
    4: "matching",
    -1: "SHA-256",
    -2: "SHA-512/256",
}


@dataclass(frozen=True, slots=True)
class Granted:
    """What a verified token allows."""

    claims: Mapping[Any, Any]
    networks: tuple[IPv4Network | IPv6Network, ...] | None
    """Networks in `catnip`; None without that claim."""
    operators: tuple[int, ...] = ()
    """Numbers of autonomous systems in `catnip`."""


class CatToken(OneToken):
    """Checks tokens; it cannot sign them."""

    __slots__ = ("_audience", "_issuer", "_keys", "_leeway", "_memo")

    def __init__(
        self,
        keys: dict[str, str],
        *,
        param: str = "cat",
        carriers: Carriers | None = None,
        issuer: str = "",
        audience: str = "",
        leeway: float = 0.0,
        expired_status: int = 403,
    ) -> None:
        """`keys` by key id: a public key in PEM, or a shared secret in base64; ValueError says what is wrong."""
        self._keys = {kid: read_key(text, kid) for kid, text in keys.items()}
        self.param = param
        self.carriers = carriers or Carriers(params=frozenset({param}))
        self._issuer, self._audience = issuer, audience
        self._leeway, self._expired_status = leeway, expired_status
        self._memo: Memo[Granted] = Memo(self._verify)

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        value = self.carriers.one(request)
        if isinstance(value, Refusal):
            return value
        granted = self._memo(value)
        if isinstance(granted, Refusal):
            return granted
        claims = granted.claims
        late = untimely(
            now,
            end=claims[Claim.EXP],
            start=claims.get(Claim.NBF),
            leeway=self._leeway,
            expired_status=self._expired_status,
        )
        if late is not None:
            return late
        if self._issuer and claims.get(Claim.ISS) != self._issuer:
            return refused(TokenFault.ISSUER, str(claims.get(Claim.ISS, "no iss")), self._issuer)
        if self._audience and self._audience not in _list(claims.get(Claim.AUD, [])):
            return refused(
                TokenFault.AUDIENCE, ", ".join(map(str, _list(claims.get(Claim.AUD, "no aud")))), self._audience
            )
        return self._claims_refusal(granted, request)

    def _claims_refusal(self, granted: Granted, request: RequestHead) -> Refusal | None:
        claims = granted.claims
        if Claim.CATM in claims and request.method not in claims[Claim.CATM]:
            return refused(TokenFault.METHOD, request.method, " or ".join(claims[Claim.CATM]))
        if granted.networks is not None and not (
            within(request.client_ip, granted.networks) or request.place.asn in granted.operators
        ):
            wanted = " or ".join([*map(str, granted.networks), *(f"AS{number}" for number in granted.operators)])
            return refused(TokenFault.ADDRESS, request.client_ip or "no address", wanted)
        if Claim.CATGEOISO3166 in claims:
            country, region = request.country, request.place.region
            subdivision = f"{country}-{region}" if region else country
            if not {country, subdivision} & set(claims[Claim.CATGEOISO3166]):
                return refused(
                    TokenFault.COUNTRY, subdivision or "country unknown", " or ".join(claims[Claim.CATGEOISO3166])
                )
        if Claim.CATU in claims:
            found = self._parts(request)
            for part, demands in claims[Claim.CATU].items():
                for kind, operand in demands.items():
                    if not _met(kind, operand, found[part]):
                        return refused(
                            TokenFault.PATH, f"{PARTS[part]} {found[part]}", f"{_MATCHES[kind]} {_shown(operand)}"
                        )
        for name, demands in claims.get(Claim.CATH, {}).items():
            value = request.headers.joined(name.lower())
            if value is None or not all(_met(kind, operand, value) for kind, operand in demands.items()):
                return refused(
                    TokenFault.FIELD,
                    f"{name}: {'absent' if value is None else 'another value'}",
                    "the value in the token",
                )
        return None

    def _parts(self, request: RequestHead) -> dict[int, str]:
        path = self.carriers.path(request)
        query = split_off(request.query, self.carriers.params)[1] if request.query else None
        host, _, port = request.host.partition(":")
        parent, _, name = path.rpartition("/")
        stem, dot, extension = name.rpartition(".")
        texts = (
            request.scheme, host.lower(), port or ("443" if request.scheme == "https" else "80"), path, query or "",
            parent or "/", name, stem if dot else name, f".{extension}" if dot else "",
        )  # fmt: skip
        return dict(enumerate(texts))

    def _verify(self, value: str) -> Granted | Refusal:
        try:
            raw = base64.urlsafe_b64decode(value.encode("ascii") + b"=" * (-len(value) % 4))
            if re.fullmatch(r"[A-Za-z0-9_-]+=*", value) is None:
                raise ValueError("not base64url")
            message = cbor2.loads(raw)
            if isinstance(message, cbor2.CBORTag) and message.tag == CWT_TAG:
                message = message.value
            if not isinstance(message, cbor2.CBORTag) or message.tag not in (MAC0, SIGN1):
                raise ValueError("neither COSE_Mac0 nor COSE_Sign1")
            if not isinstance(message.value[2], bytes):
                raise ValueError("a payload that is no byte string")  # RFC 9052 §4.1
            protected = cbor2.loads(message.value[0])
            kid = protected.get(4, message.value[1].get(4))
            algorithm = protected.get(1)
        except Exception:  # a hostile text can make the CBOR reader raise anything
            return refused(TokenFault.MALFORMED, f"{len(value)} characters", "base64url of a COSE_Mac0 or COSE_Sign1")
        name = kid.decode("utf-8", "replace") if isinstance(kid, bytes) else None
        if name is not None and name not in self._keys and len(self._keys) > 1:
            return refused(TokenFault.UNKNOWN_KEY, f"kid {name}", " or ".join(self._keys))
        candidates = [self._keys[name]] if name in self._keys else list(self._keys.values())
        for key in candidates:
            # The key fixes the algorithm; the token may not choose it.
            if key.alg != algorithm:
                continue
            try:
                payload = COSE.new().decode(cbor2.dumps(message), key)
                claims = cbor2.loads(payload)
            except Exception:  # the libraries may raise TypeError, too: the message is not verified
                continue
            return _granted(claims)
        wanted = " or ".join(ALGORITHM.get(key.alg or 0, "?") for key in candidates)
        return refused(
            TokenFault.FORGED, f"algorithm {ALGORITHM.get(algorithm, algorithm)}", f"{wanted} of the token's claims"
        )


def _granted(claims: Any) -> Granted | Refusal:
    """The claims, if each is known here and has the form of CTA-5007."""
    if not isinstance(claims, dict):
        return refused(TokenFault.MALFORMED, "claims that are no map", "a CBOR map")
    unknown = sorted(str(name) for name in claims if name not in set(Claim))
    if unknown:
        return refused(TokenFault.UNSUPPORTED, f"claim {', '.join(unknown)}", "only claims that are checked here")
    if claims.get(Claim.CATREPLAY, 0) != 0:
        return refused(TokenFault.UNSUPPORTED, "catreplay", "0: no node knows which tokens the others have seen")
    if claims.get(Claim.CATV, 1) != 1:
        return refused(TokenFault.UNSUPPORTED, f"catv {claims[Claim.CATV]}", "1")
    try:
        for name in (Claim.EXP, Claim.NBF):
            if name in claims or name is Claim.EXP:
                _demand(isinstance(claims.get(name), int | float) and not isinstance(claims[name], bool), name)
        for name in (Claim.CATM, Claim.CATGEOISO3166):
            if name in claims:
                claims[name] = _list(claims[name])
                _demand(all(isinstance(one, str) for one in claims[name]), name)
        for name in (Claim.CATU, Claim.CATH):
            _demand(isinstance(claims.get(name, {}), dict), name)
            for part, demands in claims.get(name, {}).items():
                _demand((part in PARTS if name is Claim.CATU else isinstance(part, str)), name)
                _demand(
                    isinstance(demands, dict) and all(_is_match(k, operand) for k, operand in demands.items()), name
                )
        named = _list(claims.get(Claim.CATNIP, []))
        operators = tuple(one for one in named if isinstance(one, int) and not isinstance(one, bool) and one > 0)
        networks = tuple(_network(one) for one in named if one not in operators)
    except (ValueError, TypeError, IndexError) as error:
        return refused(TokenFault.MALFORMED, "another claim", str(error))
    return Granted(claims, networks if Claim.CATNIP in claims else None, operators)


def of_glob(glob: str) -> dict[int, dict[int, Any]]:
    """A glob on the path, for `catu`: exact without wildcards, a prefix with one `*` at the end, else a pattern."""
    if "*" not in glob and "?" not in glob:
        return {3: {0: glob}}
    if glob.endswith("*") and not any(c in glob[:-1] for c in "*?"):
        return {3: {1: glob[:-1]}}
    pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    return {3: {4: f"^{pattern}$"}}


def _demand(good: bool, claim: Claim) -> None:
    if not good:
        raise ValueError(f"{claim.name.lower()}: wanted the form CTA-5007 gives it")


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _network(value: Any) -> IPv4Network | IPv6Network:
    """An address or prefix, with a tag of RFC 9164 (52, 54) or as text."""
    if isinstance(value, cbor2.CBORTag) and value.tag in (52, 54):
        if isinstance(value.value, bytes):
            return ip_network(value.value)
        length, octets = value.value
        return ip_network((octets.ljust(4 if value.tag == 52 else 16, b"\0"), length), strict=False)
    if isinstance(value, str | bytes):
        return ip_network(value, strict=False)
    if hasattr(value, "packed") or hasattr(value, "network_address"):
        return ip_network(value, strict=False)
    raise ValueError("catnip: wanted addresses, prefixes and AS numbers")


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_match(kind: Any, operand: Any) -> bool:
    """Whether the kind of match is known and the operand has its form."""
    if kind in (-1, -2):
        return isinstance(operand, bytes)
    if kind == 4:
        text = operand[0] if isinstance(operand, list) and operand else operand
        if not isinstance(text, str):
            return False
        try:
            _regex(text)
        except re.error:
            return False
    return kind in _MATCHES and (isinstance(operand, str) or kind == 4)


def _met(kind: int, operand: Any, text: str) -> bool:
    if kind == 0:
        return bool(text == operand)
    if kind == 1:
        return text.startswith(operand)
    if kind == 2:
        return text.endswith(operand)
    if kind == 3:
        return operand in text
    if kind == 4:
        return _regex(operand[0] if isinstance(operand, list) else operand).search(text) is not None
    digest = hashlib.sha256 if kind == -1 else lambda octets: hashlib.new("sha512_256", octets)
    return bool(digest(text.encode("latin-1")).digest() == operand)


def _shown(operand: Any) -> str:
    return operand.hex() if isinstance(operand, bytes) else str(operand[0] if isinstance(operand, list) else operand)


def read_key(text: str, kid: str) -> Any:
    """A key for one algorithm; ValueError says what is wrong."""
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise ValueError(f"{kid}: found a private key, wanted the public one: a node checks, it does not sign")
    if "-----BEGIN" in text:
        try:
            key = serialization.load_pem_public_key(text.encode("ascii"))
        except ValueError as error:
            raise ValueError(f"{kid}: wanted a public key in PEM: {error}") from error
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
            return COSEKey.from_pem(text, kid=kid, alg="PS256")
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            return COSEKey.from_pem(text, kid=kid, alg="ES256")
        if isinstance(key, ed25519.Ed25519PublicKey):
            return COSEKey.from_pem(text, kid=kid, alg="EdDSA")
        raise ValueError(f"{kid}: wanted RSA with 2048 bits or more, ECDSA on P-256, or Ed25519")
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{kid}: wanted a shared secret in base64, or a public key in PEM") from error
    if len(secret) < 32:
        raise ValueError(f"{kid}: wanted a shared secret of 32 octets or more, in base64")
    return COSEKey.from_symmetric_key(secret, alg="HS256", kid=kid)


def signed(claims: Mapping[int, Any], key: str, kid: str) -> str:
    """A token signed with a shared secret in base64 or a private key in PEM; ValueError says what is wrong."""
    if "PRIVATE KEY" not in key:
        by = read_key(key, kid)
        if "-----BEGIN" in key:
            raise ValueError("found a public key, wanted the private one: this signs")
    else:
        try:
            private = serialization.load_pem_private_key(key.strip().encode("ascii"), password=None)
        except (ValueError, TypeError) as error:
            raise ValueError("wanted a private key in PEM, without a password") from error
        if isinstance(private, rsa.RSAPrivateKey):
            algorithm = "PS256"
        else:
            algorithm = "ES256" if isinstance(private, ec.EllipticCurvePrivateKey) else "EdDSA"
        by = COSEKey.from_pem(key.strip(), kid=kid, alg=algorithm)
    made = COSE.new(alg_auto_inclusion=True, kid_auto_inclusion=True).encode(cbor2.dumps(dict(claims)), by)
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode("ascii")
