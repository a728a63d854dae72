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
    """The keys that all schemes share."""

    leeway: Seconds = 0.0
    """How far the signer's clock may be off: a token is valid this much before its start and after its end."""

    propagate: Propagate = "none"
    """How requests for a playlist's children get its token: "query", the node adds it to the URIs in the playlist;
    "cookie", the response sets a cookie; "none", the player adds it."""

    def key_files(self) -> dict[str, Path]:
        """Key files that a node reads, by key id ("" where there is one key)."""
        return {}

    def inline_keys(self) -> dict[str, str]:
        """Keys that stand in the settings themselves."""
        return {}


class _OneKey(_Token):
    """A scheme with one key, whose token is read from one of several places."""

    key: Secret | None = None
    """The key, in the format of `key_file`. Prefer that, or `${ENVIRONMENT_VARIABLE}`, to a secret in this file."""

    key_file: Path | None = None
    """A file with the key."""

    param: ParameterName = "token"
    """The query parameter that carries the token, "" for none. It is removed before the cache key and the upstream
    request are made."""

    cookie: FieldName = ""
    """The cookie that carries the token, read when the query has none; "" for no cookie."""

    header: FieldName = ""
    """The request field that carries the token, with or without the word Bearer, such as "Authorization"."""

    path_prefix: str = Field(default="", pattern=r"^(|/[^?#\s]+[/=])$")
    """What stands before a token in the path: with "/t/", a client requests `/t/TOKEN/live/a.m3u8`, which is cached as
    `/live/a.m3u8`. It ends in "/" or "="."""

    expired_status: int = Field(default=403, ge=400, le=499)
    """Status for a token that has expired. Fastly's tutorial uses 410."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.key is None) == (self.key_file is None):
            raise ValueError("wanted exactly one of key and key_file")
        if not (self.param or self.cookie or self.header or self.path_prefix):
            raise ValueError(
                "wanted at least one of param, cookie, header and path_prefix, from which the token is read"
            )
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
    """`?token=<expiry>_<hex HMAC of path + expiry>`, as in Fastly's VCL tutorial; the key is base64."""

    scheme: Literal["fastly"] = "fastly"
    """`fastly`, `cloudfront`, `akamai`, `jwt` or `cat`; it determines the other keys of this table."""

    hash: Literal["sha1", "sha256"] = "sha256"
    """The hash function of the HMAC."""

    @model_validator(mode="after")
    def _one_path(self) -> Self:
        if self.propagate == "cookie":
            raise ValueError(
                'wanted propagate = "query": a token of this scheme is valid for one path, a cookie is sent for many'
            )
        return self


class CloudFront(_Token):
    """CloudFront's signed URLs and signed cookies, with canned and custom policies."""

    scheme: Literal["cloudfront"]
    """As above."""

    keys: dict[str, str] = Field(min_length=1, max_length=20)
    """The key group: public keys by key-pair id, each in a PEM file, `{ K2JCJMDEHXQW5F = "keys/viewer.pem" }`. List
    several during a key rotation. A text that begins with "-----BEGIN" is the key itself."""

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
    """The hash function of the HMAC."""

    salt: Secret = ""
    """A salt: it is part of what is signed, but not of the token."""

    escape_early: bool = False
    """Whether the signer percent-encodes what it signs (the signer's option of that name)."""


class _Claims(_OneKey):
    """A scheme whose token has claims."""

    issuer: str = ""
    """The `iss` that a token must have; "" for any."""

    audience: str = ""
    """A value that the token's `aud` must contain; "" for any."""

    signing_key: Path | None = None
    """The private key, needed by `cdnlab sign` and the load test where the key is a public one; nodes do not read
    it."""


class Jwt(_Claims):
    """JSON Web Tokens; the key is a shared secret, a public key in PEM, or a JWK Set. Its type fixes the algorithms."""

    scheme: Literal["jwt"]
    """As above."""

    path_claim: str = "paths"
    """The claim that lists the paths a token is valid for, globs such as "/live/*". A token without it is valid for all
    paths."""

    country_claim: str = "countries"
    """The claim that lists the countries a token is valid for, ISO 3166-1 codes. A token without it is valid for all
    countries."""


class Cat(_Claims):
    """Common Access Token, CTA-5007; the key is a shared secret in base64 or a public key in PEM."""

    scheme: Literal["cat"]
    """As above."""

    param: ParameterName = "cat"
    """The query parameter that carries the token, "" for none."""

    cookie: FieldName = "CTA-Common-Access-Token"
    """The cookie that carries the token, read when query and header have none."""

    header: FieldName = "CTA-Common-Access-Token"
    """The request field that carries the token."""

    key_id: str = "viewer"
    """The `kid` of the tokens that `cdnlab sign` makes."""


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
