"""`[token.NAME]`: one model per scheme, told apart by `scheme`, so that a key of another scheme's is an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from cdnkit.units import Seconds, Secret, Settings

Propagate = Literal["none", "query", "cookie"]

ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]*$")]
FieldName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]*$")]
"""A token of RFC 9110 §5.6.2, as names of fields and cookies are; or "" for none."""


class _Token(Settings):
    """What all schemes share."""

    leeway: Seconds = 0.0
    """How far the signer's clock may be off: a token is taken so long before its start and after its end."""

    propagate: Propagate = "none"
    """How the children of a playlist get its token: "query", the playlist is rewritten on its way out; "cookie", the
    answer sets one; "none", the player must see to it."""

    def key_files(self) -> dict[str, Path]:
        """Key files that a node reads, by key id ("" where there is one key)."""
        return {}

    def inline_keys(self) -> dict[str, str]:
        """Keys that stand in the settings themselves."""
        return {}


class _OneKey(_Token):
    """A scheme with one key, and one token that stands in one of several places."""

    key: Secret | None = None
    """The key, as `key_file` would hold it. Prefer that, or `${ENVIRONMENT_VARIABLE}`, to a secret in this file."""

    key_file: Path | None = None
    """A file that holds the key."""

    param: ParameterName = "token"
    """The query parameter that carries the token, "" for none; it reaches neither the cache key nor the origin."""

    cookie: FieldName = ""
    """The cookie that carries it, looked at when the query has none."""

    header: FieldName = ""
    """The request field that carries it, with or without the word Bearer, such as "Authorization"."""

    path_prefix: str = Field(default="", pattern=r"^(|/[^?#\s]+[/=])$")
    """Where the path carries it: with "/t/" it is asked for as `/t/TOKEN/live/a.m3u8`, and cached as `/live/a.m3u8`.
    It ends in "/" or "="."""

    expired_status: int = Field(default=403, ge=400, le=499)
    """The status for a token that was good once. Fastly's tutorial answers 410."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.key is None) == (self.key_file is None):
            raise ValueError("wanted exactly one of key and key_file")
        if not (self.param or self.cookie or self.header or self.path_prefix):
            raise ValueError("wanted a place where the token stands: param, cookie, header or path_prefix")
        if self.propagate == "query" and not self.param:
            raise ValueError('wanted a name in param with propagate = "query"')
        if self.propagate == "cookie" and not self.cookie:
            raise ValueError('wanted a name in cookie with propagate = "cookie"')
        return self

    def key_files(self) -> dict[str, Path]:
        return {} if self.key_file is None else {"": self.key_file}

    def inline_keys(self) -> dict[str, str]:
        return {} if self.key is None else {"": self.key}


class Fastly(_OneKey):
    """`?token=<expiry>_<hex HMAC of path + expiry>`, the pattern of Fastly's VCL tutorial; the key is base64."""

    scheme: Literal["fastly"] = "fastly"
    """`fastly`, `cloudfront`, `akamai`, `jwt` or `cat`: which keys of this table there are follows from it."""

    hash: Literal["sha1", "sha256"] = "sha256"
    """The HMAC's hash."""

    @model_validator(mode="after")
    def _one_path(self) -> Self:
        if self.propagate == "cookie":
            raise ValueError('wanted propagate = "query": a token of this scheme is for one path, a cookie for many')
        return self


class CloudFront(_Token):
    """CloudFront's signed URLs and signed cookies, canned and custom."""

    scheme: Literal["cloudfront"]
    """As above."""

    keys: dict[str, str] = Field(min_length=1, max_length=20)
    """The key group: PEM files with public keys by their key-pair id, `{ K2JCJMDEHXQW5F = "keys/viewer.pem" }`. Several
    while keys are changed. A text that begins with "-----BEGIN" is the key itself."""

    signing_key: Path | None = None
    """The private key, for `cdnlab sign` and the load test; nodes do not read it."""

    @field_validator("keys")
    @classmethod
    def _named(cls, keys: dict[str, str]) -> dict[str, str]:
        if "" in keys:
            raise ValueError("wanted a key-pair id before each key")
        return keys

    def key_files(self) -> dict[str, Path]:
        return {key_id: Path(text) for key_id, text in self.keys.items() if not text.startswith("-----BEGIN")}

    def inline_keys(self) -> dict[str, str]:
        return {key_id: text for key_id, text in self.keys.items() if text.startswith("-----BEGIN")}


class Akamai(_OneKey):
    """Akamai EdgeAuth 2.0: `st=..~exp=..~acl=/live/*~hmac=..`; the key is hexadecimal."""

    scheme: Literal["akamai"]
    """As above."""

    param: ParameterName = "__token__"
    """The query parameter that carries the token, "" for none."""

    hash: Literal["sha256", "sha1", "md5"] = "sha256"
    """The HMAC's hash."""

    salt: Secret = ""
    """Signed with each token, though not in it."""

    escape_early: bool = False
    """The signer percent-encodes what it signs (its own option of that name)."""


class _Claims(_OneKey):
    """A scheme whose token says who made it, and for whom."""

    issuer: str = ""
    """The `iss` a token must have; "" for any."""

    audience: str = ""
    """The `aud` a token must have among its own; "" for any."""

    signing_key: Path | None = None
    """The private key, for `cdnlab sign` and the load test where the key is a public one; nodes do not read it."""


class Jwt(_Claims):
    """JSON Web Tokens; the key is a shared secret, a public key in PEM, or a JWK Set. Its type fixes the algorithms."""

    scheme: Literal["jwt"]
    """As above."""

    path_claim: str = "paths"
    """The claim with the paths a token is for, globs such as "/live/*"; without it, a token is for all."""

    country_claim: str = "countries"
    """The claim with the countries a token is for, ISO 3166-1 codes; without it, a token is for all."""


class Cat(_Claims):
    """Common Access Token, CTA-5007; the key is a shared secret in base64 or a public key in PEM."""

    scheme: Literal["cat"]
    """As above."""

    param: ParameterName = "cat"
    """The query parameter that carries the token, "" for none."""

    cookie: FieldName = "CTA-Common-Access-Token"
    """The cookie that carries it, looked at when query and header have none."""

    header: FieldName = "CTA-Common-Access-Token"
    """The request field that carries it."""

    key_id: str = "viewer"
    """The `kid` of tokens that `cdnlab sign` makes."""


def _scheme(value: Any) -> str:
    return str(value.get("scheme", "fastly")) if isinstance(value, Mapping) else str(getattr(value, "scheme", "fastly"))


Token = Annotated[
    Annotated[Fastly, Tag("fastly")]
    | Annotated[CloudFront, Tag("cloudfront")]
    | Annotated[Akamai, Tag("akamai")]
    | Annotated[Jwt, Tag("jwt")]
    | Annotated[Cat, Tag("cat")],
    Discriminator(_scheme),
]
"""One `[token.NAME]`."""
