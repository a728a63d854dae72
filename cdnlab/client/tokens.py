"""Makes a token of any scheme, as a signer does: `cdnlab sign` prints it, and the load test sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from cdnkit.policy.rules.tokens import Akamai, CloudFront, Fastly, Jwt, Token
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.fastly import FastlyToken
from cdnkit.policy.token.scheme import for_query
from cdnlab.errors import BadUsage


@dataclass(frozen=True)
class Grant:
    """What a token allows. Instants are Unix seconds."""

    expires_at: int
    starts_at: int | None = None
    path: str | None = None
    """A glob on the path, such as "/live/*"; None: the URL's own path."""
    ip: str | None = None
    """An address, for CloudFront and CAT also a network."""
    countries: tuple[str, ...] = ()
    hash_name: str | None = None
    """CloudFront's Hash-Algorithm."""


@dataclass(frozen=True)
class SignedResponse:
    """A signed URL, and its token as cookies and as a request field where the scheme has those."""

    url: str
    expires_at: int
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def sign(token: Token, keys: Mapping[str, str], url: str, grant: Grant) -> SignedResponse:
    """Signs a URL. `keys`: key id, "" where there is one key, to the key a node has; for a key pair the private one.

    Raises `BadUsage` when the scheme cannot express the grant, ValueError when the key is not one.
    """
    if isinstance(token, CloudFront):
        return _cloudfront(keys, url, grant)
    path = urlsplit(url).path or "/"
    if isinstance(token, Fastly):
        _refuse("fastly", grant, starts_at="a start", ip="an address", countries="a country", path="more than one path")
        text = FastlyToken(keys[""], hash=token.hash).sign(path, grant.expires_at)
    elif isinstance(token, Akamai):
        _refuse("akamai", grant, countries="a country")
        signer = AkamaiToken(keys[""], hash=token.hash, salt=token.salt, escape_early=token.escape_early)
        acls = () if grant.path is None else tuple(grant.path.split("!"))
        text = signer.sign(
            expires_at=grant.expires_at, acls=acls, url=path, starts_at=grant.starts_at, ip=grant.ip or ""
        )
    elif isinstance(token, Jwt):
        from cdnkit.policy.token import jwt

        _refuse("jwt", grant, ip="an address")
        claims: dict[str, Any] = {"exp": grant.expires_at, token.path_claim: [grant.path or path]}
        claims |= {} if grant.starts_at is None else {"nbf": grant.starts_at}
        claims |= {"iss": token.issuer} if token.issuer else {}
        claims |= {"aud": token.audience} if token.audience else {}
        claims |= {token.country_claim: list(grant.countries)} if grant.countries else {}
        text = jwt.signed(claims, keys[""])
    else:
        from cdnkit.policy.token import cat

        numbered: dict[int, Any] = {cat.Claim.EXP: grant.expires_at, cat.Claim.CATU: cat.of_glob(grant.path or path)}
        numbered |= {} if grant.starts_at is None else {cat.Claim.NBF: grant.starts_at}
        numbered |= {cat.Claim.ISS: token.issuer} if token.issuer else {}
        numbered |= {cat.Claim.AUD: token.audience} if token.audience else {}
        numbered |= {cat.Claim.CATNIP: [grant.ip]} if grant.ip else {}
        numbered |= {cat.Claim.CATGEOISO3166: list(grant.countries)} if grant.countries else {}
        text = cat.signed({int(name): value for name, value in numbered.items()}, keys[""], token.key_id)
    return SignedResponse(
        _with_token(url, token.param, token.path_prefix, text),
        grant.expires_at,
        {token.cookie: text} if token.cookie else {},
        {token.header: text} if token.header else {},
    )


def _cloudfront(keys: Mapping[str, str], url: str, grant: Grant) -> SignedResponse:
    """A canned policy where the grant has only an end, else a custom policy."""
    from cdnkit.policy.token import cloudfront
    from cdnkit.policy.token.cloudfront_policy import custom

    _refuse("cloudfront", grant, countries="a country")
    [(key_id, pem)] = keys.items()
    parts, policy = urlsplit(url), ""
    if grant.path is not None or grant.starts_at is not None or grant.ip is not None or not parts.netloc:
        origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "http*://*"
        resource = url if grant.path is None and parts.netloc else origin + (grant.path or parts.path)
        policy = custom(resource, grant.expires_at, starts_at=grant.starts_at, network=grant.ip)
    made = cloudfront.signed(
        cloudfront.private_key(pem.encode()), key_id, expires_at=grant.expires_at, url=url, policy=policy,
        hash_name=grant.hash_name or "SHA1",
    )  # fmt: skip
    text = "&".join(f"{name}={value}" for name, value in made.items())
    return SignedResponse(
        f"{url}{'&' if parts.query else '?'}{text}",
        grant.expires_at,
        {f"CloudFront-{name}": value for name, value in made.items()},
    )


def _refuse(scheme: str, grant: Grant, **unknown: str) -> None:
    """Raises `BadUsage` if the grant has a field that the scheme does not know: `unknown` names each in words."""
    found = [words for name, words in unknown.items() if getattr(grant, name)]
    if found:
        raise BadUsage(
            f"a token of scheme {scheme} cannot name {' or '.join(found)}",
            "Those of cloudfront, jwt and cat can name more.",
        )


def _with_token(url: str, param: str, prefix: str, text: str) -> str:
    """The URL with the token in the first place that the scheme looks at and a URL has."""
    parts = urlsplit(url)
    if param:
        return f"{url}{'&' if parts.query else '?'}{param}={for_query(text)}"
    if prefix:
        return parts._replace(path=f"{prefix}{quote(text, safe='')}{parts.path}").geturl()
    return url
