"""CloudFront's signed URLs and signed cookies: RSA or ECDSA over a canned or a custom policy.

The checks, in order: there is a key id; the behavior has this key; the signature decodes; the policy can be read; the
signature is right; then the resource, the start, the end and the address. If a URL has one of the four decisive
parameters, its cookies are ignored.
Source: CloudFront developer guide, "Serve private content"; codes and messages from recorded responses.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.token.cloudfront_policy import BadPolicy, Policy, canned, decoded, encoded, read_policy
from cdnkit.policy.token.scheme import (
    LONGEST,
    Carriers,
    ChildToken,
    Memo,
    Pairs,
    TokenFault,
    cookies,
    refused,
    split_off,
    untimely,
    within,
)

PARAMS = frozenset({"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"})
"""Reserved: they are removed from the URL before anything else reads it."""

DECISIVE = PARAMS - {"Hash-Algorithm"}
"""If a URL has one of these, its cookies are ignored."""

COOKIES = frozenset(f"CloudFront-{name}" for name in PARAMS)

_HASHES: dict[str, hashes.HashAlgorithm] = {"SHA1": hashes.SHA1(), "SHA256": hashes.SHA256()}

_PAGES = {
    code: (
        "text/xml",
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>',
    )
    for code, message in (
        ("MissingKey", "Missing Key-Pair-Id query parameter or cookie value"),
        ("InvalidKey", "Unknown Key"),
        ("MalformedSignature", "Could not unencode Signature"),
        ("MalformedPolicy", "Malformed Policy"),
        ("AccessDenied", "Access denied"),
    )
}
"""Content type and body, by CloudFront's code."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class CloudFrontToken:
    """Checks tokens with public keys, by their key-pair ids."""

    __slots__ = ("_keys", "_leeway", "_memo", "carriers")

    def __init__(self, keys: dict[str, str], *, leeway: float = 0.0) -> None:
        """`keys`: PEM by key-pair id, several while keys are replaced. ValueError names a bad one."""
        self._keys = {key_id: public_key(pem, key_id) for key_id, pem in keys.items()}
        self._leeway = leeway
        self.carriers = Carriers(params=PARAMS, cookies=COOKIES)
        self._memo: Memo[Policy] = Memo(self._verify)

    def good_until(self, request: RequestHead) -> float:
        found, bare_query = split_off(request.query, PARAMS) if request.query is not None else ((), None)
        given = dict(found)
        if given.keys().isdisjoint(DECISIVE):
            return 0.0  # it is in cookies
        policy = self._policy(given, self._url(request, bare_query))
        return 0.0 if isinstance(policy, Refusal) or policy.network is not None else policy.ends_at + self._leeway

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        found, bare_query = split_off(request.query, PARAMS) if request.query is not None else ((), None)
        given = _given(found, request)
        if isinstance(given, Refusal):
            return given
        key_id = given.get("Key-Pair-Id")
        if not key_id:
            return _refused(TokenFault.MISSING, wanted="Key-Pair-Id in query or cookies", code="MissingKey")
        if key_id not in self._keys:
            return _refused(TokenFault.UNKNOWN_KEY, key_id, " or ".join(self._keys), code="InvalidKey")
        if not given.get("Signature") or not (given.get("Policy") or given.get("Expires")):
            return _refused(
                TokenFault.MALFORMED, f"only {', '.join(sorted(given))}", "Signature, and Policy or Expires"
            )
        url = self._url(request, bare_query)
        policy = self._policy(given, url)
        if isinstance(policy, Refusal):
            return policy
        if policy.covers is not None and policy.covers.fullmatch(url) is None:
            return _refused(TokenFault.PATH, url, policy.resource or "")
        late = untimely(
            now, end=policy.ends_at, start=policy.starts_at, leeway=self._leeway, page=_PAGES["AccessDenied"]
        )
        if late is None and policy.network is not None and not within(request.client_ip, (policy.network,)):
            return _refused(TokenFault.ADDRESS, request.client_ip or "no address", str(policy.network))
        return late

    @staticmethod
    def _url(request: RequestHead, bare_query: str | None) -> str:
        """The URL that was signed: without the reserved parameters, all else unchanged."""
        target = request.path if bare_query is None else f"{request.path}?{bare_query}"
        return f"{request.scheme}://{request.host.lower()}{target}"

    def _policy(self, given: dict[str, str], url: str) -> Policy | Refusal:
        key_id, hash_name, stated = given["Key-Pair-Id"], given.get("Hash-Algorithm", "SHA1"), given.get("Policy")
        if stated is not None:
            return self._memo(key_id, hash_name, given["Signature"], stated, "", "")
        return self._memo(key_id, hash_name, given["Signature"], None, given["Expires"], url)

    def _verify(
        self, key_id: str, hash_name: str, signature: str, stated: str | None, expires: str, url: str
    ) -> Policy | Refusal:
        try:
            raw_signature = decoded(signature)
        except ValueError as error:
            return _refused(TokenFault.MALFORMED, "another Signature", str(error), code="MalformedSignature")
        algorithm = _HASHES.get(hash_name)
        if algorithm is None:
            return _refused(TokenFault.MALFORMED, f"Hash-Algorithm {hash_name}", " or ".join(_HASHES))
        try:
            if stated is not None:
                text = decoded(stated)
                policy = read_policy(text)
            else:
                text, policy = _canned(url, expires)
        except (BadPolicy, ValueError) as error:
            return _refused(TokenFault.MALFORMED, "another policy", str(error), code="MalformedPolicy")
        if not verifies(self._keys[key_id], raw_signature, text, algorithm):
            wanted = f"key {key_id}'s with {hash_name} over {'the policy' if stated else f'the canned policy of {url}'}"
            return _refused(TokenFault.FORGED, "a signature of something else", wanted)
        return policy

    def child_token(self, request: RequestHead) -> ChildToken | None:
        """A custom policy, unchanged. A canned one is for one URL, and only its signer could sign the children."""
        found = split_off(request.query, PARAMS)[0] if request.query is not None else ()
        given = _given(found, request)
        if isinstance(given, Refusal) or "Policy" not in given:
            return None
        sent = [
            (name, given[name]) for name in ("Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm") if name in given
        ]
        return ChildToken(
            query="&".join(f"{name}={value}" for name, value in sent),
            cookies=tuple((f"CloudFront-{name}", value) for name, value in sent),
        )


def _refused(fault: TokenFault, found: str = "", wanted: str = "", code: str = "AccessDenied") -> Refusal:
    """`code`: CloudFront's code, which its page shows."""
    return refused(fault, found, wanted, page=_PAGES[code])


def _given(found: Pairs, request: RequestHead) -> dict[str, str] | Refusal:
    """The reserved parameters `found` in the URL, or the cookies if the URL has no decisive one."""
    given = dict(found)
    if given.keys().isdisjoint(DECISIVE):
        found = tuple((name[11:], value) for name, value in cookies(request.headers) if name in COOKIES)
        given = dict(found)
    if len(given) != len(found):
        return _refused(TokenFault.MALFORMED, f"{len(found)} parameters, some twice", "each once")
    for name, value in found:
        if len(value) > LONGEST:
            return _refused(TokenFault.TOO_LONG, f"{name} of {len(value)} characters", f"at most {LONGEST}")
    return given


def _canned(url: str, expires: str) -> tuple[bytes, Policy]:
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 10):
        raise BadPolicy("Expires: wanted whole Unix seconds")
    return canned(url, int(expires)).encode("latin-1"), Policy(url, int(expires))


def verifies(key: PublicKey, signature: bytes, text: bytes, algorithm: hashes.HashAlgorithm) -> bool:
    """Whether the key's private half signed this text: RSA with PKCS #1 v1.5, or ECDSA in DER."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, padding.PKCS1v15(), algorithm)
        else:
            key.verify(signature, text, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def public_key(pem: str, name: str) -> PublicKey:
    """A key that CloudFront accepts, RSA with 2048 bits or ECDSA on P-256; ValueError says what is wrong with it."""
    if "PRIVATE KEY" in pem:
        raise ValueError(f"{name}: found a private key, wanted the public one: a node checks, it does not sign")
    try:
        key = serialization.load_pem_public_key(pem.strip().encode("ascii"))
    except ValueError as error:
        raise ValueError(f"{name}: wanted a public key in PEM (-----BEGIN PUBLIC KEY-----)") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError(f"{name}: wanted RSA with 2048 bits, or ECDSA on P-256")


def private_key(pem: bytes) -> PrivateKey:
    """A private key; ValueError if it is none."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("wanted a private key in PEM, without a password") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("wanted an RSA or an ECDSA key")
    return key


def signed(
    key: PrivateKey, key_id: str, *, expires_at: int, url: str = "", policy: str = "", hash_name: str = "SHA1"
) -> dict[str, str]:
    """The parameters of a signed URL, in order: with the custom `policy` if it is given, else canned for `url`.

    The cookies have the same names, with `CloudFront-` before them.
    """
    text = (policy or canned(url, expires_at)).encode()
    algorithm = _HASHES[hash_name]
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(text, padding.PKCS1v15(), algorithm)
    else:
        signature = key.sign(text, ec.ECDSA(algorithm))
    first = {"Policy": encoded(text)} if policy else {"Expires": str(expires_at)}
    named = {} if hash_name == "SHA1" else {"Hash-Algorithm": hash_name}
    return {**first, "Signature": encoded(signature), "Key-Pair-Id": key_id, **named}
