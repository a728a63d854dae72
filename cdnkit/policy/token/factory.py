"""Makes token schemes from settings and keys. The keys are passed in: this module reads no files."""

from collections.abc import Mapping

from cdnkit.policy.rules.tokens import Akamai, Cat, CloudFront, Fastly, Jwt, Token
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.fastly import FastlyToken
from cdnkit.policy.token.scheme import Carriers, Scheme


def scheme_of(token: Token, keys: Mapping[str, str]) -> Scheme:
    """`keys` by key id, or by "" if the scheme has only one. ValueError says what is wrong with a key, but not the key;
    ModuleNotFoundError names the missing package that the scheme needs.
    """
    if isinstance(token, CloudFront):
        from cdnkit.policy.token.cloudfront import CloudFrontToken

        return CloudFrontToken(dict(keys), leeway=token.leeway)
    carriers = Carriers(
        params=frozenset({token.param} - {""}),
        cookies=frozenset({token.cookie} - {""}),
        headers=frozenset({token.header.lower()} - {""}),
        prefix=token.path_prefix,
    )
    key, leeway, expired_status = keys.get("", ""), token.leeway, token.expired_status
    match token:
        case Fastly():
            return FastlyToken(
                key, hash=token.hash, param=token.param, carriers=carriers, leeway=leeway,
                expired_status=expired_status,
            )  # fmt: skip
        case Akamai():
            return AkamaiToken(
                key, hash=token.hash, salt=token.salt, param=token.param, carriers=carriers,
                escape_early=token.escape_early, leeway=leeway, expired_status=expired_status,
            )  # fmt: skip
        case Jwt():
            from cdnkit.policy.token.jwt import JwtToken

            return JwtToken(
                key, param=token.param, carriers=carriers, issuer=token.issuer, audience=token.audience,
                path_claim=token.path_claim, country_claim=token.country_claim, leeway=leeway,
                expired_status=expired_status,
            )  # fmt: skip
        case Cat():
            from cdnkit.policy.token.cat import CatToken

            return CatToken(
                {token.key_id: key}, param=token.param, carriers=carriers, issuer=token.issuer,
                audience=token.audience, leeway=leeway, expired_status=expired_status,
            )  # fmt: skip
