"""One token of any scheme, as a signer would make it: what `cdnlab sign` prints and the load test carries."""

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
class Wish:
    """What a token shall allow. Instants are Unix seconds."""

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
class Minted:
    """A signed URL, and the same as cookies and as a request field where the scheme has such."""

    url: str
    expires_at: int
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def mint(token: Token, keys: Mapping[str, str], url: str, wish: Wish) -> Minted:
    """`keys` as a node has them, or for schemes with two halves the private one, by key id ("" where there is one).

    BadUsage when the scheme has no word for what is wished; ValueError when the key is none.
    """
    if isinstance(token, CloudFront):
        return _cloudfront(keys, url, wish)
    path = urlsplit(url).path or "/"
    if isinstance(token, Fastly):
        _no_word("fastly", wish, starts_at="a start", ip="an address", countries="a country", path="more than one path")
        text = FastlyToken(keys[""], hash=token.hash).sign(path, wish.expires_at)
    elif isinstance(token, Akamai):
        _no_word("akamai", wish, countries="a country")
        signer = AkamaiToken(keys[""], hash=token.hash, salt=token.salt, escape_early=token.escape_early)
        acls = () if wish.path is None else tuple(wish.path.split("!"))
        text = signer.sign(expires_at=wish.expires_at, acls=acls, url=path, starts_at=wish.starts_at, ip=wish.ip or "")
    elif isinstance(token, Jwt):
        from cdnkit.policy.token import jwt

        _no_word("jwt", wish, ip="an address")
        claims: dict[str, Any] = {"exp": wish.expires_at, token.path_claim: [wish.path or path]}
        claims |= {} if wish.starts_at is None else {"nbf": wish.starts_at}
        claims |= {"iss": token.issuer} if token.issuer else {}
        claims |= {"aud": token.audience} if token.audience else {}
        claims |= {token.country_claim: list(wish.countries)} if wish.countries else {}
        text = jwt.signed(claims, keys[""])
    else:
        from cdnkit.policy.token import cat

        numbered: dict[int, Any] = {cat.Claim.EXP: wish.expires_at, cat.Claim.CATU: cat.of_glob(wish.path or path)}
        numbered |= {} if wish.starts_at is None else {cat.Claim.NBF: wish.starts_at}
        numbered |= {cat.Claim.ISS: token.issuer} if token.issuer else {}
        numbered |= {cat.Claim.AUD: token.audience} if token.audience else {}
        numbered |= {cat.Claim.CATNIP: [wish.ip]} if wish.ip else {}
        numbered |= {cat.Claim.CATGEOISO3166: list(wish.countries)} if wish.countries else {}
        text = cat.signed({int(name): value for name, value in numbered.items()}, keys[""], token.key_id)
    return Minted(
        _placed(url, token.param, token.path_prefix, text),
        wish.expires_at,
        {token.cookie: text} if token.cookie else {},
        {token.header: text} if token.header else {},
    )


def _cloudfront(keys: Mapping[str, str], url: str, wish: Wish) -> Minted:
    """Canned where nothing but an end is wished, custom for all else."""
    from cdnkit.policy.token import cloudfront
    from cdnkit.policy.token.cloudfront_policy import custom

    _no_word("cloudfront", wish, countries="a country")
    [(key_id, pem)] = keys.items()
    parts, policy = urlsplit(url), ""
    if wish.path is not None or wish.starts_at is not None or wish.ip is not None or not parts.netloc:
        origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "http*://*"
        resource = url if wish.path is None and parts.netloc else origin + (wish.path or parts.path)
        policy = custom(resource, wish.expires_at, starts_at=wish.starts_at, network=wish.ip)
    made = cloudfront.signed(
        cloudfront.private_key(pem.encode()), key_id, expires_at=wish.expires_at, url=url, policy=policy,
        hash_name=wish.hash_name or "SHA1",
    )  # fmt: skip
    text = "&".join(f"{name}={value}" for name, value in made.items())
    return Minted(
        f"{url}{'&' if parts.query else '?'}{text}",
        wish.expires_at,
        {f"CloudFront-{name}": value for name, value in made.items()},
    )


def _no_word(scheme: str, wish: Wish, **unsaid: str) -> None:
    wished = [words for name, words in unsaid.items() if getattr(wish, name)]
    if wished:
        raise BadUsage(
            f"a token of scheme {scheme} cannot say {' or '.join(wished)}", "cloudfront, jwt and cat say more."
        )


def _placed(url: str, param: str, prefix: str, text: str) -> str:
    """The URL with the token where the scheme looks first that a URL can hold."""
    parts = urlsplit(url)
    if param:
        return f"{url}{'&' if parts.query else '?'}{param}={for_query(text)}"
    if prefix:
        return parts._replace(path=f"{prefix}{quote(text, safe='')}{parts.path}").geturl()
    return url
